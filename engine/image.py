"""Pictures: from a file to an array, and back.

A picture is H x W x C float32 in 0..255, on the host. Every doubt about a file (transparency,
16 bits, rotation, a bomb) is settled here, so that nothing behind this module meets it again.
"""

import contextlib
import importlib.util
import io
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile, PngInfo
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from .error import ArgumentError, PictureError
from .file import atomic_write, check_folder

MAX_PIXELS = 64_000_000
MAX_RECIPE = 1_000_000  # characters

# What is read, by its first bytes. Not Image.open: it knows seventy formats, and of a bomb it only
# warns, by the warning filters of the whole process.
PNG = b"\x89PNG\r\n\x1a\n"
READERS: dict[bytes, type[ImageFile]] = {
    PNG: PngImageFile,
    b"\xff\xd8\xff": JpegImageFile,
    b"RIFF": WebPImageFile,
    b"II*\0": TiffImageFile,
    b"MM\0*": TiffImageFile,
    b"GIF8": GifImageFile,
    b"BM": BmpImageFile,
}

# What is written, by extension: Pillow's name and options.
WRITERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"lossless": True, "exact": True}),
    ".tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ".bmp": ("BMP", {}),
    ".gif": ("GIF", {}),
}
TRANSPARENT = ("PNG", "WEBP", "TIFF")

FilePath = str | os.PathLike[str]


class Picture(np.ndarray[tuple[int, ...], np.dtype[np.float32]]):
    """A picture: an H x W x C float32 array in 0..255 that knows how it was made.

    `recipe` is what made it (a dict of plain JSON values) or None. `alpha` is the transparency of
    the file it came from (H x W uint8, 255 is opaque) or None; the colours are already composited
    on white. Both are lost by a crop or a flip; arithmetic keeps the transparency alone.

    Shares its memory with `values` where they are contiguous float32 already.
    """

    recipe: dict[str, Any] | None
    _alpha: NDArray[np.uint8] | None

    def __new__(
        cls,
        values: ArrayLike,
        recipe: dict[str, Any] | None = None,
        alpha: ArrayLike | None = None,
    ) -> "Picture":
        array = np.ascontiguousarray(as_planes(np.asarray(values)), np.float32)
        picture: Picture = array.view(cls)
        picture.recipe = recipe
        picture.alpha = None if alpha is None else np.asarray(alpha, np.uint8)
        return picture

    def __array_finalize__(self, source: Any) -> None:
        flipped = any(stride < 0 for stride in self.strides[:2])
        whole = isinstance(source, Picture) and self.shape[:2] == source.shape[:2] and not flipped
        self.recipe = source.recipe if whole else None
        self._alpha = source.alpha if whole else None

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        if array.ndim < 3:
            return np.asarray(array)[()]
        result: Any = super().__array_wrap__(array, context, return_scalar)
        result.recipe = None
        return result

    @property
    def alpha(self) -> NDArray[np.uint8] | None:
        if self._alpha is None or self._alpha.shape != self.shape[:2]:
            return None
        return self._alpha

    @alpha.setter
    def alpha(self, alpha: NDArray[np.uint8] | None) -> None:
        if alpha is not None and alpha.shape != self.shape[:2]:
            raise PictureError(f"alpha is {alpha.shape}, but the picture is {self.shape}")
        self._alpha = alpha

    def _repr_png_(self) -> bytes | None:
        try:
            return _encode(self, "PNG", {})
        except PictureError:
            return None  # two or five channels, or not finite: shown as numbers


# --- from a file ---


