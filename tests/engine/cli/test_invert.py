"""`oneiro invert` as it is typed."""

import functools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import oneiro
from oneiro.cli import invert as command, progress
from oneiro.climb import Moment

EXAMPLES = Path(__file__).parents[3] / "examples"
QUICK = ("--size", 48, "--iter-n", 20, "--end", "fire2/concat")
pytestmark = pytest.mark.usefixtures("small_photo")
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def invert(told: Command) -> Command:
    """invert("photo.png", ...): the exit code, and what stderr says."""
    return functools.partial(told, "invert")


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def stopped_at(
    monkeypatch: pytest.MonkeyPatch, iteration: int, module: ModuleType = progress, climbs: int = 1
) -> None:
    """Ctrl-C at that iteration, of so many climbs the last one."""
    shown = progress.shown
    reached: list[int] = []

    class Stopping:
        def __enter__(self) -> Callable[[Moment], None]:
            return self.show

        def __exit__(self, *_: object) -> None: ...

        def show(self, moment: Moment) -> None:
            if moment.iteration == iteration:
                reached.append(iteration)
            if len(reached) == climbs:
                monkeypatch.setattr(module, "shown", shown)
                raise KeyboardInterrupt

    monkeypatch.setattr(module, "shown", Stopping)


def test_a_picture_and_its_error(invert: Command) -> None:
    code, err = invert("photo.png", *QUICK)
    assert code == 0, err
    assert "step 20/20" in err
    assert "wrote photo-inverted.png\n" in err
    assert size_of("photo-inverted.png") == (48, 33)
    recipe = oneiro.load_recipe("photo-inverted.png")
    assert recipe["method"] == "invert"
    (error,) = recipe["found"]["errors"]
    assert 0 < error < 1
    assert err.endswith(f"normalised error of fire2/concat: {error:.3g}\n")


def test_options_reach_the_inversion(invert: Command) -> None:
    given = {
        "strength": 20.0, "variation": 0.01, "beta": 1.5, "decay": 1e-12, "alpha": 4.0, "rate": 0.5,
        "iter_n": 3, "seed": 7, "neighbourhood": 5, "restarts": 2,
    }  # fmt: skip
    options = [
        text
        for name, value in given.items()
        for text in (f"--{name.replace('_', '-')}", str(value))
    ]
    listed = (*options, "--channels", "1,4", "--preset", "cvpr2015")
    code, err = invert("photo.png", "out.png", *QUICK, *listed)
    assert code == 0, err
    parameters = oneiro.load_recipe("out.png")["parameters"]
    assert {name: parameters[name] for name in given} == given
    assert parameters["channels"] == [1, 4]
    assert parameters["update"] == "momentum"
    assert size_of("out.png") > (96, 33)


def test_a_recipe_makes_the_same_bytes(invert: Command) -> None:
    assert invert("photo.png", "first.png", *QUICK, "--seed", 3, "--channels", "first")[0] == 0
    code, err = invert("photo.png", "again.png", "--recipe", "first.png")
    assert code == 0, err
    assert "not as it was made" not in err
    assert Path("first.png").read_bytes() == Path("again.png").read_bytes()
    code, err = invert(EXAMPLES / "coffee.png", "other.png", "--recipe", "first.png")
    assert "not as it was made: pictures photo" in err


def test_a_preset_replaces_the_numbers_of_a_recipe(invert: Command) -> None:
    assert invert("photo.png", "first.png", *QUICK, "--seed", 3, "--neighbourhood", 9)[0] == 0
    again = ("--recipe", "first.png", "--preset", "lucid", "--iter-n", 2)
    code, err = invert("photo.png", "again.png", *again)
    assert code == 0, err
    parameters = oneiro.load_recipe("again.png")["parameters"]
    assert parameters["update"] == "adam"
    assert parameters["neighbourhood"] == 9
    code, err = invert("photo.png", "third.png", "--recipe", "again.png")
    assert code == 0, err
    assert Path("third.png").read_bytes() == Path("again.png").read_bytes()


