"""Recipes: all that a result depends on, and nothing that changes by itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneiro import Net, Preprocess
from oneiro.recipe import digest, make_recipe, mismatches
from oracle import small

IMG = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


@pytest.fixture
def net(net_of: Callable[..., Net]) -> Net:
    net = net_of(small.chain())
    net.preprocessing = Preprocess(120.0)
    return net


def made(net: Net, **more: Any) -> dict[str, Any]:
    return make_recipe(net, "deepdream", {"seed": 3}, {"photo": IMG, **more})


def test_a_recipe_says_what_was_done_to_what_by_what(net: Net) -> None:
    recipe = made(net, guide=IMG[:4])
    assert recipe["method"] == "deepdream"
    assert (recipe["model"]["name"], recipe["model"]["sha256"]) == ("model", net.model.sha256)
    assert recipe["parameters"] == {"seed": 3}
    assert recipe["pictures"] == {"photo": digest(IMG), "guide": digest(IMG[:4])}


def test_a_recipe_names_its_surroundings(net: Net) -> None:
    around = made(net)["surroundings"]
    for name in ("oneiro", "python", "numpy", "scipy", "machine", "blas"):
        assert around[name]
    assert around["numpy"] == np.__version__
    assert around["dtype"] == "float32"


def test_a_recipe_says_how_pictures_were_fed(net: Net) -> None:
    assert "120" in json.dumps(made(net))
    other = made(net)
    net.preprocessing = Preprocess(121.0)
    (line,) = mismatches(other, made(net))
    assert "preprocessing" in line


def test_a_recipe_is_plain_json_without_clock_or_path(net: Net, tmp_path: Path) -> None:
    recipe = made(net)
    assert json.loads(json.dumps(recipe)) == recipe == made(net)
    assert str(tmp_path) not in json.dumps(recipe)


def test_numbers_of_numpy_become_plain_ones(net: Net) -> None:
    numbers = {"unit": IMG.argmax(), "share": np.float32(0.5), "flag": np.True_}
    parameters = make_recipe(net, "occlude", numbers, {})["parameters"]
    assert json.loads(json.dumps(parameters)) == {
        "unit": numbers["unit"],
        "share": 0.5,
        "flag": True,
    }


def test_the_number_of_threads_is_told(net: Net) -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="it counts the threads")
    with threadpoolctl.threadpool_limits(1, "blas"):
        one = made(net)
        if not threadpoolctl.threadpool_info():
            pytest.skip("no matrix library that threadpoolctl knows")
    with threadpoolctl.threadpool_limits(2, "blas"):
        two = made(net)
    (line,) = mismatches(one, two)
    assert "1 threads" in line
    assert "2 threads" in line


def test_a_digest_is_of_shape_and_values() -> None:
    assert digest(IMG) == digest(IMG.astype(np.float32)) == digest(IMG[::-1][::-1])
    assert digest(IMG) != digest(IMG.reshape(7, 5, 3))
    assert digest(IMG) != digest(IMG + np.float32(1e-3))


def test_equal_recipes_do_not_differ(net: Net) -> None:
    assert mismatches(made(net), made(net)) == []


@pytest.mark.parametrize(
    ("part", "key"),
    [("model", "sha256"), ("pictures", "photo"), ("surroundings", "numpy")],
)
def test_a_difference_is_a_line_with_both_values(net: Net, part: str, key: str) -> None:
    old, new = made(net), made(net)
    old[part][key] = "then"
    (line,) = mismatches(old, new)
    for word in (key, "then", new[part][key][:12]):  # of a digest the beginning
        assert word in line
    assert "\n" not in line


def test_what_one_recipe_lacks_is_a_difference(net: Net) -> None:
    old, new = made(net, guide=IMG[:4]), made(net)
    del old["surroundings"]["blas"]
    lines = mismatches(old, new)
    assert len(lines) == 2
    assert any("guide" in line for line in lines)
    assert any("blas" in line for line in lines)


def test_parameters_may_differ(net: Net) -> None:
    other = make_recipe(net, "deepdream", {"seed": 4}, {"photo": IMG})
    assert mismatches(made(net), other) == []
