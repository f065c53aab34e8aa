"""What keeps a climb at pictures: each beside NumPy and SciPy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from oneiro import Net
from oneiro.climb import Project
from oneiro.regulariser import (
    TRIES,
    blurred,
    clipped,
    decayed,
    in_order,
    l2_decay,
    revived,
    without_small_contributions,
    without_small_norms,
)
from oracle import small
from oracle.measure import distance

SHAPE = (2, 3, 7, 10)


def normal(seed: int = 0) -> NDArray[Any]:
    scale = np.array([1, 20]).reshape(2, 1, 1, 1)  # each picture has percentiles of its own
    return scale * np.random.default_rng(seed).normal(size=SHAPE)


Z, G = normal(0), normal(1)


def test_clipped() -> None:
    found = clipped(np.float64(-1), np.float64(0.5))(Z, G, 0)
    np.testing.assert_array_equal(found, np.clip(Z, -1, 0.5))


def test_decayed() -> None:
    np.testing.assert_allclose(decayed(0.3)(Z, G, 0), 0.7 * Z)


@pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0, 2.5, 6.0])
def test_a_blur_is_scipy_s(sigma: float) -> None:
    found = blurred(lambda iteration: sigma)(Z, G, 0)
    expected = ndimage.gaussian_filter(Z, (0, 0, sigma, sigma), mode="reflect")
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_blurs_come_every_so_often_and_change() -> None:
    project = blurred(lambda iteration: 0.5 + iteration, every=4)
    for iteration in range(9):
        moved = np.any(project(Z, G, iteration) != Z)
        assert moved == (iteration % 4 == 0)
    expected = ndimage.gaussian_filter(Z, (0, 0, 4.5, 4.5), mode="reflect")
    np.testing.assert_allclose(project(Z, G, 4), expected, atol=1e-12)


@pytest.mark.parametrize("percent", [0, 20, 50, 100])
def test_small_norms_are_put_out(percent: float) -> None:
    found = without_small_norms(percent)(Z, G, 0)
    for z, picture in zip(Z, found, strict=True):
        norms = np.linalg.norm(z, axis=0)
        np.testing.assert_array_equal(picture, z * (norms >= np.percentile(norms, percent)))


@pytest.mark.parametrize("percent", [0, 20, 90])
def test_small_contributions_are_put_out(percent: float) -> None:
    found = without_small_contributions(percent)(Z, G, 0)
    for z, g, picture in zip(Z, G, found, strict=True):
        share = np.abs((g * -z).sum(0))
        np.testing.assert_array_equal(picture, z * (share >= np.percentile(share, percent)))


def test_in_order() -> None:
    both = in_order(decayed(0.5), clipped(np.float64(-1), np.float64(1)))
    np.testing.assert_array_equal(both(Z, G, 0), np.clip(Z / 2, -1, 1))


def test_what_nothing_moves_is_revived_and_told() -> None:
    told: list[str] = []
    project = revived(
        lambda iteration: np.full(SHAPE, 1.0 + iteration), lambda: told.append("dead")
    )
    g = G.copy()
    g[1] = 0
    found = project(Z, g, 0)
    np.testing.assert_array_equal(found[0], Z[0])
    assert (found[1] == 1).all()
    assert (project(Z, g, 2)[1] == 3).all()
    np.testing.assert_array_equal(project(Z, g, TRIES), Z)
    assert told == ["dead"]
    np.testing.assert_array_equal(project(Z, G, 0), Z)
    assert told == ["dead"]


def test_l2_decay_is_the_slope_of_its_value() -> None:
    unit = np.array([2.0, 3.0, 5.0]).reshape(1, 3, 1, 1)
    objective = l2_decay(0.3, 2 * unit, unit)
    value, diff = objective(Z)
    np.testing.assert_allclose(value, -0.3 * ((Z / unit - 2) ** 2).sum((1, 2, 3)))
    way = normal(5)
    up, down = (objective(Z + step * way)[0].sum() for step in (1e-6, -1e-6))
    assert (diff * way).sum() == pytest.approx((up - down) / 2e-6, rel=1e-6)


PROJECTS: dict[str, Callable[[Net], Project]] = {
    "blurred": lambda net: blurred(lambda iteration: 0.7),
    "norms": lambda net: without_small_norms(40.0),
    "contributions": lambda net: without_small_contributions(40.0),
    "revived": lambda net: revived(
        lambda iteration: net.place(np.ones(SHAPE, np.float32)), lambda: None
    ),
    "clipped": lambda net: clipped(np.float32(-1), np.float32(0.5)),
}


@pytest.mark.emulator
@pytest.mark.parametrize("name", PROJECTS)
def test_they_run_on_a_device(tmp_path: Path, name: str) -> None:
    file = tmp_path / "model.onnx"
    onnx.save(small.branches(), file)
    net = Net(file, device="emulator")
    z, g = Z.astype(np.float32), G.astype(np.float32)
    project = PROJECTS[name](net)
    found = np.asarray(project(net.place(z), net.place(g), 0))
    expected = PROJECTS[name](Net(file, device="cpu"))(z, g, 0)
    assert distance(found, expected) < 1e-5
