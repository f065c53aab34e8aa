"""CUDA kernels one by one: is each right, what does it take of a GPU, and how long does it take?

    python bench/kernels.py --list                     kernels, their versions, their CUDA functions
    python bench/kernels.py                            those that a dream with SqueezeNet runs
    python bench/kernels.py --only conv_backward --model net.onnx --end BLOB --size 512
    python bench/kernels.py --try mine.cu:entry --as conv_backward
    ncu --profile-from-start off python bench/kernels.py --only conv --profile

The calls are those of a network on its way to --end and back; calls with the same sizes count once.
Every version that can do a call is compared with the specification in float64, then timed beside
PyTorch, which asks cuDNN, where it is installed. Times need a GPU, and so does the comparison at
these sizes; without one the rest is printed, for --arch.

`--try FILE:FUNCTION --as NAME` puts a kernel of your own in the place of ours. NAME is one of our
CUDA functions, or a kernel, which stands for the function of its slowest version, the one that can
do most: conv for conv_simple, conv_backward (the field's conv_backward_data) for
conv_simple_backward. Yours

* is `extern "C" __global__ void FUNCTION(...)` with the parameters that NAME has in its .cu file,
  where they are explained; sizes are numbers that it gets, not constants that it is compiled for.
  Pictures lie in memory as (images, height, width, channels), filters as (outputs, height, width,
  inputs);
* may include our .cuh files, and sees what the launch of ours defines;
* is launched as ours is, or as --grid, --block and --shared say, in the names of the parameters:
  --block 128 --grid "(images*size_1*size_2*group*inputs + 127) // 128";
* is only asked to do what --when says: --when "group == 1 and stride_1 == 1". Elsewhere ours runs.

The emulator runs it in its check mode on all cases of the kernels that launch NAME, against the
specification; NVRTC says its registers and spills on each architecture; then it is timed like the
others, on the calls of the network that launch NAME. A kernel that is not right is not timed.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import math
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import oneiro
from oneiro.kernels import conv_cuda, matmul, nvrtc
from oneiro.kernels.array import FUNCTIONS, DeviceArray
from oneiro.kernels.dispatch import (
    KERNELS,
    PRECISIONS,
    Device,
    DeviceError,
    Emulator,
    Launch,
    device_named,
)
from oneiro.kernels.matmul import FEW
from oneiro.kernels.recorder import Recorder
from oneiro.kernels.source import Source, filled

ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_120")
VERSIONS = conv_cuda.VERSIONS | matmul.VERSIONS
TOLERANCE = {"exact": 1e-5, "tf32": 3e-3, "half": 3e-3}  # of the relative error
# what our kernels are called elsewhere
OTHER_NAMES = {
    "conv_forward": "conv",
    "conv_backward_data": "conv_backward",
    "conv_dgrad": "conv_backward",
}
REPEATS = 20  # of a call, as one CUDA graph
ROUNDS = 15  # of the rivals A B C A B C
# multiplications and additions of a processor in a clock: float32, tf32, half with float32 sums
RATES = {
    (7, 5): (128, 128, 1024),
    (8, 0): (128, 1024, 2048),
    (8, 6): (256, 256, 512),
    (8, 9): (256, 256, 512),
    (9, 0): (256, 2048, 4096),
    (10, 0): (256, 4096, 8192),
    (12, 0): (256, 256, 512),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="kernels, versions and CUDA functions")
    parser.add_argument(
        "--only", type=ours, metavar="KERNEL", help="one kernel, of those that --list names"
    )
    parser.add_argument("--model", default="squeezenet1.1", help="a known name, or an .onnx file")
    parser.add_argument("--end", default="fire7/concat", metavar="BLOB")
    parser.add_argument("--size", type=int, default=224, help="of the picture, in pixels")
    parser.add_argument("--precision", choices=PRECISIONS, default="exact")
    parser.add_argument("--arch", default="sm_90a", help="what to compile for without a GPU")
    parser.add_argument("--profile", action="store_true", help="each call once, between marks")
    parser.add_argument("--try", dest="guest", metavar="FILE:FUNCTION", help="a kernel of your own")
    parser.add_argument(
        "--as", dest="host", type=ours, metavar="NAME", help="the one that it stands in for"
    )
    parser.add_argument("--grid", help="its blocks: one number, or two or three, comma between")
    parser.add_argument("--block", help="its threads in a block")
    parser.add_argument("--shared", help="bytes of its dynamic shared memory")
    parser.add_argument("--when", help="what it can do")
    asked = parser.parse_args()
    if bool(asked.guest) != bool(asked.host):
        parser.error("--try and --as go together")
    try:
        run(asked)
    except (DeviceError, oneiro.OneiroError) as error:
        sys.exit(f"bench/kernels.py: {error}")


def ours(name: str) -> str:
    """What we call a kernel that has another name elsewhere."""
    return OTHER_NAMES.get(name, name)


def run(asked: argparse.Namespace) -> None:
    if asked.list:
        list_kernels()
        return
    guest = Guest.of(asked) if asked.guest else None
    if guest and not (guest.compile() and guest.emulate(asked.precision)):
        sys.exit(1)
    try:
        device: Any = device_named("cuda", asked.precision)
    except DeviceError as error:
        print(f"times need a GPU: {error}")
        device = Recorder(precision=asked.precision)
    if guest and isinstance(device, Recorder):
        return
    calls = calls_of_network(asked, device)
    if isinstance(device, Recorder):
        for call in calls:
            print_usage(call, asked.arch)
    elif asked.profile:
        profile(calls, device, guest)
    else:
        measure(calls, device, guest)


# Calls of kernels


class Call(NamedTuple):
    """A call of a kernel, or of a NumPy function that is one on devices."""

    name: str
    specification: Callable[..., Any]
    twin: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name} {', '.join(map(described, self.args))}"

    def versions(self) -> dict[str, Callable[[], Any]]:
        """What can answer the call, slowest first."""
        versions = VERSIONS.get(self.name, {"ours": self.twin})
        names = list(versions)
        if self.name in conv_cuda.VERSIONS:
            names = conv_cuda.suiting(self.name, *self.args)
        elif self.name == "matmul" and min(self.args[0].shape[0], self.args[1].shape[-1]) > FEW:
            names.remove("narrow")
        return {
            name: functools.partial(versions[name], *self.args, **self.options) for name in names
        }

    def on(self, place: Callable[[Any], Any]) -> Call:
        """The same call with its arrays elsewhere."""
        return self._replace(args=moved(self.args, place))

    def arrays(self) -> list[DeviceArray]:
        """What it reads on the device."""
        found: list[DeviceArray] = []
        self.on(found.append)
        return found

    @property
    def device(self) -> Any:
        return self.arrays()[0].device

    def right(self) -> Any:
        """What the specification says in float64."""
        exact = self.on(lambda a: doubled(np.asarray(a)))
        return exact.specification(*exact.args, **exact.options)

    def operations(self) -> float:
        """Multiplications and additions, where there is a formula."""
        match self.name:
            case "conv":
                x, w, _, window, _ = self.args
                return 2 * w.size * x.shape[0] * math.prod(window.sizes(x.shape[2:]))
            case "conv_backward":
                dy, w, *_ = self.args
                return 2 * w.size * dy.shape[0] * math.prod(dy.shape[2:])
            case "matmul":
                a, b = self.args
                return 2 * a.size * b.shape[-1]
        return 0


def moved(value: Any, place: Callable[[Any], Any]) -> Any:
    """A value with place(array) for each array in it."""
    if type(value) in (tuple, list):
        return type(value)(moved(item, place) for item in value)
    return place(value) if isinstance(value, np.ndarray | DeviceArray) else value


def described(value: Any) -> str:
    """A value in a few characters."""
    if type(value) in (tuple, list):
        return f"({', '.join(map(described, value))})"
    if hasattr(value, "shape"):
        return "x".join(map(str, value.shape)) or "()"
    if hasattr(value, "kernel"):
        sizes = ["x".join(map(str, part)) for part in value[:4]]
        return "kernel {} stride {} pad {} dilation {}".format(*sizes)
    return str(value)


def doubled(array: Any) -> Any:
    return array.astype(np.float64) if array.dtype == np.float32 else array


@contextlib.contextmanager
def noted(calls: dict[str, Call]) -> Iterator[None]:
    """Note each call of a kernel from outside, the first of those that look alike."""
    depth = 0

    def watch(name: str, specification: Any, twin: Any) -> Any:
        def watched(*args: Any, **options: Any) -> Any:
            nonlocal depth
            if not depth:
                call = Call(name, specification, twin, args, options)
                calls.setdefault(str(call), call)
            depth += 1
            try:
                return twin(*args, **options)
            finally:
                depth -= 1

        return watched

    kernels = [kernel for kernel in KERNELS.values() if "device" in kernel.twins]
    twins = {kernel: kernel.twins["device"] for kernel in kernels}
    functions = dict(FUNCTIONS)
    for kernel, twin in twins.items():
        kernel.twins["device"] = watch(kernel.name, kernel.specification, twin)
    for function, twin in functions.items():
        FUNCTIONS[function] = watch(function.__name__, function, twin)
    try:
        yield
    finally:
        FUNCTIONS.update(functions)
        for kernel, twin in twins.items():
            kernel.twins["device"] = twin


def calls_of_network(asked: argparse.Namespace, device: Device) -> list[Call]:
    """What the network calls on its way to --end and back."""
    net = oneiro.load(asked.model, device="cpu")
    net.device = device
    net.constants = net.to(net.place).constants
    shape = (1, net.channels, asked.size, asked.size)
    x = np.random.default_rng(0).normal(scale=50, size=shape).astype(np.float32)
    calls: dict[str, Call] = {}
    with noted(calls), np.errstate(all="ignore"):
        net.forward({net.input: x}, end=asked.end)
        blob = net.blobs[asked.end]
        blob.diff = blob.data
        net.backward(start=asked.end)
    chosen = [call for call in calls.values() if asked.only in (None, call.name)]
    if not chosen:
        found = ", ".join(sorted({call.name for call in calls.values()}))
        sys.exit(f"bench/kernels.py: the network calls no {asked.only}, but {found}")
    print(f"{asked.model} to {asked.end} and back at {asked.size} px: {len(chosen)} calls\n")
    return chosen


Launched = tuple[Launch, Sequence[Any]]  # with its arguments


def recorded(device: Any, run: Callable[[], Any]) -> tuple[Any, list[Launched]]:
    """The result of a call, and its launches with their arguments."""
    launches: list[Launched] = []

    def launch(what: Launch, args: Sequence[Any]) -> None:
        launches.append((what, args))
        type(device).launch(device, what, args)

    device.launch = launch
    try:
        return run(), launches
    finally:
        del device.launch


# What can be said without a GPU


def list_kernels() -> None:
    """Each kernel with its versions, and the CUDA functions that its cases launch."""
    for name, calls in cases().items():
        print(name)
        launched: dict[str, set[str]] = {}
        for call in calls:
            for version, answer in call.versions().items():
                for launch, _ in recorded(call.device, answer)[1]:
                    launched.setdefault(version, set()).add(f"{launch.name}:{launch.function}")
        for version, functions in launched.items():
            print(f"  {version:12s}{', '.join(sorted(functions))}")


def cases(device: Device | None = None) -> dict[str, list[Call]]:
    """The cases of all kernels that have CUDA, as calls, in float32."""
    device = device or Recorder()

    def placed(value: Any) -> Any:
        return device.place(value.astype(np.float32) if value.dtype.kind == "f" else value)

    return {
        kernel.name: [
            Call(kernel.name, kernel.specification, kernel.twins["device"], case, {}).on(placed)
            for case in kernel.draw(np.random.default_rng(0))
        ]
        for kernel in KERNELS.values()
        if kernel.draw and "device" in kernel.twins
    }


def print_usage(call: Call, arch: str) -> None:
    """A call, and what each version launches for it, with what that takes."""
    print(f"{call}{f', {call.operations() / 1e9:.3f} GFLOP' if call.operations() else ''}")
    for version, answer in call.versions().items():
        for launch, _ in recorded(call.device, answer)[1]:
            usage = usages(launch.code, launch.name, arch)[launch.function]
            text = str(launch) if len(str(launch)) < 100 else f"{str(launch)[:97]}..."
            print(
                f"  {version:12s}{text}\n  {'':12s}{math.prod(launch.grid)} blocks of "
                f"{math.prod(launch.block)} threads, {usage.registers} registers, "
                f"{usage.spills} bytes spilled, {usage.shared + launch.shared} bytes shared"
            )


@functools.cache
def usages(code: str, name: str, arch: str) -> dict[str, nvrtc.Usage]:
    return nvrtc.compile(code, name, arch).functions


# A kernel of your own


class Guest(NamedTuple):
    """A function of a stranger's file in the place of one of ours."""

    path: Path
    entry: str
    host: str  # ours
    only: str | None  # the kernel whose calls count
    shape: dict[str, str]  # expressions for grid, block and shared, where they differ from ours
    when: str | None

    @staticmethod
    def of(asked: argparse.Namespace) -> Guest:
        file, _, entry = asked.guest.rpartition(":")
        path = Path(file)
        if not file or not path.is_file():
            sys.exit(f"bench/kernels.py: --try wants FILE:FUNCTION, not {asked.guest}")
        given = {name: getattr(asked, name) for name in ("grid", "block", "shared")}
        shape = {name: text for name, text in given.items() if text}
        host, only = asked.host, asked.only
        if host in KERNELS:
            only = host
            (call, *_) = cases().get(host) or sys.exit(f"bench/kernels.py: {host} has no CUDA")
            (answer, *_) = call.versions().values()
            launches = recorded(call.device, answer)[1]
            host = next(one.function for one, _ in launches if one.name != "pointwise.cu")
        return Guest(path.resolve(), entry, host, only, shape, asked.when)

    @contextlib.contextmanager
    def instead(self, device: Any, launches: list[Launch]) -> Iterator[None]:
        """Launch it on this device where ours would be, and note that."""

        def launch(what: Launch, args: Sequence[Any]) -> None:
            own = self.launch(what, args)
            if own:
                launches.append(own)
            type(device).launch(device, own or what, args)

        device.launch = launch
        try:
            yield
        finally:
            del device.launch

    def launch(self, what: Launch, args: Sequence[Any]) -> Launch | None:
        """How it is launched in the place of a launch of ours; None if it is not meant."""
        if what.function != self.host:
            return None
        asks = self.when or self.shape
        names = dict(zip(parameters(what.code, what.function), args, strict=True)) if asks else {}
        if self.when and not evaluated(self.when, names):
            return None
        text = Source(str(self.path)).text()
        head = what.code.partition("#line ")[0].splitlines()
        # defines that it does not know of would only have it compiled anew
        known = [line for line in head if re.search(rf"\b{line.split()[1]}\b", text)]
        shape = {}
        for key, expression in self.shape.items():
            value = evaluated(expression, names)
            shape[key] = value if key == "shared" else filled(value)
        code = "\n".join([*known, text])
        return what._replace(name=self.path.name, code=code, function=self.entry, **shape)

    def emulate(self, precision: str) -> bool:
        """Run it on all cases of our kernels that launch what it stands in for; is it right?"""
        if not shutil.which("g++"):
            print("not emulated: that needs g++")
            return True
        device = Emulator(precision, mode="check")
        right = wrong = elsewhere = 0
        for name, calls in cases(device).items():
            if self.only not in (None, name):
                continue
            for call in calls:
                for version, answer in call.versions().items():
                    if not any(one.function == self.host for one in self.dry(call, version)):
                        continue
                    launches: list[Launch] = []
                    try:
                        with self.instead(device, launches):
                            error = difference(answer(), call.right())
                        text = f"an error of {error:.1e}" if error > TOLERANCE[precision] else ""
                    except Exception as error:
                        text = str(error).partition("\n")[0] or repr(error)
                    if not launches and not text:
                        elsewhere += 1
                    elif text:
                        wrong += 1
                        print(f"wrong: {call}: {text}")
                    else:
                        right += 1
        print(
            f"{self.entry} as {self.host}, emulated in check mode: "
            f"{right} cases are right, {wrong} wrong, {elsewhere} not asked of it"
        )
        return right > 0 and not wrong

    @staticmethod
    def dry(call: Call, version: str) -> list[Launch]:
        """The launches of a version, without running them."""
        device = Recorder()
        call.on(lambda a: device.place(np.asarray(a))).versions()[version]()
        return device.launches

    def compile(self) -> bool:
        """Print what it takes on each architecture; does it compile for any?"""
        launches: list[Launch] = []
        device = Recorder()
        with self.instead(device, launches):
            for name, calls in cases(device).items():
                if self.only in (None, name):
                    for call in calls:
                        for answer in call.versions().values():
                            answer()
        if not launches:
            sys.exit(f"bench/kernels.py: no case launches {self.host} for {self.entry}: see --list")
        texts = {launch.code for launch in launches}
        fine = False
        for arch in ARCHITECTURES:
            try:
                found = [usages(code, self.path.name, arch)[self.entry] for code in texts]
            except nvrtc.CompileError as error:
                print(f"{arch:8s} {error}")
                continue
            except nvrtc.MissingCompiler as error:
                print(f"not compiled: {error}")
                return True
            except KeyError:
                sys.exit(f'bench/kernels.py: no extern "C" kernel {self.entry} in {self.path}')
            fine = True
            registers, spills, stack, shared = (max(values) for values in zip(*found))
            print(
                f"{arch:8s} {registers} registers, {spills} bytes spilled, {stack} bytes of stack, "
                f"{shared} bytes of static shared memory"
            )
        return fine


