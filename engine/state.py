"""A climb that was stopped, in a file: enough to go on to the same bits."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .climb import State
from .error import ArgumentError
from .file import atomic_write
from .recipe import Recipe


def state_path(out: str | os.PathLike[str]) -> Path:
    """Where the state of a climb lies that was to end in the picture `out`."""
    return Path(f"{os.fspath(out)}.state.npz")


def save_state(path: str | os.PathLike[str], state: State, recipe: Recipe) -> None:
    """Write a state, and of what climb it is."""
    told = {
        "stage": state.stage,
        "iteration": state.iteration,
        "random": state.random,
        "recipe": recipe,
    }
    arrays: dict[str, Any] = {f"memory {name}": array for name, array in state.memory.items()}
    buffer = io.BytesIO()
    np.savez(buffer, told=np.array(json.dumps(told)), z=state.z, **arrays)
    with atomic_write(path) as file:
        file.write(buffer.getvalue())


def load_state(path: str | os.PathLike[str], recipe: Recipe) -> State:
    """The state in a file, if it is of the climb with this recipe.

    Raises ArgumentError where there is none, it is damaged, or it is of another climb: another
    network, picture or number.
    """
    try:
        # opened here, so that it is closed also where NumPy gives up
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
        told = json.loads(str(held.pop("told")))
        z = held.pop("z")
        memory = {name.removeprefix("memory "): array for name, array in held.items()}
        state = State(told["stage"], told["iteration"], z, memory, told["random"])
        made = told["recipe"]
    except FileNotFoundError:
        raise ArgumentError(f"{path}: there is no such file: nothing to go on from") from None
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ArgumentError(f"{path}: is no state of a climb, or damaged ({error})") from error
    for part in ("method", "model", "parameters", "pictures"):
        if made.get(part) != json.loads(json.dumps(recipe.get(part))):
            raise ArgumentError(f"{path}: is of another climb: its {part} differ; begin anew")
    return state