def load_image(path: FilePath, channels: int = 3, file: BinaryIO | None = None) -> Picture:
    """Read a picture as H x W x `channels`, float32 in 0..255, upright as its EXIF says.

    PNG, JPEG, WEBP, TIFF, GIF and BMP give 3 channels (RGB), 1 (grey, ITU-R 601 luma) or 4 (RGBA).
    With 1 and 3, transparency is composited on white and kept in `.alpha`. 16-bit grey is scaled
    to 0..255, and so is a float TIFF if its maximum is at most 1. Of an animation the first frame
    is taken, with a warning. Any other number of channels comes from a TIFF of that many grey pages
    or from a `.npy` array (H, W) or (H, W, C), whose values are taken as they are. With an open
    `file`, the path is no more than its name.

    Raises PictureError, naming the file: absent, empty, damaged, another format, more than 64
    million pixels, other channels, or values that are not finite.
    """
    if channels < 1:
        raise ArgumentError(f"channels is {channels}; it must be at least 1")
    first_of_many = False
    with _reading(path, file) as opened:
        if Path(path).suffix.lower() == ".npy":
            return Picture(in_channels(_read_npy(opened), channels))
        image = _open(opened)
        if channels in (1, 3, 4):
            first_of_many = getattr(image, "is_animated", False)
            picture = _read_picture(image, channels)
        else:
            picture = _read_pages(image, channels)
    if first_of_many:
        warnings.warn(f"{path}: holds several pictures, the first is taken", stacklevel=2)
    return picture


def load_recipe(path: FilePath) -> dict[str, Any]:
    """The recipe inside a PNG, beside another picture (`<file>.recipe.json`), or in a `.json` file.

    Raises PictureError where there is none, or a broken one.
    """
    text = None
    with _reading(path) as file:
        if Path(path).suffix.lower() == ".json":
            text = _read_text(file)
        elif file.read(8) == PNG:
            text = _png_text(_open(file))
    if text is None and (sidecar := _sidecar(path)).exists():
        with _reading(sidecar) as file:
            text = _read_text(file)
    if text is None:
        raise PictureError(f"{path}: holds no recipe, and there is no {sidecar.name} beside it")
    try:
        recipe = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PictureError(f"{path}: its recipe is not JSON ({error})") from None
    if not isinstance(recipe, dict):
        raise PictureError(f"{path}: its recipe is {type(recipe).__name__}, not an object of JSON")
    return recipe


@contextlib.contextmanager
def _reading(path: FilePath, file: BinaryIO | None = None) -> Iterator[BinaryIO]:
    """Open a file, if none is open; what goes wrong inside becomes one PictureError naming it."""
    if file is None and Path(path).is_dir():
        raise PictureError(f"{path}: is a folder; give one picture file")
    try:
        with open(path, "rb") if file is None else contextlib.nullcontext(file) as opened:
            yield opened
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise PictureError(f"{path}: there is no such file") from None
    except PermissionError:
        raise PictureError(f"{path}: may not be read (permission denied)") from None
    except Exception as error:  # Pillow raises a dozen kinds of them on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(
            f"{path}: is damaged, or no kind that is read ({reason}); convert it to PNG or .npy"
        ) from error


def _open(file: BinaryIO) -> ImageFile:
    """The picture in a file, its size checked, its pixels not yet read."""
    file.seek(0)
    head = file.read(8)
    if not head:
        raise PictureError("is empty")
    file.seek(0)
    for signature, reader in READERS.items():
        if head.startswith(signature):
            image = reader(file)
            _check_size(image.height, image.width)
            return image
    raise PictureError("is no PNG, JPEG, WEBP, TIFF, GIF or BMP picture; convert it to one")


def _check_size(height: int, width: int, channels: int = 1) -> None:
    if min(height, width, channels) < 1:
        raise PictureError("has no pixels")
    if height * width > MAX_PIXELS or height * width * channels > 4 * MAX_PIXELS:
        raise PictureError(
            f"is {width} x {height} x {channels}, above the limit of "
            f"{MAX_PIXELS // 10**6} million pixels; make it smaller first"
        )


def _read_picture(image: ImageFile, channels: int) -> Picture:
    values, alpha = _read_planes(image)
    if channels == 4:
        opaque = np.full(values.shape[:2], 255, np.uint8)
        fourth = opaque if alpha is None else alpha
        return Picture(np.dstack([in_channels(values, 3), fourth]))
    if alpha is not None:
        values = _on_white(values, alpha)
    return Picture(in_channels(values, channels), alpha=alpha)


