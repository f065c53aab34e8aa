"""Pictures of pictures: contact sheets, overlays, legends and captions."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from .error import ArgumentError
from .image import Picture, in_channels, rgb_bytes

Colour = tuple[int, int, int]  # RGB, 0..255
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

DARK: Colour = (24, 24, 27)
BAR_ABOVE: Colour = (232, 108, 84)
BAR_BELOW: Colour = (92, 152, 222)
MARGIN = 10  # pixels round text
SMALL = 12  # pixels of a letter


def sheet(
    pictures: Sequence[ArrayLike],
    captions: Sequence[str],
    columns: int | None = None,
    background: Colour = DARK,
) -> Picture:
    """A contact sheet: the pictures in rows, each in the middle of its tile, its caption below.

    Tiles are as large as the largest picture. Without `columns` the sheet comes out about four
    wide to three high. A caption that is wider than its tile is shortened in the middle.
    Captions are light on a dark `background` (RGB, 0..255) and dark on a light one.
    """
    if not pictures or len(pictures) != len(captions):
        raise ArgumentError(
            f"a sheet takes a caption for each picture, but there are {len(pictures)} pictures "
            f"and {len(captions)} captions"
        )
    if columns is not None and columns < 1:
        raise ArgumentError(f"columns is {columns}; it must be at least 1")
    tiles = [Image.fromarray(rgb_bytes(picture)) for picture in pictures]
    width = max(tile.width for tile in tiles)
    height = max(tile.height for tile in tiles)

    size = min(max(width / 14, 11), 22)  # of the font, in pixels
    font = ImageFont.load_default(size)
    margin = round(1.2 * size)
    step_x = width + margin
    step_y = height + round(2.2 * size) + margin

    columns = min(columns or _columns(len(tiles), step_y / step_x), len(tiles))
    rows = math.ceil(len(tiles) / columns)
    canvas = Image.new("RGB", (columns * step_x + margin, rows * step_y + margin), background)
    draw = ImageDraw.Draw(canvas)
    ink = ink_on(background)
    for number, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        row, column = divmod(number, columns)
        left = margin + column * step_x
        top = margin + row * step_y
        canvas.paste(tile, (left + (width - tile.width) // 2, top + (height - tile.height) // 2))
        text = _shorten(caption, width, font)
        draw.text((left + width / 2, top + height + 1.2 * size), text, ink, font, anchor="mm")
    return Picture(np.asarray(canvas))


def overlay(img: ArrayLike, colours: ArrayLike, alpha: ArrayLike = 0.6) -> Picture:
    """Colours (h, w, 3) laid over a picture of that size, which turns grey to leave them theirs.

    `alpha` is how much of the colours is seen, 0..1: a number, or one a pixel (h, w).
    """
    photo = in_channels(rgb_bytes(img).astype(np.float32), 1)  # (h, w, 1)
    above = np.asarray(colours, np.float32)
    if above.shape != (*photo.shape[:2], 3):
        raise ArgumentError(f"colours are {above.shape}; the picture asks for {photo.shape[:2]}")
    share = np.asarray(alpha, np.float32)
    if share.shape not in ((), photo.shape[:2]) or not ((share >= 0) & (share <= 1)).all():
        raise ArgumentError("alpha is a share: it must lie in 0..1, one for all or one a pixel")
    share = share[..., None] if share.ndim == 2 else share
    return Picture(photo + share * (above - photo))


def legend(
    colours: Callable[[Any], Any],
    low: float,
    high: float,
    width: int = 240,
    title: str = "",
    background: Colour = DARK,
) -> Picture:
    """A bar of the colours that `colours` (sequential, diverging) gives to low ... high.

    The numbers stand below: the two ends, and 0 if it lies well between. The title stands above.
    All is `width` pixels wide, with a margin around.
    """
    font = ImageFont.load_default(SMALL)
    inner = max(width - 2 * MARGIN, 16)
    head = written(title, width, SMALL, background)
    ramp = rgb_bytes(colours(np.linspace(low, high, inner)[None]))  # (1, inner, 3)
    bar = Image.fromarray(np.repeat(ramp, SMALL, axis=0))
    above = 0 if title else MARGIN
    canvas = Image.new("RGB", (inner + 2 * MARGIN, above + 3 * SMALL + MARGIN), background)
    canvas.paste(bar, (MARGIN, above))
    draw = ImageDraw.Draw(canvas)
    ink = ink_on(background)
    left, right, line = MARGIN, MARGIN + inner, above + 2 * SMALL
    ends = [readable(end) for end in (low, high)]
    draw.text((left, line), ends[0], ink, font, anchor="lm")
    draw.text((right, line), ends[1], ink, font, anchor="rm")
    if low < 0 < high:
        zero = left + inner * -low / (high - low)
        room = [font.getlength(text) + SMALL for text in ends]
        if left + room[0] < zero < right - room[1]:
            draw.text((zero, line), "0", ink, font, anchor="mm")
    parts = [np.asarray(canvas)] if head is None else [head, np.asarray(canvas)]
    return stacked(parts, background=background)


def key(names: Mapping[Colour, str], width: int = 240, background: Colour = DARK) -> Picture:
    """What colours stand for: a square of each with its name, in as many columns as fit.

    All is `width` pixels wide, with a margin around; a name that is too long is shortened.
    """
    font = ImageFont.load_default(SMALL)
    step = 2 * SMALL  # from a square to its name, and from row to row
    inner = max(width - 2 * MARGIN, 16)
    widest = max((font.getlength(name) for name in names.values()), default=0) + 2 * step
    columns = min(max(int(inner // widest), 1), max(len(names), 1))
    rows = math.ceil(len(names) / columns)
    canvas = Image.new("RGB", (inner + 2 * MARGIN, rows * step + MARGIN), background)
    draw = ImageDraw.Draw(canvas)
    for k, (colour, name) in enumerate(names.items()):
        left = MARGIN + k // rows * (inner // columns)
        middle = MARGIN / 2 + step * (k % rows + 0.5)
        square = (left, middle - SMALL / 2, left + SMALL, middle + SMALL / 2)
        draw.rectangle(square, colour)
        text = _shorten(name, inner // columns - step, font)
        draw.text((left + step, middle), text, ink_on(background), font, anchor="lm")
    return Picture(np.asarray(canvas))


def captioned(picture: ArrayLike, text: str, background: Colour = DARK) -> Picture:
    """The picture with a text below it, in as many lines as it takes; keeps the recipe.

    Letters are larger below a large picture. A narrow one gets room for some words at its right.
    """
    tile = rgb_bytes(picture)
    width = max(tile.shape[1], 160)
    below = written(text, width, min(max(width // 40, SMALL), 22), background)
    result = Picture(tile) if below is None else stacked([tile, below], background=background)
    result.recipe = getattr(picture, "recipe", None)
    return result


def written(
    text: str, width: int, size: int = 12, background: Colour = DARK
) -> NDArray[np.uint8] | None:
    """A text in lines, (h, width, 3) with a margin around; None for no text.

    The font knows Latin letters: no Greek, no signs of mathematics.
    """
    font = ImageFont.load_default(size)
    lines = _wrapped(text, max(width - 2 * MARGIN, 1), font)
    if not lines:
        return None
    step = 1.4 * size
    height = round(step * len(lines)) + MARGIN
    canvas = Image.new("RGB", (width, height), background)
    draw = ImageDraw.Draw(canvas)
    for k, line in enumerate(lines):
        place = (MARGIN, MARGIN / 2 + step * (k + 0.5))
        draw.text(place, line, ink_on(background), font, anchor="lm")
    return np.asarray(canvas)


def stacked(
    pictures: Sequence[ArrayLike],
    *,
    beside: bool = False,
    gap: int = 0,
    background: Colour = DARK,
) -> Picture:
    """Pictures of any sizes one below the other, flush left, `gap` pixels apart.

    With `beside` they stand beside each other, flush at the top.
    """
    tiles = [rgb_bytes(picture) for picture in pictures]
    sizes = np.array([tile.shape[:2] for tile in tiles])  # (n, 2): heights and widths
    along = 1 if beside else 0
    shape = sizes.max(0)
    shape[along] = sizes[:, along].sum() + gap * (len(tiles) - 1)
    page = np.full((*shape, 3), background, np.uint8)
    place = [0, 0]
    for tile, (height, width) in zip(tiles, sizes, strict=True):
        top, left = place
        page[top : top + height, left : left + width] = tile
        place[along] += tile.shape[along] + gap
    return Picture(page)


def enlarged(picture: ArrayLike, factor: int) -> NDArray[Any]:
    """The picture (h, w, ...) with `factor` x `factor` pixels for each of its own."""
    return np.repeat(np.repeat(np.asarray(picture), factor, axis=0), factor, axis=1)


def bars(
    values: ArrayLike, names: Sequence[str], width: int = 640, background: Colour = DARK
) -> Picture:
    """A bar for each value, from the top down, its name at the left and its number at the right.

    Bars start at 0: blue to the left of it, red to the right.
    """
    drawn = np.asarray(values, np.float64)
    size, step = 14, 24
    font = ImageFont.load_default(size)
    ink = ink_on(background)
    numbers = [f"{value:.3g}" for value in drawn]
    room = 0.4 * width
    left = 2 * MARGIN + min(room, max(font.getlength(name) for name in names))
    right = width - 2 * MARGIN - max(font.getlength(number) for number in numbers)
    low, high = min(drawn.min(), 0), max(drawn.max(), 0)
    pixels = (right - left) / ((high - low) or 1)  # of 1
    zero = left - low * pixels
    canvas = Image.new("RGB", (width, step * len(drawn) + MARGIN), background)
    draw = ImageDraw.Draw(canvas)
    for k, (value, name, number) in enumerate(zip(drawn, names, numbers, strict=True)):
        middle = MARGIN + step * (k + 0.5)
        start, stop = sorted((zero, zero + value * pixels))
        box = (start, middle - 0.3 * step, max(stop, start + 1), middle + 0.3 * step)
        draw.rectangle(box, BAR_ABOVE if value >= 0 else BAR_BELOW)
        draw.text((MARGIN, middle), _shorten(name, room, font), ink, font, anchor="lm")
        draw.text((width - MARGIN, middle), number, ink, font, anchor="rm")
    return Picture(np.asarray(canvas))


def readable(value: float, digits: int = 3) -> str:
    """A number as people write it: 0.254, -1,720; as 1.2e-07 where it is tiny."""
    return f"{float(f'{value:.{digits}g}') + 0.0:,.6g}"


def ink_on(background: Colour) -> Colour:
    """The colour of text there."""
    return (225, 225, 228) if np.mean(background) < 128 else (50, 50, 54)


def _columns(count: int, aspect: float) -> int:
    """How many tiles, `aspect` times as high as wide, to put in a row."""
    wished = max(1, round(math.sqrt(count * aspect * 4 / 3)))
    return min(wished, wished + 1, key=lambda columns: -count % columns)  # fills the last row best


def _shorten(text: str, width: float, font: Font) -> str:
    """The text, or as much of its two ends as fits."""
    text = " ".join(text.split())
    shorter = text
    for keep in range(len(text) - 1, 0, -1):
        if font.getlength(shorter) <= width:
            break
        head = (keep + 1) // 2
        shorter = text[:head] + "…" + text[len(text) - keep + head :]
    return shorter


def _wrapped(text: str, width: float, font: Font) -> list[str]:
    """The text in lines that fit; a word that is too long alone is shortened. No lines of ""."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(_shorten(word, width, font))
    return lines
