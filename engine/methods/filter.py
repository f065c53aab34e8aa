"""What a layer looks for: its filters, in colour where they read the picture."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence

import numpy as np

from oneiro.kernels.dispatch import Array

from ..colour import diverging, mid_grey
from ..drawing import captioned, enlarged, legend, sheet, stacked
from ..error import ArgumentError, ModelError
from ..image import Picture
from ..importer import Node
from ..layers.conv import Conv
from ..net import Net
from ..principal import principal
from ..recipe import make_recipe
from ..seed import seeded

CONTRASTS = ("own", "shared")
COMPARISONS = ("pca",)
SLICES = 4096  # of filters on a sheet, all together
INPUTS = 256  # slices of one filter
LARGE = 64  # px of a filter that reads the picture
BLOCK, SMALL = 128, 12  # px of a deeper one, and of a slice of it at least
FRAME, GAP = (120, 120, 128), (24, 24, 27)  # colours round a filter's slices, and between them
PATCHES = 20_000  # of photos, all together


def filters(
    net: Net,
    layer: str | None = None,
    *,
    contrast: str = "own",
    count: int | None = None,
    inputs: int = INPUTS,
    compare: str | None = None,
    photos: Sequence[Array] = (),
    seed: int = 0,
) -> Picture:
    """The filters (out, in, h, w) of a convolution, drawn; a Picture with its recipe.

    `layer` is the convolution's name, or a blob that it makes, perhaps by way of a rectifier; by
    default it is the first. Filters that read the picture are small pictures round mid-grey, which
    is 0, in the picture's own colours. Of deeper ones each is a framed block of its slices, one for
    each channel that it reads, blue below 0 and red above. With contrast "own" each filter is as
    strong as can be shown, with "shared" one scale holds for all.

    `count` is how many filters are drawn at most, by default as many as fit on a sheet, and
    `inputs` how many slices of each; the caption says what is left out.

    `compare="pca"` draws, beside filters that read the picture, the principal components of PATCHES
    patches of their size, which the seed picks from `photos`, (h, w, c) of 0..255 each: what
    a code of pictures looks like that no network has learnt (Hancock, Baddeley & Smith 1992).

    Raises ArgumentError and ModelError.
    """
    if contrast not in CONTRASTS:
        raise ArgumentError(f"contrast {contrast!r} is not one of {', '.join(CONTRASTS)}")
    for name, value in (("count", count), ("inputs", inputs)):
        if value is not None and value < 1:
            raise ArgumentError(f"{name} is {value}: it starts at 1")
    if compare not in (None, *COMPARISONS):
        raise ArgumentError(f"compare {compare!r} is not one of {', '.join(COMPARISONS)}")
    node = found(net, layer)
    weights = np.asarray(net.constants[str(node.bottoms[1])], np.float64)
    coloured = reads_picture(net, node, weights)
    if coloured:
        page = pictures_drawn(net, node, weights, contrast, count)
    else:
        page = slices_drawn(net, node, weights, contrast, count, inputs)
    if compare:
        if not coloured:
            raise ArgumentError(f"compare: {node.name} does not read the picture's colours")
        if not photos:
            raise ArgumentError('compare="pca" takes patches of photos: give some')
        parts = [page, components_drawn(net, weights, photos, seed)]
        page = stacked(parts, beside=True, gap=24)
    parameters = {"layer": node.name, "contrast": contrast, "count": count, "inputs": inputs}
    if compare:
        parameters |= {"compare": compare, "seed": seed}
    pictures = {f"photo {k}": photo for k, photo in enumerate(photos, 1)}
    page.recipe = make_recipe(net, "filters", parameters, pictures)
    return page


def found(net: Net, layer: str | None) -> Node:
    """The convolution of that name, or the one behind the blob of that name."""
    convolutions = [
        node
        for node in net.nodes
        if isinstance(node.layer, Conv)
        and node.bottoms[1] in net.constants
        and net.constants[str(node.bottoms[1])].ndim == 4
    ]
    if not convolutions:
        raise ModelError(f"{net.model.name}: has no convolution with filters of its own")
    if layer is None:
        return convolutions[0]
    named = next((node for node in convolutions if node.name == layer), None)
    blob = net.find(layer)
    makers = {top: node for node in net.nodes for top in node.tops}
    while named is None and blob in makers:
        maker = makers[blob]
        flows = [bottom for bottom in maker.bottoms if bottom and bottom not in net.constants]
        if maker in convolutions:
            named = maker
        elif len(flows) != 1:
            break
        blob = flows[0]
    if named is None:
        names = [node.name for node in convolutions]
        near = difflib.get_close_matches(layer, names, 3, 0.4) or names[:3]
        raise ArgumentError(f"{layer!r} is no convolution; near it: {', '.join(near)}")
    return named


def reads_picture(net: Net, node: Node, weights: Array) -> bool:
    """Are the channels that the filters read the colours of the picture?"""
    first = next(other for other in net.nodes if isinstance(other.layer, Conv))
    return node is first and weights.shape[1] == net.channels and net.channels in (1, 3)


def pictures_drawn(
    net: Net, node: Node, weights: Array, contrast: str, count: int | None
) -> Picture:
    """Filters (out, 1 or 3, h, w) as small pictures."""
    shown = weights[: count or SLICES]
    limit = float(np.abs(shown).max()) if contrast == "shared" else None
    tiles = coloured_tiles(net, shown, limit)
    page = sheet(tiles, [str(k) for k in range(len(shown))])
    return captioned(page, told(net, node, weights, contrast, len(shown)))


def coloured_tiles(net: Net, weights: Array, limit: float | None) -> list[Array]:
    """Filters (n, 1 or 3, h, w) in the network's colours as pictures, enlarged."""
    turned = net.known_preprocessing().turned
    values = [turned(one.transpose(1, 2, 0)) for one in weights]
    factor = max(1, LARGE // max(weights.shape[2:]))
    return [
        enlarged(mid_grey(one, float(np.abs(one).max()) if limit is None else limit), factor)
        for one in values
    ]


def slices_drawn(
    net: Net, node: Node, weights: Array, contrast: str, count: int | None, inputs: int
) -> Picture:
    """Filters (out, in, h, w) as framed blocks of their slices."""
    some = min(weights.shape[1], inputs)
    shown = weights[: count or max(1, SLICES // some), :some]
    limit = float(np.abs(shown).max())
    shared = contrast == "shared"
    tiles = [block(one, limit if shared else float(np.abs(one).max())) for one in shown]
    page = sheet(tiles, [str(k) for k in range(len(shown))])
    parts = [page]
    if shared:
        parts.append(legend(lambda v: diverging(v, limit), -limit, limit, min(page.shape[1], 320)))
    return captioned(stacked(parts), told(net, node, weights, contrast, len(shown), some))


def block(slices: Array, limit: float) -> Array:
    """The slices (n, h, w) of one filter in rows, framed: (height, width, 3)."""
    n, h, w = slices.shape
    across = math.ceil(math.sqrt(n * h / w))
    room = min(max(BLOCK // across, SMALL), 3 * SMALL)  # px of a slice
    factor = max(1, room // max(h, w))
    down = math.ceil(n / across)
    tall, wide = h * factor + 1, w * factor + 1  # with the gap
    page = np.full((down * tall + 5, across * wide + 5, 3), FRAME, np.float32)
    page[2:-2, 2:-2] = GAP
    for k, one in enumerate(slices):
        row, column = divmod(k, across)
        top, left = 3 + row * tall, 3 + column * wide
        drawn = enlarged(diverging(one, limit), factor)
        page[top : top + tall - 1, left : left + wide - 1] = drawn
    return page


def told(
    net: Net, node: Node, weights: Array, contrast: str, shown: int, slices: int | None = None
) -> str:
    """The caption: what is seen, and what is left out."""
    total, depth, h, w = weights.shape
    read = f"{depth} channels" if depth > 1 else "one channel"
    said = [f"{node.name} of {net.model.name}: {total} filters of {w}x{h} on {read}"]
    if total > shown:
        said.append(f"the first {shown} ({total - shown} left out)")
    if slices is not None and depth > slices:
        said.append(f"of each the first {slices} slices ({depth - slices} left out)")
    said.append("one contrast for all" if contrast == "shared" else "each in its own contrast")
    return ", ".join(said)


def components_drawn(net: Net, weights: Array, photos: Sequence[Array], seed: int) -> Picture:
    """The principal components of patches as large as the filters, as many as there are filters."""
    total, _, h, w = weights.shape
    rows = patches(net, photos, h, w, seed)
    components, shares = principal(rows)
    shown = components[:total].reshape(-1, net.channels, h, w)
    tiles = coloured_tiles(net, shown, None)
    page = sheet(tiles, [percent(share) for share in shares[:total]])
    of = "1 photo" if len(photos) == 1 else f"{len(photos)} photos"
    return captioned(page, f"principal components of {len(rows)} patches of {of}, and their shares")


def percent(share: float) -> str:
    return f"{100 * share:.2g}%"


def patches(net: Net, photos: Sequence[Array], h: int, w: int, seed: int) -> Array:
    """Patches (PATCHES, channels * h * w) of the photos as the net takes them, picked by chance."""
    random = seeded(seed)
    found = []
    for k, photo in enumerate(photos):
        x = np.asarray(net.preprocess(photo), np.float64)[0]
        if x.shape[1] < h or x.shape[2] < w:
            tall, wide = x.shape[1:]
            raise ArgumentError(f"photos: one of {wide}x{tall} px has no patch of {w}x{h}")
        part = PATCHES * (k + 1) // len(photos) - PATCHES * k // len(photos)
        windows = np.lib.stride_tricks.sliding_window_view(x, (h, w), (1, 2))
        down = random.integers(windows.shape[1], size=part)
        across = random.integers(windows.shape[2], size=part)
        found.append(windows[:, down, across].swapaxes(0, 1).reshape(part, -1))
    return np.concatenate(found)
