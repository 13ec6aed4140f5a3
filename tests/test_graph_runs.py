"""ONNX graphs that are no plain networks, replayed: in batches, with their state carried, and bar by bar."""

import json

import numpy as np
import pytest

import wfbt
from tests.engine.stage import market
from tests.engine.test_accounts import rough
from tests.models import DIGEST, FEATURES
from tests.runs import write_study
from wfbt.config.values import Duration, Time
from wfbt.engine.accounts import Accounts
from wfbt.engine.closed_loop import watching
from wfbt.engine.intents import Lowering
from wfbt.engine.setup import Setup, rules_of
from wfbt.engine.tape import lay_out
from wfbt.features.spec import FeatureSpec
from wfbt.policy.artifact.description import Discrete, Head, Level, Ports, Scaling
from wfbt.policy.artifact.graph import Graph
from wfbt.policy.artifact.load import Member
from wfbt.policy.artifact.manifest import Manifest, Provenance, Rows, Window
from wfbt.policy.artifact.save import save_artifact
from wfbt.policy.frames import market_frames
from wfbt.policy.hybrid import answers
from wfbt.policy.learned import Learned

pytest.importorskip("onnxruntime", reason="graphs need the extra [onnx]")
graphs = pytest.importorskip("tests.policy.artifact.graphs", reason="graphs need the extra [onnx]")

STATES = (("h0", "h1"), ("c0", "c1"))
SCALE = {"return_1": 0.002, "return_24": 0.01, "rsi_14": 0.1, "realised_volatility_24": 0.01, "position": 1.0}


def artefact(folder, model, *, features=FEATURES, account=(), window=1, states=()):
    inputs = (*features, *account)
    level = Level(
        features=features,
        account=account,
        architecture=None,
        graph=Ports(head=Head.CATEGORICAL, output="y", states=states, window=window, normalised=False),
        normaliser=Scaling(mean=(0.0,) * len(inputs), deviation=tuple(SCALE[one] for one in inputs), clip=10.0),
        period=None,
        joins=None,
        actions=Discrete(targets=(None, 1.0, -1.0)),
    )
    graph = Graph(
        data=model.SerializeToString(), ports=level.graph, scaling=level.normaliser, inputs=len(inputs), outputs=3,
        observes_account=bool(account), source="graph",
    )  # fmt: skip
    probes = np.random.default_rng(1).normal(0, 0.02, (40, len(inputs)))
    told = Manifest(
        provenance=Provenance.CLAIMED, models=(), levels={"policy": level},
        features_sha256=FeatureSpec.parse(list(features)).sha256, reward=None,
        training=Window(start=Time.parse("2023-01-01"), end=Time.parse("2024-01-01")), validation=None,
        embargo=Duration.parse("24h"),
        data=Rows(period=Duration.parse("1h"), symbols=("AAA",), digests={"AAA": DIGEST}), trainer=None,
        code_sha256=None, lock_sha256=None, probes=None,
    )  # fmt: skip
    outputs = graph.values(probes)[window - 1 :]
    members = [Member(seed=None, levels={"policy": graph})]
    return save_artifact(folder, told, members, {"policy": probes}, [{"policy": outputs}])


def told(folder, **policy):
    path = write_study(folder, policy={"rule": None, "search": {}} | policy)
    run = wfbt.run(path, out=folder / "reports", jobs=1)
    run.ledger.reconcile()
    result = json.loads((run.folder / "result.json").read_text())
    assert result["leakage"]["passed"]
    return result


@pytest.mark.parametrize("name", ["lstm", "attention", "tree"])
def test_a_graph_runs_as_a_rule_does_and_says_that_it_is_slow(tmp_path, name):
    made = {"lstm": graphs.lstm, "attention": graphs.attention, "tree": graphs.tree}[name]()
    model = made[0] if isinstance(made, tuple) else made
    given = {"lstm": {"states": STATES}, "attention": {"window": 6}, "tree": {}}[name]
    artefact(tmp_path / "model", model, **given)
    result = told(tmp_path, model="model")
    # The tree sells once and holds.
    assert result["oos"]["trades"] > (5 if name != "tree" else 0)
    assert result["models"]["policy"]["decides"] == "bar by bar in ONNX Runtime, slowly"
    assert result["models"]["policy"]["provenance"] == "claimed"


def test_a_graph_that_watches_its_account_is_asked_at_every_bar_of_it(tmp_path):
    model, _ = graphs.lstm(seed=5)
    found = artefact(tmp_path / "model", model, features=FEATURES[:3], account=("position",), states=STATES)
    result = told(tmp_path, model="model")
    assert result["oos"]["trades"] > 3
    # The same, decision by decision.
    data, setup = market(rough(np.random.default_rng(3), 200, symbol="AAA")), Setup()
    deck = lay_out(data, setup, 0)
    lowering, rules = Lowering(data, deck, setup), rules_of(setup, deck.horizon)
    policy = Learned(name="model", artifact=found, spec=FeatureSpec.parse(list(FEATURES[:3])))
    given = policy.deliberation(market_frames(data), {})
    targets = watching(lowering, rules, given, None, {}).targets()[:, 0]
    accounts = Accounts(deck, rules, lowering.sheet(), 0, 1)
    accounts.begin(np.array([0]), np.array([0]), np.array([200]))
    stepper = found.members[0].levels["policy"].stepper()
    wanted = np.full(200, np.nan)
    while accounts.waiting[0]:
        bar, view = accounts.bar[0], np.zeros((1, 1))
        accounts.observe(given.codes, view)
        row = np.concatenate([given.features["AAA"][bar], view[0]])
        if np.isfinite(row).all():
            wanted[bar] = [np.nan, 1.0, -1.0][int(stepper.step(row).argmax())]
        accounts.step(wanted[bar : bar + 1, None])
    assert targets.tobytes() == wanted.tobytes()
    assert 20 < np.isfinite(wanted).sum() < 200


def test_a_graph_confirms_a_rule_where_it_proposes_something_new(tmp_path):
    artefact(tmp_path / "model", graphs.tree())
    rule = {"rule": "sma_cross", "params": {"fast": 4, "slow": 24}}
    result = told(tmp_path, hybrid={"propose": rule, "confirm": {"model": "model"}, "mode": "agree"})
    assert 0 < result["oos"]["exposure"] < 1
    assert result["baselines"]["rule_alone"]["trades"] > 0


def test_the_answer_to_a_proposal_stands_until_the_next_one():
    nan = np.nan
    proposal = np.array([nan, 1.0, 1.0, nan, -1.0, -1.0, 0.0, 1.0])
    opinion = np.array([9.0, nan, -1.0, 1.0, -1.0, 1.0, 1.0, 1.0])
    asked = answers(proposal, opinion, "veto", passes=True)
    assert np.isnan(asked[[0, 2, 3, 5]]).all()
    assert asked[[1, 4, 6, 7]].tolist() == [1.0, -1.0, 1.0, 1.0]
    assert answers(proposal, opinion, "veto", passes=False)[1] == -1.0
    assert answers(proposal, opinion, "scale", passes=False)[1] == 0.0
