"""What is done to pictures on the way to a net: values, and exact adjoints."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from oneiro import Net, Plan
from oneiro.climb import Transform
from oneiro.robustness import Affine, Crop, Jitter
from oracle import small
from oracle.measure import distance

SIZE = (2, 3, 9, 12)
TRANSFORMS: dict[str, Transform] = {
    "jitter": Jitter(4),
    "crop": Crop(5, 7, 9, 12),
    "affine": Affine(2.0, (0.7, 1.4), 25.0),
    "shift": Affine(shift=3.0),
    "turn": Affine(degrees=40.0),
}


def normal(*shape: int, seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_way_back_is_the_adjoint(name: str) -> None:
    """<v, T x> = <T' v, x>, for several draws: T is linear."""
    transform = TRANSFORMS[name]
    random = np.random.default_rng(0)
    for seed in range(5):
        drawn = transform.draw(random)
        x = normal(*SIZE, seed=seed)
        y, back = transform.apply(x, **drawn)
        v = normal(*y.shape, seed=seed + 9)
        assert (v * y).sum() == pytest.approx((back(v) * x).sum(), rel=1e-9)
        assert back(v).shape == x.shape


@pytest.mark.parametrize("name", TRANSFORMS)
def test_what_is_drawn_is_as_announced(name: str) -> None:
    transform = TRANSFORMS[name]
    drawn = transform.draw(np.random.default_rng(0))
    announced = {
        key: (np.dtype(dtype), tuple(shape)) for key, (dtype, shape) in transform.inputs().items()
    }
    assert {key: (np.dtype(array.dtype), array.shape) for key, array in drawn.items()} == announced


@pytest.mark.parametrize("name", TRANSFORMS)
def test_it_runs_in_a_plan(net_of: Callable[..., Net], name: str) -> None:
    net, transform = net_of(small.branches()), TRANSFORMS[name]

    def program(net: Net, x: Any, **drawn: Any) -> dict[str, Any]:
        y, back = transform.apply(x, **drawn)
        return {"y": y, "dx": back(2 * y)}

    plan = Plan(net, program, x=(np.float32, SIZE), **transform.inputs())
    x = normal(*SIZE).astype(np.float32)
    drawn = transform.draw(np.random.default_rng(1))
    y, back = transform.apply(x, **drawn)
    found = plan(x=x, **drawn)
    assert distance(found["y"], y) < 1e-6
    assert distance(found["dx"], back(2 * y)) < 1e-6


def test_a_jitter_stays_in_its_reach() -> None:
    random = np.random.default_rng(0)
    shifts = np.array([Jitter(2).draw(random)["shift"] for _ in range(200)])
    assert np.unique(shifts[:, 0]).tolist() == np.unique(shifts[:, 1]).tolist() == [-2, -1, 0, 1, 2]


def test_crops_are_pieces_of_the_picture() -> None:
    x, random, crop = normal(*SIZE), np.random.default_rng(0), Crop(5, 7, 9, 12)
    corners = set()
    for _ in range(200):
        drawn = crop.draw(random)
        top, left = -drawn["shift"]
        corners.add((int(top), int(left)))
        piece = crop.apply(x, **drawn)[0]
        np.testing.assert_array_equal(piece, x[:, :, top : top + 5, left : left + 7])
    assert len(corners) == 5 * 6


def test_a_still_view_is_the_picture() -> None:
    x = normal(*SIZE)
    y, _ = Affine().apply(x, **Affine().draw(np.random.default_rng(0)))
    np.testing.assert_allclose(y, x, atol=1e-5)


def test_a_view_is_scipy_s() -> None:
    """Where it reads inside the picture: what lies outside is mirrored otherwise there."""
    affine, x = Affine(1.0, (1.3, 1.5), 10.0), normal(1, 1, 21, 26)
    drawn = affine.draw(np.random.default_rng(3))
    y, _ = affine.apply(x, **drawn)
    matrix = drawn["matrix"].astype(np.float64)  # rows: column, row, 1; columns: column, row
    linear = matrix[:2, ::-1][::-1].T  # of (row, column)
    middle = (np.array(x.shape[2:]) - 1) / 2
    offset = middle + matrix[2, ::-1] - linear @ middle
    expected = ndimage.affine_transform(x[0, 0], linear, offset, order=1, mode="nearest")
    np.testing.assert_allclose(y[0, 0, 5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-4)


def test_scales_and_turns_are_drawn_from_their_ranges() -> None:
    random = np.random.default_rng(0)
    drawn = [Affine(0.0, (0.5, 2.0), 30.0).draw(random)["matrix"] for _ in range(300)]
    scales = [1 / np.hypot(*matrix[0]) for matrix in drawn]
    angles = [np.degrees(np.arctan2(matrix[0, 1], matrix[0, 0])) for matrix in drawn]
    assert 0.5 <= min(scales) < 0.55
    assert 1.8 < max(scales) <= 2.0
    assert np.median(scales) == pytest.approx(1, abs=0.15)
    assert -30 <= min(angles) < -28
    assert 28 < max(angles) <= 30
