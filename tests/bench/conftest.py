"""The benchmarks are scripts: here they can be imported as their neighbours import them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
sys.path.append(str(BENCH))

# a look at the machine and turns of rivals that are too short to tell anything
QUICK = """
import cpu, cpu_machine, {script}
cpu.PAUSE = cpu.SPAN = 0
cpu_machine.SIDE, cpu_machine.TRIES = 64, 1
{script}.main()
"""


@pytest.fixture
def page_of(tmp_path: Path) -> Callable[..., str]:
    """page_of("cpu", "--net squeezenet ..."): the page that a quick run of a script writes."""

    def run(script: str, options: str) -> str:
        out = tmp_path / "page.md"
        ended = subprocess.run(
            [sys.executable, "-c", QUICK.format(script=script), *options.split(), "--out", out],
            cwd=BENCH,
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        return out.read_text("utf-8")

    return run
