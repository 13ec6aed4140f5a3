"""Networks that watch their own account: the account that they saw is the one that follows what they said."""

from itertools import pairwise
from math import isnan

import numpy as np
import pytest

import wfbt
from tests.engine.stage import market
from tests.engine.test_accounts import WILD, rough
from wfbt.engine.accounts import SEEN, Accounts
from wfbt.engine.backtest import replay_ledger, span
from wfbt.engine.closed_loop import stitched, watching
from wfbt.engine.intents import Lowering
from wfbt.engine.setup import Setup, rules_of
from wfbt.engine.tape import lay_out
from wfbt.errors import ArtifactError, PolicyError
from wfbt.policy.actions import Continuous, Discrete
from wfbt.policy.columns import Columns
from wfbt.policy.council import Deliberation, Member
from wfbt.policy.network import Activation, Head, Layer, Network

THREE = Discrete(targets=(np.nan, 1.0, -1.0))
ALL = ("position", "target", "unrealised", "holding", "drawdown", "gross", "today")


def network(rng, inputs, outputs, kind="categorical", hidden=8, scale=1.0):
    sizes = [inputs, hidden, outputs]
    layers = tuple(
        Layer(
            weight=rng.normal(0.0, scale, (b, a)),
            bias=rng.normal(0.0, 0.3, b),
            activation=Activation.TANH if b == hidden else Activation.LINEAR,
        )
        for a, b in pairwise(sizes)
    )
    return Network(layers=layers, head=Head(kind=kind))


def laid(data, setup):
    deck = lay_out(data, setup, 3)
    return deck, Lowering(data, deck, setup), rules_of(setup, deck.horizon)


def features_of(data, rng, depth=3, missing=0.02):
    out = {}
    for one in data.instruments:
        table = rng.normal(0.0, 3.0, (len(one.bars), depth))
        table[rng.random(len(one.bars)) < missing] = np.nan
        out[one.symbol] = table
    return out


def stepped(deck, lowering, rules, given, first, last, decides):
    """The same account, decision by decision in Python: targets, and equity at each decision and the end."""
    accounts = Accounts(deck, rules, lowering.sheet(), 0, 1)
    accounts.begin(np.array([0]), np.array([first]), np.array([last]))
    places = dict(zip(deck.symbols, deck.places, strict=True))
    features, _, _ = given.laid_out(places, len(deck.decisions))
    targets, equity = np.full((len(deck.decisions), len(deck.symbols)), np.nan), []
    turn = 0
    while accounts.waiting[0]:
        view = np.zeros((1, given.of_asset * len(deck.symbols) + len(given.seen) - given.of_asset))
        accounts.observe(given.codes, view)
        bar = accounts.bar[0]
        targets[bar] = decides(features[bar], view[0], turn)
        equity.append(accounts.equity[0])
        accounts.step(targets[bar : bar + 1])
        turn += 1
    return targets, np.array([*equity, accounts.equity[0]])


def observed(features, view, of_asset, goal=()):
    return np.concatenate([features.ravel(), view, goal])


def wanted(member, observation):
    return member.actions.to_targets(member.network.actions(observation[None]))[0]


@pytest.mark.parametrize("name", ["plain", "late", "wrecked", "guarded", "by_volatility"])
@pytest.mark.parametrize("assets", [1, 2])
def test_a_network_in_the_loop_is_the_network_asked_bar_by_bar(name, assets):
    rng, setup = np.random.default_rng([assets, 7]), WILD[name]
    data = market(*(rough(rng, 260, symbol=f"S{a}") for a in range(assets)))
    deck, lowering, rules = laid(data, setup)
    features = features_of(data, rng)
    if assets == 1:
        actions = Discrete(targets=(np.nan, 1.0, -1.0) if name != "wrecked" else (0.0, 15.0, -15.0))
        net = network(rng, 3 + 7, 3, hidden=8, scale=2.0)
    else:
        actions = Continuous(assets=2, dead_zone=0.05)
        net = network(rng, 6 + 8 + 3, 4, kind="box")
    member = Member(network=net, actions=actions, columns=(0, 1, 2), seen=ALL)
    given = Deliberation(members=(member,), features=features)
    said = watching(lowering, rules, given, None, {})
    first, last = 10, 250
    intents = said.between(*span(deck, first, last))
    slow, equity = stepped(
        deck, lowering, rules, given, first, last, lambda f, v, _: wanted(member, observed(f, v, given.of_asset))
    )
    assert said.within(*span(deck, first, last)).targets().tobytes() == slow.tobytes()
    ledger = replay_ledger(deck, intents, rules, first, last)
    assert ledger.equity[: len(equity) - 1].tobytes() == equity[:-1].tobytes()
    assert ledger.equity[-1] == equity[-1]
    assert len(ledger.fills) > 10
    ledger.reconcile()