def _read_pages(image: ImageFile, channels: int) -> Picture:
    """A TIFF of `channels` grey pages, as microscopes write them, or of so many plain bands."""
    if isinstance(image, TiffImageFile):
        if image.n_frames == channels:
            pages = []
            for number in range(channels):
                image.seek(number)
                _check_size(image.height, image.width, channels)
                pages.append(in_channels(_read_planes(image)[0], 1))
            if len({page.shape for page in pages}) > 1:
                raise PictureError("has pages of different sizes, which make no channels")
            return Picture(np.dstack(pages))
        if len(image.getbands()) == channels:
            return Picture(np.asarray(image))
    raise PictureError(
        f"has no {channels} channels; give a .npy array (H, W, {channels}), "
        f"or a TIFF of {channels} grey pages"
    )


def _read_planes(image: Image.Image) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
    """The pixels as (H, W, 1 or 3) in 0..255, and their opacity (H, W) where there is any."""
    image.load()
    with contextlib.suppress(SyntaxError):  # EXIF that is none says nothing of a rotation
        image = ImageOps.exif_transpose(image)

    if image.mode.startswith("I"):  # 16 bits; Pillow's own conversion would clip them at 255
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise PictureError("holds 32-bit integers; convert it to 8 or 16 bits")
        values = grey[..., None].astype(np.float32) / np.float32(257)
        clear = image.info.get("transparency")
        return values, None if clear is None else np.where(grey == clear, 0, 255).astype(np.uint8)

    if image.mode == "F":
        values = np.asarray(image, np.float32)[..., None]
        _check_finite(values)
        low, high = values.min(), values.max()
        if low < 0 or high > 255:
            raise PictureError(f"holds values from {low:g} to {high:g}; scale them to 0..255")
        return values * np.float32(255) if high <= 1 else values, None

    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if not image.has_transparency_data:
        return as_planes(np.asarray(image.convert(mode), np.float32)), None
    pixels = np.asarray(image.convert({"L": "LA", "RGB": "RGBA"}[mode]))
    return pixels[..., :-1].astype(np.float32), pixels[..., -1].copy()


def _read_npy(file: BinaryIO) -> NDArray[np.float32]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    if dtype.kind not in "uif":
        raise PictureError(f"holds {dtype} values; a picture is real numbers")
    if len(shape) not in (2, 3):
        raise PictureError(f"holds an array {shape}; a picture is (H, W) or (H, W, C)")
    _check_size(*shape)  # before anything is allocated
    file.seek(0)
    with np.errstate(over="ignore"):
        values = np.load(file, allow_pickle=False).astype(np.float32)
    _check_finite(values)
    return as_planes(values)


def _read_text(file: BinaryIO) -> str:
    text = file.read(MAX_RECIPE + 1)
    if len(text) > MAX_RECIPE:
        raise PictureError("is too long for a recipe")
    return text.decode()


def _png_text(image: ImageFile) -> str | None:
    # Text before the pixels is in .info; some programs move it behind them.
    text: str | None = image.info.get("oneiro") or getattr(image, "text", {}).get("oneiro")
    if text is not None and len(text) > MAX_RECIPE:
        raise PictureError("its recipe is too long")
    return text


def _sidecar(path: FilePath) -> Path:
    path = Path(path)
    return path.with_name(path.name + ".recipe.json")


# --- to a file ---