@functools.cache
def parameters(code: str, function: str) -> list[str]:
    """The names of the parameters of a function, by g++'s preprocessor."""
    command = ["g++", "-E", "-P", "-x", "c++", "-"]
    plain = subprocess.run(command, input=code, capture_output=True, text=True, check=True).stdout
    found = re.search(rf"\b{function}\s*\(([^)]*)\)", plain)
    assert found, f"there is no {function} in this text"
    return [re.findall(r"\w+", parameter)[-1] for parameter in found[1].split(",")]


def evaluated(expression: str, names: dict[str, Any]) -> Any:
    """An expression of the command line."""
    numbers = {name: int(v) for name, v in names.items() if isinstance(v, np.integer)}
    try:
        return eval(expression, {"__builtins__": {"min": min, "max": max}}, numbers)
    except (NameError, SyntaxError) as error:
        sys.exit(f"bench/kernels.py: {expression}: {error}; there are {', '.join(numbers)}")


def difference(found: Any, wanted: Any) -> float:
    """The relative error, root mean square by root mean square; infinite if not finite."""
    if isinstance(wanted, tuple):
        return max(map(difference, found, wanted))
    found = np.asarray(found)
    if found.shape != wanted.shape or not np.array_equal(np.isnan(found), np.isnan(wanted)):
        return math.inf
    off = np.linalg.norm(np.subtract(found, wanted, dtype=np.float64))
    return float(off / (np.linalg.norm(wanted) or 1.0))


