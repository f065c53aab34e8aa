"""Whole networks, oneiro beside PyTorch: `python bench/network.py googlenet --sizes 224 1024`.

Two things are measured for a batch of one picture: half the sum of squares of a blob with its
gradient in the picture, and a whole step of DeepDream. The rivals are oneiro as one calls it from
Python, its CUDA graph alone, PyTorch eager and as a CUDA graph, in both layouts, with
cudnn.benchmark, at the same precision; `--compile max-autotune` puts torch.compile beside them.
Weights, picture and end are the same, no weight gets a gradient.

All have to be right before they are timed: a network is judged in float64 by PyTorch, and that on
a small picture by tests/oracle/walker.py, which knows neither. Blobs may be off by TOLERANCE;
gradients and steps have to point where they should. At 10 bits of mantissa some ReLUs open or
close, with anybody's kernels, and the cosine is about 0.995 then.

Networks by name have random weights, but for squeezenet; a path to an .onnx file with --end is one
too, if bench/rival.py knows its layers.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import math
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from timing import Clock, NoRivalError, Rival, interleaved, ratio, spread

import oneiro
from oneiro import Net, Plan, Preprocess, dream_step, image_gradient
from oneiro.call import arguments, reads, run as make
from oneiro.kernels.dispatch import PRECISIONS, DeviceError
from oneiro.kernels.tuning import measured, tuning
from oneiro.models import registry
from oneiro.objective import l2
from oneiro.plan.plan import computed

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from oracle import light
from oracle.measure import distance

TOLERANCE = {"exact": 1e-5, "tf32": 3e-3, "half": 1e-2}  # of a blob, in the relative L2 norm
COSINE = {"exact": 0.9999, "tf32": 0.99, "half": 0.99}  # of gradients and steps, at least
SEEDS = range(3)  # of the pictures that decide whether a rival is right
REPLAYS = 20  # that have to agree to the bit
SLOWEST = 5  # calls that are named
SHIFT = np.array([5, -7])


class Known(NamedTuple):
    """A network that is at hand, and how far it goes."""

    title: str
    end: str
    light: str | None  # its name in tests/oracle/light.py; None: the embedded one


NETWORKS = {
    "googlenet": Known("GoogLeNet's topology to inception_4c", "r80", "inception_v1"),
    "squeezenet": Known("SqueezeNet 1.1 to fire9", "fire9/concat", None),
    "resnet50": Known("ResNet-50's topology to layer3", "r139", "resnet50"),
    "vgg19": Known("VGG-19's topology to conv5_3", "r33", "vgg19"),
}
SIZES = (224, 512, 1024, 2048)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help=f"{', '.join(NETWORKS)}, or an .onnx file")
    parser.add_argument("--end", metavar="BLOB", help="how far; needed for a file")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--compile", metavar="MODE", help="torch.compile beside the fastest others")
    parser.add_argument("--tune", action="store_true", help="only measure which tiles are fastest")
    parser.add_argument("--save", type=Path, metavar="FILE", help="only write the .onnx file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add a line for each row")
    parser.add_argument("--device", default="cuda", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path, end = located(asked.model, asked.end, Path(folder))
            if asked.save:
                shutil.copyfile(path, asked.save)
                return
            for row in rows(path, end, asked):
                print(described(row), flush=True)
                if asked.json:
                    with asked.json.open("a") as file:
                        file.write(json.dumps(row) + "\n")
    except (DeviceError, NoRivalError, oneiro.OneiroError) as error:
        sys.exit(f"bench/network.py: {error}")


def located(name: str, end: str | None, folder: Path) -> tuple[Path, str]:
    """The file of a network, and its blob."""
    known = NETWORKS.get(name)
    if known is None:
        if end is None:
            sys.exit("bench/network.py: a file wants --end")
        return Path(name), end
    path = folder / f"{name}.onnx"
    if known.light:
        onnx.save(light.light(known.light), path)
    else:
        path.write_bytes((registry.FOLDER / "squeezenet1.1.onnx").read_bytes())
    return path, end or known.end


def rows(path: Path, end: str, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each size and precision."""
    clock = Clock(asked.device)
    known = NETWORKS.get(asked.model)
    title = known.title if known and known.end == end else f"{path.name} to {end}"
    for size in asked.sizes:
        judge: Judge | None = None
        for precision in asked.precisions:
            row = {"network": asked.model, "title": title, "size": size, "precision": precision}
            ours = Ours(path, end, size, precision, asked.device)
            wanted, free = ours.wanted_bytes(), clock.free_bytes()
            if wanted > free:
                sizes = f"{wanted / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free"
                yield row | {"reason": f"it wants about {sizes}"}
            elif asked.tune:
                yield row | {"tuned": ours.tune()}
            else:
                judge = judge or Judge(onnx.load(path), end, ours.pictures, asked.device)
                measure_it = measure_compiled if asked.compile else measure
                yield row | {"tuned": ours.tuned()} | measure_it(ours, judge, clock, asked)
            del ours
            gc.collect()
            clock.release()
            if judge:
                judge.release()