def save_image(path: FilePath, image: ArrayLike) -> None:
    """Write a picture, (H, W) or (H, W, C) in 0..255, in the format of the file's extension.

    PNG, JPEG, WEBP, TIFF, BMP and GIF take 1, 3 or 4 (RGBA) channels, clipped and rounded to 8
    bits. `.alpha` goes back into PNG, WEBP and TIFF; in the others, transparency is composited on
    white. `.npy` takes any number of channels and keeps them as float32, exactly. A `.recipe` goes
    into the PNG, or beside another format into `<file>.recipe.json`. The same picture gives the
    same bytes; a file is written whole or not at all.

    Raises PictureError for an unknown extension, a shape that is no picture, or values that are
    not finite; OSError where the file cannot be written.
    """
    check_target(path)
    path = Path(path)
    recipe = getattr(image, "recipe", None)
    text = None if recipe is None else _recipe_text(recipe)
    try:
        data = _encode_for(path, image, text)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from None
    if text is None or path.suffix.lower() == ".png":
        with atomic_write(path) as file:
            file.write(data)
        _sidecar(path).unlink(missing_ok=True)  # it told of the picture that was here before
    else:
        with atomic_write(path) as file, atomic_write(_sidecar(path)) as beside:
            file.write(data)
            beside.write(text.encode())


def check_target(path: FilePath, movie: bool = False, channels: int = 3) -> None:
    """Raise, before any long work, what saving a picture (or an animation) there would raise.

    PictureError for an unknown extension, or for `.mp4` without PyAV; FileNotFoundError where the
    folder is missing.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if movie and not path.is_dir():
        if suffix not in ("", ".gif", ".mp4"):
            raise PictureError(f"{path}: an animation is .gif, .mp4, or a folder for its frames")
        if suffix == ".mp4" and importlib.util.find_spec("av") is None:
            raise PictureError(f'{path}: video needs PyAV: pip install "oneiro[video]"')
    if not movie and path.is_dir():
        raise PictureError(f"{path}: is a folder; give the name of a file in it")
    if suffix != ".npy" and channels not in (1, 3, 4):
        raise PictureError(f"{path}: {channels} channels are not 1, 3 or 4; save them as .npy")
    if not movie and suffix not in (*WRITERS, ".npy"):
        known = " ".join([*WRITERS, ".npy"])
        raise PictureError(f"{path}: the extension {suffix!r} is not known; choose one of {known}")
    check_folder(path)


def rgb_bytes(image: ArrayLike) -> NDArray[np.uint8]:
    """A picture of 1, 3 or 4 channels as it is shown: (H, W, 3) in 8 bits, on white."""
    values = _bytes(image)
    if values.shape[2] == 4:
        values = _flatten(values)
    if values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    return values


def encoded(image: ArrayLike, suffix: str) -> bytes:
    """A picture as the file of this extension would hold it, without a recipe."""
    kind, options = WRITERS[suffix]
    return _encode(image, kind, options)


def _recipe_text(recipe: dict[str, Any]) -> str:
    return json.dumps(
        recipe, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _encode_for(path: Path, image: ArrayLike, text: str | None) -> bytes:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _encode_npy(image)
    kind, options = WRITERS[suffix]
    if kind == "PNG" and text is not None:
        info = PngInfo()
        info.add_itxt("oneiro", text)
        options = options | {"pnginfo": info}
    return _encode(image, kind, options)


def _encode_npy(image: ArrayLike) -> bytes:
    values = as_planes(np.asarray(image)).astype(np.float32)
    _check_finite(values)
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def _encode(image: ArrayLike, kind: str, options: dict[str, Any]) -> bytes:
    values = _bytes(image)
    alpha = getattr(image, "alpha", None)
    if kind not in TRANSPARENT:
        values = _flatten(values)
    elif alpha is not None and values.shape[2] < 4:
        values = np.dstack([values, alpha])
    encoded = Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    if kind == "GIF":
        encoded = in_palette(np.asarray(encoded.convert("RGB")))
    buffer = io.BytesIO()
    try:
        encoded.save(buffer, kind, **options)
    except Exception as error:  # each format has its own limit of size, and its own kind of error
        height, width = values.shape[:2]
        raise PictureError(f"{width} x {height} pixels make no {kind} ({error})") from error
    return buffer.getvalue()


def in_palette(pixels: NDArray[np.uint8]) -> Image.Image:
    """RGB bytes (H, W, 3) in the 256 colours that suit them best, dithered."""
    image = Image.fromarray(pixels)
    colours = image.quantize(256, Image.Quantize.FASTOCTREE)
    return image.quantize(palette=colours, dither=Image.Dither.FLOYDSTEINBERG)


# --- arrays ---


def as_planes(values: NDArray[Any]) -> NDArray[Any]:
    """A picture (H, W) or (H, W, C) as (H, W, C); PictureError for anything else."""
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or 0 in values.shape:
        raise PictureError(f"an array {values.shape} is no picture; it must be (H, W) or (H, W, C)")
    if values.dtype.kind not in "uif":
        raise PictureError(f"{values.dtype} values are no picture; they must be real numbers")
    return values


def _check_finite(values: NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        raise PictureError("holds values that are not finite (NaN or infinity)")


def _bytes(image: ArrayLike) -> NDArray[np.uint8]:
    """The picture clipped and rounded: (H, W, 1, 3 or 4)."""
    values = as_planes(np.asarray(image))
    if values.shape[2] not in (1, 3, 4):
        raise PictureError(f"{values.shape[2]} channels are not 1, 3 or 4; save them as .npy")
    if values.dtype == np.uint8:
        return values
    _check_finite(values)
    rounded: NDArray[np.uint8] = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return rounded


def _on_white(values: NDArray[np.float32], alpha: NDArray[np.uint8]) -> NDArray[np.float32]:
    opacity = alpha[..., None].astype(np.float32) / np.float32(255)
    flat: NDArray[np.float32] = values * opacity + np.float32(255) * (1 - opacity)
    return flat


def _flatten(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA bytes as RGB bytes on white; others as they are."""
    if values.shape[2] < 4:
        return values
    return _bytes(_on_white(values[..., :3].astype(np.float32), values[..., 3]))


