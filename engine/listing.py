"""What is found out about a network, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple
from typing import TYPE_CHECKING, Any

from .classification import Guess
from .error import printable
from .inspection import Inspection
from .net import Net
from .preprocess import PRESETS, Preprocess

if TYPE_CHECKING:
    from rich.table import Table

Guesses = Mapping[str, Sequence[Guess]]  # {way of feeding: classes}

NAMED = 3  # layers called by name where there are many


def layer_table(found: Inspection) -> Table:
    """A line for each layer; the batch of what it makes is left out."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("layer", overflow="fold", min_width=16)
    for name in ("kind", "makes"):
        table.add_column(name, no_wrap=True)
    blocked = any(not row.backward for row in found.rows)
    numbers = ("params", "FLOPs", "field", "stride", "offset")
    for name in (*numbers, "backward") if blocked else numbers:
        table.add_column(name, justify="right", no_wrap=True)
    for row in found.rows:
        field = ("", "", "") if row.field is None else map(along, astuple(row.field))
        table.add_row(
            printable(row.name),
            printable(row.kind),
            "?" if row.shape is None else sizes(row.shape[1:]),
            short(row.parameters) if row.parameters else "",
            "" if row.flops is None else short(row.flops),
            *field,
            *(["yes" if row.backward else "no"] if blocked else []),
            style=None if row.parameters else "dim",
        )
    return table


def class_table(guesses: Guesses, names: Sequence[str], own: str | None) -> Table:
    """The classes that a photo is taken for, for each way of feeding the network.

    A star marks the network's `own` way, or where nobody knows it the one that is surest.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for name in ("fed as", "confidence"):
        table.add_column(name, no_wrap=True, justify="right" if name == "confidence" else "left")
    table.add_column("class", overflow="fold")
    starred = own or most_confident(guesses)
    for way, classes in guesses.items():
        for k, guess in enumerate(classes):
            marked = f"{way} *" if way == starred else way
            texts = marked if k == 0 else "", f"{guess.confidence:.3f}", class_name(guess, names)
            table.add_row(*texts)
    return table


def most_confident(guesses: Guesses) -> str:
    """The way of feeding under which the first class is surest."""
    return max(guesses, key=lambda way: guesses[way][0].confidence)


def advice(guesses: Guesses, names: Sequence[str], own: str | None, source: str) -> str:
    """What to make of the table."""
    if own:
        return f"{own} is how the network is fed, from {source}"
    way = most_confident(guesses)
    top = guesses[way][0]
    return (
        f"{way} is the surest ({top.confidence:.2f} for {class_name(top, names)}), and a wrong way "
        "can be sure of a wrong class: see under which the names are right. "
        "--preprocess WAY --write-sidecar keeps it."
    )


def class_name(guess: Guess, names: Sequence[str]) -> str:
    """The number of a class, and its name where there is one."""
    return printable(" ".join([str(guess.number), *names[guess.number : guess.number + 1]]))


def page(net: Net, found: Inspection) -> str:
    """The network as a whole, in lines."""
    return "\n".join(f"{key:<10} {text}" for key, text in summary(net, found).items())


def summary(net: Net, found: Inspection) -> dict[str, str]:
    """What there is to say about the network as a whole."""
    labels = f"{len(net.labels)}: {net.labels[0]} ... {net.labels[-1]}" if net.labels else "none"
    layout = ", turned to NHWC inside" if net.input in net.model.turned else ""
    maker = f", made by {net.model.producer}" if net.model.producer else ""
    lines = {
        "network": f"{net.model.name}, opset {net.model.opset}{maker}",
        "input": f"{net.input} {sizes(found.input)}{layout}",
        "beside it": ", ".join(
            f"{name} {sizes(dims) or 'a number'}"
            for name, (_, dims) in net.model.inputs.items()
            if name != net.input
        ),
        "outputs": ", ".join(f"{name} {sizes(shape)}" for name, shape in found.outputs.items()),
        "parameters": f"{found.parameters:,}",
        "FLOPs": flops_text(found),
        "fed as": way_text(net.preprocessing, found.classifies),
        "labels": labels,
        "gradient": "; ".join(f"stops at {name}: {why}" for name, why in found.stops.items())
        or "comes through every layer",
        "missing": "; ".join(counted(*pair) for pair in found.missing.items()),
        "shapes": f"not known everywhere at this --size: {found.refusal}" if found.refusal else "",
    }
    return {key: printable(text) for key, text in lines.items() if text}


def flops_text(found: Inspection) -> str:
    """How many, as far as shapes are known."""
    counts = [row.flops for row in found.rows]
    if not any(counts):
        return "not known"
    least = "at least " if None in counts else ""
    return f"{least}{short(found.flops)} for {sizes(found.input)}"


def way_text(way: Preprocess | None, classifies: bool) -> str:
    """How pictures are fed, and who says so."""
    if way is None:
        tried = "; --photo PHOTO shows what it takes a photo for in each" if classifies else ""
        ways = f"--preprocess {'|'.join(PRESETS)}, or --mean, --scale and --order"
        return f"not known: give {ways}, as its author says{tried}"
    return f"{way.formula}; from {way.source}"


def sizes(dims: Sequence[int | None] | None) -> str:
    """A shape: 1x64x113x113, with ? for what is not known."""
    return "?" if dims is None else "x".join("?" if n is None else str(n) for n in dims)


def along(values: Sequence[float]) -> str:
    """One number where rows and columns agree."""
    texts = [f"{value:g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def short(count: int) -> str:
    """A count to three digits: 44.1M."""
    for unit, name in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= unit:
            return f"{count / unit:.3g}{name}"
    return str(count)


def counted(operator: str, names: Sequence[str]) -> str:
    """How often an operator is missing, and where."""
    more = ", ..." if len(names) > NAMED else ""
    return f"{len(names)} {operator} ({', '.join(names[:NAMED])}{more})"


def facts(net: Net, found: Inspection, guesses: Guesses, names: Sequence[str]) -> dict[str, Any]:
    """Everything that is found, as plain values."""
    return {
        "name": net.model.name,
        "sha256": net.model.sha256,
        "opset": net.model.opset,
        "producer": net.model.producer,
        "input": {net.input: found.input},
        "outputs": found.outputs,
        "parameters": found.parameters,
        "flops": found.flops,
        "preprocessing": asdict(net.preprocessing) if net.preprocessing else None,
        "labels": net.labels,
        "stops": found.stops,
        "missing": found.missing,
        "refusal": found.refusal,
        "layers": [asdict(row) for row in found.rows],
        "photo": {
            way: [{**guess._asdict(), "class": class_name(guess, names)} for guess in classes]
            for way, classes in guesses.items()
        },
    }
