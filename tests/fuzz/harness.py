"""Files tried one after the other, in a process of its own, so that a crash is seen.

`python tests/fuzz/harness.py FIRST COUNT FOLDER` tries the mutated files of these numbers and
leaves those that break the promise in the folder; one that crashes or hangs stays
`inside/model.onnx`.
"""

import faulthandler
import os
import resource
import sys
import traceback
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.mutation import mutated
from fuzz.promise import attempt
from fuzz.seed import seed
from oneiro.kernels import crew

SECONDS = 10  # for one file
MEMORY = 1 << 30  # bytes that a file may add to the process
FAULTS = 10  # different ones, after which to stop

FORBIDDEN = {"os.exec", "os.system", "pickle.find_class", "socket.connect", "subprocess.Popen"}
IMPORTED = (".py", ".pyc", ".so")


class Watch:
    """Notes what the process does outside of a folder while it reads a model."""

    def __init__(self, folder: Path) -> None:
        self.folder = f"{folder.resolve()}{os.sep}"
        self.places = tuple(os.path.realpath(place) for place in [sys.prefix, *sys.path])
        self.active = False
        self.seen: list[str] = []
        sys.addaudithook(self.hook)

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event in FORBIDDEN:
            self.seen.append(event)
        elif event == "open" and isinstance(args[0], str | bytes):
            path = os.path.realpath(os.fsdecode(args[0]))
            imported = path.endswith(IMPORTED) and path.startswith(self.places)
            if not imported and not path.startswith(self.folder):
                self.seen.append(path)


class Harness:
    """Tries files in a folder: the model and its weights are `inside`, more weights are not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        inside = folder / "inside"
        inside.mkdir()
        for place in (folder, inside):
            (place / "weights.bin").write_bytes(bytes(64))
        (inside / "link.bin").symlink_to("../weights.bin")
        (inside / "hard.bin").hardlink_to(folder / "weights.bin")
        (inside / "linked").symlink_to("..")
        self.path = inside / "model.onnx"
        with crew.alone():  # it looks around, once, for libraries that have threads
            pass
        self.watch = Watch(inside)
        self.faults: set[str] = set()
        limit_memory()

    def check(self, content: bytes) -> None:
        """Raise what a file does that it must not."""
        self.path.write_bytes(content)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        self.watch.active = True
        try:
            attempt(self.path)
        finally:
            self.watch.active = False
            faulthandler.cancel_dump_traceback_later()
        reached, self.watch.seen = self.watch.seen, []
        assert not reached, f"reached for {reached}"

    def judge(self, content: bytes, name: str) -> None:
        """Check a file; where it fails in a new way, tell and keep it."""
        try:
            self.check(content)
        except Exception as error:
            fault = origin(error)
            if fault not in self.faults:
                self.faults.add(fault)
                kept = self.path.rename(self.folder / f"{name}.onnx")
                print(f"{kept}: {fault}\n{traceback.format_exc()}", flush=True)


def origin(error: BaseException) -> str:
    """What was raised first, and where: faults that agree in it are taken for one."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {place.filename}:{place.lineno}"


def limit_memory() -> None:
    """Let the process take MEMORY more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(first: int, count: int, folder: Path) -> None:
    harness = Harness(folder)
    for number in range(first, first + count):
        random = Random(number)
        harness.judge(mutated(seed(random), random), str(number))
        if len(harness.faults) == FAULTS:
            break
    sys.exit(1 if harness.faults else 0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
