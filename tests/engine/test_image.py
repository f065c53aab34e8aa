"""Pictures in every shape that files come in, and the way to a network's input and back."""

import contextlib
import io
import json
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from oneiro.error import ArgumentError, PictureError
from oneiro.image import (
    Picture,
    check_target,
    load_image,
    load_recipe,
    rgb_bytes,
    save_image,
)

WEIGHTS = np.array([0.299, 0.587, 0.114])  # luma
RECIPE = {"seed": 7, "end": ["fire5/concat"], "model": "Σ squeeze", "a": None, "step_size": 1.5}


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """A coloured gradient, which lossy formats keep nearly."""
    rows = np.linspace(40, 200, height)[:, None]
    columns = np.linspace(220, 60, width)[None, :]
    planes = np.broadcast_arrays(rows, columns, (rows + columns) / 2)
    return np.stack(planes, axis=2).astype(np.uint8)


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG of these filtered rows; each extra chunk is its type and its data."""

    def chunk(content: bytes) -> bytes:
        size, check = struct.pack(">I", len(content) - 4), struct.pack(">I", zlib.crc32(content))
        return size + content + check

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [b"IHDR" + header, *extra, b"IDAT" + zlib.compress(rows), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(content) for content in chunks)


# --- Picture ---


def test_a_picture_is_float32_with_three_axes() -> None:
    picture = Picture(noise(5, 7))
    assert picture.shape == (5, 7, 1)
    assert picture.dtype == np.float32
    assert picture.recipe is None
    assert picture.alpha is None


def test_a_picture_keeps_its_recipe_and_transparency_in_views_and_copies() -> None:
    alpha = noise(5, 7)
    picture = Picture(noise(5, 7, 3), recipe=RECIPE, alpha=alpha)
    for same in (picture.copy(), picture[:], picture.view(), picture.astype(np.float64)):
        assert same.recipe == RECIPE
        np.testing.assert_array_equal(same.alpha, alpha)


def test_a_crop_and_a_flip_lose_them_and_arithmetic_keeps_the_transparency() -> None:
    picture = Picture(noise(5, 5, 3), recipe=RECIPE, alpha=noise(5, 5))
    for other in (picture[1:], picture[::-1], picture[:, ::-1].copy(), np.rot90(picture)):
        assert other.recipe is None
        assert other.alpha is None
    for changed in (picture * 0.5, 255 - picture, np.clip(picture, 9, 200)):
        assert isinstance(changed, Picture)
        assert changed.recipe is None
        assert changed.alpha is not None
    assert Picture(noise(4, 5, 3), alpha=noise(4, 5)).transpose(1, 0, 2).alpha is None


def test_what_is_no_picture_any_more_is_a_plain_number_or_array() -> None:
    picture = Picture(noise(5, 7, 3))
    assert type(picture.mean()) is np.float32
    assert type(picture.mean(axis=2)) is np.ndarray
    assert (picture == picture).all() is np.True_


def test_alpha_must_fit() -> None:
    picture = Picture(noise(5, 7, 3))
    with pytest.raises(PictureError, match=r"\(7, 5\).*\(5, 7, 3\)"):
        picture.alpha = noise(7, 5)


@pytest.mark.parametrize("shape", [(7,), (1, 3, 5, 7), (0, 7, 3), (5, 7, 0)])
def test_shapes_that_are_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(PictureError, match="no picture"):
        Picture(np.zeros(shape))


def test_a_notebook_shows_a_picture() -> None:
    picture = Picture(noise(5, 7, 3), alpha=noise(5, 7))
    data = picture._repr_png_()
    assert data is not None
    assert Image.open(io.BytesIO(data)).size == (7, 5)
    assert Image.open(io.BytesIO(data)).mode == "RGBA"
    assert picture[..., 0]._repr_png_() is not None
    assert (picture * np.nan)._repr_png_() is None
    assert Picture(noise(5, 7, 2))._repr_png_() is None


# --- load_image: formats ---


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".bmp", ".webp", ".gif", ".jpg"])
def test_every_format_is_read(tmp_path: Path, suffix: str) -> None:
    pixels = smooth(21, 34)
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(pixels).save(path, **({"lossless": True} if suffix == ".webp" else {}))
    picture = load_image(path)
    assert picture.shape == (21, 34, 3)
    assert picture.dtype == np.float32
    assert picture.flags.c_contiguous
    exact = suffix not in (".jpg", ".gif")
    np.testing.assert_allclose(picture, pixels, atol=0 if exact else 12)


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    Image.fromarray(noise(5, 7, 3)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(load_image(str(tmp_path / "a.jpg")), noise(5, 7, 3))


def test_grey_by_luma_and_colour_by_repetition(tmp_path: Path) -> None:
    colour = noise(5, 7, 3)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    Image.fromarray(colour[..., 0]).save(tmp_path / "grey.png")
    grey = load_image(tmp_path / "colour.png", channels=1)
    assert grey.shape == (5, 7, 1)
    np.testing.assert_allclose(grey[..., 0], colour @ WEIGHTS, atol=1e-3)
    repeated = load_image(tmp_path / "grey.png")
    np.testing.assert_array_equal(repeated, np.dstack([colour[..., 0]] * 3))


@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_is_composited_on_white_and_kept(tmp_path: Path, channels: int) -> None:
    pixels = noise(5, 7, 4)
    pixels[0, :, 3] = 0  # hidden colours
    pixels[1, :, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    picture = load_image(tmp_path / "a.png", channels)
    opacity = pixels[..., 3:] / 255
    expected = pixels[..., :3] * opacity + 255 * (1 - opacity)
    if channels == 1:
        expected = (expected @ WEIGHTS)[..., None]
    np.testing.assert_allclose(picture, expected, atol=1e-3)
    np.testing.assert_allclose(picture[0], 255, atol=1e-3)
    np.testing.assert_array_equal(picture.alpha, pixels[..., 3])


def test_four_channels_are_rgba_as_they_are(tmp_path: Path) -> None:
    pixels = noise(5, 7, 4)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    picture = load_image(tmp_path / "a.png", channels=4)
    np.testing.assert_array_equal(picture, pixels)
    assert picture.alpha is None
    Image.fromarray(pixels[..., :3]).save(tmp_path / "opaque.png")
    opaque = load_image(tmp_path / "opaque.png", channels=4)
    np.testing.assert_array_equal(opaque[..., :3], pixels[..., :3])
    np.testing.assert_array_equal(opaque[..., 3], 255)


def test_grey_with_transparency(tmp_path: Path) -> None:
    pixels = noise(5, 7, 2)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    picture = load_image(tmp_path / "a.png", channels=1)
    opacity = pixels[..., 1] / 255
    expected = pixels[..., 0] * opacity + 255 * (1 - opacity)
    np.testing.assert_allclose(picture[..., 0], expected, atol=1e-3)
    np.testing.assert_array_equal(picture.alpha, pixels[..., 1])


def test_a_palette_is_looked_up_and_its_transparent_colour_is_clear(tmp_path: Path) -> None:
    image = Image.fromarray((np.arange(35) % 3).astype(np.uint8).reshape(5, 7)).convert("P")
    image.putpalette([10, 20, 30, 200, 100, 50, 0, 255, 0])
    image.save(tmp_path / "opaque.png")
    opaque = load_image(tmp_path / "opaque.png")
    np.testing.assert_array_equal(opaque[0, :3], [[10, 20, 30], [200, 100, 50], [0, 255, 0]])
    assert opaque.alpha is None

    for suffix in (".png", ".gif"):
        image.save(tmp_path / f"clear{suffix}", transparency=1)
        picture = load_image(tmp_path / f"clear{suffix}")
        np.testing.assert_array_equal(picture[0, :3], [[10, 20, 30], [255] * 3, [0, 255, 0]])
        assert picture.alpha is not None
        np.testing.assert_array_equal(picture.alpha[0, :3], [255, 0, 255])


def test_a_transparent_colour_without_a_palette(tmp_path: Path) -> None:
    pixels = noise(5, 7, 3)
    pixels[2, 3] = 1, 2, 3
    Image.fromarray(pixels).save(tmp_path / "a.png", transparency=(1, 2, 3))
    picture = load_image(tmp_path / "a.png")
    np.testing.assert_array_equal(picture[2, 3], 255)
    assert picture.alpha is not None
    assert np.argwhere(picture.alpha == 0).tolist() == [[2, 3]]


def test_one_bit(tmp_path: Path) -> None:
    bits = noise(5, 7) > 127
    Image.fromarray(bits).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_image(tmp_path / "a.png", channels=1)[..., 0], bits * 255.0)


def test_cmyk(tmp_path: Path) -> None:
    Image.new("CMYK", (7, 5), (0, 255, 255, 0)).save(tmp_path / "a.tiff")
    np.testing.assert_array_equal(load_image(tmp_path / "a.tiff")[2, 3], [255, 0, 0])
    Image.new("CMYK", (7, 5), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    np.testing.assert_allclose(load_image(tmp_path / "a.jpg")[2, 3], [255, 0, 0], atol=3)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.linspace(0, 65535, 35).reshape(5, 7).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    picture = load_image(tmp_path / f"a{suffix}", channels=1)
    np.testing.assert_allclose(picture[..., 0], values / 257, rtol=1e-6)
    assert abs(picture.mean() - 127.5) < 0.1
    assert load_image(tmp_path / f"a{suffix}").shape == (5, 7, 3)


def test_sixteen_bit_grey_in_big_endian_and_in_32_bits(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 35).reshape(5, 7).astype(np.uint16)
    Image.fromarray(values.astype(">u2")).save(tmp_path / "big.tiff")
    Image.fromarray(values.astype(np.int32)).save(tmp_path / "wide.tiff")
    for name in ("big.tiff", "wide.tiff"):
        picture = load_image(tmp_path / name, channels=1)
        np.testing.assert_allclose(picture[..., 0], values / 257, rtol=1e-6)
    Image.fromarray(values.astype(np.int32) * 3).save(tmp_path / "wider.tiff")
    with pytest.raises(PictureError, match="32-bit"):
        load_image(tmp_path / "wider.tiff")


def test_sixteen_bit_grey_with_a_transparent_value(tmp_path: Path) -> None:
    values = np.array([[0, 257, 65535]], ">u2")
    data = png(3, 1, 16, 0, b"\0" + values.tobytes(), b"tRNS\x01\x01")
    (tmp_path / "a.png").write_bytes(data)
    picture = load_image(tmp_path / "a.png", channels=1)
    np.testing.assert_array_equal(picture[0, :, 0], [0, 255, 255])
    np.testing.assert_array_equal(picture.alpha, [[255, 0, 255]])


def test_sixteen_bit_colour(tmp_path: Path) -> None:
    values = 257 * np.array([[[0, 128, 255], [255, 20, 7]]], ">u2")
    (tmp_path / "a.png").write_bytes(png(2, 1, 16, 2, b"\0" + values.tobytes()))
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), values / 257)


def test_float_tiff_is_scaled_by_its_maximum(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 35, dtype=np.float32).reshape(5, 7)
    for name, stored in (("unit", values), ("full", values * 255)):
        Image.fromarray(stored).save(tmp_path / f"{name}.tiff")
        picture = load_image(tmp_path / f"{name}.tiff", channels=1)
        np.testing.assert_allclose(picture[..., 0], values * 255, rtol=1e-6)


@pytest.mark.parametrize(("worst", "words"), [(np.nan, "finite"), (65535, "65535"), (-3, "-3")])
def test_float_tiff_of_another_range_is_refused(tmp_path: Path, worst: float, words: str) -> None:
    values = np.zeros((5, 7), np.float32)
    values[2, 3] = worst
    Image.fromarray(values).save(tmp_path / "a.tiff")
    with pytest.raises(PictureError, match=words):
        load_image(tmp_path / "a.tiff")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff"])
def test_the_camera_s_rotation_is_applied(tmp_path: Path, suffix: str) -> None:
    pixels = smooth(40, 64)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown, it stands on its right side: turn it clockwise
    path = tmp_path / f"a{suffix}"
    Image.fromarray(pixels).save(path, exif=exif)
    np.testing.assert_allclose(load_image(path), np.rot90(pixels, -1), atol=12)


def test_broken_exif_does_not_lose_the_picture(tmp_path: Path) -> None:
    Image.fromarray(smooth(8, 16)).save(tmp_path / "a.jpg", exif=b"Exif\0\0rubbish")
    assert load_image(tmp_path / "a.jpg").shape == (8, 16, 3)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tiff"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path, suffix: str) -> None:
    first, *rest = (Image.new("RGB", (7, 5), colour) for colour in ("red", "lime", "blue"))
    path = tmp_path / f"a{suffix}"
    first.save(path, save_all=True, append_images=rest)
    with pytest.warns(UserWarning, match="several pictures") as caught:
        picture = load_image(path)
    assert caught[0].filename == __file__
    np.testing.assert_allclose(picture[2, 3], [255, 0, 0], atol=2)


def test_a_telephone_s_jpeg_with_a_second_picture_inside_is_one_picture(tmp_path: Path) -> None:
    small = Image.fromarray(smooth(8, 16))
    Image.fromarray(smooth(40, 64)).save(
        tmp_path / "a.jpg", "MPO", save_all=True, append_images=[small]
    )
    assert load_image(tmp_path / "a.jpg").shape == (40, 64, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 65500), (3000, 1)])
def test_extreme_shapes(tmp_path: Path, shape: tuple[int, int]) -> None:
    save_image(tmp_path / "a.png", noise(*shape, 3))
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), noise(*shape, 3))


# --- load_image: arrays and pages ---


def test_arrays(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(100, 90, (5, 7, 6))  # not clipped, not rounded
    np.save(tmp_path / "six.npy", values)
    np.testing.assert_array_equal(
        load_image(tmp_path / "six.npy", channels=6), values.astype(np.float32)
    )
    np.save(tmp_path / "grey.npy", noise(5, 7))
    assert load_image(tmp_path / "grey.npy").shape == (5, 7, 3)
    np.save(tmp_path / "turned.npy", np.asfortranarray(values))
    np.testing.assert_array_equal(
        load_image(tmp_path / "turned.npy", channels=6), values.astype(np.float32)
    )
    with pytest.raises(PictureError, match=r"six.npy: has 6 channels where 3"):
        load_image(tmp_path / "six.npy")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([[None]]), "object"),
        (np.zeros((5, 7), complex), "complex"),
        (np.zeros((5, 7), bool), "bool"),
        (np.zeros((5, 7), "U3"), "U3"),
        (np.zeros(7), r"\(7,\)"),
        (np.zeros((1, 3, 5, 7)), r"\(1, 3, 5, 7\)"),
        (np.zeros((0, 7, 3)), "no pixels"),
        (np.full((5, 7), np.inf), "finite"),
        (np.full((5, 7), 1e300), "finite"),
    ],
)
def test_arrays_that_are_no_picture(tmp_path: Path, array: NDArray[Any], words: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(PictureError, match=rf"a\.npy: .*{words}"):
        load_image(tmp_path / "a.npy")


def test_an_array_s_size_is_checked_before_it_is_read(tmp_path: Path) -> None:
    for shape in [(2**40, 2**40), (10_000, 10_000), (1, 1, 2**40), (-1, 7), (7000, 9000, 9)]:
        with open(tmp_path / "a.npy", "wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        with pytest.raises(PictureError, match=r"limit of 64 million|no pixels"):
            load_image(tmp_path / "a.npy", channels=9)


@pytest.mark.parametrize("size", [0, 5, 60, 200])
def test_half_an_array(tmp_path: Path, size: int) -> None:
    np.save(tmp_path / "a.npy", noise(5, 7, 3))
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data[:size])
    with pytest.raises(PictureError, match=r"a\.npy: is damaged"):
        load_image(tmp_path / "a.npy")


def test_a_renamed_npz_or_pickle_is_no_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", noise(5, 7))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    (tmp_path / "b.npy").write_bytes(b"\x80\x04cposix\nsystem\n(S'touch owned'\ntR.")
    for name in ("a.npy", "b.npy"):
        with pytest.raises(PictureError, match="damaged"):
            load_image(tmp_path / name)


def test_a_tiff_of_as_many_pages_as_channels(tmp_path: Path) -> None:
    pages = [Image.fromarray(noise(5, 7, seed=number)) for number in range(6)]
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:])
    picture = load_image(tmp_path / "a.tiff", channels=6)
    assert picture.shape == (5, 7, 6)
    for number in range(6):
        np.testing.assert_array_equal(picture[..., number], noise(5, 7, seed=number))
    with pytest.raises(PictureError, match=r"a\.tiff: has no 5 channels; give a \.npy"):
        load_image(tmp_path / "a.tiff", channels=5)
    pages[0].save(tmp_path / "b.tiff", save_all=True, append_images=[Image.new("L", (7, 6))])
    with pytest.raises(PictureError, match="pages of different sizes"):
        load_image(tmp_path / "b.tiff", channels=2)


def test_a_tiff_of_two_bands_and_a_png_of_them(tmp_path: Path) -> None:
    for suffix in (".tiff", ".png"):
        Image.fromarray(noise(5, 7, 2)).save(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(load_image(tmp_path / "a.tiff", channels=2), noise(5, 7, 2))
    with pytest.raises(PictureError, match=r"a\.png: has no 2 channels"):
        load_image(tmp_path / "a.png", channels=2)


def test_no_channels() -> None:
    with pytest.raises(ArgumentError, match="channels is 0"):
        load_image("any.png", channels=0)


# --- load_image: hostile files ---


@pytest.mark.parametrize(("width", "height"), [(10_000, 9_000), (8_001, 8_000), (65_000, 65_000)])
def test_a_bomb_is_refused_before_it_is_read(tmp_path: Path, width: int, height: int) -> None:
    """Pillow only warns below 179 million pixels, and raises its own error above them."""
    (tmp_path / "a.png").write_bytes(png(width, height, 8, 2, b""))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(PictureError, match=rf"{width} x {height}.*limit of 64 million"):
            load_image(tmp_path / "a.png")
    assert not caught


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff", ".gif", ".bmp"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7])
def test_half_a_file(tmp_path: Path, suffix: str, part: float) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(noise(64, 48, 3)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(PictureError) as caught:
        load_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello, world", "no PNG, JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no PNG, JPEG"),
        (b"P6 2 1 255\n\0\0\0\xff\xff\xff", "no PNG, JPEG"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "damaged"),
        (b"II*\0\xff\xff\xff\xff", "damaged"),
    ],
)
def test_what_is_no_picture(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(PictureError, match=rf"a\.png: .*{words}"):
        load_image(tmp_path / "a.png")


def test_absent_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"a\.png: there is no such file"):
        load_image(tmp_path / "a.png")
    with pytest.raises(PictureError, match=r"is a folder"):
        load_image(tmp_path)
    with pytest.raises(PictureError, match="is a folder"):
        load_recipe(tmp_path)


def test_damaged_bytes_anywhere_give_a_picture_or_one_error(tmp_path: Path) -> None:
    """Every error of Pillow's becomes ours, whatever its kind."""
    rng = np.random.default_rng(3)
    for suffix in (".png", ".gif", ".tiff", ".bmp", ".jpg", ".webp"):
        path = tmp_path / f"a{suffix}"
        Image.fromarray(smooth(9, 13)).save(path)
        data = path.read_bytes()
        for _ in range(60):
            broken = bytearray(data)
            for place in rng.integers(4, len(data), 3):
                broken[place] = rng.integers(256)
            path.write_bytes(broken)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's, on doubtful metadata
                with contextlib.suppress(PictureError):
                    assert np.isfinite(load_image(path)).all()