def measure(ours: Ours, judge: Judge, clock: Clock, asked: argparse.Namespace) -> dict[str, Any]:
    """What there is to say of a network at one size and precision."""
    import rival

    precision, picture = ours.precision, ours.pictures[0]
    flags = rival.allow_tf32(precision)
    module = rival.module_of(judge.model, judge.end, precision)
    off = {
        "oneiro": judge.off(ours.blob),
        "torch": judge.off(functools.partial(rival.blob, module, precision, judge.where)),
    }
    row: dict[str, Any] = {"flags": flags, "blobs": off}
    if not off["oneiro"] <= TOLERANCE[precision]:
        return row | {"reason": f"wrong: its blob is {off['oneiro']:.1e} off"}
    place = (module, ours.shape, precision, judge.where)
    compare = functools.partial(compared, clock=clock, rounds=asked.rounds, precision=precision)
    forwards = ours.forwards() | {
        "onnxruntime": lambda: rival.in_onnxruntime(judge.model, judge.end, ours.shape, precision)
    }
    parts: dict[str, Callable[[], Any]] = {
        "gradient": lambda: compare(
            ours.gradients() | rival.gradient_rivals(*place), judge.gradients()
        ),
        "step": lambda: compare(
            ours.steps() | rival.step_rivals(*place, ours.feeds), judge.steps(ours.feeds)
        ),
        "forward": lambda: compare(forwards, judge.blobs()),
        "loop": lambda: ours.loop(asked.rounds),
        "replays": lambda: ours.replays(picture),
        "launches": lambda: {"oneiro": ours.launches(picture), "torch": rival.kernels(*place)},
        "memory": lambda: {"oneiro": ours.pool_bytes(), "torch": rival.peak_bytes(*place)},
        "slowest": lambda: ours.slowest(picture, clock),
    }
    row["failures"] = {}
    for key, part in parts.items():
        try:
            row[key] = part()
        except Exception as error:  # the others are worth having
            row["failures"][key] = failure(error)
    return row


def measure_compiled(
    ours: Ours, judge: Judge, clock: Clock, asked: argparse.Namespace
) -> dict[str, Any]:
    """The gradient by torch.compile, beside the others that need little of the host."""
    import rival

    flags = rival.allow_tf32(ours.precision)
    module = rival.module_of(judge.model, judge.end, ours.precision)
    place = (module, ours.shape, ours.precision, judge.where)
    makers = ours.gradients() | rival.gradient_rivals(*place)
    makers = {name: maker for name, maker in makers.items() if "eager" not in name}
    makers[f"torch.compile {asked.compile}"] = lambda: rival.compiled(*place, asked.compile)
    answers = judge.gradients()
    return {"flags": flags, "mode": asked.compile} | {
        "gradient": compared(makers, answers, clock, asked.rounds, ours.precision)
    }


class Answer(NamedTuple):
    """A picture, and what is right there."""

    picture: np.ndarray
    wanted: np.ndarray
    base: np.ndarray | float = 0.0  # what a result is seen from: a step from its picture


