"""What a run showed, in plain sentences that do not flatter.  No verdict: that is the gate's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wfbt.report.formats import COSTS, listing, moment, reason, show
from wfbt.report.leakage import sentence
from wfbt.report.overfitting import BEYOND_LUCK
from wfbt.report.robustness_words import robustness_finding
from wfbt.report.trials import looked
from wfbt.report.walks import same_account
from wfbt.report.worry import unworried

FEW_TRADES = 30
_RIVALRY = (("total_return", "total return"), ("sharpe", "Sharpe"), ("max_drawdown", "drawdown"))


def headlines(result: Mapping[str, Any]) -> list[str]:
    """What comes first, two or three lines: an account that was stopped, what it made, and how much that proves."""
    return [*_stopped(result.get("events") or {}), _earned(result), _evidence(result)]


def grouped(result: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Everything else under its title, for the page; no group is empty."""
    groups = [
        ("Result", [_tested(result), *_compared(result), *across_folds(result)]),
        ("Luck and looks", [*_too_little(result.get("oos") or {}), *_looks(result)]),
        ("Costs", [*cost(result), *break_even(result)]),
        (
            "Warnings",
            [
                *_unreal(result.get("data") or {}),
                *_hindsight(result),
                *_trained(result),
                *robustness_finding(result.get("robustness")),
                *_simulated(result),
                *_events(result.get("events") or {}),
            ],
        ),
    ]
    return [(title, said) for title, said in groups if said]


def findings(result: Mapping[str, Any]) -> list[str]:
    """What came of it, and what a careful reader should take from that, in the order of the terminal."""
    events = result.get("events") or {}
    return [
        *_unreal(result.get("data") or {}),
        *_hindsight(result),
        *_stopped(events),
        _earned(result),
        *_too_little(result.get("oos") or {}),
        *_compared(result),
        *across_folds(result),
        *_trained(result),
        *cost(result),
        *break_even(result),
        *robustness_finding(result.get("robustness")),
        *_simulated(result),
        *_events(events),
        *_looks(result),
        *_untested(result),
    ]


def gross_profit(result: Mapping[str, Any]) -> float | None:
    """Profit of the same fills before any cost, in quote; None where the profit is unknown."""
    cash = (result.get("account") or {}).get("cash")
    oos = result.get("oos") or {}
    if result.get("paths"):  # costs are those of one path
        oos = result["paths"][result["walk"]["shown"] - 1]
    total = oos.get("total_return")
    costs = [(result.get("costs") or {}).get(key) for key, _ in COSTS]
    known = [cost for cost in costs if cost is not None]
    if cash is None or total is None or len(known) < len(costs):
        return None
    return float(cash * total + sum(known))


def span(result: Mapping[str, Any]) -> str:
    """First to last out-of-sample time."""
    folds = result.get("folds") or []
    return f"{moment(folds[0]['test_start'])} to {moment(folds[-1]['test_end'])}" if folds else "no span"


