"""The numbers of a dream: checked, and chosen where they were left out."""

from __future__ import annotations

import logging
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .ascent import NORMS
from .error import ArgumentError
from .goal import DEPTH, usual_end
from .net import Net
from .preset import become, check_least
from .seed import check_seed

log = logging.getLogger(__name__)

SMALLEST = 110  # px of the shorter side of the smallest octave: what a network sees whole

KINDS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("iter_n", "octave_n", "jitter", "seed"), operator.index),
    **dict.fromkeys(("octave_scale", "step_size", "smooth"), float),
}


@dataclass(frozen=True)
class Settings:
    """The numbers of a dream; refuses by name those that make no sense."""

    end: tuple[str, ...]
    octave_n: int
    jitter: int
    clip: bool
    norm: str
    seed: int
    iter_n: int = 10
    octave_scale: float = 1.4
    step_size: float = 1.5
    smooth: float = 0.0

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            become(self, name, kind)
        texts = self.end if isinstance(self.end, list | tuple) else (None,)
        if not all(isinstance(text, str) for text in texts):
            raise ArgumentError(f"end is {self.end!r}: it must be names of blobs")
        object.__setattr__(self, "end", tuple(texts))
        if not isinstance(self.clip, bool):
            raise ArgumentError(f"clip is {self.clip!r}: it must be true or false")
        check_least(self, {"iter_n": 0, "octave_n": 1, "jitter": 0, "smooth": 0})
        if not 1 < self.octave_scale < math.inf:
            raise ArgumentError(f"octave_scale is {self.octave_scale}: it must be above 1")
        if not math.isfinite(self.step_size):
            raise ArgumentError(f"step_size is {self.step_size}: it must be a number")
        if self.norm not in NORMS:
            raise ArgumentError(f"norm {self.norm!r} is not one of {', '.join(NORMS)}")
        check_seed(self.seed)


def choose(net: Net, side: int, given: Mapping[str, Any], **fixed: Any) -> Settings:
    """What was given; where it was left out (None) the network's favourite, or the rule.

    `side` is the shorter side of the picture.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    chosen = {**net.favourites, **chosen, **fixed}
    known = chosen.get("end")
    settings = Settings(**{"octave_n": 1, **chosen, "end": known or usual_ends(net)})
    if "octave_n" not in chosen:
        settings = replace(settings, octave_n=fitting_octaves(side, settings.octave_scale))
    if not known:
        log.warning(
            "no favourites are known for %s: climbing %s, at %g of its depth, in %d octaves of %d "
            "steps of %g; --end or --sheet choose otherwise",
            net.model.name, *settings.end, DEPTH,
            settings.octave_n, settings.iter_n, settings.step_size,
        )  # fmt: skip
    return settings


def usual_ends(net: Net) -> tuple[str, ...]:
    """The network's favourites, or the blob that the rule for unknown networks names."""
    return tuple(net.favourites.get("end", ())) or (usual_end(net),)


def fitting_octaves(side: int, octave_scale: float) -> int:
    """How many octaves keep the shorter side at SMALLEST px or more, at least one."""
    if side <= SMALLEST:
        return 1
    return 1 + int(math.log(side / SMALLEST) / math.log(octave_scale))