def in_channels(values: NDArray[Any], channels: int) -> NDArray[Any]:
    """(H, W, C) as (H, W, channels): grey by luma, colour by repetition, or PictureError."""
    have = values.shape[2]
    if have == channels:
        return values
    if (have, channels) == (3, 1):
        # ITU-R BT.601: 0.299 red + 0.587 green + 0.114 blue, so written that a grey stays exact
        red, green, blue = np.split(values.astype(np.result_type(values, np.float32)), 3, axis=2)
        grey: NDArray[Any] = green + 0.299 * (red - green) + 0.114 * (blue - green)
        return grey
    if (have, channels) == (1, 3):
        return np.repeat(values, 3, axis=2)
    raise PictureError(f"has {have} channels where {channels} are asked for")


def shrunk(picture: Picture, side: int) -> Picture:
    """The picture with its longer side at most `side` pixels, filtered (Lanczos) as it shrinks."""
    height, width = picture.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return picture
    return resampled(picture, max(1, round(height * factor)), max(1, round(width * factor)))


def middle(picture: Picture, height: int, width: int) -> Picture:
    """The middle of the picture, as much of it as this shape holds, at height x width pixels."""
    tall, wide = picture.shape[:2]
    factor = max(height / tall, width / wide)
    tall, wide = max(height, round(tall * factor)), max(width, round(wide * factor))
    top, left = (tall - height) // 2, (wide - width) // 2
    return Picture(resampled(picture, tall, wide)[top : top + height, left : left + width])


def resampled(picture: Picture, height: int, width: int) -> Picture:
    """The picture at height x width pixels, filtered (Lanczos), with its transparency."""
    size = (width, height)
    planes = [
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.LANCZOS))
        for plane in np.moveaxis(np.asarray(picture, np.float32), 2, 0)
    ]
    small = Picture(np.clip(np.stack(planes, axis=2), 0, 255))
    if picture.alpha is not None:
        veil = Image.fromarray(picture.alpha).resize(size, Image.Resampling.LANCZOS)
        small.alpha = np.asarray(veil)
    return small
