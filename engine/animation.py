"""Pictures in a row: a folder of frames, a GIF, a video."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .error import ArgumentError, PictureError
from .file import atomic_write
from .image import FilePath, check_target, in_palette, rgb_bytes, save_image


def save_animation(path: FilePath, pictures: Iterable[ArrayLike], fps: float = 25) -> None:
    """Write pictures as an animation, drawing them from the iterable one by one.

    A folder, or a path without an extension, takes numbered frames (`frame_0000.png`, …) and
    makes the folder. `.gif` gives a looping GIF, each frame with its own 256 colours; it counts
    time in hundredths of a second, and fewer than two are not shown by browsers. `.mp4` gives
    H.264 video (needs `pip install "oneiro[video]"`); its sizes are even, so an odd one is padded
    by repeating the last row or column. Files are written whole or not at all.

    Raises PictureError for an unknown extension, no pictures at all, or (GIF, MP4) frames of
    different sizes; OSError where the file cannot be written.
    """
    check_target(path, movie=True)
    if not (math.isfinite(fps) and fps > 0):
        raise ArgumentError(f"fps is {fps}; it must be above 0")
    path = Path(path)
    if path.is_dir() or not path.suffix:
        save_frames(path, pictures)
    elif path.suffix.lower() == ".gif":
        save_gif(path, pictures, fps)
    else:
        save_mp4(path, pictures, fps)


def save_frames(folder: Path, pictures: Iterable[ArrayLike]) -> None:
    folder.mkdir(exist_ok=True)
    number = -1
    for number, picture in enumerate(pictures):
        save_image(folder / f"frame_{number:04d}.png", picture)
    if number < 0:
        raise PictureError(f"{folder}: there are no pictures to write")


def as_bytes(path: Path, pictures: Iterable[ArrayLike]) -> Iterator[NDArray[np.uint8]]:
    """The pictures as (H, W, 3) bytes; at least one, and all of one size."""
    shape = None
    for number, picture in enumerate(pictures):
        try:
            frame = rgb_bytes(picture)
        except PictureError as error:
            raise PictureError(f"{path}: frame {number}: {error}") from None
        if shape is None:
            shape = frame.shape
        if frame.shape != shape:
            raise PictureError(f"{path}: frame {number} is {frame.shape}, the first was {shape}")
        yield frame
    if shape is None:
        raise PictureError(f"{path}: there are no pictures to write")


def save_gif(path: Path, pictures: Iterable[ArrayLike], fps: float) -> None:
    with atomic_write(path) as file:
        images = (in_palette(frame) for frame in as_bytes(path, pictures))
        next(images).save(
            file,
            "GIF",
            save_all=True,
            append_images=images,
            duration=10 * max(2, round(100 / fps)),  # milliseconds
            loop=0,  # for ever
        )


def save_mp4(path: Path, pictures: Iterable[ArrayLike], fps: float) -> None:
    import av

    frames = (even(frame) for frame in as_bytes(path, pictures))
    with atomic_write(path) as file, av.open(file, "w", format="mp4") as container:
        first = next(frames)
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(65535))
        stream.options = {"crf": "16"}
        stream.pix_fmt = "yuv420p"  # the one that every player shows
        stream.codec_context.colorspace = av.video.reformatter.Colorspace.ITU601
        stream.height, stream.width = first.shape[:2]
        for frame in itertools.chain([first], frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def even(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """H.264 halves the colours' height and width, so both must be even."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
