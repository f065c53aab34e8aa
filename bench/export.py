"""Exported gradients beside PyTorch and oneiro's own Plan: `python bench/export.py [--out PAGE]`.

The exported step of DeepDream runs in onnxruntime on the CPU; torch eager and torch.compile, and
the fast executor, take the same step. They take turns in one process and have to agree, as in
bench/cpu.py, whose rivals they are. Then what the files are: their size, and their operators. The
extras `cpu` and `torch` are wanted, and g++ for torch.compile.
"""

from __future__ import annotations

import argparse
import collections
import shlex
import sys
import tempfile
from pathlib import Path

import cpu_page
import onnx
from cpu import agreeing, interleaved, size
from cpu_machine import cores, described, sgemm_peak
from cpu_network import NETWORKS, prepare
from cpu_page import Case, table
from cpu_rival import Task

import oneiro
from oneiro.export.question import WHATS

RIVALS = ["fast", "eager", "channels-last", "compile", "onnxruntime"]
COMMON = 8  # operators that are listed


def main() -> None:
    asked = parsed()
    peaks, products = sgemm_peak(asked.threads)
    cases, files = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for network in asked.net:
            title = prepare(folder, network, asked.size, None)
            for pixels in asked.size:
                task = Task(folder, network, pixels, "step", asked.threads)
                case = Case(network, title, task.label, "step", task.flops, max(peaks.values()))
                names = [name for name in RIVALS if name not in asked.without]
                runs = agreeing(task, names, case.reasons)
                case.seconds, case.others = interleaved(runs, asked.rounds)
                cases.append(case)
            files += [(title, *row) for row in written(task)]
    titles = ["network", "what", "MB", "nodes", "most of them"]
    command = shlex.join(["python", "bench/export.py", *sys.argv[1:]])
    parts = ["# Exported gradients", f"{described(asked.threads)} {products} Measured by"]
    parts += [f"    {command}", "## A step of DeepDream"]
    for title in dict.fromkeys(case.title for case in cases):
        chosen = [case for case in cases if case.title == title]
        parts += [f"### {title}", cpu_page.times(chosen)]
    lost = dict.fromkeys(line for case in cases for line in cpu_page.remarks(case))
    parts += ["\n".join(f"* {line}" for line in lost)] if lost else []
    parts += ["## The files", table(titles, files)]
    page = "\n\n".join(parts) + "\n"
    print(page)
    if asked.out:
        asked.out.write_text(page, "utf-8")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [*NETWORKS]
    parser.add_argument("--net", nargs="+", choices=known, default=known)
    parser.add_argument("--size", nargs="+", type=size, default=[(224, 224), (512, 512)])
    parser.add_argument("--without", nargs="+", choices=RIVALS, default=[], metavar="RIVAL")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--out", type=Path, metavar="PAGE", help="a page of Markdown")
    return parser.parse_args()


def written(task: Task) -> list[list[str]]:
    """What can be asked of a network's last blob, and how large the file is that answers."""
    net = oneiro.load(task.file(".onnx"), device="cpu", executor="numpy")
    net.preprocessing = oneiro.Preprocess(128.0)
    rows = []
    for what, (_, least, _) in WHATS.items():
        if least == 0:
            continue  # about classes, which a network that ends at a blob has none of
        model = oneiro.export(net, what, task.facts["end"])
        kinds = collections.Counter(node.op_type for node in nodes(model.graph))
        most = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(COMMON))
        rows.append([what, f"{model.ByteSize() / 1e6:.1f}", str(kinds.total()), most])
    return rows


def nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """All nodes, those of loops too."""
    inner = [attribute.g for node in graph.node for attribute in node.attribute if attribute.g.node]
    return [*graph.node, *(node for body in inner for node in nodes(body))]


if __name__ == "__main__":
    main()
