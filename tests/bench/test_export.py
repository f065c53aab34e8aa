"""bench/export.py in small: its rivals agree, and a page says what the files are."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the rivals are PyTorch's")
pytest.importorskip("onnxruntime", reason="it runs what is exported")

ROOT = Path(__file__).parents[2]
QUICK = """
import cpu, cpu_machine, export
cpu.PAUSE = cpu.SPAN = 0
cpu_machine.SIDE, cpu_machine.TRIES = 64, 1
export.main()
"""


def test_a_small_run_writes_a_page(tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    asked = "--net squeezenet --size 64x48 --rounds 1 --without compile"
    ended = subprocess.run(
        [sys.executable, "-c", QUICK, *asked.split(), "--out", out],
        cwd=ROOT / "bench",
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    text = out.read_text("utf-8")
    for found in ("| 64x48 | onnxruntime ", "| SqueezeNet 1.1 to fire7 | dream ", " Conv, "):
        assert found in text
    assert "wrong" not in text
