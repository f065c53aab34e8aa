"""`oneiro activations` as it is typed."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import oneiro

pytestmark = pytest.mark.usefixtures("small_photo")
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def activations(told: Command) -> Command:
    """activations("photo.png", ...): the exit code, and what stderr says."""
    return functools.partial(told, "activations")


def test_a_sheet_with_its_recipe(activations: Command) -> None:
    code, err = activations("photo.png", "--blob", "conv1", "--count", 5, "--strongest")
    assert (code, err) == (0, "wrote photo-activations.png\n")
    recipe = oneiro.load_recipe("photo-activations.png")
    assert recipe["method"] == "activations"
    expected = {"blob": "conv1", "strongest": True, "contrast": "shared", "count": 5, "size": 60}
    assert recipe["parameters"] == expected


def test_nothing_is_overwritten_unasked(activations: Command) -> None:
    for name in ("photo-activations.png", "photo-activations-2.png"):
        assert activations("photo.png", "--count", 2) == (0, f"wrote {name}\n")


def test_a_large_photo_is_shrunk_as_the_network_was_trained(activations: Command) -> None:
    with Image.open("photo.png") as photo:
        photo.resize((500, 454)).save("large.png")
    code, err = activations("large.png", "--blob", "conv1", "--count", 1)
    assert code == 0, err
    assert oneiro.load_recipe("large-activations.png")["parameters"]["size"] == 250


def test_one_unit(activations: Command) -> None:
    code, err = activations("photo.png", "unit.png", "-b", "fire2/concat", "-u", 7, "--size", 50)
    assert code == 0, err
    parameters = oneiro.load_recipe("unit.png")["parameters"]
    assert parameters == {"blob": "fire2/concat", "unit": 7, "size": 50}


def test_all_are_pages_in_a_folder(activations: Command) -> None:
    code, err = activations("photo.png", "--all", "--count", 1)
    assert code == 0, err
    names = sorted(path.name for path in Path("photo-activations").iterdir())
    assert names[0] == "01-conv1_pre.png"
    assert names[9] == "10-fire2-concat.png"
    assert names[-1] == "65-prob.png"
    assert len(names) == 65
    assert err.splitlines() == [*names, "wrote photo-activations"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--all", "--blob", "conv1"), 2, "--blob"),
        (("--all", "--unit", "0"), 2, "--unit"),
        (("--unit", "0", "--strongest"), 2, "--unit draws one map: leave out --strongest"),
        (("--unit", "0", "--count", "3", "--contrast", "own"), 2, "--contrast and --count"),
        (("photo.png",), 2, "the photo itself"),
        (("--all", "taken.txt"), 1, "taken.txt: is a file"),
        (("out.xyz",), 1, "out.xyz"),
        (("--blob", "conv11"), 1, "conv1"),
        (("--blob", "conv1", "--unit", "64"), 1, "0..63"),
        (("--contrast", "loud"), 2, "loud"),
    ],
)
def test_what_makes_no_sense(
    activations: Command, arguments: tuple[str, ...], code: int, said: str
) -> None:
    Path("taken.txt").write_text("")
    found, err = activations("photo.png", *arguments)
    assert found == code, err
    assert said in err
    assert not list(Path().glob("photo-*"))
