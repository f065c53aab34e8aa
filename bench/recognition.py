"""Are class images recognised by another network? `python bench/recognition.py [FIRST SECOND]`.

`oneiro.maximize` draws each class with one network; the picture is saved as a PNG of 8 bits, read
again, and shown to both. That its maker believes it proves nothing: adversarial noise does as much.
A class counts when the picture of one of a few restarts is among the other network's first five
and its maker is sure. Restarts are tried one after the other until one counts.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import oneiro
from oneiro.classification import classify
from oneiro.target import class_title

CLASSES = (543, 968, 251, 99, 130, 144)  # dumbbell, cup, dalmatian, goose, flamingo, pelican
FIRST = 5  # places of the other network that count
SURE = 0.9


class Trial(NamedTuple):
    """How one picture was received."""

    own: float  # probability, by the network that made it
    place: int  # of the class among all, by the other one
    other: float

    @property
    def counts(self) -> bool:
        return self.own > SURE and self.place <= FIRST


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=["squeezenet1.1", "googlenet"])
    parser.add_argument("--classes", type=int, nargs="+", default=CLASSES)
    parser.add_argument("--restarts", type=int, default=4)
    parser.add_argument("--iter-n", type=int)
    parser.add_argument("--preset", default="lucid")
    parser.add_argument("--out", type=Path, default=Path("recognition"), help="folder for pictures")
    arguments = parser.parse_args()
    nets = [oneiro.load(name) for name in arguments.networks]
    for net in nets:
        net.labels = net.labels or nets[0].labels
    numbers = {"iter_n": arguments.iter_n} if arguments.iter_n else {}
    arguments.out.mkdir(exist_ok=True)
    print(f"oneiro {oneiro.__version__}, maximize, preset {arguments.preset} {numbers or ''}\n")
    print("| made by | class | restarts | p, its maker | judge | place | p, judge | counts | s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for maker, judge in (nets, nets[::-1]):
        count = 0
        for number in arguments.classes:
            begun = time.monotonic()
            for restart in range(arguments.restarts):
                file = arguments.out / f"{maker.model.name}-{number}-{restart}.png"
                picture = oneiro.maximize(
                    maker, number, preset=arguments.preset, restarts=[restart], **numbers
                )
                oneiro.save_image(file, picture)
                trial = judged(file, number, maker, judge)
                if trial.counts:
                    break
            count += trial.counts
            cells = (
                maker.model.name, class_title(maker, number), restart + 1, f"{trial.own:.3f}",
                judge.model.name, trial.place, f"{trial.other:.3f}",
                "yes" if trial.counts else "no", f"{time.monotonic() - begun:.0f}",
            )  # fmt: skip
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
        total = len(arguments.classes)
        print(f"| {maker.model.name} | | | | | | | **{count} of {total}** | |", flush=True)


def judged(file: Path, number: int, maker: oneiro.Net, judge: oneiro.Net) -> Trial:
    """What both networks say to the picture in a file."""
    img = oneiro.load_image(file)
    own, other = (
        [(guess.number, guess.confidence) for guess in classify(net, img, way, None)]
        for net in (maker, judge)
        if (way := net.known_preprocessing())
    )
    places = [found for found, _ in other]
    return Trial(dict(own)[number], places.index(number) + 1, dict(other)[number])


if __name__ == "__main__":
    main()