def test_a_policy_that_sees_no_account_wants_on_paper_what_it_wants_in_the_loop():
    rng, setup = np.random.default_rng(11), WILD["plain"]
    data = market(rough(rng, 300, symbol="A"), rough(rng, 300, symbol="B", missing=0.05))
    deck, lowering, rules = laid(data, setup)
    pair = Member(
        network=network(rng, 4, 2, kind="box"),
        actions=Continuous(assets=2, sized=False),
        columns=(0, 2),
        weight=0.5,
    )
    each = Member(network=network(rng, 3, 3), actions=THREE, columns=(0, 1, 2), weight=0.3, each=True)
    members = (pair, each)
    given = Deliberation(members=members, features=features_of(data, rng))
    said = watching(lowering, rules, given, None, {})
    places = dict(zip(deck.symbols, deck.places, strict=True))
    paper = given.on_paper({one.symbol: one.bars.close for one in data.instruments}, places, len(deck.decisions))
    loop = said.targets()
    for a, (symbol, own) in enumerate(places.items()):
        assert paper[symbol].target[:-1].tobytes() == loop[own, a][:-1].tobytes()
    assert len(np.unique(paper["A"].target[~np.isnan(paper["A"].target)])) > 20


def test_the_weighted_sum_of_networks_is_that_of_their_last_numbers():
    rng, setup = np.random.default_rng(12), Setup()
    data = market(rough(rng, 200, symbol="A"))
    _, lowering, rules = laid(data, setup)
    members = tuple(
        Member(network=network(rng, 3, 3, scale=2.0), actions=THREE, columns=(0, 1, 2), weight=w)
        for w in (0.2, 0.3, 0.1)
    )
    features = features_of(data, rng)
    given = Deliberation(members=members, features=features)
    targets = watching(lowering, rules, given, None, {}).targets()[:, 0]
    last = [0.0, 0.0, 0.0]
    for t in range(199):
        spoken = False
        for m, one in enumerate(members):
            (own,) = wanted(one, features["A"][t])
            if not isnan(own):
                last[m], spoken = own, True
        total = round(sum(one.weight * own for one, own in zip(members, last, strict=True)), 12)
        assert targets[t] == pytest.approx(total, abs=1e-12) if spoken else isnan(targets[t])


def test_a_worker_reads_the_goal_that_its_manager_set_some_bars_ago():
    rng, setup = np.random.default_rng(13), WILD["plain"]
    data = market(rough(rng, 200, symbol="A"), rough(rng, 200, symbol="B"))
    deck, lowering, rules = laid(data, setup)
    seen = ("position", "drawdown")
    manager = Member(
        network=network(rng, 4 + 3, 3, scale=2.0),
        actions=Discrete(targets=(0.0, 1.0, 2.0)),
        columns=(0, 1),
        seen=seen,
        every=5,
    )
    worker = Member(network=network(rng, 12, 4, kind="box"), actions=Continuous(assets=2), columns=(0, 1, 2), seen=seen)
    given = Deliberation(members=(manager, worker), features=features_of(data, rng, missing=0.0))
    goals = []

    def decides(features, view, turn):
        if turn % 5 == 0:
            goal = np.zeros(3)
            goal[manager.network.actions(observed(features[:, :2], view, 1)[None])[0]] = 1.0
            goals.append(goal)
        return wanted(worker, observed(features, view, 1, goals[-1]))

    slow, _ = stepped(deck, lowering, rules, given, 0, 200, decides)
    assert watching(lowering, rules, given, None, {}).targets().tobytes() == slow.tobytes()
    assert len(np.unique(np.array(goals), axis=0)) > 1


@pytest.mark.parametrize("mode", ["veto", "agree", "scale"])
@pytest.mark.parametrize("passes", [True, False])
def test_a_network_is_asked_to_confirm_what_a_rule_newly_proposes_and_nothing_else(mode, passes):
    rng, setup = np.random.default_rng([14, passes]), Setup(exits=wfbt.Exits(stop_atr=2.0))
    data = market(rough(rng, 300, symbol="A"))
    deck, lowering, rules = laid(data, setup)
    proposals = np.repeat(rng.choice([np.nan, 0.0, 1.0, -1.0], 60), 5)
    stop = rng.uniform(1.0, 5.0, 300)
    features = features_of(data, rng, missing=0.2)
    member = Member(
        network=network(rng, 3 + 4, 3, scale=2.0),
        actions=Discrete(targets=(0.5, 1.0, -1.0)),
        columns=(0, 1, 2),
        seen=("position", "target", "unrealised", "holding"),
        least=0.5,
    )
    given = Deliberation(
        members=(member,), features=features,
        other={"A": Columns(target=proposals, stop=stop)}, mode=mode, passes=passes,
    )  # fmt: skip
    standing, passed, asked = None, None, []

    def decides(table, view, _):
        nonlocal standing, passed
        bar = int(np.flatnonzero((features["A"] == table[0]).all(axis=1))[0]) if not np.isnan(table).any() else None
        proposal = proposals[len(asked)]
        asked.append(bar)
        if isnan(proposal):
            return [np.nan]
        if proposal != standing:
            standing = proposal
            observation = observed(table, view, 4)
            opinion = np.nan
            if not np.isnan(observation).any():
                chances = member.network.probabilities(observation[None])[0]
                if chances.max() >= 0.5:
                    opinion = member.actions.targets[int(chances.argmax())]
            if isnan(opinion):
                passed = proposal if passes else 0.0
            elif mode == "veto":
                passed = 0.0 if proposal * opinion < 0 else proposal
            elif mode == "agree":
                passed = proposal if np.sign(proposal) == np.sign(opinion) else 0.0
            else:
                passed = proposal * min(abs(opinion), 1.0)
        return [passed]

    said = watching(lowering, rules, given, None, {})
    slow_sheet = said.parts[0][0].sheet
    accounts = lowering.sheet
    lowering.sheet = lambda *_: slow_sheet
    slow, _ = stepped(deck, lowering, rules, given, 0, 300, decides)
    lowering.sheet = accounts
    assert said.targets().tobytes() == slow.tobytes()
    # The stop is the rule's, on the row of the proposal.
    intents = said.intents()
    assert (intents["stop"] == stop[np.searchsorted(deck.decisions, intents["row"])]).all()
    assert len(intents) > 10


