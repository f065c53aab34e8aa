"""What is compiled is kept, wherever that can be, and said."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import oneiro

pytest.importorskip("numba", reason="needs numba (pip install 'oneiro[cpu]')")

CALL = """
import logging
import numpy as np
logging.basicConfig(level=logging.INFO, format="%(message)s")
from oneiro.kernels.tail import RECTIFIER, Tail
from oneiro.kernels.tail_numba import finish, parts
row = np.full(3, -1, np.float32)
finish(row, 0, parts(Tail(bounds=RECTIFIER)))
print(row.tolist())
"""


def called(site: Path, cache: Path) -> tuple[str, bool]:
    """What a fresh process prints, and whether it says that it compiles."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA")}
    where = {"PYTHONPATH": str(site), "HOME": str(cache), "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(
        [sys.executable, "-B", "-c", CALL],
        env={**kept, **where},
        capture_output=True,
        text=True,
        check=True,
        cwd=cache,
    )
    return done.stdout.strip(), "compiling finish for this CPU, this once" in done.stderr


def test_where_the_package_cannot_be_written_to_the_users_cache_is(tmp_path: Path) -> None:
    """A file in the place of its folder for compiled code: so not even root can write there."""
    site, cache = tmp_path / "site", tmp_path / "cache"
    engine = Path(oneiro.__file__).parent
    kernels = Path(sys.modules["oneiro.kernels"].__file__ or "").parent
    ignored = shutil.ignore_patterns("__pycache__", "kernels", "models")
    shutil.copytree(engine, site / "oneiro", ignore=ignored)
    shutil.copytree(
        kernels, site / "oneiro" / "kernels", ignore=shutil.ignore_patterns("__pycache__")
    )
    (site / "oneiro" / "kernels" / "__pycache__").write_text("")
    cache.mkdir()
    assert called(site, cache) == ("[0.0, 0.0, 0.0]", True)
    assert called(site, cache) == ("[0.0, 0.0, 0.0]", False)
