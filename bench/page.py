"""What bench/gpu.py found, as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from network import COSINE, TOLERANCE

INTRODUCTION = """\
`python bench/gpu.py` measured all of this, and the .json beside this page holds the whole of it.
Batches of one picture; random weights, but for SqueezeNet; medians of interleaved rounds by the
GPU's own events, with the quartiles in brackets. PyTorch has cudnn.benchmark on, frozen weights,
batch normalisation folded, and the same precision; of its two layouts the faster one counts."""

EMPTY: dict[str, Any] = {"seconds": {}, "ratios": {}, "errors": {}}


def page(results: dict[str, Any]) -> str:
    """All results as Markdown."""
    machine = results["machine"]
    facts = ", ".join(f"{key} {value}" for key, value in machine.items() if key != "title")
    parts = [
        f"# oneiro on {machine['title']}",
        f"{facts}.",
        INTRODUCTION,
        *parity_part(results.get("parity")),
        *sanitizer_part(results.get("sanitizer")),
    ]
    rows = list(results["networks"].values())
    if any("gradient" in row for row in rows):
        beside = results["compiled"]
        parts += ["## Half the sum of squares and its gradient, ms", table_of_times(rows, beside)]
        parts += ["## A step of DeepDream, ms", table_of_steps(rows)]
        parts += ["## Right, and at what cost", table_of_errors(rows)]
        parts += ["## The five slowest calls", *slowest_part(rows)]
    lost = [*reasons(results["networks"]), *reasons(results["compiled"])]
    if lost:
        parts += ["## What there is no number of, and why", "\n".join(sorted(set(lost)))]
    for name, text in results.get("kernels", {}).get("tables", {}).items():
        parts.append(f"## Kernels of {name}\n\n```\n{text}\n```")
    return "\n\n".join(parts) + "\n"


def parity_part(found: dict[str, Any] | None) -> Iterator[str]:
    if found is None:
        return
    yield "## Parity"
    if "reason" in found:
        yield f"Not known: {found['reason']}"
        return
    bad = found["failures"] + found["errors"]
    good = found["tests"] - bad - found["skipped"]
    yield f"At {found['commit']}, {good} tests passed, {bad} failed, {found['skipped']} skipped."
    if found["failed"]:
        yield "\n".join(f"* `{name}`: {text}" for name, text in found["failed"].items())


def sanitizer_part(found: dict[str, Any] | None) -> Iterator[str]:
    if found is None:
        return
    yield "## compute-sanitizer"
    said = found.get("tools") or {"not run": found["reason"]}
    yield "\n".join(f"* {tool}: {text}" for tool, text in said.items())


def markdown(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table."""
    titles = list(titles)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"|{'|'.join(line)}|" for line in lines)


def headed(row: dict[str, Any]) -> list[str]:
    return [row["title"], str(row["size"]), row["precision"]]


def table_of_times(rows: list[dict[str, Any]], beside: dict[str, Any]) -> str:
    titles = ["network", "px", "precision", "oneiro", "its graph alone", "torch eager"]
    titles += ["torch graph", "torch.compile", "PyTorch's best takes", "of torch.compile's mode"]
    lines = []
    for row in rows:
        if "gradient" not in row:
            continue
        other = beside.get(f"{row['network']} {row['size']} {row['precision']}", {})
        table, compiling = row.get("gradient", EMPTY), other.get("gradient", EMPTY)
        ratios = table["ratios"] | {
            name: found for name, found in compiling["ratios"].items() if "compile" in name
        }
        lines.append(
            [
                *headed(row),
                fastest(table, "oneiro", exactly=True),
                fastest(table, "oneiro, graph alone"),
                fastest(table, "torch eager"),
                fastest(table, "torch graph"),
                fastest(compiling, "torch.compile"),
                times_as_long(ratios),
                other.get("mode", "") if fastest(compiling, "torch.compile") else "",
            ]
        )
    return markdown(titles, lines)


