import pickle

import numpy as np
import pytest

from tests.policy.artifact.making import level, manifest, observations, scaling, write_tree
from wfbt.errors import ArtifactError, PolicyError
from wfbt.policy.artifact.description import Head, Ports
from wfbt.policy.artifact.fields import plain
from wfbt.policy.artifact.graph import Graph, read_graph
from wfbt.policy.artifact.load import Member, load_artifact
from wfbt.policy.artifact.save import save_artifact

pytest.importorskip("onnx", reason="reading ONNX needs wfbt[onnx]")
pytest.importorskip("onnxruntime", reason="running ONNX needs wfbt[onnx]")

from onnx import helper

from tests.policy.artifact import graphs
from tests.policy.artifact.graphs import model_of, stored, value

STATES = (("h0", "h1"), ("c0", "c1"))


def ports(**other):
    given = {"head": Head.CATEGORICAL, "output": "y", "states": (), "window": 1, "normalised": False}
    return Ports(**(given | other))


def graph_level(told, account=(), normaliser=None):
    names = ("rsi", "adx", "spread", "volume")[: 4 - len(account)]
    return level(architecture=None, graph=told, features=names, account=account, normaliser=normaliser)


def graph(model, told=None, account=(), normaliser=None):
    return read_graph(model.SerializeToString(), graph_level(told or ports(), account, normaliser), 4, "policy.onnx")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def slow_lstm(weights, rows):
    """The cell as its paper writes it, one row after another; ONNX orders its gates i, o, f, c."""
    w, r, b = weights["w"][0], weights["r"][0], weights["b"][0]
    hidden = r.shape[1]
    h, c, out = np.zeros(hidden), np.zeros(hidden), []
    for x in rows:
        i, o, f, g = np.split(w @ x + r @ h + b[: 4 * hidden] + b[4 * hidden :], 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(weights["head"] @ h)
    return np.array(out)


def slow_attention(weights, rows, window):
    out = []
    for t in range(window - 1, len(rows)):
        seen = rows[t - window + 1 : t + 1]
        scores = (seen @ weights["k"]) @ (seen[-1] @ weights["q"])
        shares = np.exp(scores) / np.exp(scores).sum()
        out.append(shares @ (seen @ weights["v"]) @ weights["head"])
    return np.array(out)


def test_an_lstm_carries_its_state_from_bar_to_bar():
    model, weights = graphs.lstm()
    found = graph(model, ports(states=STATES))
    rows = observations(4, 60)
    np.testing.assert_allclose(found.values(rows), slow_lstm(weights, rows), rtol=1e-4, atol=1e-5)
    assert found.stateful and found.slow


def test_attention_sees_its_window_and_says_nothing_before_it_is_full():
    model, weights = graphs.attention(window=6)
    found = graph(model, ports(window=6))
    rows = observations(4, 40)
    values = found.values(rows)
    assert np.isnan(values[:5]).all()
    np.testing.assert_allclose(values[5:], slow_attention(weights, rows, 6), rtol=1e-4, atol=1e-5)
    assert np.isnan(found.values(rows[:5])).all()
    assert not found.slow


def test_a_forest_is_asked_all_at_once():
    found = graph(graphs.tree())
    rows = observations(4, 5_000)
    wanted = np.where(rows[:, :1] > 0, [[1.0, -1.0, 2.0]], 0.0)
    np.testing.assert_array_equal(found.values(rows), wanted)
    assert not found.slow


def test_a_graph_that_observes_its_account_is_declared_slow():
    assert graph(graphs.tree(), account=("position",)).slow


@pytest.mark.parametrize("kind", ["lstm", "attention", "tree"])
def test_bar_by_bar_and_at_once_it_says_the_same(kind):
    told = {"lstm": ports(states=STATES), "attention": ports(window=6), "tree": ports()}[kind]
    model = {"lstm": lambda: graphs.lstm()[0], "attention": lambda: graphs.attention()[0], "tree": graphs.tree}[kind]()
    found = graph(model, told, normaliser=scaling(4))
    rows = observations(4, 30)
    walk = found.stepper()
    np.testing.assert_allclose([walk.step(row) for row in rows], found.values(rows), rtol=1e-6, atol=1e-6)


def test_no_row_depends_on_those_after_it():
    rows = observations(4, 40)
    later = rows.copy()
    later[20:] = 7.0
    for model, told in ((graphs.lstm()[0], ports(states=STATES)), (graphs.attention()[0], ports(window=6))):
        found = graph(model, told)
        np.testing.assert_array_equal(found.values(rows)[:20], found.values(later)[:20])


def test_a_normaliser_is_applied_outside_unless_the_graph_does_it_itself():
    rows, normaliser = observations(4, 20), scaling(4, clip=1.0)
    wanted = np.clip((rows - normaliser.mean) / normaliser.deviation, -1, 1)
    outside = graph(graphs.mlp(), normaliser=normaliser).values(rows)
    np.testing.assert_allclose(outside, graph(graphs.mlp()).values(wanted), rtol=1e-5, atol=1e-6)
    inside = graph(graphs.mlp(), ports(normalised=True), normaliser=normaliser).values(rows)
    np.testing.assert_array_equal(inside, graph(graphs.mlp()).values(rows))


def test_a_graph_goes_to_another_process_and_says_the_same():
    found = graph(graphs.tree(), normaliser=scaling(4))
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.values(observations(4)), found.values(observations(4)))


