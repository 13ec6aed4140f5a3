"""Networks that watch their own account: what they say is known only once their account has been replayed.

Told to an account anew, the intents that they made are the account that they saw, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from wfbt.engine.accounts import Accounts
from wfbt.engine.intents import Lowering, Said
from wfbt.engine.tape import Deck
from wfbt.errors import PolicyError
from wfbt.kernels.abi import INTENT, Rules
from wfbt.policy.columns import Columns
from wfbt.policy.council import MODES, Deliberation, council_of
from wfbt.policy.slow import GraphMember

F8 = npt.NDArray[np.float64]
Intents = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agent:
    """Networks laid out on one deck.

    Attributes
    ----------
    deliberation : Deliberation
    features : (T, A, F) float64; other : (T, A) or (1, A) float64; acting : (T,) or (1,) int64
        On the deck's decision bars.
    sheet : (T, A) SHEET
        What their targets become.
    """

    deliberation: Deliberation
    features: F8
    other: F8
    acting: npt.NDArray[np.int64]
    sheet: npt.NDArray[np.void]

    def sized(self, times: float) -> Agent:
        """The same with orders `times` as large."""
        sheet = self.sheet.copy()
        for name in ("long", "short", "flat"):
            sheet[name] *= times
        sheet.flags.writeable = self.sheet.flags.writeable
        return replace(self, sheet=sheet)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Watching:
    """What agents say, each on execution rows [start, stop), one after the other.  It stands where `Said` stands.

    Attributes
    ----------
    parts : tuple of (Agent, int, int)
    deck : Deck
    rules : Rules
        Of the accounts that they watch.
    slices : int
    """

    parts: tuple[tuple[Agent, int, int], ...]
    deck: Deck
    rules: Rules
    slices: int

    lent: tuple[tuple[str, str], ...] = ()

    def on(self, deck: Deck, rules: Rules, times: float = 1.0) -> Watching:
        """The same networks in accounts of `rules` on `deck`, whose sizes are `times` as large."""
        parts = self.parts
        if times != 1.0:
            parts = tuple((one.sized(times), start, stop) for one, start, stop in parts)
        return replace(self, parts=parts, deck=deck, rules=rules)

    def within(self, start: int, stop: int) -> Watching:
        """What is said on execution rows [start, stop)."""
        clipped = [(one, max(a, start), min(b, stop)) for one, a, b in self.parts]
        return replace(self, parts=tuple(part for part in clipped if part[1] < part[2]))

    def heard_from(self, starts: Sequence[int]) -> Watching:
        """What accounts that begin on each of `starts`, flat, are told: each watches itself."""
        return self

    def between(self, start: int, stop: int) -> Intents:
        """Intents of an account that begins on execution row `start`, flat, and ends before `stop`."""
        return self.within(start, stop).intents()

    def intents(self) -> Intents:
        """What an account that begins flat with the first part is told, from part to part."""
        if not self.parts:
            return np.zeros(0, INTENT)
        return self._told()[0]

    def targets(self) -> F8:
        """(T, A) what was wanted at each decision bar of that account; NaN elsewhere."""
        return self._told()[1]

    def _told(self) -> tuple[Intents, F8]:
        start, stop = self.parts[0][1], self.parts[-1][2]
        deck = self.deck
        accounts = Accounts(deck, self.rules, self.parts[0][0].sheet, self.slices, 1)
        bars = np.searchsorted(deck.decisions, [start, stop - 1])
        targets = np.full((len(deck.decisions), len(deck.symbols)), np.nan)
        told = np.zeros(len(deck.symbols) * int(bars[1] - bars[0] + 1), INTENT)
        made = 0
        if bars[1] > bars[0]:
            accounts.begin(np.array([0]), bars[:1], bars[1:] + 1)
        memory = np.full((2, len(deck.symbols)), np.nan)
        for agent, _, until in self.parts:
            given = agent.deliberation
            accounts.sheet = agent.sheet
            if given.slow is not None:
                made += _stepped(agent, given.slow, accounts, until, targets, told[made:])
                continue
            stood = np.zeros((len(given.members), len(deck.symbols)))
            made += accounts.follow(
                council_of(given.members, given.seen), agent.features, given.codes, given.of_asset, agent.other,
                MODES[given.mode], given.mirrored, given.passes, agent.acting, until, memory, stood, targets,
                told[made:],
            )  # fmt: skip
        return told[:made], targets


def _stepped(agent: Agent, graph: GraphMember, accounts: Accounts, until: int, targets: F8, told: Intents) -> int:
    """Let a graph decide for one waiting account until execution row `until`, bar by bar in Python."""
    stepper, made = graph.graph.stepper(), 0
    codes, columns = agent.deliberation.codes, list(graph.columns)
    view = np.zeros((1, len(codes)))
    while accounts.waiting[0] and accounts.desk.carry["row"][0] < until:
        bar = int(accounts.bar[0])
        accounts.observe(codes, view)
        targets[bar, 0] = graph.asked(stepper, agent.features[bar, 0, columns], view[0])
        row = int(accounts.desk.carry["row"][0])
        accounts.step(targets[bar : bar + 1])
        if accounts.intents["row"][0] == row:
            told[made] = accounts.intents[0]
            made += 1
    return made


def watching(
    lowering: Lowering, rules: Rules, given: Deliberation, forecast: Mapping[str, F8] | None, scale: Mapping[str, F8]
) -> Watching:
    """What networks say on the whole span of a lowering's deck; `scale` (T_a,) is what their sizes are multiplied by.

    PolicyError where the rule beside them puts out orders that wait for a price: what networks confirm goes to the
    market.
    """
    deck = lowering.deck
    places = dict(zip(deck.symbols, deck.places, strict=True))
    wants: dict[str, Columns] = {}
    for symbol, own in places.items():
        unsaid = np.full(len(own), np.nan)
        one = given.other[symbol] if given.other is not None and not given.mirrored else Columns(target=unsaid)
        for name in ("limit", "trigger", "other", "expire"):
            column = getattr(one, name)
            if column is not None and not np.isnan(column).all():
                raise PolicyError(
                    f"{symbol}: the rule puts out {name}, and a network that watches its account confirms market "
                    "orders alone; let the rule put out none, or the network see nothing of its account"
                )
        wants[symbol] = replace(one, scale=scale[symbol]) if symbol in scale else one
    features, other, acting = given.laid_out(places, len(deck.decisions))
    agent = Agent(
        deliberation=given, features=features, other=other, acting=acting, sheet=lowering.sheet(forecast, wants)
    )
    whole = (agent, 0, len(deck.tape.open_ts))
    return Watching(parts=(whole,), deck=deck, rules=rules, slices=lowering.slices)


def stitched(parts: Sequence[Said | Watching]) -> Said | Watching:
    """One saying after another in time, as one account hears them."""
    said = [part for part in parts if isinstance(part, Said)]
    if len(said) == len(parts):
        return Said.stitched(said)
    heard = [part for part in parts if isinstance(part, Watching)]
    if said:
        raise PolicyError("of the policies that follow each other some watch their account and some do not")
    together = sorted((one for part in heard for one in part.parts), key=lambda one: one[1])
    return replace(heard[0], parts=tuple(together))