# With a GPU


def measure(calls: list[Call], device: Any, guest: Guest | None) -> None:
    """Each call by each version: the error, then the time, and how near to the GPU's limits."""
    print(f"{device}, {device.precision}; caches are warm, times without the host's")
    rate, bandwidth = limits(device)
    print(
        f"{'version':24s}{'error':>9s}{'us':>10s}{'of torch':>10s}{'of FLOP/s':>11s}{'of B/s':>8s}"
    )
    for call in calls:
        answers = call.versions()
        if guest:
            answers |= guest_answers(guest, answers, device)
            if len(answers) == len(call.versions()):
                continue
        wanted = call.right()
        rivals: dict[str, Any] = {}
        errors: dict[str, float] = {}
        for name, answer in answers.items():
            result, launches = recorded(device, answer)
            errors[name] = difference(result, wanted)
            if errors[name] <= TOLERANCE[device.precision]:
                rivals[name] = captured(device, launches)
        torch = in_torch(call, device.precision)
        if torch:
            rivals["torch"] = torch
        times = interleaved(rivals, device)
        moved = touched(call, wanted)
        print(call)
        for name in [*errors, *(["torch"] if torch else [])]:
            error = f"{errors[name]:.1e}" if name in errors else ""
            if name not in times:
                print(f"  {name:22s}{error:>9s}  wrong: not timed")
                continue
            us = times[name]
            ratio = f"{us / times['torch']:.2f}" if torch else ""
            flops = f"{call.operations() / us / 1e-6 / rate:.0%}" if call.operations() else ""
            share = moved / us / 1e-6 / bandwidth
            print(f"  {name:22s}{error:>9s}{us:10.1f}{ratio:>10s}{flops:>11s}{share:8.0%}")