@pytest.mark.parametrize("preset", ["ijcv2016", "lucid"])
def test_what_was_stopped_goes_on_to_the_same_bytes(
    invert: Command, monkeypatch: pytest.MonkeyPatch, preset: str
) -> None:
    quick = (*QUICK, "--preset", preset)
    assert invert("photo.png", "whole.png", *quick)[0] == 0
    stopped_at(monkeypatch, 13)
    code, err = invert("photo.png", "part.png", *quick)
    assert code == 130
    assert "--resume" in err
    assert size_of("part.png") == (48, 33)
    code, err = invert("photo.png", "part.png", *quick, "--resume")
    assert code == 0, err
    assert Path("part.png").read_bytes() == Path("whole.png").read_bytes()
    assert not Path("part.png.state.npz").exists()


def test_nothing_to_go_on_from(invert: Command) -> None:
    code, err = invert("photo.png", "out.png", *QUICK, "--resume")
    assert code == 1
    assert "out.png.state.npz" in err


def test_a_sheet_of_chosen_blobs(invert: Command) -> None:
    ends = ("-e", "fire2/concat", "-e", "logits")
    code, err = invert("photo.png", "--sheet", *ends, "--size", 48, "--iter-n", 4)
    assert code == 0, err
    assert "layer 2/2: logits" in err
    recipe = oneiro.load_recipe("photo-layers.png")
    assert recipe["parameters"]["end"] == ["fire2/concat", "logits"]
    assert recipe["parameters"]["size"] == 48
    assert len(recipe["found"]["errors"]) == 2
    assert np.prod(size_of("photo-layers.png")) > 3 * 48 * 33


def test_a_stopped_sheet_keeps_the_finished_layers(
    invert: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = ["conv1", "fire2/concat", "fire3/concat", "logits"]
    listed = [word for end in ends for word in ("-e", end)]
    quick = ("--sheet", "--size", 48, "--iter-n", 3)
    assert invert("photo.png", "whole.png", *quick, *listed[:4])[0] == 0
    stopped_at(monkeypatch, 2, command, climbs=3)
    code, err = invert("photo.png", "part.png", *quick, *listed)
    assert code == 130
    assert "stopped: part.png holds the 2 finished of 4 layers" in err
    assert Path("part.png").read_bytes() == Path("whole.png").read_bytes()
    stopped_at(monkeypatch, 2, command)
    code, err = invert("photo.png", "none.png", *quick, *listed)
    assert code == 130
    assert "nothing saved" in err
    assert not Path("none.png").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--end", "fire2/concatt"), ("fire2/concat",)),
        (("-e", "fire2/concat", "-e", "fire3/concat"), ("--sheet",)),
        (("--sheet", "--resume"), ("--resume",)),
        (("--sheet", "--recipe", "photo.png"), ("recipe",)),
        (("--channels", "red"), ("red",)),
        (("--channels", "128", "-e", "fire2/concat"), ("0..127",)),
        (("--strength", "0"), ("strength",)),
        (("--restarts", "0"), ("restarts",)),
        (("--preset", "cvpr"), ("cvpr2015",)),
        (("--recipe", "photo.png"), ("no recipe",)),
        (("--iter-n", "0"), ("iter_n",)),
        (("--size", 48, "--rate", "1e38", "--preset", "cvpr2015"), ("the gradient is not finite",)),
    ],
)
def test_what_makes_no_sense_is_one_line(
    invert: Command, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    code, err = invert("photo.png", "out.png", *options)
    assert code in (1, 2)
    for word in words:
        assert word in err.splitlines()[-1]
    assert not Path("out.png").exists()


def test_the_photo_is_never_overwritten(invert: Command) -> None:
    before = Path("photo.png").read_bytes()
    assert invert("photo.png", "photo.png")[0] == 2
    assert Path("photo.png").read_bytes() == before
