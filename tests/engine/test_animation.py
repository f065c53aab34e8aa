"""Pictures in a row: folders of frames, GIFs and videos."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageSequence

from oneiro.animation import save_animation
from oneiro.error import ArgumentError, PictureError
from oneiro.image import load_image, rgb_bytes


def frames(count: int, height: int = 16, width: int = 24) -> Iterator[NDArray[np.float32]]:
    """A bright column that walks to the right."""
    for number in range(count):
        frame = np.full((height, width, 3), 40, np.float32)
        frame[:, 4 * number : 4 * number + 4] = 220, 120, 60
        yield frame


def test_frames_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "there.d").mkdir()
    for folder in (tmp_path / "new", tmp_path / "there.d"):
        save_animation(folder, frames(3))
        names = [f"frame_{number:04d}.png" for number in range(3)]
        assert sorted(os.listdir(folder)) == names
        for name, frame in zip(names, frames(3), strict=True):
            np.testing.assert_array_equal(load_image(folder / name), frame)


def test_pictures_are_drawn_one_by_one(tmp_path: Path) -> None:
    def watched() -> Iterator[NDArray[np.float32]]:
        for number, frame in enumerate(frames(3)):
            assert len(list(tmp_path.glob("film/*.png"))) == number
            yield frame

    save_animation(tmp_path / "film", watched())


def test_gif(tmp_path: Path) -> None:
    save_animation(tmp_path / "a.gif", frames(5), fps=20)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 5
        assert film.info["loop"] == 0
        for shown, frame in zip(ImageSequence.Iterator(film), frames(5), strict=True):
            assert shown.info["duration"] == 50
            np.testing.assert_allclose(np.asarray(shown.convert("RGB")), frame, atol=4)


def test_a_gif_s_colours_are_dithered(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 300), (60, 300))
    pixels = np.dstack([ramp, ramp[::-1, ::-1], ramp * 0.4 + 90])
    save_animation(tmp_path / "a.gif", [pixels])
    with Image.open(tmp_path / "a.gif") as film:
        shown = film.convert("RGB").filter(ImageFilter.BoxBlur(4))
    wanted = Image.fromarray(rgb_bytes(pixels)).filter(ImageFilter.BoxBlur(4))
    error = np.asarray(shown, float) - np.asarray(wanted, float)
    assert np.sqrt((error**2).mean()) < 2


def test_a_gif_is_never_too_fast_for_a_browser(tmp_path: Path) -> None:
    save_animation(tmp_path / "a.gif", frames(2), fps=200)
    with Image.open(tmp_path / "a.gif") as film:
        assert film.info["duration"] == 20


@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 47)])
def test_mp4(tmp_path: Path, height: int, width: int) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    save_animation(tmp_path / "a.mp4", frames(5, height, width), fps=12.5)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 12.5
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(shown) == 5
    for got, frame in zip(shown, frames(5, height, width), strict=True):
        assert got.shape == (height + height % 2, width + width % 2, 3)
        error = np.abs(got[:height, :width] - frame)
        assert error.mean() < 6


def test_mp4_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(PictureError, match=r'a\.mp4.*pip install "oneiro\[video\]"'):
        save_animation(tmp_path / "a.mp4", frames(2))
    assert not list(tmp_path.iterdir())


def broken_off() -> Iterator[NDArray[np.float32]]:
    yield from frames(2)
    raise KeyboardInterrupt


def odd_one_out() -> Iterator[NDArray[np.float32]]:
    yield from frames(2)
    yield np.zeros((16, 25, 3), np.float32)


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_an_animation_is_whole_or_not_there(tmp_path: Path, suffix: str) -> None:
    if suffix == ".mp4":
        pytest.importorskip("av", reason="PyAV is not installed")
    path = tmp_path / f"a{suffix}"
    with pytest.raises(KeyboardInterrupt):
        save_animation(path, broken_off())
    with pytest.raises(PictureError, match=r"frame 2 is \(16, 25, 3\).*\(16, 24, 3\)"):
        save_animation(path, odd_one_out())
    with pytest.raises(PictureError, match="frame 0: holds values that are not finite"):
        save_animation(path, [np.full((16, 24), np.nan)])
    with pytest.raises(PictureError, match="no pictures"):
        save_animation(path, [])
    assert not list(tmp_path.iterdir())


def test_animations_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"\.gif, \.mp4"):
        save_animation(tmp_path / "a.avi", frames(2))
    with pytest.raises(PictureError, match="no pictures"):
        save_animation(tmp_path / "folder", [])
    for fps in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ArgumentError, match="fps"):
            save_animation(tmp_path / "a.gif", frames(2), fps)
    for name in ("nowhere/a.gif", "nowhere/folder"):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            save_animation(tmp_path / name, broken_off())