def guest_answers(guest: Guest, answers: dict[str, Any], device: Any) -> dict[str, Any]:
    """The versions that launch what the guest stands in for, with the guest."""

    def with_guest(answer: Callable[[], Any]) -> Any:
        outer = device.launch  # notes launches, see recorded()

        def launch(what: Launch, args: Sequence[Any]) -> None:
            outer(guest.launch(what, args) or what, args)

        device.launch = launch
        return answer()

    found = {}
    for name, answer in answers.items():
        launches = recorded(device, answer)[1]
        if any(guest.launch(what, args) for what, args in launches):
            found[f"{guest.entry} for {name}"] = functools.partial(with_guest, answer)
    return found


def touched(call: Call, wanted: Any) -> int:
    """Bytes of what a call reads and writes, each once."""
    results = wanted if isinstance(wanted, tuple) else (wanted,)
    read = sum(array.nbytes for array in call.arrays())
    return read + sum(r.size * (4 if r.dtype.kind == "f" else r.itemsize) for r in results)


def limits(device: Any) -> tuple[float, float]:
    """What the GPU can do at most, in FLOP/s at this precision, and in B/s."""
    known = device.cupy.cuda.Device().attributes
    bandwidth = 2 * known["MemoryClockRate"] * 1e3 * known["GlobalMemoryBusWidth"] / 8
    plain, tf32, half = RATES[max(cc for cc in RATES if cc <= device.capability)]
    # exact may be three multiplications in tf32
    rate = {"exact": max(plain, tf32 / 3), "tf32": tf32, "half": half}[device.precision]
    return rate * device.processors * known["ClockRate"] * 1e3, bandwidth


