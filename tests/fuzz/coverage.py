"""Files that lead into code that no file has reached yet, as libFuzzer finds them.

`python tests/fuzz/coverage.py FOLDER [OPTION ...]` runs until an option of libFuzzer's, such as
`-max_total_time=20`, ends it, or a file breaks the promise, which is left in the folder.
"""

import sys
from pathlib import Path
from random import Random

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

with atheris.instrument_imports(include=["oneiro.importer", "oneiro.net"]):
    from fuzz.harness import Harness

from fuzz.mutation import mutated
from fuzz.seed import seeds


def change(content: bytes, most: int, number: int) -> bytes:
    """A mutated file of at most so many bytes."""
    result = mutated(content, Random(number))
    return result if len(result) <= most else content


def main(folder: Path, options: list[str]) -> None:
    """Start from the corpus, and keep what leads further in memory alone."""
    start = folder / "seed"
    start.mkdir()
    for group, contents in seeds().items():
        for number, content in enumerate(contents):
            (start / f"{group}{number}").write_bytes(content)
    # the harness bounds memory; libFuzzer would count what the process that started this one took
    kept = [f"-artifact_prefix={folder}/", "-max_len=20000", "-rss_limit_mb=0", *options]
    harness = Harness(folder)
    atheris.Setup([sys.argv[0], *kept, str(start)], harness.check, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