# --- save_image ---


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff", ".TIF", ".bmp", ".npy"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_formats_give_back_what_was_saved(
    tmp_path: Path, suffix: str, channels: int
) -> None:
    pixels = noise(11, 7, channels)
    path = tmp_path / f"a{suffix}"
    for array in (pixels, pixels.astype(np.float64), Picture(pixels), pixels.astype(np.int64)):
        save_image(path, array)
        np.testing.assert_array_equal(load_image(path, channels), pixels)


def test_lossy_formats_come_close(tmp_path: Path) -> None:
    pixels = smooth(40, 60)
    for suffix, error in ((".jpg", 1), (".jpeg", 1), (".gif", 5)):
        save_image(tmp_path / f"a{suffix}", pixels)
        assert np.abs(load_image(tmp_path / f"a{suffix}") - pixels).mean() < error


def test_values_are_clipped_and_rounded(tmp_path: Path) -> None:
    save_image(str(tmp_path / "a.png"), np.array([[-7.0, 0.4, 0.6, 254.6, 300.0]]))
    picture = load_image(tmp_path / "a.png", channels=1)
    np.testing.assert_array_equal(picture[0, :, 0], [0, 0, 1, 255, 255])


def test_npy_keeps_every_channel_and_value(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(100, 90, (5, 7, 9)).astype(np.float32)
    save_image(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), values)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_goes_back_where_the_format_has_it(
    tmp_path: Path, suffix: str, channels: int
) -> None:
    alpha = noise(5, 7, seed=9)
    save_image(tmp_path / f"a{suffix}", Picture(noise(5, 7, channels), alpha=alpha))
    np.testing.assert_array_equal(load_image(tmp_path / f"a{suffix}").alpha, alpha)
    save_image(tmp_path / f"four{suffix}", noise(5, 7, 4))
    np.testing.assert_array_equal(load_image(tmp_path / f"four{suffix}", 4), noise(5, 7, 4))


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".gif"])
def test_elsewhere_it_is_composited_on_white(tmp_path: Path, suffix: str) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    save_image(tmp_path / f"a{suffix}", pixels)
    np.testing.assert_allclose(load_image(tmp_path / f"a{suffix}"), 255, atol=1)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((5, 7), np.nan), "not finite"),
        (np.full((5, 7, 3), np.inf, np.float32), "not finite"),
        (np.zeros((5, 7, 5)), "5 channels.*npy"),
        (np.zeros((1, 3, 5, 7)), r"\(1, 3, 5, 7\)"),
        (np.zeros((5, 0, 3)), r"\(5, 0, 3\)"),
        (np.zeros((5, 7), complex), "complex"),
    ],
)
def test_what_cannot_be_saved_leaves_no_file(
    tmp_path: Path, array: NDArray[Any], words: str
) -> None:
    with pytest.raises(PictureError, match=rf"a\.png: .*{words}"):
        save_image(tmp_path / "a.png", array)
    assert not list(tmp_path.iterdir())
    with pytest.raises(PictureError, match="not finite"):
        save_image(tmp_path / "a.npy", np.full((5, 7), np.nan))


