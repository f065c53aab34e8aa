"""The loop of the methods that climb: its gradient, its stages, and that it goes on to the bit."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from oneiro import ModelError, Net, Picture, Plan, Preprocess, export_program
from oneiro.canvas import waves
from oneiro.climb import Moment, Stage, State, climb, climb_lbfgs, climb_program
from oneiro.goal import goal
from oneiro.objective import Goal, l2
from oneiro.robustness import Affine, Jitter
from oneiro.state import load_state, save_state
from oneiro.update import Adam, Momentum, Plain
from oracle import small
from oracle.measure import distance

SIZE = (11, 14)
WEIGHTS = np.random.default_rng(0).integers(-9, 9, (4, 3, 1, 1)) / 8


def pixels() -> ModelProto:
    """A linear network: each pixel's colours times a matrix."""
    model = helper.make_graph(
        [helper.make_node("Conv", ["data", "w"], ["end"])],
        "pixels",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["n", 3, None, None])],
        [helper.make_empty_tensor_value_info("end")],
        [numpy_helper.from_array(WEIGHTS.astype(np.float32), "w")],
    )
    return helper.make_model(model, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])


@pytest.fixture
def net(net_of: Callable[..., Net]) -> Net:
    net = net_of(small.branches(), np.float64)
    net.preprocessing = Preprocess((104, 117, 123), (1.0, 0.5, 2.0), "BGR")
    return net


@pytest.fixture
def linear(net_of: Callable[..., Net]) -> Net:
    return net_of(pixels(), np.float64)


