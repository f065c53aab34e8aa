"""A program as one model, run by a provider of onnxruntime's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneiro.kernels.dispatch import Run

from ..export import export_program
from ..net import Net
from ..provider import compiled
from ..trace import Input, Program

MADE = "/made"  # behind the names of results, which may be those of inputs


def in_runtime(net: Net, program: Program, inputs: Mapping[str, Input]) -> Run:
    """What runs program(net, **inputs) where `net.provider` computes."""

    def renamed(net: Net, **given: Any) -> dict[str, Any]:
        return {f"{name}{MADE}": made for name, made in program(net, **given).items()}

    model = export_program(net, renamed, **inputs)
    run = compiled(model.SerializeToString(), net.provider or "")

    def results(given: Mapping[str, Any]) -> dict[str, Any]:
        return {name.removesuffix(MADE): made for name, made in run(given).items()}

    return results
