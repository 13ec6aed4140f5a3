import numpy as np
import pytest

from tests.policy.artifact.making import architecture, level, network, observations, scaling, stack
from wfbt.errors import ArtifactError
from wfbt.policy.artifact.description import Continuous, Function
from wfbt.policy.artifact.models import read_model
from wfbt.policy.artifact.onnx_writer import check_onnx, onnx_bytes

pytest.importorskip("onnx", reason="reading ONNX needs wfbt[onnx]")
pytest.importorskip("onnxruntime", reason="running ONNX needs wfbt[onnx]")

from onnx import TensorProto, helper, numpy_helper

from tests.policy.artifact.graphs import mlp, model_of, stored, value
from wfbt.policy.artifact.onnx import read_onnx, sizes
from wfbt.policy.artifact.onnx_stack import chain_of

GEMM = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
WEIGHTS = (stored("w", np.ones((3, 4))), stored("b", np.zeros(3)))


def refused(model, read=read_onnx):
    data = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(ArtifactError) as caught:
        read(data, "policy.onnx")
    assert str(caught.value).startswith("policy.onnx: ")
    return str(caught.value)


def no_chain(model):
    return refused(model, lambda data, source: chain_of(read_onnx(data, source), source))


def chain(model):
    return chain_of(read_onnx(model.SerializeToString(), "policy.onnx"), "policy.onnx")


@pytest.mark.parametrize("activation", ["tanh", "relu", "silu", "elu"])
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("clip", [None, 2.0])
def test_a_network_written_as_onnx_is_read_back_and_says_the_same_in_onnx_runtime(activation, layer_norm, clip):
    told = architecture((5, 16, 8, 3), activation, layer_norm)
    net = network(told, scaling(5, clip))
    data = onnx_bytes(net)
    rows = observations(5, 500)
    assert check_onnx(data, net, rows) <= 1e-5
    again = read_model(data, level(told, scaling(5, clip), features=tuple("abcd")), 5, "policy.onnx")
    np.testing.assert_allclose(again.values(rows), net.values(rows), rtol=1e-5, atol=1e-5)


def test_a_large_price_loses_nothing_in_the_normaliser():
    told = architecture((2, 8, 3))
    normaliser = scaling(2).__class__(mean=(60_000.0, 0.0), deviation=(0.5, 1.0), clip=10.0)
    net = network(told, normaliser)
    rows = np.column_stack([60_000.0 + np.linspace(-3, 3, 100), np.zeros(100)])
    assert check_onnx(onnx_bytes(net), net, rows) <= 1e-5


def test_the_same_network_is_written_with_the_same_bytes():
    assert onnx_bytes(network(seed=5)) == onnx_bytes(network(seed=5))


def test_an_export_that_differs_from_its_network_is_refused():
    with pytest.raises(ArtifactError, match="the file differs from the network by"):
        check_onnx(onnx_bytes(network(seed=5)), network(seed=6), observations(4))


def test_a_chain_of_gemm_gives_its_layers():
    found = chain(mlp((4, 8, 6, 3), "Relu"))
    for one, layer in zip(found.stack, stack((4, 8, 6, 3)), strict=True):
        np.testing.assert_array_equal(one.weight, layer.weight.astype("f4"))
        np.testing.assert_array_equal(one.bias, layer.bias.astype("f4"))
    assert found.functions == (Function.RELU, Function.RELU, Function.LINEAR)
    assert found.scaling is None


def test_a_chain_of_matmul_and_add_gives_its_layers():
    first, last = stack((4, 8, 3))
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w0"], ["m0"]),
        helper.make_node("Add", ["b0", "m0"], ["s0"]),
        helper.make_node("Sigmoid", ["s0"], ["g0"]),
        helper.make_node("Mul", ["g0", "s0"], ["a0"]),
        helper.make_node("MatMul", ["a0", "w1"], ["m1"]),
        helper.make_node("Add", ["m1", "b1"], ["y"]),
    ]
    tensors = [
        stored("w0", first.weight.T),
        stored("b0", first.bias),
        stored("w1", last.weight.T),
        stored("b1", last.bias),
    ]
    found = chain(model_of(nodes, tensors))
    assert found.functions == (Function.SILU, Function.LINEAR)
    np.testing.assert_array_equal(found.stack[1].weight, last.weight.astype("f4"))
    np.testing.assert_array_equal(found.stack[0].bias, first.bias.astype("f4"))


