"""Programs over a net: the gradient of a goal in the picture, and the step that climbs it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from oneiro import ArgumentError, Net, Plan, dream_step, image_gradient
from oneiro.ascent import NORMS, objective_value
from oneiro.goal import goal
from oneiro.objective import Goal, l2
from oracle import small
from oracle.measure import NORMS_OF_NUMPY

GOALS = [
    ["end"],
    ["mixed=2", "stem=-0.5"],
    ["mixed", "mixed:3=4"],
    ["mixed:3,2,5"],
    ["end:1", "stem", "data=0.01"],
]
STEP = np.float64([3, 5, 7]).reshape(1, 3, 1, 1)


@pytest.fixture
def net(net_of: Callable[..., Net]) -> Net:
    return net_of(small.branches(), np.float64)


@pytest.fixture
def x() -> NDArray[Any]:
    return small.picture("branches").astype(np.float64)  # (1, 3, 13, 18)


def plain(net: Net, x: Any, climbed: Goal, **more: Any) -> dict[str, Any]:
    """A step without shift or bounds."""
    return dream_step(net, x, np.array([0, 0]), STEP, climbed, None, **more)


@pytest.mark.parametrize("ends", GOALS, ids=str)
def test_the_gradient_is_the_slope_of_the_goal(net: Net, x: Any, ends: list[str]) -> None:
    climbed = goal(net, ends)
    value, g = image_gradient(net, x, climbed)
    assert value == pytest.approx(objective_value(net, x, climbed), rel=1e-12)
    way = np.random.default_rng(0).normal(size=x.shape)
    up, down = (objective_value(net, x + step * way, climbed) for step in (1e-6, -1e-6))
    assert np.sum(g * way) == pytest.approx((up - down) / 2e-6, rel=1e-6)


def test_gradients_of_a_goal_add_up(net: Net, x: Any) -> None:
    _, both = image_gradient(net, x, goal(net, ["mixed=2", "end=3"]))
    _, mixed = image_gradient(net, x, goal(net, ["mixed"]))
    _, end = image_gradient(net, x, goal(net, ["end"]))
    np.testing.assert_allclose(both, 2 * mixed + 3 * end, rtol=1e-9, atol=1e-9 * np.abs(both).max())


def test_a_goal_may_use_aliases(net: Net, x: Any) -> None:
    net.aliases = {"also": "mixed"}
    _, expected = image_gradient(net, x, {"mixed": l2})
    _, found = image_gradient(net, x, {"also": l2})
    np.testing.assert_array_equal(found, expected)


def test_rules_change_the_gradient(net: Net, x: Any) -> None:
    found = [image_gradient(net, x, {"end": l2}, rule)[1] for rule in ("gradient", "guided")]
    assert np.abs(found[0] - found[1]).max() > 0.1


@pytest.mark.parametrize(("norm", "size"), NORMS_OF_NUMPY.items())
def test_norms_by_hand(norm: str, size: Callable[[Any], Any]) -> None:
    g = np.random.default_rng(0).normal(0.5, 1, (2, 3, 5, 7))
    found = NORMS[norm](g)
    assert found.shape == (2, 1, 1, 1)
    np.testing.assert_allclose(found.ravel(), [size(g[0].ravel()), size(g[1].ravel())], rtol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_a_step_is_the_gradient_over_its_norm(net: Net, x: Any, norm: str) -> None:
    climbed = goal(net, ["end"])
    value, g = image_gradient(net, x, climbed)
    result = plain(net, x, climbed, norm=NORMS[norm])
    size = NORMS[norm](g)
    np.testing.assert_allclose(result["x"], x + STEP / size * g, rtol=1e-12)
    np.testing.assert_allclose(result["norm"], size)
    assert result["value"] == value


@pytest.mark.parametrize("shift", [(0, 0), (4, -7), (-40, 100)])
def test_a_step_sees_the_picture_rolled_and_gives_it_back(
    net: Net, x: Any, shift: tuple[int, int]
) -> None:
    climbed = goal(net, ["end"])
    rolled = plain(net, np.roll(x, shift, (2, 3)), climbed)["x"]
    result = dream_step(net, x, np.array(shift), STEP, climbed, None)
    np.testing.assert_allclose(result["x"], np.roll(rolled, (-shift[0], -shift[1]), (2, 3)))


def test_bounds_hold_each_channel(net: Net, x: Any) -> None:
    low, high = STEP * 0 - 1, STEP / 5
    climbed = goal(net, ["end"])
    free = plain(net, x, climbed)["x"]
    held = dream_step(net, x, np.array([0, 0]), STEP, climbed, (low, high))["x"]
    np.testing.assert_array_equal(held, np.clip(free, low, high))
    assert (held != free).any()


def test_smoothing_is_scipy_s_around_the_border(net: Net, x: Any) -> None:
    climbed = goal(net, ["end"])
    _, g = image_gradient(net, x, climbed)
    g = ndimage.gaussian_filter(g, (0, 0, 1.3, 1.3), mode="wrap")
    expected = x + STEP / np.abs(g).mean() * g
    np.testing.assert_allclose(plain(net, x, climbed, smooth=1.3)["x"], expected, rtol=1e-12)


def test_each_picture_of_a_batch_takes_its_own_step(net: Net, x: Any) -> None:
    climbed = goal(net, ["end"])
    other = 50 * x[..., ::-1]
    both = plain(net, np.concatenate([x, other]), climbed)["x"]
    for k, alone in enumerate((x, other)):
        np.testing.assert_allclose(both[k], plain(net, alone, climbed)["x"][0], rtol=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_a_gradient_of_zero_makes_no_step(net: Net, x: Any, norm: str) -> None:
    def nothing(data: Any) -> tuple[Any, Any]:
        return (0 * data).sum(), 0 * data

    with np.errstate(all="raise"):
        result = plain(net, x, {"end": nothing}, norm=NORMS[norm])
    np.testing.assert_array_equal(result["x"], x)
    assert not result["norm"].any()


def test_the_picture_given_stays_as_it_was(net: Net, x: Any) -> None:
    before = x.copy()
    plain(net, x, goal(net, ["data", "end"]))
    np.testing.assert_array_equal(x, before)


def test_an_objective_may_return_plain_numbers(net: Net, x: Any) -> None:
    """On arrays, and on the symbols of a plan, whatever type the diff has."""

    def total(data: Any) -> tuple[Any, Any]:
        return data.sum(), np.ones(data.shape, np.float32)

    def program(net: Net, x: Any) -> dict[str, Any]:
        return {"g": image_gradient(net, x, {"end": total})[1]}

    expected = program(net, x)["g"]
    assert expected.dtype == np.float64
    plan = Plan(net, program, x=(np.float64, x.shape))
    np.testing.assert_array_equal(plan(x=x)["g"], expected)


def test_an_objective_that_needs_values_is_named(net: Net, x: Any) -> None:
    def program(net: Net, x: Any) -> dict[str, Any]:
        return {"v": image_gradient(net, x, {"end": lambda d: (float(d.sum()), d)})[0]}

    with pytest.raises(ArgumentError, match=r"^end: .*objectives run on symbols"):
        Plan(net, program, x=(np.float64, x.shape))


def test_two_names_of_one_blob_are_refused(net: Net, x: Any) -> None:
    net.aliases = {"last": "end"}
    with pytest.raises(ArgumentError, match="last is a second name of a blob of the goal"):
        image_gradient(net, x, {"end": l2, "last": l2})
