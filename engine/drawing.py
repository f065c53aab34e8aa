"""Pictures of pictures: contact sheets."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from .error import ArgumentError
from .image import Picture, rgb_bytes


def sheet(
    pictures: Sequence[ArrayLike],
    captions: Sequence[str],
    columns: int | None = None,
    background: tuple[int, int, int] = (24, 24, 27),
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
    ink = (225, 225, 228) if np.mean(background) < 128 else (50, 50, 54)
    for number, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        row, column = divmod(number, columns)
        left = margin + column * step_x
        top = margin + row * step_y
        canvas.paste(tile, (left + (width - tile.width) // 2, top + (height - tile.height) // 2))
        text = _shorten(caption, width, font)
        draw.text((left + width / 2, top + height + 1.2 * size), text, ink, font, anchor="mm")
    return Picture(np.asarray(canvas))


def _columns(count: int, aspect: float) -> int:
    """How many tiles, `aspect` times as high as wide, to put in a row."""
    wished = max(1, round(math.sqrt(count * aspect * 4 / 3)))
    return min(wished, wished + 1, key=lambda columns: -count % columns)  # fills the last row best


def _shorten(text: str, width: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, or as much of its two ends as fits."""
    text = " ".join(text.split())
    shorter = text
    for keep in range(len(text) - 1, 0, -1):
        if font.getlength(shorter) <= width:
            break
        head = (keep + 1) // 2
        shorter = text[:head] + "…" + text[len(text) - keep + head :]
    return shorter