def scaled(*nodes, tensors):
    last = nodes[-1].output[0]
    gemm = helper.make_node("Gemm", [last, "w", "b"], ["y"], transB=1)
    return model_of([*nodes, gemm], [*WEIGHTS, *tensors])


def test_a_normaliser_in_front_is_read_however_it_is_written():
    nodes = [
        helper.make_node("Add", ["x", "shift"], ["c"]),
        helper.make_node("Mul", ["c", "gain"], ["s"]),
        helper.make_node("Clip", ["s", "low", "high"], ["k"]),
    ]
    tensors = [stored("shift", [1, 2, 3, 4]), stored("gain", [0.5]), stored("low", -5.0), stored("high", 5.0)]
    found = chain(scaled(*nodes, tensors=tensors)).scaling
    assert (found.mean, found.deviation, found.clip) == ((-1.0, -2.0, -3.0, -4.0), (2.0,) * 4, 5.0)


@pytest.mark.parametrize(
    ("nodes", "tensors", "said"),
    [
        (
            [helper.make_node("Div", ["x", "d"], ["s"]), helper.make_node("Sub", ["s", "d"], ["c"])],
            [stored("d", [2.0])],
            "is not (x − mean) / deviation",
        ),
        ([helper.make_node("Sub", ["d", "x"], ["c"])], [stored("d", [2.0])], "takes the observation from the right"),
        ([helper.make_node("Mul", ["x", "d"], ["c"])], [stored("d", [-2.0])], "turns the sign"),
        (
            [helper.make_node("Clip", ["x", "l", "d"], ["c"])],
            [stored("d", 2.0), stored("l", -1.0)],
            "Clip is not symmetric",
        ),
        ([helper.make_node("Clip", ["x", "", "d"], ["c"])], [stored("d", 2.0)], "is no stored tensor"),
        ([helper.make_node("Clip", ["x"], ["c"])], [], "Clip has no two bounds"),
        ([helper.make_node("Softmax", ["x"], ["c"])], [], "Softmax is no part of a feed-forward network"),
        ([helper.make_node("Add", ["x", "x"], ["c"])], [], "'x' is read by 2 nodes"),
        ([helper.make_node("Tanh", ["x"], ["c"])], [], "follows no affine map"),
    ],
    ids=range(9),
)
def test_what_is_no_plain_chain_is_told_by_the_node_where_it_stops(nodes, tensors, said):
    told = no_chain(scaled(*nodes, tensors=tensors))
    assert said in told
    assert "Describe it under graph instead" in told


def test_a_side_branch_is_no_chain():
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["s"], transB=1),
        helper.make_node("Tanh", ["s"], ["t"]),
        helper.make_node("Add", ["s", "t"], ["y"]),
    ]
    assert "is read by 2 nodes" in no_chain(model_of(nodes, WEIGHTS))


def test_layer_norms_with_another_epsilon_are_no_chain():
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["s"], transB=1),
        helper.make_node("LayerNormalization", ["s", "b", "b"], ["y"], epsilon=1e-3),
    ]
    assert "an epsilon that is not 1e-05" in no_chain(model_of(nodes, WEIGHTS))


@pytest.mark.parametrize(
    ("told", "normaliser", "said"),
    [
        (architecture((4, 8, 3), "relu"), None, "says architecture.activation relu, the file says tanh"),
        (architecture((4, 9, 3)), None, "the file holds [4, 8, 3]"),
        (architecture((4, 8, 3), layer_norm=True), None, "layer 0 of the file has none"),
    ],
)
def test_a_manifest_that_contradicts_a_graph_is_refused(told, normaliser, said):
    data = mlp().SerializeToString()
    with pytest.raises(ArtifactError) as caught:
        read_model(data, level(told, normaliser), 4, "policy.onnx")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("normaliser", "said"), [(None, "says normaliser null"), (scaling(4, 3.0), "another normaliser")]
)
def test_a_normaliser_inside_the_graph_must_stand_in_the_manifest(normaliser, said):
    told = architecture((4, 8, 3))
    data = onnx_bytes(network(told, scaling(4)))
    with pytest.raises(ArtifactError, match=said):
        read_model(data, level(told, normaliser), 4, "policy.onnx")


