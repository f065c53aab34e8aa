"""The three lives of a program agree: run on a Net, compiled as a Plan, exported to ONNX."""

import gc
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest

import oneiro
from oneiro import (
    ArgumentError,
    Net,
    Plan,
    Preprocess,
    dream_step,
    export,
    export_program,
)
from oneiro.ascent import image_gradient
from oneiro.call import run
from oneiro.objective import channel, guide, l2
from oneiro.trace import Program
from oracle import light, small
from oracle.measure import distance, medians
from oracle.runtime import session

RULES = ("gradient", "guided", "deconv")
PROGRAMS = (*RULES, "step")

LIGHT = ("bvlc_alexnet", "inception_v1", "zfnet512")
REAL = {  # name → the blob to climb
    "squeezenet1.1": "fire7/concat",
    "googlenet": "inception_4c/output",
    "mobilenetv1_0.25": "conv_pw_11_relu",
    "mobilenetv2_dogs": "block_10",
    "vgg16_conv4_2": "conv4_1",
}
FIXED = ("mobile", "resize", "unet")  # Resize, and strides under SAME, are traced for one size
LARGE = (*LIGHT, *REAL)
DYNAMIC = (*(name for name in small.MODELS if name not in FIXED), *LARGE)


class Case(NamedTuple):
    """A net, the blob to climb, and sizes of pictures."""

    net: Net
    end: str
    sizes: tuple[tuple[int, int], ...]

    def picture(self, size: tuple[int, int], seed: int = 0) -> np.ndarray:
        """Noise between black and white, (1, c, h, w)."""
        values = np.random.default_rng(seed).uniform(0, 255, (*size, self.net.channels))
        return self.net.preprocess(values)

    def program(self, name: str) -> Program:
        """A step of DeepDream, or the gradient under a rule."""
        bounds = self.net.preprocessing.bounds(self.net.channels)

        def step(net: Net, data: Any, shift: Any, step: Any) -> Mapping[str, Any]:
            return dream_step(net, data, shift, step, {self.end: l2}, bounds)

        def gradient(net: Net, data: Any) -> Mapping[str, Any]:
            value, diff = image_gradient(net, data, {self.end: l2}, name)
            return {"value": value, "gradient": diff}

        return step if name == "step" else gradient

    def inputs(self, name: str, x: np.ndarray) -> dict[str, np.ndarray]:
        """What the program of that name reads."""
        if name != "step":
            return {"data": x}
        unit = self.net.preprocessing.unit(1).item()
        return {"data": x, "shift": np.array([3, -5]), "step": np.array(1.5 * unit, np.float32)}


@pytest.fixture(scope="module")
def case(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    trained: Callable[[str], Path],
) -> Case:
    gc.collect()  # the last one's weights hang in the rings that symbols make
    name = request.param
    if name in REAL:
        return Case(oneiro.load(trained(name)), REAL[name], ((65, 94), (71, 93)))
    if name in small.MODELS:
        build, end = small.MODELS[name]
        model, scale = build(), 1 / 128
        sizes = (13, 18), (17, 14), (21, 29)  # the branches of `chain` meet at these
    else:
        model, scale = light.light(name), 1.0
        end, sizes = light.NETWORKS[name].end, light.NETWORKS[name].sizes[:2]
    file = tmp_path_factory.mktemp(name) / "model.onnx"
    onnx.save(model, file)
    net = Net(file)
    net.preprocessing = Preprocess(mean=128, scale=scale)
    file.unlink()  # pytest keeps folders, and some files have 30 MB
    return Case(net, end, sizes)


# Plan.


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("case", [*small.MODELS, *LIGHT, "squeezenet1.1"], indirect=True)
def test_plan_is_the_net_bit_for_bit(case: Case, name: str) -> None:
    inputs = case.inputs(name, case.picture(case.sizes[0]))
    program = case.program(name)
    plan = Plan(case.net, program, **{key: (v.dtype, v.shape) for key, v in inputs.items()})
    expected = program(case.net, **inputs)
    for _ in range(2):  # a plan leaves nothing behind
        planned = plan(**inputs)
        assert planned.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_array_equal(planned[key], value)