def test_agents_that_follow_each_other_share_one_account():
    rng, setup = np.random.default_rng(15), WILD["guarded"]
    data = market(rough(rng, 300, symbol="A"))
    deck, lowering, rules = laid(data, setup)
    features = features_of(data, rng)
    members = [
        Member(network=network(rng, 3 + 7, 3, scale=2.0), actions=THREE, columns=(0, 1, 2), seen=ALL) for _ in range(3)
    ]
    borders = [20, 120, 200, 280]
    agents = [Deliberation(members=(one,), features=features) for one in members]
    said = [
        watching(lowering, rules, one, None, {}).within(*span(deck, a, b))
        for one, (a, b) in zip(agents, pairwise(borders), strict=True)
    ]
    whole = stitched(said)

    def decides(table, view, turn):
        member = members[int(np.searchsorted(borders, 20 + turn, side="right")) - 1]
        return wanted(member, observed(table, view, 4))

    slow, equity = stepped(deck, lowering, rules, agents[0], 20, 280, decides)
    assert whole.targets().tobytes() == slow.tobytes()
    ledger = replay_ledger(deck, whole.intents(), rules, 20, 280)
    assert ledger.equity[-1] == equity[-1]


def test_what_is_not_known_leaves_the_position_alone():
    rng, setup = np.random.default_rng(16), Setup()
    data = market(rough(rng, 100, symbol="A"))
    _, lowering, rules = laid(data, setup)
    features = {"A": np.where(np.arange(100)[:, None] % 3 == 0, np.nan, rng.normal(0, 1, (100, 3)))}
    member = Member(network=network(rng, 3, 3), actions=Discrete(targets=(0.0, 1.0, -1.0)), columns=(0, 1, 2))
    targets = watching(lowering, rules, Deliberation(members=(member,), features=features), None, {}).targets()[:99, 0]
    assert np.isnan(targets[::3]).all()
    assert not np.isnan(np.delete(targets, np.s_[::3])).any()


def test_a_rule_whose_orders_wait_for_a_price_cannot_be_confirmed_by_a_network_that_watches():
    rng, setup = np.random.default_rng(17), Setup()
    data = market(rough(rng, 50, symbol="A"))
    _, lowering, rules = laid(data, setup)
    member = Member(network=network(rng, 4, 3), actions=THREE, columns=(0, 1, 2), seen=("position",))
    other = {"A": Columns(target=np.ones(50), limit=np.full(50, 99.0))}
    given = Deliberation(members=(member,), features=features_of(data, rng), other=other, mode="veto")
    with pytest.raises(PolicyError, match="A: the rule puts out limit, and a network that watches"):
        watching(lowering, rules, given, None, {})


def test_an_observation_of_another_size_is_refused_with_its_parts():
    rng = np.random.default_rng(18)
    member = Member(network=network(rng, 9, 3), actions=THREE, columns=(0, 1, 2), seen=("position",))
    with pytest.raises(ArtifactError, match="reads 9 numbers, and its observation has 4: 3 features and position"):
        Deliberation(members=(member,), features={"A": np.zeros((5, 3))})


def test_holding_is_counted_on_paper_as_in_an_account():
    assert set(SEEN) == set(ALL)
    close = np.array([100.0, 110.0, 121.0, 121.0])
    features = {"A": np.zeros((4, 1))}
    # A network that only copies what it sees of its account to its two outputs tells what that is.
    copies = Network(
        layers=(Layer(weight=np.array([[0.0, 0.0, 1.0, 0.0]]), bias=np.array([0.25])),), head=Head(kind="box")
    )
    member = Member(
        network=copies,
        actions=Continuous(assets=1, sized=False),
        columns=(0,),
        seen=("position", "unrealised", "holding"),
    )
    given = Deliberation(members=(member,), features=features)
    paper = given.on_paper({"A": close}, {"A": np.arange(4)}, 4)["A"].target
    assert paper.tolist() == pytest.approx([0.25, 0.35, 0.46, 0.46], abs=1e-6)