# What is refused before anything runs it.


def external(tensor):
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../../etc/passwd"
    return tensor


def test_tensors_in_other_files_are_refused_in_graphs_and_in_constants():
    assert "lies in another file" in refused(model_of([GEMM], [external(stored("w", np.ones((3, 4)))), WEIGHTS[1]]))
    constant = helper.make_node("Constant", [], ["w"], value=external(stored("c", np.ones((3, 4)))))
    assert "lies in another file" in refused(model_of([constant, GEMM], WEIGHTS[1:]))
    sneaky = stored("w", np.ones((3, 4)))
    entry = sneaky.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    assert "lies in another file" in refused(model_of([GEMM], [sneaky, WEIGHTS[1]]))


def branches():
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["z"])], "branch", [], [value("z", ["N", 4])])
    condition = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", TensorProto.BOOL, [], [True]))
    return condition, graph


def test_graphs_inside_nodes_are_refused():
    condition, graph = branches()
    choice = helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)
    assert "the operator 'If', which is not run" in refused(model_of([condition, choice]))
    loop = helper.make_node("Loop", ["", "c", "x"], ["y"], body=graph)
    assert "the operator 'Loop'" in refused(model_of([condition, loop]))
    scan = helper.make_node("Scan", ["x"], ["y"], body=graph, num_scan_inputs=1)
    assert "the operator 'Scan'" in refused(model_of([scan]))
    hidden = helper.make_node("Identity", ["x"], ["y"])
    hidden.attribute.append(helper.make_attribute("body", graph))
    assert "holds a graph or a sparse tensor" in refused(model_of([hidden]))


def test_operators_of_other_domains_and_functions_are_refused():
    custom = helper.make_node("Gemm", ["x", "w", "b"], ["y"], domain="com.evil")
    assert "'com.evil.Gemm', which is not run" in refused(model_of([custom], WEIGHTS))
    assert "imports the operators of 'com.evil'" in refused(model_of([GEMM], WEIGHTS, domains=["com.evil"]))
    body = helper.make_function(
        "", "Gemm", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])], [helper.make_opsetid("", 17)]
    )
    assert "functions or training graphs" in refused(model_of([GEMM], WEIGHTS, functions=[body]))


@pytest.mark.parametrize(
    "kind", ["RandomNormal", "ArgMax", "Dropout", "NonZero", "StringNormalizer", "Optional", "Frobnicate"]
)
def test_operators_off_the_list_are_refused(kind):
    assert f"uses the operator {kind!r}, which is not run" in refused(model_of([helper.make_node(kind, ["x"], ["y"])]))


def test_an_argmax_is_told_to_export_logits():
    assert "export Q values, logits or means" in refused(model_of([helper.make_node("ArgMax", ["x"], ["y"])]))


def declared(dims, data_type=TensorProto.FLOAT, **held):
    tensor = TensorProto(name="w", data_type=data_type, dims=dims)
    for name, content in held.items():
        if name == "raw_data":
            tensor.raw_data = content
        else:
            getattr(tensor, name).extend(content)
    return tensor


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (declared([1 << 40, 1 << 40], raw_data=b"\0" * 4), "numbers by its shape and holds 1"),
        (declared([3, 4], raw_data=b"\0" * 4), "says 12 numbers by its shape and holds 1"),
        (declared([3, 4], float_data=[1.0]), "says 12 numbers by its shape and holds 1"),
        (declared([3, 4]), "says 12 numbers by its shape and holds 0"),
        (declared([3, 4], raw_data=b"\0" * 47), "holds 11.75"),
        (declared([-3, -4], raw_data=b"\0" * 48), "has a negative length"),
        (declared([3, 4], data_type=TensorProto.STRING), "is of a kind (8) that is not read"),
        (declared([3, 4], data_type=999), "is of a kind (999) that is not read"),
        (stored("w", np.full((3, 4), np.nan)), "must hold finite numbers"),
        (stored("w", np.full((3, 4), np.inf)), "must hold finite numbers"),
    ],
    ids=range(10),
)
def test_a_tensor_that_lies_about_itself_is_refused(tensor, said):
    assert said in refused(model_of([GEMM], [tensor, WEIGHTS[1]]))