def test_unknown_extensions(tmp_path: Path) -> None:
    for name in ("a.xyz", "a", "a.eps"):
        with pytest.raises(PictureError, match=r"is not known; choose one of \.png .*\.npy"):
            save_image(tmp_path / name, noise(5, 7, 3))


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".gif"])
def test_a_size_that_the_format_cannot_hold(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(PictureError, match=r"70000 x 1 pixels make no [A-Z]+ \("):
        save_image(tmp_path / f"a{suffix}", np.zeros((1, 70_000)))
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        save_image(tmp_path / "nowhere" / "a.png", noise(5, 7, 3))


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_full_disk_keeps_the_old_picture_and_recipe(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    save_image(path, Picture(noise(5, 7, 3), recipe=RECIPE))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    script = """
import resource, signal, sys
import numpy as np
from oneiro.image import Picture, save_image
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    save_image(sys.argv[1], Picture(np.zeros((300, 400, 3)), recipe={"seed": 8}))
except OSError as error:
    print(error.errno)
"""
    run = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "27", run.stderr
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


# --- recipes ---


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff", ".bmp", ".gif", ".npy"])
def test_a_recipe_travels_with_its_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save_image(path, Picture(noise(5, 7, 3), recipe=RECIPE))
    assert load_recipe(path) == RECIPE
    beside = tmp_path / f"a{suffix}.recipe.json"
    assert beside.exists() == (suffix != ".png")
    if beside.exists():
        assert load_recipe(beside) == RECIPE


def test_the_recipe_is_plain_text_in_the_png(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", Picture(noise(5, 7, 3), recipe=RECIPE))
    text = json.dumps(RECIPE, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert b"iTXtoneiro\0\0\0\0\0" + text.encode() in (tmp_path / "a.png").read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff", ".gif", ".npy"])
def test_the_same_picture_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    turned = dict(reversed(RECIPE.items()))
    save_image(tmp_path / f"a{suffix}", Picture(noise(40, 30, 3), recipe=RECIPE))
    save_image(tmp_path / f"b{suffix}", Picture(noise(40, 30, 3), recipe=turned))
    one, other = (tmp_path / f"{name}{suffix}" for name in "ab")
    assert one.read_bytes() == other.read_bytes()
    assert str(tmp_path).encode() not in one.read_bytes()


def test_an_older_picture_s_recipe_does_not_stay(tmp_path: Path) -> None:
    save_image(tmp_path / "a.jpg", Picture(noise(5, 7, 3), recipe=RECIPE))
    save_image(tmp_path / "a.jpg", noise(5, 7, 3))
    with pytest.raises(PictureError, match=r"a\.jpg: holds no recipe.*a\.jpg\.recipe\.json"):
        load_recipe(tmp_path / "a.jpg")


def test_a_recipe_behind_the_pixels_is_found(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("oneiro", '{"seed":7}', zip=True)
    buffer = io.BytesIO()
    Image.fromarray(noise(5, 7)).save(buffer, "PNG", pnginfo=info)
    data = buffer.getvalue()
    text = slice(data.index(b"iTXt") - 4, data.index(b"IDAT") - 4)
    end = data.index(b"IEND") - 4
    moved = data[: text.start] + data[text.stop : end] + data[text] + data[end:]
    (tmp_path / "a.png").write_bytes(moved)
    assert load_recipe(tmp_path / "a.png") == {"seed": 7}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"seed":', "is not JSON"),
        ("[1, 2]", "list"),
        ("[" * 100_000, "is not JSON"),
        ('"' + "x" * 2_000_000 + '"', "too long"),
    ],
    ids=["half", "list", "deep", "long"],
)
def test_broken_recipes(tmp_path: Path, text: str, words: str) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("oneiro", text)
    Image.fromarray(noise(5, 7)).save(tmp_path / "a.png", pnginfo=info)
    (tmp_path / "b.json").write_text(text)
    for name in ("a.png", "b.json"):
        with pytest.raises(PictureError, match=rf"{name}: .*{words}"):
            load_recipe(tmp_path / name)


def test_a_text_bomb(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("oneiro", "x" * 70_000_000, zip=True)
    Image.fromarray(noise(5, 7)).save(tmp_path / "a.png", pnginfo=info)
    for load in (load_recipe, load_image):
        with pytest.raises(PictureError, match=r"a\.png"):
            load(tmp_path / "a.png")


def test_absent_recipes(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", noise(5, 7, 3))
    with pytest.raises(PictureError, match="holds no recipe"):
        load_recipe(tmp_path / "a.png")
    with pytest.raises(PictureError, match=r"b\.json: there is no such file"):
        load_recipe(tmp_path / "b.json")
    (tmp_path / "c.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PictureError, match=r"c\.json: is damaged"):
        load_recipe(tmp_path / "c.json")


# --- check_target ---


def test_a_target_is_checked_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_target(tmp_path / "a.png")
    check_target(str(tmp_path / "a.NPY"))
    for name in ("a.gif", "folder", ""):
        check_target(tmp_path / name, movie=True)
    monkeypatch.setitem(sys.modules, "av", None)
    for name, movie in (("a.mp4", False), ("folder", False), ("a.png", True), ("a.mp4", True)):
        with pytest.raises(PictureError, match=name):
            check_target(tmp_path / name, movie)
    for name, movie in (("nowhere/a.png", False), ("nowhere/a.gif", True), ("nowhere/b", True)):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            check_target(tmp_path / name, movie)
    assert not list(tmp_path.iterdir())


# --- rgb_bytes ---


def test_rgb_bytes() -> None:
    grey = noise(5, 7)
    np.testing.assert_array_equal(rgb_bytes(grey), np.dstack([grey] * 3))
    np.testing.assert_array_equal(rgb_bytes(noise(5, 7, 3)), noise(5, 7, 3))
    assert rgb_bytes(np.zeros((5, 7, 4)))[2, 3].tolist() == [255, 255, 255]
