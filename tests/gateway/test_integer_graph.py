"""The encoder with its products in integers, beside the graph as it is shipped."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from gateway.integer_graph import with_integer_products

RANDOM = np.random.default_rng(5)
WEIGHTS = RANDOM.integers(-127, 128, (32, 8)).astype(np.int8)
SCALE = RANDOM.uniform(0.001, 0.01, (1, 8)).astype(np.float32)


@pytest.fixture
def model():
    """x (n, 32) times int8 weights that are widened, then times float32 ones."""
    plain = RANDOM.normal(size=(8, 4)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["wide", "scale"], ["weights"]),
        helper.make_node("MatMul", ["x", "weights"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "plain"], ["y"]),
    ]
    stored = {"w": WEIGHTS, "scale": SCALE, "plain": plain}
    graph = helper.make_graph(
        nodes,
        "two products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return made.SerializeToString()


def run(model, x):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def kinds(model):
    return [node.op_type for node in onnx.load_model_from_string(model).graph.node]


def test_a_product_with_stored_weights_is_the_same_but_for_rounding(model):
    x = RANDOM.normal(size=(6, 32)).astype(np.float32)

    before, after = run(model, x), run(with_integer_products(model), x)

    assert not np.array_equal(before, after)
    assert np.abs(before - after).max() <= 0.02 * np.abs(before).max()


def test_only_products_with_stored_weights_are_made_in_integers(model):
    assert kinds(model).count("MatMul") == 2

    after = kinds(with_integer_products(model))

    assert after.count("MatMulInteger") == 1
    assert after.count("MatMul") == 1


def test_a_rewritten_graph_is_not_rewritten_again(model):
    once = with_integer_products(model)

    assert kinds(with_integer_products(once)) == kinds(once)
