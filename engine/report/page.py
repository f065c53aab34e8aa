"""One HTML file of a report: the template filled in."""

from __future__ import annotations

import base64
import hashlib
import html
import importlib.resources
import importlib.util
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array

from .. import listing
from ..colour import diverging, sequential
from ..error import ArgumentError, OneiroError, printable
from ..file import atomic_write
from ..inspection import Row, inspect
from ..net import Net
from ..recipe import Recipe, make_recipe
from .part import Figure, Part, parts, photographed
from .subject import Subject, subject

STOPS = 9  # of a gradient of colours

OnStep = Callable[[float, str], None]  # how much of all is done, 0..1, and what comes next


@dataclass(frozen=True)
class Report:
    """A page as it stands in its file; a notebook shows it in a frame."""

    html: str
    recipe: Recipe = field(repr=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all."""
        with atomic_write(path) as file:
            file.write(self.html.encode())

    def _repr_html_(self) -> str:
        style = "width:100%;height:80vh;border:0"
        return f'<iframe style="{style}" srcdoc="{html.escape(self.html)}"></iframe>'


@dataclass
class Section:
    """A section of the page: its figures, and what could not be had."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def report(
    net: Net,
    img: Array,
    *,
    target: str | int | None = None,
    title: str = "a photo",
    inversions: bool = False,
    on_step: OnStep | None = None,
) -> Report:
    """What a network makes of a photo (h, w, c) of 0..255, as one HTML file.

    It holds the layers, the most probable classes, the strongest maps of some layers, what matters
    for the class `target` (a number or a name, by default the most probable one) by every method,
    what covering changes, and with `inversions`, which take minutes, what layers keep. Pictures and
    styles are inside: the file needs no other, and asks for none. `title` is what the photo is
    called. A part that a network does not allow says why, in its place.

    `on_step` is told how much is done, 0..1, and what comes next. Raises ArgumentError and
    ModelError, and ArgumentError without Jinja2.
    """
    check_installed()
    about = subject(net, img, target)
    wanted = parts(about, inversions)
    sections = {part.section: Section(part.section) for part in wanted}
    whole = sum(part.weight for part in wanted)
    before = 0.0
    for part in wanted:

        def tell(share: float, part: Part = part, before: float = before) -> None:
            if on_step:
                on_step((before + part.weight * share) / whole, part.title)

        tell(0)
        section = sections[part.section]
        try:
            section.figures.extend(part.make(about, tell))
        except OneiroError as error:
            section.notes.append(f"{part.title}: {error}")
        before += part.weight
    if on_step:
        on_step(1, "the page")
    parameters = {"target": about.target.title, "inversions": inversions}
    recipe = make_recipe(net, "report", parameters, {"photo": img})
    return Report(filled(about, title, list(sections.values()), recipe), recipe)


def check_installed() -> None:
    """Raise ArgumentError without the template engine."""
    if importlib.util.find_spec("jinja2") is None:
        raise ArgumentError('a report needs Jinja2: pip install "oneiro[report]"')


def filled(about: Subject, title: str, sections: list[Section], recipe: Recipe) -> str:
    """The page; what comes from files and models is escaped by the template."""
    import jinja2
    from markupsafe import Markup

    files = importlib.resources.files(__package__)
    template, style, script = (
        files.joinpath(name).read_text("utf-8") for name in ("page.html.j2", "page.css", "page.js")
    )
    theme = importlib.resources.files("oneiro").joinpath("theme.css").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    height, width = about.fed.shape[:2]
    found = inspect(about.net, height, width)
    most = max((row.flops or 0 for row in found.rows), default=0) or 1
    return environment.from_string(template).render(
        title=printable(title),
        net=printable(about.net.model.name),
        photo=photographed(printable(title), "", about.shown),
        target=about.target.title,
        classes=[(about.named(guess), guess.confidence) for guess in about.guesses],
        facts=listing.summary(about.net, found),
        rows=[layer(row, most) for row in found.rows],
        sections=sections,
        recipe=json.dumps(recipe, indent=1, sort_keys=True, ensure_ascii=False),
        style=Markup(theme + style),
        script=Markup(script),
        digest=digest,
        signed=Markup(gradient(diverging, -1)),
        plain=Markup(gradient(sequential, 0)),
    )


def layer(row: Row, most: int) -> dict[str, Any]:
    """A line of the table of layers; `most` are the FLOPs of the longest bar."""
    return {
        "name": printable(row.name),
        "kind": printable(row.kind),
        "makes": "?" if row.shape is None else listing.sizes(row.shape[1:]),
        "parameters": listing.short(row.parameters) if row.parameters else "",
        "flops": "" if row.flops is None else listing.short(row.flops),
        "share": round(100 * (row.flops or 0) / most, 1),
        "field": "" if row.field is None else f"{listing.along(row.field.size)} px",
    }


def gradient(colours: Callable[..., Any], low: float) -> str:
    """The colours from `low` to 1 as a gradient of CSS."""
    ramp = np.rint(colours(np.linspace(low, 1, STOPS)[None])[0]).astype(int).tolist()
    return f"linear-gradient(90deg, {', '.join(f'rgb({r} {g} {b})' for r, g, b in ramp)})"
