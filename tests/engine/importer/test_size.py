"""What files say for one size holds for all."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from oneiro import ModelError, Net
from oracle.notation import network

X = np.random.default_rng(0).normal(size=(1, 3, 5, 7)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(4, 3, 2, 1)).astype(np.float32)


SHUFFLE = """a = Reshape (x, apart) b = Transpose <perm = [0, 2, 1, 3, 4]> (a)
    y = Reshape (b, together)"""


@pytest.mark.parametrize("batch", [1, -1])
def test_a_channel_shuffle_fits_any_size(net_of: Callable[..., Net], batch: int) -> None:
    apart, together = np.array([batch, 2, 3, 56, 28]), np.array([batch, 6, 56, 28])
    wide = ("n", 6, "h", "w")
    net = net_of(network(SHUFFLE, declared=wide, apart=apart, together=together))
    x = np.arange(2 * 6 * 5 * 7, dtype=np.float32).reshape(2, 6, 5, 7)
    np.testing.assert_array_equal(net.forward(x=x)["y"], x[:, [0, 3, 1, 4, 2, 5]])
    net.blobs["y"].diff = net.blobs["y"].data
    net.backward()
    np.testing.assert_array_equal(net.blobs["x"].diff, x)


def test_other_reshapes_forbid_other_sizes(net_of: Callable[..., Net]) -> None:
    net = net_of(network("a = Relu (x) [flat] y = Reshape (a, k)", k=np.array([1, 105])))
    net.forward(x=X)
    net.forward({"x": X[:, :, 1:]}, end="a")
    with pytest.raises(ModelError, match=r"layer 'flat' \(Reshape\): .*\(1, 105\)"):
        net.forward(x=X[:, :, 1:])


def test_a_shuffle_somebody_looks_into_stays_as_it_is(net_of: Callable[..., Net]) -> None:
    apart, together = np.array([1, 2, 3, 5, 7]), np.array([1, 6, 5, 7])
    model = network(SHUFFLE + " z = Relu (a)", apart=apart, together=together)
    net = net_of(model)
    assert [type(node.layer).__name__ for node in net.nodes].count("Shape") == 0


@pytest.mark.parametrize(
    "wanted",
    ["", "b = Shape <end = 2> (a) size = Concat <axis = 0> (b, plane)"],
    ids=["all constant", "batch from the picture"],
)
def test_a_resize_beside_another_blob_fits_any_size(
    net_of: Callable[..., Net], wanted: str
) -> None:
    """A decoder of an exporter that wrote the encoder's sizes down."""
    nodes = f"""
        wide = Conv <strides = [1, 2]> (x, w)
        a = MaxPool <kernel_shape = [3, 2], strides = [3, 2]> (wide)
        {wanted}
        up = Resize <mode = "linear"> (a, "", "", size)
        y = Concat <axis = 1> (up, wide)
    """
    constants = {"w": W, "plane": np.array([19, 15])}
    if not wanted:
        constants = {"w": W, "size": np.array([1, 4, 19, 15])}
    net = net_of(network(nodes, declared=(1, 3, 20, 29), **constants))
    size = np.array([2, 4, 12, 9])  # what the exporter would have written for x
    free = net_of(network(nodes.replace(wanted, ""), w=W, size=size))
    x = np.random.default_rng(3).normal(size=(2, 3, 13, 17)).astype(np.float32)
    for each in (net, free):
        each.forward(x=x)
        each.blobs["y"].diff = each.blobs["y"].data
        each.backward()
    np.testing.assert_array_equal(net.blobs["y"].data, free.blobs["y"].data)
    np.testing.assert_array_equal(net.blobs["x"].diff, free.blobs["x"].diff)


def test_a_resize_to_a_size_that_nothing_else_has_stays(net_of: Callable[..., Net]) -> None:
    nodes = 'a = Relu (x) y = Resize (a, "", "", size)'
    net = net_of(network(nodes, declared=(1, 3, 20, 29), size=np.array([1, 3, 7, 5])))
    assert net.forward(x=np.ones((1, 3, 13, 17)))["y"].shape == (1, 3, 7, 5)
    assert [node.name for node in net.nodes] == ["a", "y"]


def test_a_picture_made_of_a_vector_keeps_its_size(net_of: Callable[..., Net]) -> None:
    nodes = SHUFFLE.replace("(x,", "(v,")
    model = network(
        f"f = Flatten (x) v = MatMul (f, w) {nodes}",
        w=np.ones((105, 24), np.float32), apart=np.array([1, 2, 3, 2, 2]),
        together=np.array([1, 6, 2, 2]),
    )  # fmt: skip
    np.testing.assert_allclose(
        net_of(model).forward(x=X)["y"], np.full((1, 6, 2, 2), X.sum()), rtol=1e-4
    )


def test_declared_sizes_cost_no_memory(tmp_path: Path) -> None:
    """Of 1.6 TB nothing is made to find the shapes of other blobs."""
    nodes = """s = Shape (x) n = Mul (s, k) e = ConstantOfShape (n) m = Neg (e) q = Add (x, m)
        y = Resize (q, "", "", z)"""
    constants = {"k": np.array([1, 1, 1 << 16, 1 << 16]), "z": np.array([1, 3, 9, 9])}
    model = network(nodes, declared=X.shape, **constants)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    net = Net(path, max_bytes=1 << 20)
    with pytest.raises(ModelError, match="max_bytes"):
        net.forward(x=X)
