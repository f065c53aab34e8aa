"""The gate: all CUDA that is launched anywhere compiles well for the GPUs it is launched on.

`ONEIRO_ARCHITECTURES=all pytest tests/kernels/test_shipped.py` asks so of every architecture, or of
those it lists ("sm_75,sm_86"); otherwise of sm_90a, and of one file for the two oldest.
"""

import functools
import itertools
import math
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pytest

import oneiro
from oneiro.kernels import conv_cuda, conv_mma, matmul, nvrtc, sass
from oneiro.kernels.array import DeviceArray, empty
from oneiro.kernels.blur import gaussian_blur
from oneiro.kernels.dispatch import KERNELS, PRECISIONS, UNASKED, Case, Kernel, Launch
from oneiro.kernels.index import gather, gather_backward, slice_backward
from oneiro.kernels.lrn import lrn, lrn_backward
from oneiro.kernels.pointwise import NONE
from oneiro.kernels.pool import max_pool, max_pool_backward
from oneiro.kernels.recorder import Recorder
from oneiro.kernels.softmax import softmax
from oneiro.kernels.standard import standardized
from oneiro.kernels.variation import total_variation
from oneiro.kernels.window import sliding_window
from oneiro.kernels.zoom import zoom
from oneiro.objective import l2
from oracle.adjoint import as_tuple
from oracle.case import Case as LayerCase, every


class Limits(NamedTuple):
    """What a GPU can do, and what a block may have on it."""

    capability: tuple[int, int]
    shared: int  # KiB, static and dynamic


GPUS = {
    "sm_75": Limits((7, 5), 64),
    "sm_80": Limits((8, 0), 163),
    "sm_86": Limits((8, 6), 99),
    "sm_89": Limits((8, 9), 99),
    "sm_90a": Limits((9, 0), 227),
    "sm_100": Limits((10, 0), 227),
    "sm_120": Limits((12, 0), 99),
}
MAIN = "sm_90a"
POINT = sliding_window((1, 1))
STATIC = 48  # KiB of shared memory that a kernel may have without asking
REGISTERS = 1 << 16  # of a block, on all of these

FILES = sorted(path.name for path in Path(nvrtc.__file__).parent.glob("*.cu"))
# for large angles these are worked out with a few doubles, by CUDA itself
ANGLES = re.compile(r"\b(?:sin|cos|tan)\(")
FUNCTION = re.compile(r'extern "C" __global__ void(?:\s+__launch_bounds__\([^()]*\))?\s+(\w+)\(')


KIND = re.compile(r"^#define (?:PRECISION|BACKWARD) (\w+)", re.MULTILINE)


def asked() -> list[tuple[str, str]]:
    """The architectures and files of this run."""
    wanted = os.environ.get("ONEIRO_ARCHITECTURES", "")
    if wanted:
        chosen = GPUS if wanted == "all" else wanted.split(",")
        return [(arch, file) for arch in chosen for file in FILES]
    return [*((arch, "pool.cu") for arch in ("sm_75", "sm_80")), *((MAIN, file) for file in FILES)]


ASKED = asked()
ARCHITECTURES = sorted({arch for arch, _ in ASKED})


class Text(NamedTuple):
    """A complete text, with the launches of each of its functions."""

    name: str
    code: str
    launches: dict[str, list[Launch]]

    def __str__(self) -> str:
        defines = next(iter(self.launches.values()))[0].defines
        return f"{self.name}({defines})"


class Shipped(NamedTuple):
    """What is launched on a GPU at any precision, by the file that it stands in."""

    texts: dict[str, list[Text]]
    failures: list[str]  # of cases that do not get as far as their launches


@functools.cache
def shipped(arch: str) -> Shipped:
    """All that cases of kernels and layers launch, and the steps of a dream."""
    texts: dict[str, Text] = {}
    failures = []
    for precision in PRECISIONS:
        device = Recorder(GPUS[arch].capability, precision)
        for name, run in runs(device):
            try:
                with np.errstate(all="ignore"):
                    run()
            except Exception as error:
                failures.append(f"{name}, {precision}: {error!r}")
        for launch in device.launches:
            text = texts.setdefault(launch.code, Text(launch.name, launch.code, {}))
            text.launches.setdefault(launch.function, []).append(launch)
    by_file = {name: [text for text in texts.values() if text.name == name] for name in FILES}
    return Shipped(by_file, failures)