def table_of_steps(rows: list[dict[str, Any]]) -> str:
    titles = ["network", "px", "precision", "oneiro", "its graph alone", "torch eager"]
    titles += ["torch graph", "PyTorch's best takes", "a step of deepdream(), by the wall clock"]
    return markdown(
        titles,
        [
            [
                *headed(row),
                fastest(row["step"], "oneiro", exactly=True),
                fastest(row["step"], "oneiro, graph alone"),
                fastest(row["step"], "torch eager"),
                fastest(row["step"], "torch graph"),
                times_as_long(row["step"]["ratios"]),
                f"{1e3 * row['loop']:.3f}" if "loop" in row else "",
            ]
            for row in rows
            if "step" in row
        ],
    )


def fastest(table: dict[str, Any], kind: str, exactly: bool = False) -> str:
    """The times of the fastest rival of a kind; empty if none ran."""
    found = [
        spread
        for name, spread in table["seconds"].items()
        if (name == kind if exactly else name.startswith(kind))
    ]
    if not found:
        return ""
    low, middle, high = min(found, key=lambda spread: spread[1])
    return f"{1e3 * middle:.3f} ({1e3 * low:.3f}..{1e3 * high:.3f})"


def times_as_long(ratios: dict[str, list[float]]) -> str:
    """The best of the rivals, beside oneiro as one calls it."""
    torch = {name: found for name, found in ratios.items() if name.startswith("torch")}
    if not torch:
        return ""
    best = min(torch, key=lambda name: torch[name][1])
    low, middle, high = torch[best]
    return f"**{middle:.2f}** times as long ({low:.2f}..{high:.2f}), {best.removeprefix('torch ')}"


def table_of_errors(rows: list[dict[str, Any]]) -> str:
    titles = ["network", "px", "precision", "blob off", "torch's", "cosine of the gradient"]
    titles += ["torch's", "replays", "launches", "torch's", "MiB", "torch's"]
    titles += ["forward, ms", "onnxruntime's"]
    lines = []
    for row in rows:
        if "blobs" not in row:
            continue
        errors, pairs = row.get("gradient", EMPTY)["errors"], []
        for key, unit in (("launches", 1), ("memory", 2**20)):
            for name in ("oneiro", "torch"):
                count = row.get(key, {}).get(name)
                pairs.append("" if count is None else f"{count / unit:.0f}")
        forward = row.get("forward", EMPTY)
        lines.append(
            [
                *headed(row),
                *(f"{row['blobs'][name]:.1e}" for name in ("oneiro", "torch")),
                *(
                    f"{errors[name]['cosine']:.6f}" if name in errors else ""
                    for name in ("oneiro", "torch eager")
                ),
                {True: "equal", False: "**differ**", None: ""}[row.get("replays")],
                *pairs,
                fastest(forward, "oneiro", exactly=True),
                fastest(forward, "onnxruntime"),
            ]
        )
    limits = ", ".join(
        f"{precision} {TOLERANCE[precision]:.0e} and {COSINE[precision]}" for precision in TOLERANCE
    )
    text = f"Against float64. Beyond these a rival is wrong and not timed: {limits}."
    return f"{text}\n\n{markdown(titles, lines)}"


def slowest_part(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Of each network at the largest size of one precision."""
    known = [row for row in rows if "slowest" in row]
    chosen = {row["network"]: row for row in sorted(known, key=lambda row: row["size"])}
    for row in chosen.values():
        calls = [
            f"* {1e6 * one['seconds']:.1f} µs, {one['share']:.0%}: {one['call']} {one['of']} "
            f"to {one['makes']}"
            for one in row["slowest"]
        ]
        yield "\n".join([f"{', '.join(headed(row))}:\n", *calls])


def reasons(rows: dict[str, Any]) -> Iterator[str]:
    """A line for each rival that has no time."""
    for label, row in rows.items():
        found = [row["reason"]] if "reason" in row else list(row.get("reasons", []))
        found += [f"{key}: {text}" for key, text in row.get("failures", {}).items()]
        for key in ("gradient", "step", "forward"):
            failures = row.get(key, {}).get("failures", {})
            found += [f"{key} by {name}: {text}" for name, text in failures.items()]
        yield from (f"* {label}: {text}" for text in found)
