"""Codes: one vector for each of many pictures, and what can be seen in them."""

from __future__ import annotations

import base64
import dataclasses
import html
import importlib.util
import json
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .collection import Collection
from .drawing import sheet
from .error import ArgumentError, OneiroError
from .file import atomic_write, check_folder
from .image import FilePath, Picture, middle
from .label import natural
from .mosaic import mosaic
from .neighbour import METRICS, Neighbours, nearest, unit
from .principal import reduced
from .recipe import Recipe, amended
from .scatter import scatter
from .seed import seeded

SUFFIXES = (".npz", ".parquet")
FEWEST = 5  # points that t-SNE says anything of
REDUCED = 50  # principal components that t-SNE starts from, as its authors do
PERPLEXITY = 30.0
TILE = 112  # pixels of a picture on a sheet of neighbours
FRAME = 5  # round the picture that is asked about
AMBER = (250, 178, 60)
DENSEST = 200  # times as large as its file: real codes are packed by far less
COLUMNS = ("ids", "labels", "names", "vectors", "recipe")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Codes:
    """Vectors (n, d) of float32, one for the picture of each id.

    `labels` says what each picture is, "" where nobody knows; it is empty if none is known.
    `names` are the labels that there are, in their order; by default sorted. `recipe` is what made
    the vectors, or None. `collection` holds the pictures, for those who draw them, or is None.
    """

    ids: Sequence[str]
    vectors: NDArray[np.float32]
    labels: Sequence[str] = ()
    names: Sequence[str] = ()
    recipe: Recipe | None = None
    collection: Collection | None = None

    def __post_init__(self) -> None:
        keep = object.__setattr__  # frozen
        vectors = np.ascontiguousarray(self.vectors, np.float32)
        if vectors.ndim != 2 or 0 in vectors.shape or not np.isfinite(vectors).all():
            raise ArgumentError(f"vectors are {vectors.shape}: they must be finite, and (n, d)")
        keep(self, "vectors", vectors)
        for name in ("ids", "labels", "names"):
            keep(self, name, tuple(map(str, getattr(self, name))))
        if len(self.ids) != len(vectors) or len(self.labels) not in (0, len(vectors)):
            counts = f"{len(self.ids)} ids, {len(self.labels)} labels"
            raise ArgumentError(f"{counts} and {len(vectors)} vectors: there must be one for each")
        used = {label for label in self.labels if label}
        if not used:
            keep(self, "labels", ())
        if not used.issubset(self.names):
            keep(self, "names", tuple(sorted(used, key=natural)))
        keep(self, "names", tuple(name for name in self.names if name in used))

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Codes({self.summary})"

    @property
    def summary(self) -> str:
        """How many, of what, by which network."""
        blob = (self.recipe or {}).get("parameters", {}).get("blob")
        net = (self.recipe or {}).get("model", {}).get("name")
        origin = f", {blob} of {net}" if blob and net else ""
        return f"{len(self)} pictures, {self.vectors.shape[1]} numbers each{origin}"

    @property
    def numbers(self) -> list[int]:
        """For each picture the place of its label in `names`, -1 without one; empty if none is."""
        place = {name: k for k, name in enumerate(self.names)}
        return [place.get(label, -1) for label in self.labels]

    # What is near what.

    def neighbours(self, k: int = 8, metric: str = "cosine") -> Neighbours:
        """The k nearest other pictures of each, nearest first, and how far they are: exact.

        `metric` is "cosine" or "l2", |x - y|; of equally near ones the first comes first. The
        cosine does not see how strong a code is as a whole. With codes of SqueezeNet it finds more
        of a kind: 0.62 of the neighbours of dogs are dogs, where one photo in eight is; 0.46 by l2.
        """
        return nearest(self.vectors, k, metric)

    def pca(self, dims: int = 2) -> NDArray[np.float64]:
        """The codes in their principal components, (n, dims): what spreads most comes first.

        The sign of each is such that its largest weight is positive. Components that there are not
        are 0.
        """
        if dims < 1:
            raise ArgumentError(f"dims is {dims}: it starts at 1")
        return reduced(self.vectors.astype(np.float64), dims)

    def tsne(
        self, *, seed: int = 0, perplexity: float | None = None, metric: str = "cosine"
    ) -> NDArray[np.float64]:
        """The codes in a plane by t-SNE (van der Maaten and Hinton 2008), (n, 2).

        Near points are pictures with near codes; the distance of far ones says little. Starts from
        the first two principal components; more than 50 numbers are reduced to 50 of them before.
        `perplexity` is how many neighbours count, by default 30, or a third of them all if that is
        less. The same seed gives the same points on one machine. Computed by scikit-learn, of the
        extra "embed"; raises ArgumentError without it.
        """
        check_tsne()
        if len(self) < FEWEST:
            raise ArgumentError(f"t-SNE says nothing of {len(self)} pictures: take pca")
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits

        if metric not in METRICS:
            raise ArgumentError(f"metric {metric!r} is not one of {', '.join(METRICS)}")
        most = (len(self) - 1) / 3
        perplexity = min(PERPLEXITY, most) if perplexity is None else perplexity
        if not 1 <= perplexity < len(self):
            raise ArgumentError(f"perplexity is {perplexity}: it must lie in 1..{len(self) - 1}")
        rows = self.vectors.astype(np.float64)
        rows = unit(rows) if metric == "cosine" else rows
        if rows.shape[1] > REDUCED:
            rows = reduced(rows, REDUCED)
        if not np.ptp(rows, axis=0).any():
            return np.zeros((len(self), 2))  # all are alike
        start = reduced(rows, 2)
        start *= 1e-4 / start[:, 0].std()
        start += seeded(seed).normal(0, 1e-6, start.shape)  # equal ones may part
        method = TSNE(perplexity=perplexity, init=start.astype(np.float32), n_jobs=1)
        with threadpool_limits(1):  # sums in several threads come in any order
            return np.asarray(method.fit_transform(rows), np.float64)

    # Pictures.

    def title(self, k: int) -> str:
        """The picture's label, the first of several words for it, or else its name."""
        label = self.labels[k] if self.labels else ""
        return label.split(",")[0] or PurePosixPath(self.ids[k]).stem

    def find(self, text: str) -> int:
        """The picture with that id, or the only one whose id or label holds the text."""
        if text in self.ids:
            return list(self.ids).index(text)
        labels = self.labels or [""] * len(self)
        held = [k for k in range(len(self)) if text and (text in self.ids[k] or text in labels[k])]
        if len(held) == 1:
            return held[0]
        some = ", ".join(self.ids[k] for k in held[:4])
        more = ", ..." if len(held) > 4 else ""
        hint = f"{len(held)} pictures may be meant: {some}{more}" if held else "no picture has it"
        raise ArgumentError(f"{text!r} names no picture: {hint}")

    def with_pictures(self, source: FilePath | Collection) -> Codes:
        """The same codes with the pictures of a folder, a zip or a tar, for those who draw them."""
        collection = source if isinstance(source, Collection) else Collection(source)
        held = set(collection.ids)
        missing = [id for id in self.ids if id not in held]
        if missing:
            lost = f"{len(missing)} of {len(self)} pictures are not in it: {missing[0]!r}"
            raise ArgumentError(f"{collection.source}: {lost}")
        return dataclasses.replace(self, collection=collection)

    def picture(self, k: int) -> Picture:
        """The picture of a code; raises ArgumentError where nobody has said where they are."""
        if self.collection is None:
            raise ArgumentError("the pictures of these codes are not known: give where they are")
        return self.collection.load(self.ids[k])

    def scatter(self, points: NDArray[Any] | None = None, title: str | None = None) -> Picture:
        """A dot for each picture at its point (n, 2), in the colour of its label, with a legend.

        `points` are by default those of `pca`.
        """
        points = self.pca() if points is None else self.fitting(points)
        names = [name.split(",")[0] for name in self.names]
        drawn = scatter(points, self.numbers, names, self.summary if title is None else title)
        return self.recorded(drawn, "scatter")

    def grid(self, points: NDArray[Any] | None = None, side: int | None = None) -> Picture:
        """The pictures themselves, on a grid, each near its point (n, 2): to be zoomed into.

        `points` are by default those of `tsne`; `side` is that of a thumbnail, 96 pixels where the
        whole stays below 64 million.
        """
        points = self.tsne() if points is None else self.fitting(points)
        return self.recorded(mosaic(points, self.picture, side), "grid")

    def sheet(
        self, queries: Sequence[str | int] | None = None, k: int = 8, metric: str = "cosine"
    ) -> Picture:
        """Some pictures, framed, one a row, and right of each its k nearest with their distances.

        `queries` are ids, parts of ids or labels, or numbers; by default ten, evenly spread.
        """
        if queries is None:
            count = min(10, len(self))
            queries = [round(k) for k in np.linspace(0, len(self) - 1, count)]
        asked = [self.find(query) if isinstance(query, str) else int(query) for query in queries]
        if not asked or not all(0 <= query < len(self) for query in asked):
            raise ArgumentError(f"queries are {list(queries)}: they are numbers below {len(self)}")
        near = nearest(self.vectors, k + 1, metric, self.vectors[asked])
        tiles, captions = [], []
        for query, index, distance in zip(asked, *near, strict=True):
            others = index != query
            if others.all():
                others[-1] = False  # many are the same as it
            tiles.append(framed(middle(self.picture(query), TILE, TILE)))
            captions.append(self.title(query))
            for other, far in zip(index[others], distance[others], strict=True):
                tiles.append(middle(self.picture(int(other)), TILE, TILE))
                apart = f"{far:.2f}" if metric == "cosine" else f"{far:.3g}"
                captions.append(f"{self.title(int(other))} ({apart})")
        return self.recorded(sheet(tiles, captions, len(tiles) // len(asked)), "neighbours")

    def fitting(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """The points, if there is one for each picture."""
        flat = np.asarray(points, np.float64)
        if flat.shape != (len(self), 2):
            raise ArgumentError(f"points are {flat.shape}: they must be ({len(self)}, 2)")
        return flat

    def recorded(self, picture: Picture, kind: str) -> Picture:
        picture.recipe = amended(self.recipe, "embed", picture=kind)
        return picture

    def _repr_html_(self) -> str:
        counts = Counter(self.labels)
        listed = ", ".join(f"{name} ({counts[name]})" for name in self.names[:12])
        more = f" and {len(self.names) - 12} more" if len(self.names) > 12 else ""
        lines = [f"<b>Codes</b>: {html.escape(self.summary)}"]
        if self.names:
            lines.append(f"labels: {html.escape(listed + more)}")
        png = self.scatter(title="principal components")._repr_png_() if len(self) > 1 else None
        if png:
            data = base64.b64encode(png).decode()
            lines.append(
                f'<img alt="principal components" width="480" src="data:image/png;base64,{data}">'
            )
        return "<br>".join(lines)

    # Files.

    def save(self, path: FilePath) -> None:
        """Write a .npz, or a .parquet (by PyArrow, of the extra "parquet"); read by load_codes.

        The .npz holds arrays that numpy.load reads: ids, labels, names, vectors and the recipe as
        JSON. The .parquet has a row for each picture: id, label, vector. A file is written whole or
        not at all.
        """
        check_codes_target(path)
        with atomic_write(path) as file:
            if Path(path).suffix.lower() == ".npz":
                np.savez(file, **self.columns())
            else:
                self.write_parquet(file)

    def columns(self) -> dict[str, Any]:
        text = json.dumps(self.recipe, sort_keys=True) if self.recipe else ""
        listed = {name: np.array(getattr(self, name), str) for name in ("ids", "labels", "names")}
        return listed | {"vectors": self.vectors, "recipe": np.array(text)}

    def write_parquet(self, file: BinaryIO) -> None:
        import pyarrow
        import pyarrow.parquet

        width = self.vectors.shape[1]
        numbers = [k if k >= 0 else None for k in self.numbers] or [None] * len(self)
        labels = pyarrow.DictionaryArray.from_arrays(
            pyarrow.array(numbers, pyarrow.int32()), pyarrow.array(self.names, pyarrow.string())
        )
        flat = pyarrow.array(self.vectors.ravel())
        vectors = pyarrow.FixedSizeListArray.from_arrays(flat, width)
        ids = pyarrow.array(self.ids, pyarrow.string())
        table = pyarrow.table({"id": ids, "label": labels, "vector": vectors})
        about = {"recipe": self.recipe, "names": self.names}
        metadata = {"oneiro": json.dumps(about, sort_keys=True)}
        pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), file)


def load_codes(path: FilePath, images: FilePath | Collection | None = None) -> Codes:
    """The codes that were saved there, .npz or .parquet, with the pictures of `images`, if any.

    Raises ArgumentError, naming the file, for one that holds no codes or is damaged.
    """
    check_suffix(path)
    read = read_npz if Path(path).suffix.lower() == ".npz" else read_parquet
    try:
        codes = read(Path(path))
    except OneiroError as error:
        raise ArgumentError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise ArgumentError(f"{path}: there is no such file") from None
    except Exception as error:  # NumPy, zlib and Arrow have a dozen kinds of them
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ArgumentError(f"{path}: holds no codes, or is damaged ({reason})") from error
    return codes if images is None else codes.with_pictures(images)


def read_npz(path: Path) -> Codes:
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > DENSEST * path.stat().st_size:
        raise ArgumentError(f"would take {unpacked:,} bytes, {DENSEST} times its own size")
    with np.load(path, allow_pickle=False) as held:
        missing = [name for name in ("ids", "vectors") if name not in held]
        if missing:
            raise ArgumentError(f"has no array {missing[0]!r}")
        listed = {name: held[name] for name in COLUMNS if name in held}
    recipe = str(listed.pop("recipe", ""))
    return Codes(**listed, recipe=sound(json.loads(recipe)) if recipe else None)


def read_parquet(path: Path) -> Codes:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    for name in ("id", "vector"):
        if name not in table.column_names:
            raise ArgumentError(f"has no column {name!r}")
    about = json.loads((table.schema.metadata or {}).get(b"oneiro", b"{}"))
    vectors = table["vector"].combine_chunks()
    labelled = "label" in table.column_names
    return Codes(
        table["id"].to_pylist(),
        vectors.flatten().to_numpy(zero_copy_only=False).reshape(len(table), -1),
        [label or "" for label in table["label"].to_pylist()] if labelled else (),
        about.get("names") or (),
        sound(about.get("recipe")),
    )


def sound(recipe: Any) -> Recipe | None:
    """The recipe, if its parts are what they are to be."""
    parts = [recipe, *(recipe.get(name, {}) for name in ("parameters", "model"))] if recipe else []
    if not all(isinstance(part, dict) for part in parts):
        raise ArgumentError("its recipe is broken")
    json.dumps(recipe, allow_nan=False)  # it will be written again
    return recipe


def check_suffix(path: FilePath) -> None:
    """Raise ArgumentError for a file that cannot hold codes, or not without what is missing."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ArgumentError(f"{path}: codes are kept in a file of {' or '.join(SUFFIXES)}")
    if suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ArgumentError(f'{path}: Parquet needs PyArrow: pip install "oneiro[parquet]"')


def check_codes_target(path: FilePath) -> None:
    """Raise, before any long work, what saving codes there would raise."""
    check_suffix(path)
    if Path(path).is_dir():
        raise ArgumentError(f"{path}: is a folder; give the name of a file in it")
    check_folder(path)


def check_tsne() -> None:
    """Raise ArgumentError where nothing is installed that computes t-SNE."""
    if importlib.util.find_spec("sklearn") is None:
        raise ArgumentError('t-SNE needs scikit-learn: pip install "oneiro[embed]", or take pca')


def framed(tile: Picture) -> Picture:
    """A picture with a bright frame inside its border."""
    image = np.full(tile.shape, AMBER, np.float32)
    image[FRAME:-FRAME, FRAME:-FRAME] = tile[FRAME:-FRAME, FRAME:-FRAME]
    return Picture(image)