def runs(device: Recorder) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Calls that launch what is shipped, by name."""
    for kernel in KERNELS.values():
        if kernel.draw and "device" in kernel.twins:
            for number, case in enumerate(kernel.draw(np.random.default_rng(0))):
                yield f"{kernel}-{number}", functools.partial(run_kernel, device, kernel, case)
    yield "tiles", functools.partial(run_tiles, device)
    if device.precision == "exact":
        for name, case in every().items():
            yield name, functools.partial(run_layer, device, case)
        yield "step", functools.partial(run_step, device)


def placed(device: Recorder, array: np.ndarray) -> DeviceArray:
    """An array on the device, of float32 if of floats."""
    return device.place(array.astype(np.float32) if array.dtype.kind == "f" else array)


def run_kernel(device: Recorder, kernel: Kernel[..., Any], case: Case) -> None:
    """A case of a kernel, by every version that suits it."""
    args = [placed(device, a) if isinstance(a, np.ndarray) else a for a in case]
    kernel(*args)
    if kernel.name in conv_cuda.VERSIONS:
        for name in conv_cuda.suiting(kernel.name, *args):
            conv_cuda.VERSIONS[kernel.name][name](*args)


def run_tiles(device: Recorder) -> None:
    """Convolutions and matrix products in all the tiles that may be chosen."""

    def zeros(*shape: int) -> DeviceArray:
        return placed(device, np.zeros(shape))

    for tile, channels in itertools.product(conv_cuda.TILES, (3, 4)):
        x, w = zeros(1, channels, 2, 3), zeros(channels, channels, 1, 1)
        with mock.patch.object(conv_cuda, "TILES", [tile]):
            conv_cuda.conv(x, w, None, POINT, 1, version="tiled")
            conv_cuda.conv_backward(x, w, x.shape, POINT, 1, version="tiled")
    for channels, taps in ((1, 1), (1, 64), (3, 3), (3, 7), (3, 11), (3, 21), (4, 5), (4, 16)):
        line = sliding_window((1, taps), (), (0, taps, 0, taps))
        conv_cuda.conv(zeros(1, 8, 2, 9), zeros(channels, 8, 1, taps), None, line, 1, version="few")
        shape, w = (1, channels, 2, 9), zeros(8, channels, 1, taps)
        dy = zeros(1, 8, *line.sizes(shape[2:]))
        conv_cuda.conv_backward(dy, w, shape, line, 1, version="few")
    for rows in (1, 2, 4, 8, 70):
        for by in (zeros(3000, 90), zeros(90, 3000).T):
            for name, product in matmul.VERSIONS["matmul"].items():
                if name != "narrow" or rows <= matmul.FEW:
                    product(zeros(rows, 3000), by)
    if device.capability < ((7, 5) if device.precision == "half" else (8, 0)):
        return
    for channels in (16, 32):
        x, w = zeros(1, channels, 2, 3), zeros(channels, channels, 1, 1)
        layer = conv_mma.forward_layer(x.shape, w.shape, POINT, 1)
        for chosen in conv_mma.candidates(layer, device.precision, 132, most=1000):
            for splits in (1, 2):
                args = (POINT, 1, NONE, device.precision, chosen._replace(splits=splits))
                conv_mma.conv_mma(x, w, None, *args)
                conv_mma.conv_backward_mma(x, w, x.shape, *args)


def run_layer(device: Recorder, case: LayerCase) -> None:
    """A case of a layer there and back, by each rule: NumPy's functions are kernels too.

    As in a Net, floats are on the device, but for those that layers read as numbers.
    """
    layer, bottoms, towards = case
    arrays = [
        placed(device, bottom)
        if getattr(bottom, "dtype", np.dtype(int)).kind == "f" and k not in layer.numbers
        else bottom
        for k, bottom in enumerate(bottoms)
    ]
    tops = as_tuple(layer.forward(*arrays))
    if towards:
        for rule in ("backward", "backward_guided", "backward_deconv"):
            getattr(layer, rule)(*tops)


def run_step(device: Recorder) -> None:
    """A step of a dream with SqueezeNet, as a Plan: what is joined there is another text."""
    net = oneiro.load("squeezenet1.1", device="cpu")
    net.device = device
    net.constants = net.to(net.place).constants

    def program(net: oneiro.Net, x: Any, shift: Any, step: Any) -> dict[str, Any]:
        bounds = net.known_preprocessing().bounds(net.channels)
        return oneiro.dream_step(net, x, shift, step, {"fire7/concat": l2}, bounds)

    inputs = {"x": (1, 3, 63, 48), "shift": (2,), "step": (1, 3, 1, 1)}
    kinds = {name: (np.int64 if name == "shift" else net.dtype, inputs[name]) for name in inputs}
    plan = oneiro.Plan(net, program, **kinds)
    plan(**{name: np.zeros(shape, dtype) for name, (dtype, shape) in kinds.items()})


compiled = functools.cache(nvrtc.compile)


@pytest.fixture(scope="module")
def compiler() -> None:
    try:
        nvrtc.version()
    except nvrtc.MissingCompiler as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def disassembler() -> None:
    try:
        sass.disassembler()
    except sass.MissingDisassembler as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("arch", "file"), ASKED)
def test_what_is_launched_compiles_well(compiler: None, arch: str, file: str) -> None:
    texts = shipped(arch).texts[file]
    if not texts and arch != MAIN:
        pytest.skip(f"nothing of {file} is launched on {arch}")
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda text: list(complaints(text, arch)), texts))
    assert [complaint for part in found for complaint in part] == []


def complaints(text: Text, arch: str) -> Iterator[str]:
    """What is wrong with the machine code of a text, and with how it is launched."""
    try:
        binary = compiled(text.code, text.name, arch)
    except nvrtc.CompileError as error:
        yield f"{text}: {error}"
        return
    for name, launches in text.launches.items():
        usage = binary.functions[name]
        threads = max(math.prod(launch.block) for launch in launches)
        dynamic = max(launch.shared for launch in launches)
        if usage.spills or usage.stack:  # without these there is no local memory
            yield f"{text}: {name} spills {usage.spills} bytes, and has a stack of {usage.stack}"
        if -(-usage.registers // 8) * 8 * -(-threads // 32) * 32 > REGISTERS:
            yield f"{text}: {name} takes {usage.registers} registers in each of {threads} threads"
        if usage.shared > STATIC << 10 or usage.shared + dynamic > GPUS[arch].shared << 10:
            yield f"{text}: {name} takes {usage.shared} + {dynamic} bytes of shared memory"
        if dynamic and usage.shared + UNASKED > STATIC << 10:
            yield f"{text}: {name} has to ask for its dynamic memory beside {usage.shared} bytes"
    # a double takes some GPUs as long as 64 floats, and one constant without its f makes many
    wants_doubles = "double" in text.code.partition("#line ")[0] or ANGLES.search(text.code)
    if b".f64" in binary.ptx and not wants_doubles:
        yield f"{text} computes with doubles"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_tensor_cores_are_used(compiler: None, disassembler: None, arch: str) -> None:
    """Of each precision and direction one text."""
    texts = shipped(arch).texts["conv_mma.cu"]
    kinds = {tuple(KIND.findall(text.code)): text for text in texts}
    assert len(kinds) == 2 * (len(PRECISIONS) if arch != "sm_75" else 1)
    for (precision, _), text in kinds.items():
        count = sass.instructions(compiled(text.code, text.name, arch).cubin)["conv_mma"]
        assert count["HMMA"] > 0, text
        assert count["LDSM"] > 0, text  # ldmatrix
        assert (count["LDGSTS"] > 0) == (precision != "HALF"), text  # cp.async
        assert count["LDL"] == count["STL"] == 0, text


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_case_gets_as_far_as_its_launches(arch: str) -> None:
    assert shipped(arch).failures == []


def test_large_pictures_fit_into_grids() -> None:
    """A grid has 2**31 - 1 blocks along its first axis, and 65535 along the others."""
    device = Recorder()
    one = placed(device, np.zeros(1))
    x, few = (empty((1, channels, 1024, 1024), one) for channels in (64, 3))
    w, stem, each = (
        placed(device, np.zeros(n)) for n in ((64, 64, 3, 3), (64, 3, 7, 7), (64, 1, 3, 3))
    )
    three, seven = (sliding_window((n, n), (1, 1), (n // 2,) * 4) for n in (3, 7))
    for layer in ((x, w, three, 1), (x, each, three, 64), (few, stem, seven, 1)):
        source, filters, window, group = layer
        for name in conv_cuda.suiting("conv", source, filters, None, window, group):
            conv_cuda.VERSIONS["conv"][name](source, filters, None, window, group)
        args = (x, filters, source.shape, window, group)
        for name in conv_cuda.suiting("conv_backward", *args):
            conv_cuda.VERSIONS["conv_backward"][name](*args)
    y, where = max_pool(x, three)
    max_pool_backward(y, where, x.shape, three)
    lrn_backward(x, *lrn(x, 5, 1e-4, 0.75, 1.0), 5, 1e-4, 0.75)
    for axes in (None, (0,), (1,), (2, 3), (0, 2, 3)):
        np.sum(x, axes)
    standardized(x, (2, 3), 1e-5)
    softmax(x, 1)
    for axis in (0, 1, 3):
        gather_backward(gather(x, np.array([0]), axis), np.array([0]), x.shape, axis)
    slice_backward(x[:, 1:2], np.s_[:, 1:2], x.shape)
    total_variation(gaussian_blur(zoom(np.roll(few, (5, 3), (2, 3)), 1000, 900), 2.0), 2.0)
    x.reshape(64, -1) @ x.reshape(-1, 64)
    for launch in device.launches:
        assert launch.grid[0] < 1 << 31, launch
        assert max(launch.grid[1:]) < 1 << 16, launch
        assert math.prod(launch.block) <= 1024, launch
    assert len(device.launches) > 50


@pytest.mark.parametrize("file", FILES)
def test_every_function_is_launched(file: str) -> None:
    texts = shipped(MAIN).texts[file]
    assert texts, f"no case launches anything of {file}"
    written = {name for text in texts for name in FUNCTION.findall(text.code)}
    assert written == {function for text in texts for function in text.launches}
