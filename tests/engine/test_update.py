"""How a climb moves: each update by hand."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oneiro.ascent import NORMS
from oneiro.update import Adam, Adaptive, Momentum, Normalised, Plain, Update, progress, progress01

SHAPE = (2, 3, 5, 4)


def normal(seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(size=SHAPE)


def moved(update: Update, slopes: list[Any], value: Any = 0.0) -> NDArray[Any]:
    """z = 0 after a step for each slope."""
    z = np.zeros(SHAPE)
    memory = update.start(z, {})
    for k, g in enumerate(slopes):
        z, memory = update.step(z, g, value, memory, k)
    return z


def test_plain_is_the_gradient_times_a_rate() -> None:
    np.testing.assert_allclose(
        moved(Plain(0.5), [normal(1), normal(2)]), (normal(1) + normal(2)) / 2
    )


@pytest.mark.parametrize("norm", NORMS)
def test_normalised_is_as_long_as_said_in_each_picture(norm: str) -> None:
    z = moved(Normalised(3.0, norm), [normal() * np.array([1, 1000]).reshape(2, 1, 1, 1)])
    np.testing.assert_allclose(NORMS[norm](z), 3.0)


def test_the_size_of_a_step_may_change() -> None:
    z = moved(Normalised(lambda k: 2.0 - k), [normal(), normal()])
    np.testing.assert_allclose(np.abs(z).mean((1, 2, 3)), 3.0)


def test_momentum_remembers() -> None:
    a, b = normal(1), normal(2)
    z = moved(Momentum(0.1, 0.8), [a, b])
    np.testing.assert_allclose(z, 0.1 * a + (0.8 * 0.1 * a + 0.1 * b))


def test_momentum_forgets_between_stages() -> None:
    assert not np.any(Momentum(0.1).start(normal(), {"m": normal()})["m"])


def test_adaptive_is_nnpreimage_s() -> None:
    a, b = normal(1), 1e-4 * normal(2)
    squares = 0.9 * a**2 + b**2
    first = a / (1 / 50 + np.abs(a))
    second = 0.9 * first + b / (1 / 50 + np.sqrt(squares))
    np.testing.assert_allclose(moved(Adaptive(50.0), [a, b]), first + second)


def test_adaptive_is_momentum_where_slopes_are_small() -> None:
    slopes = [1e-6 * normal(1), 1e-6 * normal(2)]
    np.testing.assert_allclose(
        moved(Adaptive(0.1), slopes), moved(Momentum(0.1), slopes), rtol=1e-5
    )


def test_adam_is_torch_s() -> None:
    torch = pytest.importorskip("torch", reason="it judges Adam")
    slopes = [normal(seed) for seed in range(4)]
    z = torch.zeros(SHAPE, dtype=torch.float64, requires_grad=True)
    judge = torch.optim.Adam([z], lr=0.05, betas=(0.8, 0.99), maximize=True)
    for g in slopes:
        z.grad = torch.from_numpy(g)
        judge.step()
    found = moved(Adam(0.05, (0.8, 0.99)), slopes)
    np.testing.assert_allclose(found, z.detach().numpy(), rtol=1e-10)


def test_adam_s_first_step_is_its_rate() -> None:
    np.testing.assert_allclose(moved(Adam(0.05), [normal()]), 0.05 * np.sign(normal()), rtol=1e-5)


def test_adam_remembers_through_stages_of_one_shape() -> None:
    adam, z = Adam(0.05), np.zeros(SHAPE)
    _, memory = adam.step(z, normal(), 0.0, adam.start(z, {}), 0)
    assert adam.start(z, memory) == memory
    assert not np.any(adam.start(z[:, :, 1:], memory)["m"])
    assert not np.any(adam.start(z, {"m": normal()})["m"])  # of a momentum


@pytest.mark.parametrize(
    "update",
    [Plain(0.5), Plain(progress(2.0, 100.0)), Normalised(1.5), Momentum(0.5), Adam(0.5)],
    ids=["plain", "progress", "normalised", "momentum", "adam"],
)
def test_a_gradient_of_zero_makes_no_step(update: Update) -> None:
    assert not np.any(moved(update, [np.zeros(SHAPE)]))


def test_progress_raises_what_is_linear_by_as_much_as_desired() -> None:
    z = moved(Plain(progress(2.0, 100.0)), [normal() * np.array([1, 9]).reshape(2, 1, 1, 1)])
    g = normal() * np.array([1, 9]).reshape(2, 1, 1, 1)
    np.testing.assert_allclose((z * g).sum((1, 2, 3)), 2.0)


def test_progress_has_a_largest_rate() -> None:
    np.testing.assert_allclose(moved(Plain(progress(2.0, 0.01)), [normal()]), 0.01 * normal())


def test_progress_towards_a_probability_of_one_slows_down() -> None:
    """min(early, late * (1 - value)), a value for each picture of the batch."""
    g = normal()
    z = moved(Plain(progress01(100.0, 0.3, 2.0)), [g], np.array([0.1, 0.95]))
    np.testing.assert_allclose((z * g).sum((1, 2, 3)), [0.3, 0.1])
