"""From Enter to the picture: `python bench/first_picture.py [--rounds 3] [--out PAGE]`.

The whole command `oneiro dream examples/mountains.jpg`, with the embedded network, beside the same
dream as a plain PyTorch script (bench/plain_dream.py): wall time and peak memory of the process, in
turns. "Cold" is the first run on a machine: what Numba compiles is not on its disk yet. Both must
have drawn a picture of the photo's size, and alike in kind: dreams are chaotic, so what is compared
is how far each is from the photo, and how much of the objective it found.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cpu_machine import cores, described
from cpu_page import table
from PIL import Image

ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "examples" / "mountains.jpg"
NET = ROOT / "models" / "squeezenet1.1.onnx"
ALIKE = 0.1  # how far objective and distance may be apart
COLD = 10.0  # seconds that a cold run may take longer
LIMIT = 10.0  # seconds of a warm one


class Run(NamedTuple):
    """What became of one command."""

    seconds: float
    megabytes: float
    objective: float  # of the last step
    distance: float  # mean |difference from the photo|, in grey values


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photo", type=Path, default=PHOTO)
    parser.add_argument("--out", type=Path, metavar="PAGE", help="a page of Markdown")
    asked = parser.parse_args()
    runs: dict[str, list[Run]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for k in range(asked.rounds):
            for name, (command, cache) in rivals(asked.photo, Path(folder), k).items():
                runs.setdefault(name, []).append(timed(command, cache, asked.photo))
                print(name, runs[name][-1], file=sys.stderr)
    alike(runs)
    text = page(runs, asked.rounds)
    print(text)
    if asked.out:
        asked.out.write_text(text, "utf-8")


def rivals(photo: Path, folder: Path, k: int) -> dict[str, tuple[list[str], Path]]:
    """The commands of round k, each with the folder where Numba keeps what it compiles."""
    python, out = sys.executable, str(folder / "dream.png")
    dream = [python, "-m", "oneiro", "dream", str(photo), out]
    plain = [python, str(ROOT / "bench" / "plain_dream.py"), str(NET), str(photo), out]
    cache = folder / f"cache-{k}"  # empty until the cold run has filled it
    return {
        "oneiro, cold": (dream, cache),
        "PyTorch": (plain, cache),
        "PyTorch, channels last": ([*plain, "--channels-last"], cache),
        "oneiro, warm": (dream, cache),
    }


def timed(command: list[str], cache: Path, photo: Path) -> Run:
    """Run a command that draws, and look at what it drew and said."""
    picture = Path(command[command.index(str(photo)) + 1])
    picture.unlink(missing_ok=True)
    said = picture.with_suffix(".txt")
    with said.open("w") as file:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        lasted = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    text = said.read_text()
    if process.returncode:
        sys.exit(f"{shlex.join(command)} ended with {process.returncode}:\n{text}")
    before, after = (
        np.asarray(Image.open(path).convert("RGB"), np.float32) for path in (photo, picture)
    )
    assert before.shape == after.shape, f"a picture of {after.shape} from one of {before.shape}"
    *_, objective = re.findall(r"objective (\S+),", text)
    # on Linux it is at least what this process takes, which is far less
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    distance = float(np.abs(after - before).mean())
    return Run(lasted, kilobytes * 1024 / 1e6, float(objective), distance)


def alike(runs: dict[str, list[Run]]) -> None:
    """AssertionError where somebody dreams another dream."""
    wanted = runs["PyTorch"][0]
    for name, (found, *_) in runs.items():
        for key in ("objective", "distance"):
            ratio = getattr(found, key) / getattr(wanted, key)
            assert abs(ratio - 1) < ALIKE, f"{name}: {ratio:.2f} times the {key} of PyTorch"


def page(runs: dict[str, list[Run]], rounds: int) -> str:
    """What was found, as Markdown."""

    def median(name: str, key: str) -> float:
        return statistics.median(getattr(run, key) for run in runs[name])

    titles = ["", "s, median", "least", "of PyTorch's", "MB", "of PyTorch's", "objective"]
    titles.append("mean change, grey values")
    lines = [
        [
            name,
            f"{median(name, 'seconds'):.2f}",
            f"{min(run.seconds for run in found):.2f}",
            f"{median(name, 'seconds') / median('PyTorch', 'seconds'):.2f}",
            f"{median(name, 'megabytes'):.0f}",
            f"{median(name, 'megabytes') / median('PyTorch', 'megabytes'):.2f}",
            f"{found[0].objective:.4g}",
            f"{found[0].distance:.1f}",
        ]
        for name, found in runs.items()
    ]
    cold, warm, plain = (
        median(name, "seconds") for name in ("oneiro, cold", "oneiro, warm", "PyTorch")
    )
    aims = {
        f"warm not longer than PyTorch: {warm:.1f} s, {plain:.1f} s": warm <= plain,
        f"cold at most {COLD:.0f} s more: {cold - plain:+.1f} s": cold <= plain + COLD,
        f"warm in less than {LIMIT:.0f} s: {warm:.1f} s": warm < LIMIT,
    }
    reached = [f"* {'yes' if good else '**no**'}: {aim}" for aim, good in aims.items()]
    what = (
        "The whole command `oneiro dream examples/mountains.jpg`, with the embedded network, and "
        "the same dream as a plain PyTorch script (bench/plain_dream.py), in turns, by\n\n"
        f"    python bench/first_picture.py --rounds {rounds}"
    )
    parts = [
        "# From Enter to the picture",
        described(cores()),
        what,
        table(titles, lines),
        "\n".join(reached),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