def captured(device: Any, launches: list[Launched]) -> Callable[[], None]:
    """REPEATS times these launches as one CUDA graph: then the host costs nothing."""
    stream = device.cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        for _ in range(REPEATS):
            for what, args in launches:
                device.launch(what, args)
        graph = stream.end_capture()
    # the arrays have to stay alive
    return functools.partial(lambda _: graph.launch(), launches)


def interleaved(rivals: dict[str, Callable[[], Any]], device: Any) -> dict[str, float]:
    """The median time of one call by each, A B C A B C, in microseconds."""
    cuda = device.cupy.cuda
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for number in range(-3, ROUNDS):  # three to warm up
        for name, rival in rivals.items():
            begin, end = cuda.Event(), cuda.Event()
            begin.record()
            rival()
            end.record()
            end.synchronize()
            if number >= 0:
                taken[name].append(1000 * cuda.get_elapsed_time(begin, end) / REPEATS)
    return {name: statistics.median(times) for name, times in taken.items()}


def profile(calls: list[Call], device: Any, guest: Guest | None) -> None:
    """Each call once by each version, between the marks that profilers look for."""
    for call in calls:
        answers = call.versions()
        answers |= guest_answers(guest, answers, device) if guest else {}
        for answer in answers.values():
            recorded(device, answer)  # compiles
            device.cupy.cuda.runtime.profilerStart()
            recorded(device, answer)
            device.cupy.cuda.runtime.deviceSynchronize()
            device.cupy.cuda.runtime.profilerStop()