def normal(*shape: int, seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(size=shape)


def blank(z: Any) -> Picture:
    return Picture(np.zeros((2, 3, 3)))


def pull(x: Any) -> tuple[Any, Any]:
    """A prior: minus half the sum of the squares of x - 1."""
    return -0.5 * ((x - 1) * (x - 1)).sum(), 1 - x


def climbed(net: Net, goal: Goal, start: Any, stages: Sequence[Stage], **more: Any) -> Any:
    return climb(net, goal, start, stages, finish=blank, **more)


# The gradient.


def test_the_gradient_is_the_slope_through_canvas_transforms_and_prior(net: Net) -> None:
    transforms = (Jitter(3), Affine(2.0, (0.8, 1.25), 20.0), Jitter(2))
    surface = waves(net, *SIZE)
    program = climb_program(goal(net, ["mixed", "end:1=2"]), surface, transforms, pull)
    random = np.random.default_rng(1)
    drawn = {
        f"t{k}_{name}": array
        for k, transform in enumerate(transforms)
        for name, array in transform.draw(random).items()
    }
    z, way = 0.05 * normal(2, 3, *SIZE), normal(2, 3, *SIZE, seed=2)
    result = program(net, z, **drawn)
    up, down = (program(net, z + step * way, **drawn)["value"] for step in (1e-7, -1e-7))
    assert result["g"].shape == z.shape
    assert np.sum(result["g"] * way) == pytest.approx((up - down) / 2e-7, rel=1e-5)


def test_the_program_exports(net_of: Callable[..., Net]) -> None:
    net = net_of(small.branches())
    net.preprocessing = Preprocess(120.0)
    surface = waves(net, *SIZE)
    transforms = (Jitter(3), Affine(2.0, (0.8, 1.25), 20.0))
    program = climb_program({"end": l2}, surface, transforms, pull)
    kinds = {
        "z": (np.float32, (1, 3, *SIZE)),
        "t0_shift": (np.int64, (2,)),
        "t1_matrix": (np.float32, (3, 2)),
    }
    model = export_program(net, program, **kinds)
    onnx.checker.check_model(model)
    runtime = pytest.importorskip("onnxruntime", reason="it judges what was exported")
    random = np.random.default_rng(0)
    inputs = {
        "z": normal(1, 3, *SIZE).astype(np.float32),
        "t0_shift": transforms[0].draw(random)["shift"],
        "t1_matrix": transforms[1].draw(random)["matrix"],
    }
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(["g"], inputs)
    assert distance(found, Plan(net, program, **kinds)(**inputs)["g"]) < 1e-4


@pytest.mark.emulator
def test_it_runs_on_a_device(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    onnx.save(small.branches(), file)
    found = []
    for device in ("cpu", "emulator"):
        net = Net(file, device=device)
        net.preprocessing = Preprocess(120.0, 0.01)
        stages = [Stage(3, Adam(0.01), (Jitter(3), Affine(1.0, (0.9, 1.1), 10.0)))]
        surface = waves(net, *SIZE)
        start = 0.1 * normal(1, 3, *SIZE).astype(np.float32)
        z = climbed(net, {"mixed": l2}, start, stages, canvas=surface)
        found.append(np.asarray(surface.apply(net.place(z))[0]))
    assert distance(found[1], found[0]) < 1e-3


# The loop.


def test_a_linear_net_is_climbed_by_hand(linear: Net) -> None:
    start = normal(1, 3, *SIZE)
    z = climbed(linear, goal(linear, ["end:2"]), start, [Stage(5, Plain(0.25))])
    np.testing.assert_allclose(z - start, 1.25 * WEIGHTS[2].reshape(1, 3, 1, 1) + 0 * z)


def test_stages_follow_each_other(linear: Net) -> None:
    told: list[tuple[int, int]] = []

    def halve(z: Any, g: Any, iteration: int) -> Any:
        told.append((z.shape[2], iteration))
        return z / 2

    stages = [
        Stage(2, Plain(0.0), project=halve),
        Stage(1, Plain(0.0), project=halve, begin=lambda z: z[:, :, :5]),
    ]
    start = normal(1, 3, *SIZE)
    z = climbed(linear, goal(linear, ["end:2"]), start, stages)
    assert told == [(11, 0), (11, 1), (5, 0)]
    np.testing.assert_allclose(z, start[:, :, :5] / 8)


def test_moments_tell_where_the_climb_is(linear: Net) -> None:
    seen: list[Moment] = []
    start = normal(1, 3, *SIZE)
    stages = [Stage(2, Plain(0.5)), Stage(3, Momentum(0.1))]
    z = climbed(linear, goal(linear, ["end:1"]), start, stages, on_step=seen.append)
    assert [moment.iteration for moment in seen] == [1, 2, 3, 4, 5]
    assert {moment.iter_n for moment in seen} == {5}
    assert seen[-1].done == 1
    np.testing.assert_array_equal(seen[-1].z, z)
    weights = WEIGHTS[1].reshape(1, 3, 1, 1)
    assert seen[0].value == pytest.approx((start * weights).sum())
    assert seen[0].norm == pytest.approx(np.sqrt((weights**2).sum() * math.prod(SIZE)))
    assert seen[0].picture().shape == (2, 3, 3)


@pytest.mark.parametrize("stop", [1, 3, 4, 6])
def test_a_climb_goes_on_to_the_bit(net: Net, tmp_path: Path, stop: int) -> None:
    stages = [
        Stage(3, Adam(0.1), (Jitter(3),)),
        Stage(3, Momentum(0.01), (Affine(2.0, (0.8, 1.2), 5.0),), begin=lambda z: 2 * z),
    ]
    work: dict[str, Any] = {"canvas": waves(net, *SIZE)}
    start, climbing = 0.1 * normal(1, 3, *SIZE), {"mixed": l2}
    states: list[State] = []
    random = np.random.default_rng(7)
    whole = climbed(
        net, climbing, start, stages, random=random, on_step=lambda m: states.append(m.state()),
        **work,
    )  # fmt: skip
    file = tmp_path / "state.npz"
    recipe = {"method": "climb", "parameters": {"rate": (1, 2)}}
    save_state(file, states[stop - 1], recipe)
    state = load_state(file, json.loads(json.dumps(recipe)))
    again = climbed(net, climbing, start, stages, random=random, state=state, **work)
    np.testing.assert_array_equal(again, whole)


def test_each_picture_of_a_batch_climbs_its_own_goal(net: Net) -> None:
    goals = [goal(net, [end]) for end in ("end:1", "mixed:3", "end:4", "mixed:3,2,5=2", "stem")]
    start = 20 * normal(5, 3, *SIZE)
    stages = [Stage(2, Adam(0.1), (Jitter(3),))]
    alone = [
        climbed(net, goals[k], start[k : k + 1], stages, random=np.random.default_rng(3))
        for k in range(5)
    ]
    for batch in (1, 2, 8):
        seen: list[Moment] = []
        work: dict[str, Any] = {"batch": batch, "random": np.random.default_rng(3)}
        z = climbed(net, goals, start, stages, on_step=seen.append, **work)
        np.testing.assert_allclose(z, np.concatenate(alone), rtol=1e-9)
        assert len(seen) == 2


def test_a_gradient_that_is_not_finite_is_an_error(linear: Net) -> None:
    def broken(data: Any) -> tuple[Any, Any]:
        return data.sum(), data * np.inf

    with pytest.raises(ModelError, match="not finite"):
        climbed(linear, {"end": broken}, normal(1, 3, *SIZE), [Stage(1, Plain(1.0))])


# L-BFGS.


def test_lbfgs_finds_the_top_of_a_hill(linear: Net) -> None:
    """end . 1 - |x - 1|^2 / 2 is highest at x = 1 + the sum of the weights."""
    start = normal(1, 3, *SIZE)
    seen: list[Moment] = []
    climbing = {"end": lambda data: (data.sum(), 1 + np.zeros_like(data))}
    work: dict[str, Any] = {"finish": blank, "prior": pull}
    z = climb_lbfgs(linear, climbing, start, 30, on_step=seen.append, **work)
    np.testing.assert_allclose(z, 1 + WEIGHTS.sum(0).reshape(1, 3, 1, 1) + 0 * z, atol=1e-6)
    assert 0 < len(seen) <= 30
    assert seen[-1].state().memory == {}


def test_lbfgs_stays_in_its_bounds(linear: Net) -> None:
    low, high = np.full((1, 3, 1, 1), -0.5), np.full((1, 3, 1, 1), 0.25)
    climbing = {"end": lambda data: (data.sum(), 1 + np.zeros_like(data))}
    z = climb_lbfgs(
        linear, climbing, 0.1 * normal(1, 3, *SIZE), 20, finish=blank, bounds=(low, high)
    )
    signs = np.sign(WEIGHTS.sum(0)).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(z, np.where(signs > 0, high, low) + 0 * z)


def test_lbfgs_climbs_whatever_the_objective_is_multiplied_by(linear: Net) -> None:
    """SciPy's own first step is the gradient, which would be lost in a float32 here."""

    def climbing(data: Any) -> Any:
        return 1e-9 * data.sum(), 1e-9 * (1 + np.zeros_like(data))

    start = np.zeros((1, 3, *SIZE))
    z = climb_lbfgs(linear, {"end": climbing}, start, 1, finish=blank, first=0.5)
    assert np.sqrt((z**2).mean()) >= 0.25