def compared(
    makers: dict[str, Callable[[], Rival]],
    answers: list[Answer],
    clock: Clock,
    rounds: int,
    precision: str,
) -> dict[str, Any]:
    """Times of the rivals that are right, and what became of the others."""
    rivals: dict[str, Rival] = {}
    errors: dict[str, Any] = {}
    failures: dict[str, str] = {}
    for name, maker in makers.items():
        try:
            rival = maker()
            errors[name] = judged(rival, answers)
        except Exception as error:  # also what PyTorch's compiler says, and no memory left
            failures[name] = failure(error)
            continue
        if errors[name]["cosine"] >= COSINE[precision]:
            rivals[name] = rival
        else:
            failures[name] = f"wrong: a cosine of {errors[name]['cosine']:.4f}"
    for rival in rivals.values():
        rival.feed(answers[0].picture)
    runs = {name: rival.run for name, rival in rivals.items()}
    seconds = interleaved(runs, clock, rounds)
    hosts = {name: clock.on_host(run, rounds) for name, run in runs.items()}
    return {
        "seconds": {name: spread(taken) for name, taken in seconds.items()},
        "ratios": {
            name: ratio(seconds["oneiro"], taken)
            for name, taken in seconds.items()
            if "oneiro" in seconds and not name.startswith("oneiro")
        },
        "host": {name: {"issued": issued, "done": done} for name, (issued, done) in hosts.items()},
        "errors": errors,
        "failures": failures,
    }


def failure(error: Exception) -> str:
    """The kind of an error, and the first line of what it says."""
    if isinstance(error, NoRivalError):
        return str(error)
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def judged(rival: Rival, answers: list[Answer]) -> dict[str, float]:
    """How far off, and the cosine to what is right: medians over the pictures."""
    distances, cosines = [], []
    for picture, wanted, base in answers:
        rival.feed(picture)
        found = rival.read(rival.run()) - base
        distances.append(distance(found, wanted))
        lengths = np.linalg.norm(found) * np.linalg.norm(wanted)
        cosines.append(float((found * wanted).sum() / lengths))
    return {"distance": statistics.median(distances), "cosine": statistics.median(cosines)}


class Judge:
    """What a network says in float64, by PyTorch: on the CPU up to 224 px, as there is time for."""

    def __init__(
        self, model: onnx.ModelProto, end: str, pictures: list[np.ndarray], device: str
    ) -> None:
        import rival

        from oracle import walker

        self.model, self.end = model, end
        self.where = rival.where(device)
        module = rival.module_of(model, end)
        side = min(pictures[0].shape[2], 64)
        small = pictures[0][:, :, :side, :side]
        found, wanted = rival.exact(module, small)[1], walker.gradient(model, small, end)
        assert distance(found, wanted) < 1e-9, "bench/rival.py and the walker are two networks"
        self.module = module.to("cpu" if pictures[0].shape[2] <= 224 else self.where)
        self.exact, self.release = rival.exact, rival.release
        self.pictures = pictures
        self.answers = [self.exact(self.module, picture) for picture in pictures]
        self.rolled: list[np.ndarray] = []  # gradients as a step sees them

    def blobs(self) -> list[Answer]:
        return [Answer(p, blob) for p, (blob, _) in zip(self.pictures, self.answers, strict=True)]

    def gradients(self) -> list[Answer]:
        return [Answer(p, diff) for p, (_, diff) in zip(self.pictures, self.answers, strict=True)]

    def steps(self, feeds: dict[str, np.ndarray]) -> list[Answer]:
        """What a step adds to each picture."""
        shift = feeds["shift"]
        if not self.rolled:
            seen = [np.roll(picture, shift, (2, 3)) for picture in self.pictures]
            self.rolled = [self.exact(self.module, picture)[1] for picture in seen]
        answers = []
        for picture, g in zip(self.pictures, self.rolled, strict=True):
            moved = picture + np.roll(feeds["step"] / np.abs(g).mean() * g, -shift, (2, 3))
            added = np.clip(moved, feeds["low"], feeds["high"]) - picture
            answers.append(Answer(picture, added, picture))
        return answers

    def off(self, blob: Callable[[np.ndarray], np.ndarray]) -> float:
        """How far the blob is off, the median over the pictures."""
        return statistics.median(distance(blob(a.picture), a.wanted) for a in self.blobs())


