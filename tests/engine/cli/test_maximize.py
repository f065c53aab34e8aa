"""`oneiro maximize` as it is typed."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import oneiro
from oneiro.cli.maximize import name_of, ranges
from oneiro.error import ArgumentError
from oneiro.methods import maximize as module

Command = Callable[..., tuple[int, str]]
FEW = ("--iter-n", 2, "--size", 40)


@pytest.fixture
def maximize(told: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """maximize("out.png", ...) in an empty folder: the exit code, and what stderr says."""
    monkeypatch.chdir(tmp_path)
    return functools.partial(told, "maximize")


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def bytes_of(path: str) -> bytes:
    return Path(path).read_bytes()


def test_a_class_by_its_name(maximize: Command) -> None:
    code, err = maximize("--class", "goose", *FEW)
    assert code == 0, err
    assert "step 2/2" in err
    assert err.endswith("wrote goose-maximize.png\n")
    recipe = oneiro.load_recipe("goose-maximize.png")
    assert recipe["parameters"]["targets"] == ["class:99"]
    assert recipe["parameters"]["octaves"][0]["iter_n"] == 2
    assert size_of("goose-maximize.png") == (40, 40)


def test_several_of_all_kinds_on_a_sheet(maximize: Command) -> None:
    code, err = maximize(
        "all.png", "-c", "goose", "-c", "968", "-u", "fire3/concat:5 + fire2/concat:1=-0.5", *FEW
    )
    assert code == 0, err
    assert oneiro.load_recipe("all.png")["parameters"]["targets"] == [
        "class:99", "class:968", "fire3/concat:5 + fire2/concat:1=-0.5",
    ]  # fmt: skip
    assert min(size_of("all.png")) > 112


def test_a_layer_s_neurons(maximize: Command) -> None:
    code, err = maximize("it.png", "--blob", "fire3/concat", "--units", "0-2,7", "--iter-n", 1)
    assert code == 0, err
    parameters = oneiro.load_recipe("it.png")["parameters"]
    assert parameters["targets"] == [f"neuron:fire3/concat:{k}" for k in (0, 1, 2, 7)]
    assert parameters["size"] == [23, 23]


def test_the_same_bytes_by_its_recipe(maximize: Command) -> None:
    maximize("it.png", "-c", "goose", "-p", "simonyan", "--rate", "300,20", "--seed", 5, *FEW)
    code, err = maximize("again.png", "--recipe", "it.png")
    assert code == 0, err
    assert bytes_of("it.png") == bytes_of("again.png")
    maximize("longer.png", "--recipe", "it.png", "--iter-n", 3)
    parameters = oneiro.load_recipe("longer.png")["parameters"]
    assert parameters["octaves"][0]["iter_n"] == 3
    assert parameters["octaves"][0]["rate"] == [300, 20]
    assert (parameters["seed"], parameters["preset"]) == (5, "simonyan")
    maximize("cup.png", "--recipe", "it.png", "-c", "968")
    assert oneiro.load_recipe("cup.png")["parameters"]["targets"] == ["class:968"]


def test_a_sheet_by_its_recipe(maximize: Command) -> None:
    maximize("it.png", "-c", "goose", "--restarts", 2, *FEW)
    maximize("again.png", "--recipe", "it.png")
    assert bytes_of("it.png") == bytes_of("again.png")
    maximize("best.png", "--recipe", "it.png", "--best")
    maximize("best-again.png", "--recipe", "best.png")
    assert bytes_of("best.png") == bytes_of("best-again.png")
    assert size_of("best.png") == (40, 40)


def test_what_was_stopped_goes_on_to_the_same_bytes(
    maximize: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("-c", "goose", "-c", "968", "--iter-n", 4, "--size", 40)
    maximize("whole.png", *asked)
    run = module.Maximization.run

    def stopped(self: Any, on_step: Any, state: Any) -> Any:
        def until(moment: Any) -> None:
            on_step(moment)
            if moment.iteration == 3:
                raise KeyboardInterrupt

        return run(self, until, state)

    with monkeypatch.context() as patch:
        patch.setattr(module.Maximization, "run", stopped)
        code, err = maximize("it.png", *asked)
    assert code == 130
    assert "--resume" in err
    assert Path("it.png.state.npz").exists()
    assert bytes_of("it.png") != bytes_of("whole.png")
    code, err = maximize("it.png", *asked, "--resume")
    assert code == 0, err
    assert bytes_of("it.png") == bytes_of("whole.png")
    assert not Path("it.png.state.npz").exists()
    code, err = maximize("it.png", *asked, "--resume")
    assert code == 1
    assert "there is no such file" in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "nothing to climb"),
        (("-c", "gooze"), 1, "goose"),
        (("-u", "fire3:x"), 1, "fire3"),
        (("-b", "fire3/concat", "--units", "0-200"), 1, "0..127"),
        (("-b", "fire3/concat", "--units", "some"), 1, "0-63"),
        (("-c", "goose", "--units", "3"), 2, "--blob"),
        (("-c", "goose", "--resume"), 2, "--resume"),
        (("-c", "goose", "--decay", "2"), 1, "decay"),
        (("out.xyz", "-c", "goose"), 1, "xyz"),
        (("-c", "goose", "--recipe", "none.png"), 1, "none.png"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_what_cannot_be(maximize: Command, arguments: Any, code: int, said: str) -> None:
    found, err = maximize(*arguments)
    assert found == code
    assert said in err
    assert code == 2 or err.count("\n") == 1
    assert not list(Path.cwd().iterdir())


def test_the_recipe_of_a_dream_is_refused(maximize: Command) -> None:
    picture = oneiro.Picture(np.zeros((4, 5, 3)), recipe={"method": "deepdream"})
    oneiro.save_image("dream.png", picture)
    code, err = maximize("it.png", "--recipe", "dream.png")
    assert code == 1
    assert "maximize" in err


def test_units_are_numbers_and_ranges() -> None:
    assert ranges("3,0-2,7-7", 8) == [3, 0, 1, 2, 7]
    for text in ("8", "2-1", "-3", "1,,2", ""):
        with pytest.raises(ArgumentError, match="units"):
            ranges(text, 8)


def test_names_hold_no_slashes() -> None:
    assert name_of(["class:goose"]) == "goose-maximize"
    assert name_of(["neuron:fire3/concat:5"]) == "fire3-concat-5-maximize"
