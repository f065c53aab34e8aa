"""Many pictures as vectors, and what is near what: `oneiro embed`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click

from ..code import SUFFIXES, Codes, check_codes_target, check_tsne, load_codes
from ..collection import Collection
from ..image import check_target, save_image
from ..methods.embedding import Step, embed
from ..neighbour import METRICS
from ..net import Net
from ..recipe import amended
from .console import tell
from .counter import counted
from .group import commands
from .loading import free_name, load_net, refuse_photo
from .option import COMPUTING, FEEDING, network, pixels

PLANES = {"tsne": "t-SNE", "pca": "principal components"}
PLANAR = ("scatter", "grid")
PICTURES = (*PLANAR, "neighbours")


@commands.command("embed")
@click.argument("source", metavar="IMAGES", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option("--blob", "-b", help="Which numbers.  [those that enter the layer of the classes]")
@click.option("--flat", is_flag=True, help="Keep the places of maps: else they are averaged.")
@click.option(
    "--size", callback=pixels, metavar="SIDE|HEIGHT,WIDTH",
    help="Of what the network sees, in pixels.  [as it was trained]",
)  # fmt: skip
@click.option("--grid", type=click.Path(path_type=Path), help="Draw the pictures, near by near.")
@click.option("--scatter", type=click.Path(path_type=Path), help="Draw a dot for each picture.")
@click.option(
    "--neighbours", type=click.Path(path_type=Path), help="Draw pictures with those nearest."
)
@click.option(
    "--query", "-q", "queries", multiple=True, metavar="ID",
    help="Whose neighbours: a name in IMAGES, or a part of it. May be repeated.  [ten, spread]",
)  # fmt: skip
@click.option("-k", "k", type=click.IntRange(1), default=8, help="Neighbours of each.  [8]")
@click.option(
    "--method", type=click.Choice([*PLANES]), default="tsne",
    help="How codes come into the plane.  [tsne]",
)  # fmt: skip
@click.option(
    "--metric", type=click.Choice(METRICS), default="cosine", help="What is near.  [cosine]"
)
@click.option("--perplexity", type=float, help="How many neighbours count for t-SNE.  [30]")
@click.option("--seed", type=int, default=0, help="Of t-SNE.  [0]")
@click.option("--side", type=click.IntRange(8), help="Of a thumbnail in the grid, in px.  [96]")
@click.option(
    "--images", type=click.Path(path_type=Path), help="The pictures, where IMAGES is a .npz."
)
@network
def embed_command(
    source: Path, out: Path | None, images: Path | None, queries: tuple[str, ...], k: int,
    method: str, metric: str, perplexity: float | None, seed: int, side: int | None,
    model: str | None, **options: Any,
) -> None:  # fmt: skip
    """Make a vector of every picture in IMAGES, a folder, a zip or a tar.

    OUT is a .npz or a .parquet file. IMAGES may be one, too: then nothing is computed again, and
    --images says where the pictures are, if some are drawn. Labels are the folders that the
    pictures lie in, or those of a labels.json beside them. Ctrl-C keeps the vectors so far.
    """
    fed = {name: options.pop(name) for name in (*COMPUTING, *FEEDING)}
    drawn = {name: path for name in PICTURES if (path := options.pop(name))}
    saved = source.suffix.lower() in SUFFIXES
    if queries and "neighbours" not in drawn:
        raise click.UsageError("--query goes with --neighbours")
    if images and not saved:
        raise click.UsageError("--images goes with saved codes: IMAGES holds pictures itself")
    if saved:
        computed = [name for name, value in {**options, "model": model}.items() if value]
        refuse_unread(source, bool(out), drawn, bool(images), computed)
    planar = not drawn.keys().isdisjoint(PLANAR)
    if planar and method == "tsne":
        check_tsne()
    if not saved:
        out = out or free_name(f"{source.resolve().name.split('.')[0]}-codes", ".npz")
    if out:
        check_codes_target(out)
    for path in drawn.values():
        check_target(path)
    collection = Collection(images or source) if images or not saved else None
    if collection:
        for path in drawn.values():
            refuse_photo(path, *(collection.source / id for id in collection.ids))
    if collection and not saved:
        net = load_net(model, source / collection.ids[0], **fed)
        codes = watched(net, collection, cast(Path, out), options)
    else:
        codes = load_codes(source, collection)
    if out:
        codes.save(out)
        tell(f"wrote {out}: {codes.summary}")
    points = None
    told: dict[str, Any] = {"metric": metric}
    if planar and method == "pca":
        points = codes.pca()
        told = {"plane": method}
    elif planar:
        tell(f"t-SNE of {len(codes)} vectors ...")
        points = codes.tsne(seed=seed, perplexity=perplexity, metric=metric)
        told |= {"plane": method, "perplexity": perplexity, "seed": seed}
    for name, path in drawn.items():
        if name == "neighbours":
            picture = codes.sheet(queries or None, k, metric)
            more = {"metric": metric, "k": k, "queries": list(queries)}
        elif name == "grid":
            picture, more = codes.grid(points, side), told
        else:
            picture, more = codes.scatter(points, f"{PLANES[method]}: {codes.summary}"), told
        picture.recipe = amended(picture.recipe, "embed", **more)
        save_image(path, picture)
        tell(f"wrote {path}")


def refuse_unread(
    source: Path, out: bool, drawn: Mapping[str, Path], images: bool, computed: Sequence[str]
) -> None:
    """Raise UsageError for a call with saved codes of which something would not be done."""
    if computed:
        listed = " and ".join(f"--{name}" for name in computed)
        raise click.UsageError(f"{source} holds codes already: leave out {listed}")
    if not out and not drawn:
        raise click.UsageError(f"{source}: say what to draw of it, or where to write it again")
    if not images and set(drawn) - {"scatter"}:
        raise click.UsageError(f"{source} holds no pictures: say where they are with --images")


def watched(net: Net, collection: Collection, out: Path, options: dict[str, Any]) -> Codes:
    """The codes, with a count of the pictures; if interrupted, save those so far and go."""
    latest: list[Step] = []
    try:
        with counted("picture") as show:

            def keep(step: Step) -> None:
                latest[:] = [step]
                show(step.done, step.total)

            return embed(net, collection, on_step=keep, **options)
    except KeyboardInterrupt:
        if latest:
            codes = latest[0].codes()
            codes.save(out)
            tell(f"stopped: {out} holds {len(codes)} of {len(collection)} pictures")
        else:
            tell("stopped before the first picture: nothing saved")
        raise