def outer(*, shape):
    """A row times a column of stored tensors: two small tensors, one enormous product."""
    nodes = [helper.make_node("MatMul", ["u", "v"], ["big"]), helper.make_node("MatMul", ["x", "big"], ["y"])]
    tensors = [stored("u", np.ones((shape, 1))), stored("v", np.ones((1, shape)))]
    return model_of(nodes, tensors, [value("x", ["N", shape])], [value("y", ["N", shape])])


def test_results_that_would_fill_the_memory_are_refused_before_they_are_made():
    model = read_onnx(outer(shape=100_000).SerializeToString(), "policy.onnx")
    with pytest.raises(ArtifactError, match="would hold 10,000,000,000 numbers"):
        sizes(model, 1, "policy.onnx")
    length = numpy_helper.from_array(np.array([1 << 40], "i8"), "n")
    fill = helper.make_node("ConstantOfShape", ["n"], ["y"])
    model = read_onnx(model_of([fill], [length], outputs=[value("y", ["M"])]).SerializeToString(), "policy.onnx")
    with pytest.raises(ArtifactError, match="would hold 1,099,511,627,776 numbers"):
        sizes(model, 1, "policy.onnx")


def test_a_shape_that_depends_on_the_observation_is_refused():
    nodes = [
        helper.make_node("Cast", ["x"], ["n"], to=TensorProto.INT64),
        helper.make_node("Squeeze", ["n"], ["m"]),
        helper.make_node("ConstantOfShape", ["m"], ["y"]),
    ]
    model = read_onnx(model_of(nodes, outputs=[value("y", ["M"])]).SerializeToString(), "policy.onnx")
    with pytest.raises(ArtifactError, match=r"^policy\.onnx: "):
        sizes(model, 1, "policy.onnx")


def test_every_beginning_of_a_good_file_is_refused_or_still_a_whole_graph():
    good = mlp().SerializeToString()
    for length in range(0, len(good) - 1, 3):
        try:
            read_onnx(good[:length], "policy.onnx")
        except ArtifactError:
            continue
        # Fields that only say who wrote it may be cut off.
        pytest.fail(f"{length} of {len(good)} bytes were read")


def test_a_discrete_map_does_not_read_a_box():
    with pytest.raises(ArtifactError, match="box with continuous"):
        level(architecture((4, 8, 2), head="categorical"), actions=Continuous(assets=("A",), sized=True, dead_zone=0.0))


def delimited(field, content):
    """A protobuf field of bytes."""
    length, out = len(content), bytes([field << 3 | 2])
    while length > 0x7F:
        out += bytes([length & 0x7F | 0x80])
        length >>= 7
    return out + bytes([length]) + content


@pytest.mark.parametrize(
    "data",
    [
        delimited(7, b"\x0a\x00" * 1_000_000),
        delimited(7, delimited(1, b"\x2a\x00" * 1_000_000)),
        delimited(7, delimited(1, delimited(5, b"\x38\x00" * 8_100_000))),
    ],
    ids=["nodes", "attributes", "numbers"],
)
def test_a_small_file_that_would_become_large_objects_is_refused_before_it_does(data):
    assert "must hold at most 200,000 parts" in refused(data)


@pytest.mark.parametrize("data", [b"\x0b", b"\x0a\x05ab", b"\xff" * 12, b"\x09\x00", b"\x08"])
def test_a_message_that_is_cut_is_refused(data):
    assert "is damaged" in refused(data)
