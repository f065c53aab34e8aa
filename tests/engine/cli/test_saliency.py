"""`oneiro saliency` and `oneiro segment` as they are typed."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import oneiro
from oneiro.cli.method import METHODS

pytestmark = pytest.mark.usefixtures("small_photo")
PHOTO = (90, 61)
Command = Callable[..., Any]  # the fixture `typed`


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


QUICK = {"smooth": ("--samples", 2), "integrated": ("--steps", 2)}


@pytest.mark.parametrize("method", METHODS)
def test_every_method(typed: Command, method: str) -> None:
    result = typed(
        "saliency", "photo.png", "-M", method, "-c", "Egyptian cat", *QUICK.get(method, ())
    )
    assert result.code == 0, result.err
    assert result.err.endswith(f"wrote photo-{method}.png\n")
    recipe = oneiro.load_recipe(f"photo-{method}.png")
    assert recipe["parameters"]["target"] == "Egyptian cat (285)"
    assert recipe["parameters"]["size"] == 90
    assert size_of(f"photo-{method}.png")[1] > 61  # with a caption


def test_the_top_class_is_what_is_asked_about(typed: Command) -> None:
    assert typed("saliency", "photo.png", "map.png").code == 0
    net = oneiro.load("squeezenet1.1")
    found = oneiro.saliency(net, oneiro.load_image("photo.png"))
    told = oneiro.load_recipe("map.png")["parameters"]
    assert told == found.recipe["parameters"] | {"size": 90}


def test_options_reach_the_method(typed: Command) -> None:
    options = ("--samples", 3, "--level", 0.2, "--seed", 5, "--reduce", "norm", "--size", 70)
    assert typed("saliency", "photo.png", "a.png", "-M", "smooth", *options).code == 0
    told = oneiro.load_recipe("a.png")["parameters"]
    expected = {"samples": 3, "level": 0.2, "seed": 5, "reduce": "norm", "size": 70}
    assert {name: told[name] for name in expected} == expected
    options = ("--steps", 3, "--baseline", 255)
    assert typed("saliency", "photo.png", "b.png", "-M", "integrated", *options).code == 0
    told = oneiro.load_recipe("b.png")["parameters"]
    assert (told["steps"], told["baseline"]) == (3, 255)
    assert typed("saliency", "photo.png", "c.png", "-M", "deconv", "--overwrite").code == 0
    assert oneiro.load_recipe("c.png")["parameters"]["rule"] == "deconv-overwrite"
    assert (
        typed("saliency", "photo.png", "d.png", "-M", "gradcam", "--blob", "fire5/concat").code == 0
    )
    assert oneiro.load_recipe("d.png")["parameters"]["maps"] == "fire5/concat"


def test_a_neuron_stands_beside_what_it_sees(typed: Command) -> None:
    unit = ("--unit", "fire3/concat:70,7,9")
    assert typed("saliency", "photo.png", "unit.png", "-M", "guided", *unit).code == 0
    crop = oneiro.load_recipe("unit.png")["parameters"]["crop"]
    assert max(crop[2:]) < 61
    assert size_of("unit.png")[0] > 600
    assert typed("saliency", "photo.png", "map.png", *unit).code == 0
    assert size_of("map.png")[0] >= 300


def test_all_methods_on_one_sheet(typed: Command) -> None:
    result = typed("saliency", "photo.png", "--sheet", "--samples", 2, "--steps", 2)
    assert result.code == 0, result.err
    assert result.err.endswith("wrote photo-sheet.png\n")
    assert size_of("photo-sheet.png")[0] > 3 * 90
    told = oneiro.load_recipe("photo-sheet.png")["parameters"]
    assert told["methods"] == list(METHODS)


def test_sanity_prints_its_numbers(typed: Command) -> None:
    result = typed("saliency", "photo.png", "--sanity", "-M", "guided", "-c", 285)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0] == "guided backprop of Egyptian cat (285)"
    assert [line.split()[0] for line in lines[2:]] == [
        *oneiro.load_recipe("photo-sanity.png")["parameters"]["layers"], "deletion", "insertion",
    ]  # fmt: skip
    assert float(lines[2].split()[-1]) > 0.7


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-c", 3, "-u", "fire3/concat:2"), "ask one"),
        (("--samples", 3), "--samples is not for --method gradient"),
        (("--overwrite",), "--overwrite is not for --method gradient"),
        (("-M", "gradcam", "--reduce", "norm"), "--reduce is not for --method gradcam"),
        (("--sheet", "--reduce", "norm"), "--reduce is for one method"),
        (("-M", "shap"), "shap"),
    ],
)
def test_calls_that_make_no_sense(typed: Command, arguments: Any, said: str) -> None:
    result = typed("saliency", "photo.png", *arguments)
    assert result.code == 2
    assert said in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody.png",), "nobody.png"),
        (("photo.png", "map.xyz"), ".xyz"),
        (("photo.png", "-c", "unicorn"), "no class is called 'unicorn'"),
        (("photo.png", "-u", "fire99:1"), "fire99"),
        (("photo.png", "-M", "smooth", "--samples", 0), "samples is 0"),
    ],
)
def test_what_cannot_be_is_one_line(typed: Command, arguments: Any, said: str) -> None:
    result = typed("saliency", *arguments)
    assert result.code == 1
    assert result.err.startswith("oneiro: ")
    assert result.err.count("\n") == 1
    assert said in result.err


@pytest.mark.parametrize("command", ["saliency", "segment"])
def test_the_photo_is_never_overwritten(typed: Command, command: str) -> None:
    before = Path("photo.png").read_bytes()
    result = typed(command, "photo.png", "photo.png")
    assert result.code == 2
    assert "the photo itself" in result.err
    assert Path("photo.png").read_bytes() == before


# segment


def test_what_is_cut_out(typed: Command) -> None:
    pytest.importorskip("cv2", reason="the extra segment is not installed")
    result = typed("segment", "photo.png", "-c", 285)
    assert result.code == 0, result.err
    assert "Grad-CAM of Egyptian cat (285)" in result.err
    assert result.err.endswith("wrote photo-cutout.png and photo-cutout-mask.png\n")
    with Image.open("photo-cutout.png") as cut, Image.open("photo-cutout-mask.png") as mask:
        assert (cut.mode, cut.size, mask.size) == ("RGBA", (90, 61), (90, 61))
        np.testing.assert_array_equal(np.asarray(cut)[..., 3], np.asarray(mask))
    assert oneiro.load_recipe("photo-cutout.png")["method"] == "segment"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("photo.png", "cut.png", "--mask", "photo.png"), "photo.png is the photo itself"),
        (("photo-mask.png", "photo.png"), "photo-mask.png is the photo itself"),
        (("photo.png", "cut.png", "--mask", "cut.png"), "two files"),
    ],
)
def test_a_mask_replaces_neither_photo_nor_cut_out(
    typed: Command, arguments: Any, said: str
) -> None:
    Path("photo-mask.png").write_bytes(Path("photo.png").read_bytes())
    before = Path("photo.png").read_bytes()
    result = typed("segment", *arguments)
    assert result.code == 2, result.err
    assert said in result.err
    assert [Path(name).read_bytes() for name in ("photo.png", "photo-mask.png")] == [before] * 2
    assert not Path("cut.png").exists()


def test_a_cut_out_has_to_be_transparent(typed: Command) -> None:
    result = typed("segment", "photo.png", "cut.jpg")
    assert result.code == 2
    assert "name it cut.png" in result.err


def test_without_opencv_nothing_is_begun(typed: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    result = typed("segment", "photo.png")
    assert result.code == 1
    assert 'pip install "oneiro[segment]"' in result.err
