"""`oneiro filters` as it is typed."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

import oneiro

EXAMPLES = Path(__file__).parents[3] / "examples"
pytestmark = pytest.mark.usefixtures("small_photo")
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def filters(told: Command) -> Command:
    """filters("out.png", ...): the exit code, and what stderr says."""
    return functools.partial(told, "filters")


def test_the_first_layer_without_a_word(filters: Command) -> None:
    for name in ("filters.png", "filters-2.png"):
        assert filters() == (0, f"wrote {name}\n")
    recipe = oneiro.load_recipe("filters.png")
    assert recipe["method"] == "filters"
    assert recipe["parameters"]["layer"] == "conv1"


def test_a_deeper_layer(filters: Command) -> None:
    options = ("--layer", "fire3/expand3x3", "--count", 3, "--inputs", 4, "--contrast", "shared")
    assert filters("deep.png", *options) == (0, "wrote deep.png\n")
    parameters = oneiro.load_recipe("deep.png")["parameters"]
    assert parameters == {
        "layer": "fire3/expand3x3", "contrast": "shared", "count": 3, "inputs": 4
    }  # fmt: skip


def test_beside_principal_components(filters: Command) -> None:
    photos = ("--photo", "photo.png", "--photo", EXAMPLES / "chelsea_cat.png")
    assert filters("pca.png", "--compare", "pca", "--seed", 3, *photos) == (0, "wrote pca.png\n")
    recipe = oneiro.load_recipe("pca.png")
    assert recipe["parameters"]["seed"] == 3
    assert list(recipe["pictures"]) == ["photo 1", "photo 2"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--compare", "pca"), 2, "--photo"),
        (("--photo", "photo.png"), 2, "--compare pca"),
        (("photo.png", "--compare", "pca", "--photo", "photo.png"), 2, "is the photo itself"),
        (("out.png", "--compare", "pca", "--photo", "none.png"), 1, "none.png"),
        (("out.png", "--layer", "conv11"), 1, "conv10"),
        (("out.xyz",), 1, "out.xyz"),
    ],
)
def test_what_makes_no_sense(
    filters: Command, arguments: tuple[str, ...], code: int, said: str
) -> None:
    before = Path("photo.png").read_bytes()
    found, err = filters(*arguments)
    assert found == code, err
    assert said in err
    assert Path("photo.png").read_bytes() == before
    assert not Path("out.png").exists()