def test_a_graph_for_a_fixed_number_of_rows_answers_any_number():
    model = graphs.mlp()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 8
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 8
    rows = observations(4, 19)
    np.testing.assert_allclose(graph(model).values(rows), graph(graphs.mlp()).values(rows), rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "told", "said"),
    [
        (lambda: graphs.lstm()[0], ports(), "must have one input besides its states, has x, h0, c0"),
        (lambda: graphs.lstm()[0], ports(states=(("hidden", "h1"), ("c0", "c1"))), "has no input 'hidden'"),
        (lambda: graphs.lstm()[0], ports(states=(("h0", "h2"), ("c0", "c1"))), "has no output 'h2'"),
        (lambda: graphs.attention()[0], ports(window=5), "says 5 × 4 numbers an observation, input 'x' is (?, 6, 4)"),
        (lambda: graphs.attention()[0], ports(), "says 4 numbers an observation, input 'x' is (?, 6, 4)"),
        (graphs.mlp, ports(output="logits"), "has no output 'logits'; it has 'y'"),
    ],
    ids=range(6),
)
def test_a_manifest_that_asks_a_graph_wrongly_is_refused(model, told, said):
    with pytest.raises(ArtifactError) as caught:
        graph(model(), told)
    assert said in str(caught.value)


def test_outputs_that_are_no_numbers_of_actions_are_refused_when_asked():
    nodes = [helper.make_node("Log", ["x"], ["y"])]
    found = graph(model_of(nodes, outputs=[value("y", ["N", 4])]))
    with pytest.raises(PolicyError, match="must be 3 floating-point numbers a row"):
        found.values(observations(4))
    nodes = [helper.make_node("MatMul", ["x", "w"], ["s"]), helper.make_node("Log", ["s"], ["y"])]
    found = graph(model_of(nodes, [stored("w", np.ones((4, 3)))]))
    with pytest.raises(PolicyError, match="holds NaN or infinity"):
        found.values(-np.ones((2, 4)))
    with pytest.raises(PolicyError, match="reads observations"):
        found.values(np.ones((2, 5)))


def saved(folder, found, told, rows, outputs):
    whole = manifest(levels={"policy": told})
    return save_artifact(
        folder, whole, [Member(seed=0, levels={"policy": found})], {"policy": rows}, [{"policy": outputs}]
    )


def test_a_graph_is_saved_with_its_probes_and_loaded(tmp_path):
    told = graph_level(ports(states=STATES))
    model, weights = graphs.lstm()
    found = read_graph(model.SerializeToString(), told, 4, "p")
    rows = observations(4, 30)
    kept = saved(tmp_path / "p", found, told, rows, slow_lstm(weights, rows))
    assert isinstance(kept.members[0].levels["policy"], Graph)
    assert 0.0 < kept.parity < 1e-5
    with pytest.raises(ArtifactError, match="differ by up to"):
        saved(tmp_path / "q", found, told, rows, slow_lstm(weights, rows[::-1]))


def test_probes_of_a_window_leave_out_the_rows_before_it_is_full(tmp_path):
    told = graph_level(ports(window=6))
    model, weights = graphs.attention()
    found = read_graph(model.SerializeToString(), told, 4, "p")
    rows = observations(4, 30)
    assert saved(tmp_path / "p", found, told, rows, slow_attention(weights, rows, 6)).parity < 1e-5


def test_a_graph_whose_rows_know_of_each_other_is_refused(tmp_path):
    """The mean over the batch is a way to know of later bars when they are all asked at once."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["x", "m"], ["c"]),
        helper.make_node("MatMul", ["c", "w"], ["y"]),
    ]
    told = graph_level(ports())
    model = model_of(nodes, [stored("w", np.ones((4, 3)))])
    found = read_graph(model.SerializeToString(), told, 4, "p")
    rows = observations(4, 30)
    with pytest.raises(ArtifactError, match="rows asked together depend on each other"):
        saved(tmp_path / "p", found, told, rows, found.values(rows))


def test_only_onnx_holds_a_graph(tmp_path):
    from tests.policy.artifact.making import artefact, tree_of

    artefact(tmp_path / "p", seeds=(0,))
    tree = tree_of(tmp_path / "p")
    tree["levels"]["policy"] |= {"architecture": None, "graph": plain(ports())}
    write_tree(tmp_path / "p", tree)
    with pytest.raises(ArtifactError, match=r"only \.onnx files hold one"):
        load_artifact(tmp_path / "p")


@pytest.mark.parametrize(
    "forged",
    [
        {"nodes_truenodeids": [0, 0, 0], "nodes_falsenodeids": [0, 0, 0]},
        {"nodes_truenodeids": [77, 0, 0]},
        {"nodes_featureids": [10**9, 0, 0]},
        {"nodes_featureids": [-5, 0, 0]},
        {"nodes_values": [0.0]},
        {"target_ids": [0, 1, 10**8]},
        {"target_nodeids": [2, 2, 900]},
        {"n_targets": 2**40},
    ],
    ids=lambda forged: "-".join(forged),
)
def test_a_tree_that_leads_into_a_circle_or_out_of_its_tables_is_refused(forged):
    with pytest.raises((ArtifactError, PolicyError)):
        graph(graphs.tree(**forged)).values(observations(4))
