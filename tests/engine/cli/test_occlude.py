"""`oneiro occlude` as it is typed."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import oneiro
from oneiro.cli import occlude as module
from oracle.notation import network

pytestmark = pytest.mark.usefixtures("small_photo")
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def occlude(told: Command) -> Command:
    """occlude("photo.png", ...): the exit code, and what stderr says."""
    return functools.partial(told, "occlude")


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


COARSE = ("--window", 20, "--stride", 20)


def test_a_sheet_of_the_photo_and_its_maps(occlude: Command) -> None:
    code, err = occlude("photo.png", *COARSE)
    assert code == 0, err
    assert "square 9/9" in err
    assert err.endswith("wrote photo-occlusion.png\n")
    recipe = oneiro.load_recipe("photo-occlusion.png")
    assert recipe["method"] == "occlude"
    parameters = {"window": 20, "stride": 20, "fill": "mean", "blob": "fire9/concat", "size": 60}
    assert parameters.items() <= recipe["parameters"].items()
    assert occlude("photo.png", *COARSE)[1].endswith("wrote photo-occlusion-2.png\n")


def test_one_map_alone(occlude: Command) -> None:
    occlude("photo.png", "sheet.png", *COARSE)
    for name in ("class", "label", "activity"):
        code, err = occlude("photo.png", f"{name}.png", *COARSE, "--map", name)
        assert code == 0, err
        assert size_of(f"{name}.png")[0] < size_of("sheet.png")[0]


def test_what_may_be_asked_for(occlude: Command) -> None:
    asked = ("--class", "tabby", "--blob", "fire5/concat", "--channel", 3, "--seed", 2)
    for fill, kept in (("noise", "noise"), ("12", 12.0), ("1,2,3", [1.0, 2.0, 3.0])):
        code, err = occlude("photo.png", "out.png", *COARSE, *asked, "--fill", fill, "--size", 40)
        assert code == 0, err
        found = oneiro.load_recipe("out.png")["parameters"]
        expected = {"target": 281, "blob": "fire5/concat", "channel": 3, "seed": 2, "size": 40}
        assert (expected | {"fill": kept}).items() <= found.items()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--fill", "grey"), "'grey' is not a number"),
        (("--fill", "300"), "fill is 300.0"),
        (("--window", "61"), "window is 61"),
        (("--class", "zyx"), "no class is called 'zyx'"),
        (("--blob", "fire99"), "no blob or layer 'fire99'"),
    ],
)
def test_one_line_where_something_is_wrong(
    occlude: Command, options: tuple[str, ...], said: str
) -> None:
    code, err = occlude("photo.png", "out.png", *options)
    assert code in (1, 2)
    assert said in err
    assert "Traceback" not in err
    assert not Path("out.png").exists()


def test_a_network_without_classes_shows_its_activity(occlude: Command) -> None:
    w = np.random.RandomState(0).normal(size=(5, 3, 3, 3)).astype(np.float32)
    onnx.save(network("[conv] a = Conv (x, w) [relu] y = Relu (a)", w=w), "own.onnx")
    own = ("--model", "own.onnx", "--preprocess", "unit", *COARSE)
    code, err = occlude("photo.png", "out.png", *own)
    assert code == 0, err
    code, err = occlude("photo.png", "no.png", *own, "--map", "label")
    assert code == 1
    assert err.startswith("oneiro: 'own' does not classify")
    assert err.count("\n") == 1


def test_the_photo_is_not_overwritten(occlude: Command) -> None:
    code, err = occlude("photo.png", "photo.png")
    assert code == 2
    assert "is the photo itself" in err


def test_ctrl_c_saves_nothing(occlude: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **options: Any) -> None:
        options["on_step"](3, 9)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "occlude", interrupted)
    code, err = occlude("photo.png", "out.png")
    assert code == 130
    assert "stopped before the last square: nothing saved" in err
    assert not Path("out.png").exists()