def searched(folds: Sequence[Mapping[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    """Names of the parameters that moved from fold to fold, and the values of those that did not."""
    names = list(dict.fromkeys(name for fold in folds for name in fold.get("params") or {}))
    values = {name: [(fold.get("params") or {}).get(name) for fold in folds] for name in names}
    moved = [name for name in names if any(value != values[name][0] for value in values[name])]
    return moved, {name: values[name][0] for name in names if name not in moved}


def _tested(result: Mapping[str, Any]) -> str:
    folds = result.get("folds") or []
    symbols = listing([str(symbol) for symbol in result.get("data") or {}] or ["its market"])
    days = (result.get("oos") or {}).get("days")
    length = f" ({days:,} days)" if days is not None else ""
    counts = [fold["candidates"] for fold in folds if fold.get("candidates") is not None]
    members = (result.get("sleeves") or {}).get("members") or {}
    if members and any(one["candidates"] > 1 for one in members.values()):
        own = listing([f"{name} {one['candidates']:,}" for name, one in members.items()])
        choice = (
            f"each sleeve trading the best of its own candidates ({own}) on training rows, on rows that choice had "
        )
        choice += "not seen"
    elif not counts or max(counts) <= 1:
        choice = "with the same parameters throughout: nothing was searched"
    else:
        among = f"{max(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
        who = "trading" if len(folds) == 1 else "each trading"
        choice = f"{who} the best of {among} candidates on its own training rows, on rows that choice had not seen"
    number = "1 fold" if len(folds) == 1 else f"{len(folds)} folds"
    return f"{result.get('name', 'The strategy')} traded {symbols} from {span(result)}{length} in {number}, {choice}."


def _untested(result: Mapping[str, Any]) -> list[str]:
    if "leakage" not in result:
        return []
    if result["leakage"]:
        return [said] if (said := sentence(result["leakage"])) else []
    return ["No leak test was run: a rule that peeks would look better than this."]


def _hindsight(result: Mapping[str, Any]) -> list[str]:
    """What stands in the way of reading the numbers as an account that was traded."""
    walk = result.get("walk") or {}
    if not walk:
        return []
    said = [
        f"Its folds ({walk['scheme']}) learnt from later data too, so nobody could have traded this account; rolling "
        "and anchored folds walk forward."
    ]
    if "shown" in walk and same_account(result.get("paths") or []):
        said.append(f"All {walk['paths']} paths are the same account: whichever rows it learnt from, it traded alike.")
    elif "shown" in walk:
        said.append(
            f"What is said of its return, drawdown and ratios are medians over {walk['paths']} paths, each one account "
            "over all groups; the paths share their data, so their spread is not a standard error. Costs, round trips "
            f"and charts are those of path {walk['shown']}, which has the median Sharpe ratio."
        )
    return said


def _simulated(result: Mapping[str, Any]) -> list[str]:
    """What of simulated paths and of ruin would worry; nothing where nothing does."""
    paths, ruin = result.get("monte_carlo") or {}, result.get("ruin") or {}
    told = [("Simulated paths", paths.get("worry")), ("Ruin", (ruin.get("within_a_year") or {}).get("worry"))]
    return [f"{what}: {said[0].lower()}{said[1:]}" for what, said in told if said and not unworried(said)]


def _unreal(data: Mapping[str, Any]) -> list[str]:
    made = [str(symbol) for symbol, facts in data.items() if facts.get("generated")]
    if not made:
        return []
    verb = "is a generated market" if len(made) == 1 else "are generated markets"
    return [f"{listing(made)} {verb}: nothing here says anything of a real one."]


def _earned(result: Mapping[str, Any]) -> str:
    oos, benchmark = result.get("oos") or {}, result.get("benchmark") or {}
    total = oos.get("total_return")
    if total is None:
        return f"What it earned out of sample is not known: {reason(oos, 'total_return')}."
    rate = f" ({show(oos['annual_return'], 'signed')} a year)" if oos.get("annual_return") is not None else ""
    what = f"{'made' if total > 0 else 'lost'} {abs(total):,.1%}{rate}" if total else "neither made nor lost anything"
    text = f"Out of sample and net of costs it {what}"
    if oos.get("max_drawdown") is not None:
        text += f", at worst {show(oos['max_drawdown'], 'percent')} below its peak"
    held = benchmark.get("total_return")
    if held is not None:
        text += f"; buy-and-hold with costs {'made' if held >= 0 else 'lost'} {abs(held):,.1%}"
        if benchmark.get("max_drawdown") is not None:
            text += f", at worst {show(benchmark['max_drawdown'], 'percent')} below its peak"
    return text + "."


def _stopped(events: Mapping[str, Any]) -> list[str]:
    """That the account came to rest before its time; nothing else can be read rightly without it."""
    said = []
    if events.get("stopped"):
        said.append(
            f"Its drawdown limit stopped it for good on {moment(events['stopped'])}; nothing was traded after that."
        )
    if events.get("halted"):
        said.append("It was halted before the end, its account empty, and traded no more.")
    return said


def _evidence(result: Mapping[str, Any]) -> str:
    """How much there is to judge by, how far from luck it is, and what the leak tests found."""
    oos = result.get("oos") or {}
    trades, days = oos.get("trades"), oos.get("days")
    parts = [] if trades is None else [f"{trades:,} round trip{'' if trades == 1 else 's'}"]
    parts += [] if days is None else [f"{days:,} days"]
    said = f"The evidence: {listing(parts)}" if parts else "There is no evidence to judge by"
    z = (result.get("overfitting") or {}).get("sharpe_z")
    if z is not None and z <= 0:
        said += ", and nothing in them that points to skill"
    elif z is not None:
        side = "beyond" if z >= BEYOND_LUCK else "short of"
        said += f", in which the Sharpe ratio is {z:.2f} standard errors from 0, {side} the {BEYOND_LUCK} that "
        said += "luck alone reaches once in 200 tries"
    return " ".join([f"{said}.", *_untested(result)])


def _compared(result: Mapping[str, Any]) -> list[str]:
    """Against buy-and-hold, and since when it held nothing that could lose or win."""
    said = _against_benchmark(result.get("oos") or {}, result.get("benchmark") or {})
    stopped = (result.get("events") or {}).get("stopped")
    return [f"{one[:-1]} (it held nothing after {moment(stopped)[:10]})." for one in said] if stopped else said


def _looks(result: Mapping[str, Any]) -> list[str]:
    return [looked(result["trials"])] if result.get("trials") else []


def _trained(result: Mapping[str, Any]) -> list[str]:
    """In how many folds the numbers in sample are of an account that the drawdown limit stopped."""
    folds = result.get("folds") or []
    stopped = len([fold for fold in folds if fold.get("training_stopped")])
    if not stopped:
        return []
    number = f"{stopped} of {len(folds)} folds" if len(folds) > 1 else "the one fold"
    return [f"In {number} the chosen candidate's training account was stopped by the drawdown limit."]


def _too_little(oos: Mapping[str, Any]) -> list[str]:
    said = []
    if oos.get("sharpe") is None:
        said.append(f"There is no Sharpe ratio: {reason(oos, 'sharpe')}.")
    trades = oos.get("trades")
    if trades == 0:
        said.append("It never completed a round trip, so nothing can be said of its trades.")
    elif trades is not None and trades < FEW_TRADES:
        said.append(f"{trades} round trip{'s are' if trades > 1 else ' is'} too few to tell skill from luck.")
    return said


def _against_benchmark(oos: Mapping[str, Any], benchmark: Mapping[str, Any]) -> list[str]:
    if oos.get("trades") == 0 and oos.get("total_return") == 0:
        return []
    better: list[str] = []
    worse: list[str] = []
    for key, words in _RIVALRY:
        own, other = oos.get(key), benchmark.get(key)
        if own is None or other is None:
            continue
        wins = own < other if key == "max_drawdown" else own > other
        (better if wins else worse).append(words)
    if better and worse:
        return [f"It beat buy-and-hold on {listing(better)}, not on {listing(worse, 'or')}."]
    if worse:
        return [f"It did not beat buy-and-hold on {listing(worse, 'or')}."]
    return [f"It beat buy-and-hold on {listing(better)}, in this one history."] if better else []


def across_folds(result: Mapping[str, Any]) -> list[str]:
    said = []
    outside = [fold.get("out_of_sample") or {} for fold in result.get("folds") or []]
    known = [part for part in outside if part.get("total_return") is not None]
    held = [part for part in known if part["total_return"] != 0 or part.get("exposure") or part.get("trades")]
    if len(known) > 1:
        won = len([part for part in held if part["total_return"] > 0])
        idle = f"; {len(known) - len(held)} held nothing at all" if len(held) < len(known) else ""
        said.append(f"{won} of {len(known)} folds made money out of sample{idle}.")
    efficiency = result.get("walk_forward_efficiency")
    if efficiency is not None:
        said.append(f"Walk-forward efficiency, out of sample over in sample, is {efficiency:.2f}.")
    return said


def cost(result: Mapping[str, Any]) -> list[str]:
    gross = gross_profit(result)
    if gross is None:
        return []
    paid = float(sum(result["costs"][key] for key, _ in COSTS))
    if paid == 0:
        return []
    if gross <= 0:
        return [f"The same fills lost {show(-gross, 'money')} before costs, and costs came to {show(paid, 'money')}."]
    share = f", {paid / gross:,.0%} of it" if paid < 10 * gross else ""
    return [f"The same fills made {show(gross, 'money')} before costs; costs came to {show(paid, 'money')}{share}."]


def break_even(result: Mapping[str, Any]) -> list[str]:
    """At how many times its trading costs nothing would be left, or why at none."""
    found = (result.get("realism") or {}).get("break_even") or {}
    if found.get("paid_bps") is None:
        return []
    apart = stopped_apart(found, "the replays at these costs", "they")
    if found.get("multiple") is None:
        return [f"There is no break-even cost: {reason(found, 'multiple')}.", *apart]
    left, paid = show(found["bps"], "bps"), show(found["paid_bps"], "bps")
    said = (
        f"Its return would be zero at {found['multiple']:,.2f} times its trading costs: {left} bps of what it traded, "
        f"where it paid {paid}."
    )
    if found["crossings"] > 1:
        said += f" Its return passes zero {found['crossings']} times as costs rise; this is the first."
    return [said, *apart]


def stopped_apart(told: Mapping[str, Any], replays: str = "these replays", what: str = "steps") -> list[str]:
    """That some replays of `realism`, or of its break-even, were stopped and others not, or on another day."""
    cause = told.get("stopped_apart")
    if not cause:
        return []
    return [
        f"{cause[0].upper()}{cause[1:]} stopped it at different times in {replays}, or in some alone, so each is "
        f"another history and {what} do not compare."
    ]


ENDS = {"nothing to do": "had nothing to do", "cut": "cut to nothing", "open": "still open at the end"}
"""Words of an outcome that are not its name."""


def _unfilled(orders: Mapping[str, Any]) -> list[str]:
    """What became of all orders, in counts that add up; orders that were all filled are not worth a sentence."""
    said = []
    ends = orders.get("unfilled_by_outcome") or {}
    if ends:
        named = listing([f"{count:,} {ENDS.get(name, name)}" for name, count in ends.items()])
        done = orders["sent"] - orders["unfilled"]
        said.append(f"Of its {orders['sent']:,} orders {done:,} were filled, wholly or in part; {named}.")
    if cut := orders.get("cut_by_more_than_1pct"):
        was = "order was" if cut == 1 else "orders were"
        said.append(
            f"{cut:,} {was} cut by more than 1% of what was asked: leverage, or the cash at the price of the fill, "
            "gave no more."
        )
    return said


def _events(events: Mapping[str, Any]) -> list[str]:
    said = []
    if events.get("liquidations"):
        times = "once" if events["liquidations"] == 1 else f"{events['liquidations']:,} times"
        said.append(f"It was liquidated {times}.")
    # The stop for good is a breaker's act too, the last one, and is told above all else.
    if breakers := events.get("breakers", 0) - bool(events.get("stopped")):
        times = "once" if breakers == 1 else f"{breakers:,} times"
        said.append(f"A circuit breaker flattened it {times}{', before the stop' if events.get('stopped') else ''}.")
    said += _unfilled(events.get("orders") or {})
    if limits := events.get("limits"):
        acts = listing([f"{name} {count:,}" for name, count in limits.items()])
        total = sum(limits.values())
        said.append(f"Its exposure limits acted {'once' if total == 1 else f'{total:,} times'}: {acts}.")
    if events.get("shortfall"):
        said.append(f"It ended owing {show(events['shortfall'], 'money')} that the venue's insurance would have paid.")
    return said
