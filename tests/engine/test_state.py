"""States of climbs in files, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneiro import ArgumentError
from oneiro.climb import State
from oneiro.state import load_state, save_state, state_path

RECIPE: dict[str, Any] = {
    "method": "maximize",
    "model": {"sha256": "abc"},
    "parameters": {"seed": 3, "blobs": ["a", "b"]},
    "pictures": {},
    "surroundings": {"numpy": "2.0"},
}
CHANCE = np.random.default_rng(5).bit_generator.state


def state() -> State:
    z = np.random.default_rng(0).normal(size=(1, 3, 4, 5)).astype(np.float32)
    return State(1, 17, z, {"m": 2 * z, "t": np.float32(17)}, CHANCE)


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    save_state(tmp_path / "it.npz", state(), RECIPE)
    found = load_state(tmp_path / "it.npz", RECIPE)
    assert (found.stage, found.iteration, found.random) == (1, 17, CHANCE)
    np.testing.assert_array_equal(found.z, state().z)
    assert found.memory.keys() == {"m", "t"}
    np.testing.assert_array_equal(found.memory["m"], state().memory["m"])
    assert found.z.dtype == found.memory["t"].dtype == np.float32


def test_a_state_lies_beside_its_picture() -> None:
    assert state_path("made/out.png") == Path("made/out.png.state.npz")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("method", "invert"),
        ("model", {"sha256": "abd"}),
        ("parameters", {"seed": 4, "blobs": ["a", "b"]}),
        ("pictures", {"photo": "abc"}),
    ],
)
def test_the_state_of_another_climb_is_refused(tmp_path: Path, part: str, value: Any) -> None:
    save_state(tmp_path / "it.npz", state(), RECIPE)
    with pytest.raises(ArgumentError, match=f"it.npz.*{part}"):
        load_state(tmp_path / "it.npz", RECIPE | {part: value})


def test_other_surroundings_are_none_of_its_business(tmp_path: Path) -> None:
    save_state(tmp_path / "it.npz", state(), RECIPE)
    assert load_state(tmp_path / "it.npz", RECIPE | {"surroundings": {}}).iteration == 17


def test_no_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"none\.npz: there is no such file"):
        load_state(tmp_path / "none.npz", RECIPE)


@pytest.mark.parametrize("kept", [0, 10, 400, -1])
def test_a_damaged_file_is_refused(tmp_path: Path, kept: int) -> None:
    file = tmp_path / "it.npz"
    save_state(file, state(), RECIPE)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ArgumentError, match="damaged"):
        load_state(file, RECIPE)


def test_an_array_is_no_state(tmp_path: Path) -> None:
    np.savez(tmp_path / "it.npz", z=np.zeros(3))
    with pytest.raises(ArgumentError, match="no state"):
        load_state(tmp_path / "it.npz", RECIPE)