def in_torch(call: Call, precision: str) -> Callable[[], None] | None:
    """REPEATS times the same call by PyTorch as a CUDA graph; None where there is no such call."""
    try:
        import torch
    except ImportError:
        return None
    answer = torch_call(call, precision) if torch.cuda.is_available() else None
    if answer is None:
        return None
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            answer()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(REPEATS):
            answer()
    return graph.replay


def torch_call(call: Call, precision: str) -> Callable[[], Any] | None:
    """The call in PyTorch, channels last, of arrays of the same sizes; None where it has none."""
    import torch
    import torch.nn.functional as F

    def on_gpu(array: Any) -> Any:
        tensor = torch.from_numpy(np.asarray(array).copy())
        if torch.cuda.is_available():
            tensor = tensor.cuda()
        if precision == "half" and tensor.is_floating_point():
            tensor = tensor.half()
        return tensor.to(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor

    if len(getattr(call.args[0], "shape", ())) != 4 and call.name != "matmul":
        return None
    match call.name, call.args:
        case "conv", (x, w, b, window, group):
            if window.before != window.after:
                return None
            by = (on_gpu(w), None if b is None else on_gpu(b))
            sizes = (window.strides, window.before, window.dilations, group)
            return functools.partial(F.conv2d, on_gpu(x), *by, *sizes)
        case "conv_backward", (dy, w, shape, window, group):
            if window.before != window.after:
                return None
            # of x only its shape and layout count
            x = torch.empty(tuple(shape)).to(memory_format=torch.channels_last).to(on_gpu(dy))
            sizes = (window.strides, window.before, window.dilations, False, [0, 0], group)
            wanted = (True, False, False)
            back = torch.ops.aten.convolution_backward
            return functools.partial(back, on_gpu(dy), x, on_gpu(w), None, *sizes, wanted)
        case "max_pool", (x, window):
            if window.before != window.after:
                return None
            sizes = (window.kernel, window.strides, window.before, window.dilations, window.ceil)
            return functools.partial(F.max_pool2d, on_gpu(x), *sizes)
        case "matmul", (a, b):
            return functools.partial(torch.matmul, on_gpu(a), on_gpu(b))
    return None


if __name__ == "__main__":
    main()