class Ours:
    """A network on the device, and Plans of what is measured, for pictures of one size."""

    def __init__(self, path: Path, end: str, size: int, precision: str, device: str) -> None:
        self.net = Net(path, device=device, precision=precision)
        self.net.preprocessing = Preprocess(128.0)
        self.end, self.precision, self.device = end, precision, self.net.device
        self.shape = (1, self.net.channels, size, size)
        self.pictures = [light.noise((size, size), seed, self.net.channels) for seed in SEEDS]
        low, high = self.net.preprocessing.bounds(self.net.channels)
        step = np.asarray(1.5 * self.net.preprocessing.unit(self.net.channels), np.float32)
        self.feeds = {"shift": SHIFT, "step": step, "low": low, "high": high}

        def gradient(net: Net, x: Any) -> dict[str, Any]:
            value, diff = image_gradient(net, x, {end: l2})
            return {"value": value, "gradient": diff}

        self.gradient = Plan(self.net, gradient, x=(np.float32, self.shape))

    @functools.cached_property
    def forward(self) -> Plan:
        def program(net: Net, x: Any) -> dict[str, Any]:
            return {"blob": net.forward({net.input: x}, end=self.end)[self.end]}

        return Plan(self.net, program, x=(np.float32, self.shape))

    @functools.cached_property
    def step(self) -> Plan:
        bounds = self.feeds["low"], self.feeds["high"]

        def program(net: Net, x: Any, shift: Any, step: Any) -> dict[str, Any]:
            return dream_step(net, x, shift, step, {self.end: l2}, bounds)

        step = self.feeds["step"]
        kinds = {"shift": (np.int64, (2,)), "step": (np.float32, step.shape)}
        return Plan(self.net, program, x=(np.float32, self.shape), **kinds)

    def gradients(self) -> dict[str, Callable[[], Rival]]:
        return self.rivals(self.gradient, "gradient", {})

    def steps(self) -> dict[str, Callable[[], Rival]]:
        return self.rivals(self.step, "x", {key: self.feeds[key] for key in ("shift", "step")})

    def forwards(self) -> dict[str, Callable[[], Rival]]:
        return self.rivals(self.forward, "blob", {})

    def rivals(self, plan: Plan, key: str, more: dict[str, Any]) -> dict[str, Callable[[], Rival]]:
        """A Plan as one calls it, and its CUDA graph alone."""
        held: dict[str, Any] = {}

        def feed(picture: np.ndarray) -> None:
            held["x"] = self.net.place(picture)

        def into_graph(picture: np.ndarray) -> None:
            for _ in range(2):  # the first call captures the graph, the second one feeds it
                plan(x=self.net.place(picture), **more)
            if getattr(plan.run, "graph", None) is None:
                raise NoRivalError("no CUDA graph")

        def replay() -> Any:
            plan.run.graph.launch(self.device.cupy.cuda.get_current_stream())
            return plan.run.results

        def read(results: Any) -> np.ndarray:
            return np.asarray(results[key]).astype(np.float64)

        return {
            "oneiro": lambda: Rival(feed, lambda: plan(**held, **more), read),
            "oneiro, graph alone": lambda: Rival(into_graph, replay, read),
        }

    def blob(self, picture: np.ndarray) -> np.ndarray:
        return np.asarray(self.forward(x=picture)["blob"])

    def wanted_bytes(self) -> int:
        """About what all rivals take together, the judge's float64 among them."""
        results = [symbol for call in self.gradient.calls for symbol in call.results]
        return 4 * sum(4 * math.prod(symbol.dims) for symbol in results)

    def tune(self) -> dict[str, Any]:
        """Measure which tiles are fastest for the gradient and the step."""
        with measured(self.device) as table:
            for maker in (self.gradients, self.steps):
                rival = maker()["oneiro"]()
                rival.feed(self.pictures[0])
                rival.run()
        return {"choices": len(table.choices), "digest": table.digest[:12]}

    def tuned(self) -> str:
        """The beginning of the digest of what was measured; empty where rules choose."""
        table = tuning(self.device)
        return table.digest[:12] if table else ""

    def loop(self, count: int) -> float:
        """Seconds of a step in deepdream's own loop, which looks at each."""
        stamps: list[float] = []
        oneiro.deepdream(
            self.net,
            np.asarray(self.net.deprocess(self.pictures[0])),
            end=self.end,
            octave_n=1,
            iter_n=count + 5,
            on_step=lambda _: stamps.append(time.perf_counter()),
        )
        return statistics.median(np.diff(stamps[5:]).tolist())

    def replays(self, picture: np.ndarray) -> bool:
        """Are REPLAYS runs the same to the bit?"""
        x = self.net.place(picture)
        found = [np.asarray(self.gradient(x=x)["gradient"]).tobytes() for _ in range(REPLAYS)]
        return len(set(found)) == 1

    def launches(self, picture: np.ndarray) -> int:
        """Of a gradient."""
        plan, inputs = self.gradient, {"x": self.net.place(picture)}
        count = 0

        def launch(*args: Any) -> None:
            nonlocal count
            count += 1
            type(self.device).launch(self.device, *args)

        self.device.launch = launch
        try:
            computed(plan.calls, plan.dead, plan.constants, plan.results, inputs)
        finally:
            del self.device.launch
        return count

    def pool_bytes(self) -> int | None:
        """What the gradient's graph takes beside the weights."""
        pool = getattr(self.gradient.run, "pool", None)
        return pool.total_bytes() if pool else None

    def slowest(self, picture: np.ndarray, clock: Clock) -> list[dict[str, Any]]:
        """The calls of a gradient that take longest, each timed alone, with warm caches."""
        plan, found = self.gradient, []
        names = {id(array): name for name, array in self.net.constants.items()}
        values = plan.constants | {"x": self.net.place(picture)}
        for call, dead in zip(plan.calls, plan.dead, strict=True):
            once = functools.partial(make, call, values)
            seconds = self.device.seconds(once) if clock.cuda else clock(once, 1)
            constants = [names.get(id(values[name])) for name in reads(arguments(call))]
            sizes = ["x".join(map(str, symbol.dims)) or "1" for symbol in call.results]
            found.append(
                {
                    "call": getattr(call.function, "__name__", str(call.function)),
                    "makes": ", ".join(sizes),
                    "of": ", ".join(name for name in constants if name),
                    "seconds": seconds,
                }
            )
            for name in dead:
                del values[name]
        total = sum(one["seconds"] for one in found)
        found.sort(key=lambda one: -one["seconds"])
        return [one | {"share": one["seconds"] / total} for one in found[:SLOWEST]]


def described(row: dict[str, Any]) -> str:
    """A row as text."""
    lines = [f"{row['title']}, {row['size']} px, {row['precision']}"]
    for key in ("gradient", "step", "forward"):
        table = row.get(key, {})
        for name, (low, middle, high) in table.get("seconds", {}).items():
            quartiles = f"{1e3 * low:.3f}..{1e3 * high:.3f}"
            line = f"  {key:10s}{name:32s}{1e3 * middle:9.3f} ms ({quartiles})"
            if name in table["ratios"]:
                line += f", {table['ratios'][name][1]:.2f} times as long as oneiro"
            lines.append(line)
        for name, text in table.get("failures", {}).items():
            lines.append(f"  {key:10s}{name:32s}none: {text}")
    for key, text in row.get("failures", {}).items():
        lines.append(f"  {key:10s}none: {text}")
    others = ("reason", "tuned", "flags", "blobs", "replays", "launches", "memory", "loop")
    lines += [f"  {key:10s}{row[key]}" for key in others if key in row]
    for one in row.get("slowest", ()):
        call = f"{one['call']} {one['of']} -> {one['makes']}"
        lines.append(f"  slowest   {1e6 * one['seconds']:9.1f} us, {one['share']:.0%}: {call}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
