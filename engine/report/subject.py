"""What a report is about: a network, a photo, and the class or the unit that is asked about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oneiro.kernels.dispatch import Array

from ..classification import Guess, classify
from ..error import ModelError
from ..goal import candidates
from ..image import Picture, shrunk
from ..net import Net
from ..probe import fitted, trained_size
from ..target import Target, class_target, class_title, unit_target

SHOWN = 720  # px of the longer side of the photo below a map
CLASSES = 6  # that are named
LAYERS = 6  # whose maps are shown


@dataclass(frozen=True)
class Subject:
    """A network and a photo: as it is shown, and as the network sees it."""

    net: Net
    shown: Picture
    fed: Picture
    blobs: list[str]  # some of the way, from the picture to the classes
    guesses: list[Guess]  # empty where the network does not classify
    target: Target

    @property
    def number(self) -> int | None:
        """The class that is asked about."""
        return self.target.place[0] if self.guesses else None

    def named(self, guess: Guess) -> str:
        return class_title(self.net, guess.number)


def subject(net: Net, img: Array, asked: str | int | None) -> Subject:
    """Look at the photo (h, w, c) of 0..255 for the first time.

    A network that does not classify is asked about the channel of its last maps with the highest
    peak. Raises ArgumentError for a class that is not known.
    """
    photo = Picture(img)
    fed = Picture(fitted(net, trained_size(net, photo), list(net.outputs)))
    blobs = evenly(candidates(net), LAYERS)
    guesses: list[Guess] = []
    try:
        guesses = classify(net, fed, net.known_preprocessing(), CLASSES)
    except ModelError:
        if asked is not None:
            raise
    if guesses:
        target = class_target(net, guesses[0].number if asked is None else asked)
    else:
        data = np.asarray(net.forward({net.input: net.preprocess(fed)}, end=blobs[-1])[blobs[-1]])
        target = unit_target(net, f"{blobs[-1]}:{data[0].max((1, 2)).argmax()}")
    return Subject(net, shrunk(photo, SHOWN), fed, blobs, guesses, target)


def evenly(names: list[str], count: int) -> list[str]:
    """At most so many of the names, evenly, with the first and the last."""
    places = np.linspace(0, len(names) - 1, min(count, len(names)))
    return [names[round(place)] for place in places]
