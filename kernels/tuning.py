"""Which configuration of a kernel was measured to be the fastest on this very GPU.

A table on disk, made by `oneiro tune` and never required: where it says nothing, rules choose. It
holds for one GPU, driver, compiler and text of the kernels; another one has another table. As
another configuration may round otherwise, a recipe holds the table's digest.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .cache import folder, keep
from .dispatch import Device, DeviceError

log = logging.getLogger(__name__)

VERSION = 1  # of the file's form

Choice = tuple[int, ...]


class Tuning:
    """The table of one device, and whether what it lacks is being measured."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.choices = read(path)
        self.measuring = False

    @property
    def digest(self) -> str:
        """Of what it says; empty where that is nothing."""
        text = json.dumps(self.choices, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest() if self.choices else ""

    def write(self) -> None:
        """Keep the table for the next program."""
        text = json.dumps({"version": VERSION, "choices": self.choices}, indent=1, sort_keys=True)
        keep(self.path, text.encode())


TUNINGS: dict[Path, Tuning] = {}


def tuning(device: Device) -> Tuning | None:
    """The table of a device; None for one on which nothing can be measured."""
    if not device.fingerprint:
        return None
    key = hashlib.sha256(repr((device.fingerprint, source_digest())).encode()).hexdigest()
    path = folder() / "tuned" / f"{key}.json"
    if path not in TUNINGS:
        TUNINGS[path] = Tuning(path)
    return TUNINGS[path]


@functools.cache
def source_digest() -> str:
    """Of the text of all kernels."""
    here = Path(__file__).parent
    texts = (path.read_bytes() for path in sorted(here.glob("*.cu*")))
    return hashlib.sha256(b"".join(texts)).hexdigest()


def read(path: Path) -> dict[str, Choice]:
    """What a file says; nothing if it is absent, damaged, or of another version."""
    try:
        found = json.loads(path.read_text("utf-8"))
        if found["version"] != VERSION:
            return {}
        return {str(key): tuple(map(int, choice)) for key, choice in found["choices"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("%s is damaged and ignored (%s): `oneiro tune` writes it anew", path, error)
        return {}


@contextlib.contextmanager
def measured(device: Device) -> Iterator[Tuning]:
    """Measure what the table lacks while the block runs, and keep it then."""
    table = tuning(device)
    if table is None:
        raise DeviceError(f"nothing can be measured on {device}: tuning wants a GPU")
    table.measuring = True
    try:
        yield table
    finally:
        table.measuring = False
        table.write()


def fastest(
    device: Device,
    key: str,
    candidates: Sequence[Choice],
    run: Callable[[Choice], Any],
) -> Choice:
    """What the table says for `key`; without it the first candidate, or the one measured fastest.

    `run` makes one call with a choice.
    """
    table = tuning(device)
    if table is None:
        return candidates[0]
    found = table.choices.get(key)
    if found is not None:
        return found
    if not table.measuring:
        return candidates[0]
    seconds = {choice: device.seconds(lambda c=choice: run(c)) for choice in candidates}  # type: ignore[misc]
    best = min(candidates, key=seconds.__getitem__)
    gain = seconds[candidates[0]] / seconds[best]
    log.debug("%s: %s takes %.1f µs, %.2f of the rule's", key, best, 1e6 * seconds[best], 1 / gain)
    table.choices[key] = best
    return best
