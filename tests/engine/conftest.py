"""What tests of the command line share: commands as they are typed, and a photo for them."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from oneiro import cli

EXAMPLES = Path(__file__).parents[2] / "examples"


class Result(NamedTuple):
    """How a command ended, and what it said on stdout and stderr."""

    code: int
    out: str
    err: str


@pytest.fixture
def typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """typed("dream", "photo.png"): the command in this process; a traceback fails the test."""

    def run(*arguments: Any) -> Result:
        monkeypatch.setattr(sys, "argv", ["oneiro", *map(str, arguments)])
        code: Any = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        return Result(1, out, f"{err}{code}\n") if isinstance(code, str) else Result(code, out, err)

    return run


@pytest.fixture
def told(typed: Callable[..., Result]) -> Callable[..., tuple[int, str]]:
    """told("dream", "photo.png"): the exit code, and what stderr says."""

    def run(*arguments: Any) -> tuple[int, str]:
        code, _, err = typed(*arguments)
        return code, err

    return run


@pytest.fixture
def small_photo(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A photo.png in the current folder, which is empty but for it, of the module's PHOTO size."""
    monkeypatch.chdir(tmp_path)
    with Image.open(EXAMPLES / "chelsea_cat.png") as cat:
        cat.resize(getattr(request.module, "PHOTO", (60, 41))).save("photo.png")
    return Path("photo.png")
