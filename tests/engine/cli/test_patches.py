"""`oneiro patches` as it is typed."""

import functools
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import oneiro
from oneiro.cli import patches as module

EXAMPLES = Path(__file__).parents[3] / "examples"
Command = Callable[..., tuple[int, str]]
SMALL = ("--size", 48, "-k", 2, "--processes", 1)


@pytest.fixture
def patches(told: Command) -> Command:
    """patches("photos", ...): the exit code, and what stderr says."""
    return functools.partial(told, "patches")


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small collection photos/ in the current folder, which is empty but for it."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("chelsea_cat.png", "coffee.png", "two_dogs.jpg"):
        with Image.open(EXAMPLES / name) as image:
            image.convert("RGB").resize((70, 61)).save(Path("photos", name))


def drawn(folder: str) -> set[str]:
    return {path.name for path in Path(folder).glob("*.png")}


def test_pages_and_data(patches: Command) -> None:
    code, err = patches("photos", *SMALL, "--blob", "fire2/concat", "--blob", "conv10")
    assert code == 0, err
    assert "shard 1/1" in err
    assert err.endswith("wrote photos-patches\n")
    assert drawn("photos-patches") == {"fire2-concat-0-15.png", "conv10-0-15.png"}
    arrays = np.load("photos-patches/patches.npz")
    assert arrays["fire2/concat/scores"].shape == (128, 2)
    assert json.loads(Path("photos-patches/patches.json").read_text())["blobs"].keys() == {
        "fire2/concat", "conv10"
    }  # fmt: skip
    recipe = oneiro.load_recipe("photos-patches/fire2-concat-0-15.png")
    assert recipe["method"] == "patches"
    assert recipe["parameters"]["rule"] == "guided"


def test_the_same_command_does_nothing_twice(
    patches: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ("photos", "out", *SMALL, "-b", "fire2/concat")
    assert patches(*args)[0] == 0
    before = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.png")}
    code, err = patches(*args, "--unit", "fire2/concat:3")
    assert code == 0, err
    assert err.count(".png") == 1
    assert drawn("out") == {"fire2-concat-0-15.png", "fire2-concat-3.png"}
    assert before.items() <= {p: p.stat().st_mtime_ns for p in Path("out").rglob("*.png")}.items()
    code, err = patches(*args, "--rule", "none")
    assert code == 0, err
    assert oneiro.load_recipe("out/fire2-concat-0-15.png")["parameters"]["rule"] is None


def test_a_zip_and_more_pages(patches: Command) -> None:
    with zipfile.ZipFile("some.photos.zip", "w") as archive:
        for path in Path("photos").iterdir():
            archive.write(path)
    code, err = patches("some.photos.zip", *SMALL, "-b", "fire2/squeeze1x1", "--pages", 0)
    assert code == 0, err
    assert drawn("some-patches") == {"fire2-squeeze1x1-0-15.png"}
    code, err = patches(
        "some.photos.zip", "two", *SMALL, "-b", "conv1", "--pages", 2, "--rule", "none"
    )
    assert code == 0, err
    assert drawn("two") == {"conv1-0-15.png", "conv1-16-31.png"}


def test_a_unit_that_is_not_there_is_told_before_the_scan(patches: Command) -> None:
    code, err = patches("photos", *SMALL, "-u", "conv1:64")
    assert code == 1
    assert err == "oneiro: unit 64 is not one of conv1's 0..63\n"
    assert not Path("photos-patches").exists()


def test_what_is_stopped_is_told(patches: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "patches", stopped)
    code, err = patches("photos", *SMALL)
    assert code == 130
    assert "stopped: the same command goes on from here" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "there is no such folder, zip or tar"),
        (("photos", "photos/out"), "lies among the pictures"),
        (("photos", "full"), "is not empty, and holds no patches"),
        (("photos", "file"), "is a file; patches take a folder"),
        (("photos", "-u", "conv1"), "'conv1' is no unit: write BLOB:UNIT"),
        (("photos", "-u", "conv1:1,2,3"), "is no unit"),
        (("photos", "-b", "conf1"), "near it: conv1"),
    ],
)
def test_mistakes_are_one_line(patches: Command, arguments: tuple[Any, ...], words: str) -> None:
    Path("full").mkdir()
    Path("full", "a.txt").write_text("mine")
    Path("file").write_text("mine")
    code, err = patches(*arguments)
    assert code == 1, err
    last = err.splitlines()[-1]
    assert last.startswith("oneiro: ")
    assert words in last
