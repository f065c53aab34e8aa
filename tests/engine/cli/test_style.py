"""`oneiro style` as it is typed."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import oneiro
from oneiro.methods import style as method

EXAMPLES = Path(__file__).parents[3] / "examples"
Command = Callable[..., tuple[int, str]]
SMALL = ("--size", 40, "--scales", "1", "--iter-n", 2, "--style", "painting.png")


@pytest.fixture
def style(told: Command) -> Command:
    """style("photo.png", ...): the exit code, and what stderr says."""
    return functools.partial(told, "style")


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures in the current folder, which is empty but for them."""
    monkeypatch.chdir(tmp_path)
    for name, example in (("photo", "chelsea_cat.png"), ("painting", "flower_dahlia.jpg")):
        with Image.open(EXAMPLES / example) as img:
            img.resize((60, 41)).save(f"{name}.png")
    Image.fromarray(np.uint8([[0, 255]])).resize((60, 41)).save("mask.png")


def test_a_photo_is_painted(style: Command, caplog: pytest.LogCaptureFixture) -> None:
    code, err = style("photo.png", *SMALL)
    assert code == 0, err
    assert "vgg16_conv4_2 has no relu5_1: left out" in caplog.messages
    assert "step 2/2" in err
    assert "wrote photo-style.png" in err
    assert "style error: the photo's" in err
    recipe = oneiro.load_recipe("photo-style.png")
    assert recipe["method"] == "style"
    assert {"size": 40, "iter_n": [2], "preset": "smooth"}.items() <= recipe["parameters"].items()
    assert oneiro.load_image("photo-style.png").shape == (27, 40, 3)
    assert "wrote photo-style-2.png" in style("photo.png", *SMALL)[1]


def test_options_reach_the_method(style: Command) -> None:
    code, err = style(
        "photo.png", "out.png", "--style", "painting.png=3", "--style", "mask.png", "--mask",
        "mask.png", "--mask", "photo.png", "--model", "squeezenet1.1", "--size", 40, "--scales",
        "0.9,1", "--iter-n", "1,2", "--optimiser", "adam", "--rate", 3, "--colours", "photo",
        "--layer", "conv1", "--layer", "fire2/concat=2", "--content", "fire3/concat", "--pool",
        "average", "--variation", 0.5, "--style-weight", 2, "--content-weight", 0.3,
        "--style-scale", 0.8, "--start", "noise", "--seed", 5, "--preset", "johnson",
    )  # fmt: skip
    assert code == 0, err
    net = oneiro.load("squeezenet1.1")
    expected = oneiro.style(
        net,
        oneiro.load_image("photo.png"),
        [oneiro.load_image("painting.png"), oneiro.load_image("mask.png")],
        masks=[oneiro.load_image("mask.png", 1), oneiro.load_image("photo.png", 1)],
        weights=(3, 1), size=40, scales=(0.9, 1), iter_n=(1, 2), optimiser="adam", rate=3,
        colours="photo", layers=("conv1", "fire2/concat=2"), content=("fire3/concat",),
        pool="average", variation=0.5, style_weight=2, content_weight=0.3, style_scale=0.8,
        start="noise", seed=5, preset="johnson",
    )  # fmt: skip
    np.testing.assert_array_equal(oneiro.load_image("out.png"), np.rint(expected))


def test_a_recipe_gives_the_same_bytes(style: Command) -> None:
    style("photo.png", "one.png", *SMALL, "--style", "mask.png=3", "--seed", 7)
    pair = ("--style", "painting.png", "--style", "mask.png")
    code, err = style("photo.png", "two.png", "--recipe", "one.png", *pair)
    assert code == 0, err
    assert "not as it was made" not in err
    assert Path("one.png").read_bytes() == Path("two.png").read_bytes()
    _, err = style("photo.png", "other.png", "--recipe", "one.png", *pair[:2], *pair[:2])
    assert "pictures style 2: made with" in err


def stopping(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Ctrl-C after so many steps."""
    run = method.Transfer.run

    def stopped(self: Any, on_step: Any, state: Any = None) -> Any:
        def watch(moment: Any) -> None:
            on_step(moment)
            if moment.iteration == at:
                raise KeyboardInterrupt

        return run(self, watch, state)

    monkeypatch.setattr(method.Transfer, "run", stopped)


def test_a_stopped_picture_goes_on(style: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = (*SMALL, "--optimiser", "adam", "--iter-n", 4)
    style("photo.png", "whole.png", *asked)
    with monkeypatch.context() as patch:
        stopping(patch, 2)
        code, err = style("photo.png", "out.png", *asked)
    assert code == 130
    assert "--resume goes on" in err
    assert oneiro.load_image("out.png").shape == (27, 40, 3)
    code, err = style("photo.png", "out.png", *asked, "--resume")
    assert code == 0, err
    assert not Path("out.png.state.npz").exists()
    assert Path("out.png").read_bytes() == Path("whole.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("photo.png", "photo.png", *SMALL), "the photo itself"),
        (("photo.png",), "--style"),
        (("photo.png", *SMALL, "--style", "absent.png"), "absent.png"),
        (("photo.png", *SMALL, "--style", "mask.png=no"), "no weight"),
        (("photo.png", *SMALL, "--mask", "mask.png", "--mask", "mask.png"), "masks are 2"),
        (("photo.png", *SMALL, "--scales", "1,x"), "numbers with commas"),
        (("photo.png", *SMALL, "--layer", "nowhere"), "nowhere"),
        (("photo.png", *SMALL, "--resume"), "OUT"),
        (("photo.png", "out.png", *SMALL, "--resume"), "nothing to go on from"),
        (("photo.png", "out.png", *SMALL, "--recipe", "mask.png"), "holds no recipe"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_one_line(style: Command, arguments: Any, said: str) -> None:
    code, err = style(*arguments)
    assert code
    assert said in err
    assert "Traceback" not in err