@pytest.mark.parametrize("case", ["squeezenet1.1"], indirect=True)
def test_plan_frees_what_nobody_reads_any_more(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    x = case.picture(case.sizes[0])
    plan = Plan(case.net, case.program("gradient"), data=(x.dtype, x.shape))
    made: list[weakref.ref[np.ndarray]] = []
    total, alive = 0, [0]

    def watched(call: Any, values: dict[str, Any]) -> None:
        nonlocal total
        run(call, values)
        results = [values[symbol.name] for symbol in call.results]
        arrays = [value for value in results if isinstance(value, np.ndarray)]
        made.extend(map(weakref.ref, arrays))
        total += sum(array.nbytes for array in arrays)
        alive.append(sum(array.nbytes for ref in made if (array := ref()) is not None))

    monkeypatch.setattr("oneiro.plan.plan.run", watched)
    results = plan(data=x)
    assert max(alive) < total / 2
    assert {id(ref()) for ref in made if ref() is not None} == {id(results["gradient"])}


# Export.


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", DYNAMIC, indirect=True)
def test_exported_gradient(case: Case, rule: str) -> None:
    """One model for pictures of any number and size."""
    exported = session(export(case.net, rule, {case.end: l2}, input="net"))
    distances: list[float] = []
    for size in case.sizes:
        x = np.concatenate([case.picture(size, seed) for seed in range(5)])
        result = exported(data=x)
        _, gradient = image_gradient(case.net, x, {case.end: l2}, rule)
        distances += map(distance, result["gradient"], gradient)
        assert distance(result["activations"], case.net.blobs[case.end].data) < 1e-5
    assert np.median(distances) < 1e-5


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", [n for n in light.NAMES if n not in LIGHT], indirect=True)
def test_exported_gradient_of_deep_networks(case: Case, rule: str) -> None:
    """Nine pictures of one size: deep down, each has some pool that breaks a tie by rounding."""
    exported = session(export(case.net, rule, {case.end: l2}, input="net"))

    def errors(seed: int) -> dict[str, float]:
        x = light.noise(case.sizes[0], seed)
        _, gradient = image_gradient(case.net, x, {case.end: l2}, rule)
        return {"gradient": distance(exported(data=x)["gradient"], gradient)}

    assert medians(map(errors, range(9)), 9)["gradient"] < 1e-5


@pytest.mark.parametrize("case", DYNAMIC, indirect=True)
def test_exported_step(case: Case) -> None:
    """One model for pictures of any size and shifts of any size and sign."""
    exported = session(export(case.net, "step", {case.end: l2}, input="net"))
    program = case.program("step")
    distances = []
    for size in case.sizes:
        for seed, shift in enumerate(([0, 0], [3, -5], [-100, 7], [31, 200])):
            x = case.picture(size, seed)
            inputs = case.inputs("step", x) | {"shift": np.array(shift)}
            grey = inputs | {"step": np.array(1.5, np.float32)}  # the exported step is in 0..255
            result, expected = exported(**grey), program(case.net, **inputs)
            distances.append(distance(result["dream"] - x, expected["x"] - x))
            assert result["value"] == pytest.approx(expected["value"], rel=1e-4)
    assert np.median(distances) < 1e-5


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("case", small.MODELS, indirect=True)
def test_export_for_one_size(case: Case, name: str) -> None:
    inputs = case.inputs(name, case.picture(case.sizes[0]))
    program = case.program(name)
    model = export_program(
        case.net, program, **{key: (v.dtype, v.shape) for key, v in inputs.items()}
    )
    result = session(model)(**inputs)
    for key, expected in program(case.net, **inputs).items():
        assert distance(result[key], np.asarray(expected)) < 1e-5, key


@pytest.mark.parametrize("case", LARGE, indirect=True)
def test_exported_models_are_plain(case: Case) -> None:
    """Standard operators, names that the file gave, and every weight once."""

    def forward(net: Net, data: Any) -> Mapping[str, Any]:
        return net.forward({net.input: data}, end=case.end)

    part = export_program(case.net, forward, data=(np.float32, ("n", case.net.channels, "h", "w")))
    forward(case.net, case.picture(case.sizes[0]))
    blobs = {name for name, blob in case.net.blobs.items() if blob.data is not None}
    for model in (
        export(case.net, "gradient", {case.end: l2}, input="net"),
        export(case.net, "step", {case.end: l2}, input="net"),
    ):
        onnx.checker.check_model(model, full_check=True)
        assert {node.domain for node in model.graph.node} == {""}
        assert [opset.domain for opset in model.opset_import] == [""]
        assert model.ByteSize() < 1.1 * part.ByteSize()
        names = {name for node in model.graph.node for name in (*node.input, *node.output)}
        # results and inputs are called as the program calls them
        assert blobs - names <= {case.net.input, case.end}


@pytest.mark.parametrize("case", ["branches"], indirect=True)
def test_exported_guide(case: Case) -> None:
    x, shown = case.picture((13, 18)), case.picture((17, 14), seed=1)
    climbed = guide(case.net.forward(data=shown, end="mixed")["mixed"])

    def program(net: Net, data: Any) -> Mapping[str, Any]:
        value, gradient = image_gradient(net, data, {"mixed": climbed})
        return {"value": value, "gradient": gradient}

    result = session(export_program(case.net, program, data=(np.float32, x.shape)))(data=x)
    expected = program(case.net, x)
    assert result["value"] == pytest.approx(expected["value"], rel=1e-5)
    assert distance(result["gradient"], expected["gradient"]) < 1e-5


@pytest.mark.parametrize("kind", ["input", "weights", "array", "number"])
@pytest.mark.parametrize("case", ["branches"], indirect=True)
def test_results_that_nothing_makes(case: Case, kind: str) -> None:
    x = case.picture((13, 18))
    layer = next(iter(case.net.params))

    def program(net: Net, data: Any) -> Mapping[str, Any]:
        weights = net.params[layer][0]
        array = np.arange(6, dtype=np.float32).reshape(2, 3)
        results = {"input": data, "weights": weights, "array": array, "number": 2.5}
        return {"result": results[kind]}

    given = {"data": (np.float32, x.shape)}
    expected = program(case.net, x)["result"]
    planned = Plan(case.net, program, **given)(data=x)
    np.testing.assert_array_equal(planned["result"], expected)
    exported = session(export_program(case.net, program, **given))(data=x)
    np.testing.assert_array_equal(exported["result"], expected)


# What is refused, and what is kept apart.


@pytest.fixture
def chain(net_of: Callable[..., Net]) -> Net:
    return net_of(small.chain())


def test_a_float64_net_exports_in_float64(net_of: Callable[..., Net]) -> None:
    """Checked by its types: onnxruntime has no Conv of doubles."""
    net = net_of(small.caffe(), np.float64)
    net.preprocessing = Preprocess()
    for model in (
        export(net, "gradient", "end", input="net"),
        export(net, "step", "end", input="net"),
    ):
        types = {value.type.tensor_type.elem_type for value in model.graph.output}
        assert types == {onnx.TensorProto.DOUBLE}


def test_one_channel_exports_for_any_size(net_of: Callable[..., Net]) -> None:
    net = net_of(small.caffe())
    net.preprocessing = Preprocess()
    x = small.picture("caffe")
    inputs = {"data": x, "shift": np.array([2, -3]), "step": np.array(4, np.float32)}
    result = session(export(net, "step", "end:1", input="net"))(**inputs)
    bounds = net.preprocessing.bounds(3)
    expected = dream_step(net, x, inputs["shift"], inputs["step"], {"end": channel(1)}, bounds)
    assert distance(result["dream"] - x, expected["x"] - x) < 1e-5
    with pytest.raises(ArgumentError, match="a neuron has its place in a picture of one size"):
        export(net, "step", "end:1,0,0", input="net")
    assert export(net, "step", "end:1,0,0", input="net", size=x.shape[2:])


def test_an_input_and_a_result_of_one_name_are_refused(chain: Net) -> None:
    with pytest.raises(ArgumentError, match="'x' is both an input and a result"):
        export_program(chain, lambda net, x: {"x": 2 * x}, x=(np.float32, (2, 3)))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "the plan takes data, not"),
        ({"data": np.zeros((2, 3)), "more": 1}, "the plan takes data, not data, more"),
        ({"data": np.zeros((3, 2))}, r"'data' of shape \(2, 3\), not \(3, 2\)"),
    ],
)
def test_a_plan_refuses_what_it_was_not_made_for(
    chain: Net, inputs: dict[str, Any], message: str
) -> None:
    plan = Plan(chain, lambda net, data: {"y": 2 * data}, data=(np.float32, (2, 3)))
    with pytest.raises(ArgumentError, match=message):
        plan(**inputs)
    assert plan(data=np.ones((2, 3)))["y"].dtype == np.float32


def test_a_plan_hands_out_copies_of_constants(chain: Net) -> None:
    name, weight = next((n, c) for n, c in chain.constants.items() if c.ndim == 4)
    before = weight.copy()
    program = Plan(chain, lambda net, x: {"w": net.constants[name], "x": x}, x=(np.float32, (2,)))
    program(x=np.zeros(2))["w"][...] = 0
    np.testing.assert_array_equal(weight, before)
