"""Networks of ONNX files, beside what NumPy computes."""

import sys

import numpy as np
import pytest
import torch

from memhorizon.errors import InputError, MissingExtraError
from memhorizon.measure.extractors.loading import load_features
from memhorizon.measure.features import features_of


@pytest.fixture
def onnx():
    pytest.importorskip("onnxruntime")
    return pytest.importorskip("onnx")


def save_linear(onnx, path, shape, weight, *, kind="FLOAT", operator="MatMul", inputs=1):
    """A network that flattens its items and multiplies them with a matrix [entries, d]."""
    helper = onnx.helper
    number = getattr(onnx.TensorProto, kind)
    given = [helper.make_tensor_value_info(f"x{i}", number, shape) for i in range(inputs)]
    nodes = [
        helper.make_node("Flatten", ["x0"], ["flat"], axis=1),
        helper.make_node(operator, ["flat", "weight"], ["y"]),
    ]
    matrix = helper.make_tensor("weight", number, weight.shape, weight.flatten().tolist())
    out = helper.make_tensor_value_info("y", number, None)
    graph = helper.make_graph(nodes, "linear", given, [out], [matrix])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def whole_numbers(*shape, seed=0):
    """Whole numbers below 8: all sums are exact."""
    return np.random.default_rng(seed).integers(-7, 8, shape).astype(np.float32)


@pytest.mark.parametrize("batch", ["n", 1, 3])
def test_a_network_gives_what_numpy_computes_whatever_batch_it_states(onnx, tmp_path, batch):
    weight = whole_numbers(12, 5)
    path = save_linear(onnx, tmp_path / "net.onnx", [batch, 3, 2, 2], weight)
    x = whole_numbers(10, 3, 2, 2, seed=1)
    found = features_of(torch.from_numpy(x), "x", load_features(path), 4)
    np.testing.assert_array_equal(found.numpy(), x.reshape(10, 12) @ weight)


def test_pictures_are_brought_to_the_form_that_the_file_states(onnx, tmp_path):
    weight = whole_numbers(3 * 4 * 6, 5)
    function = load_features(save_linear(onnx, tmp_path / "net.onnx", ["n", 3, 4, 6], weight))
    x = torch.from_numpy(whole_numbers(7, 1, 1, 1)).expand(
        7, 1, 9, 5
    )  # of one colour: no resizing changes it
    found = features_of(x, "x", function, 64)
    three = np.broadcast_to(x[:, :, :1, :1].numpy(), (7, 3, 4, 6)).reshape(7, -1)
    # a weighted mean of equal numbers: a few roundings of 2^-24, of sums of 72 products of at most 49
    np.testing.assert_allclose(found.numpy(), three @ weight, rtol=0, atol=8 * 2**-24 * 72 * 49)


@pytest.mark.parametrize("kind", ["DOUBLE", "FLOAT16"])
def test_floats_of_other_widths(onnx, tmp_path, kind):
    weight = whole_numbers(4, 2)
    function = load_features(save_linear(onnx, tmp_path / "net.onnx", ["n", 4], weight, kind=kind))
    x = whole_numbers(6, 4, seed=1)
    np.testing.assert_array_equal(function(torch.from_numpy(x)).numpy(), x @ weight)


def test_files_that_are_none_are_named(onnx, tmp_path):
    whole = save_linear(onnx, tmp_path / "net.onnx", ["n", 4], whole_numbers(4, 2)).read_bytes()
    for name, content in {"half": whole[: len(whole) // 2], "text": b"no network", "empty": b""}.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"^features: .*{name}\.onnx is damaged, or no ONNX file"):
            load_features(path)
    with pytest.raises(InputError, match="no such file"):
        load_features(tmp_path / "none.onnx")


def test_networks_that_want_something_else_are_refused(onnx, tmp_path):
    two = save_linear(onnx, tmp_path / "two.onnx", ["n", 4], whole_numbers(4, 2), inputs=2)
    with pytest.raises(InputError, match=r"one tensor of floats, .*two\.onnx wants x0: tensor\(float\), x1"):
        load_features(two)
    function = load_features(save_linear(onnx, tmp_path / "net.onnx", ["n", 4], whole_numbers(4, 2)))
    with pytest.raises(InputError, match=r"features: .*net\.onnx fails for float32 of shape \(3, 5\)"):
        function(torch.zeros(3, 5))


def test_one_number_for_all_items_is_refused(onnx, tmp_path):
    helper = onnx.helper
    number = onnx.TensorProto.FLOAT
    given = helper.make_tensor_value_info("x", number, ["n", 4])
    out = helper.make_tensor_value_info("y", number, None)
    graph = helper.make_graph([helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)], "g", [given], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"expected numbers \[3, d\] of .*net\.onnx, got \(\)"):
        load_features(tmp_path / "net.onnx")(torch.zeros(3, 4))


def test_the_line_that_installs_onnxruntime(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as Python marks what cannot be imported
    (tmp_path / "net.onnx").write_bytes(b"")
    with pytest.raises(MissingExtraError, match=r'pip install "memhorizon\[onnx\]"'):
        load_features(tmp_path / "net.onnx")
