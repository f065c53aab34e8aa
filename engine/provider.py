"""onnxruntime as a device: which of its execution providers computes, checked and never guessed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .error import ArgumentError
from .executor import is_installed

log = logging.getLogger(__name__)

PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "rocm": "MIGraphXExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}


def is_runtime(device: str) -> bool:
    """Is the device onnxruntime: "ort", or "ort:NAME"?"""
    return device.partition(":")[0] == "ort"


def chosen_provider(name: str, dtype: np.dtype[Any]) -> str:
    """The provider of the device "ort" or "ort:NAME"; raises ArgumentError if it is not there.

    "ort" by itself is the first of PROVIDERS that this onnxruntime was built with, but for
    TensorRT, which takes minutes to begin.
    """
    if dtype != np.float32:
        raise ArgumentError(f"device {name!r} computes in float32: take dtype=float32")
    if not is_installed("onnxruntime"):
        raise ArgumentError(f"device {name!r} needs onnxruntime: pip install 'oneiro[cpu]'")
    import onnxruntime

    there = onnxruntime.get_available_providers()
    _, named, asked = name.partition(":")
    known = [short for short, provider in PROVIDERS.items() if provider in there]
    if not named:
        asked = next(short for short in known if short != "tensorrt")
    if asked not in known:
        raise ArgumentError(
            f"device {name!r}: this onnxruntime has {', '.join(f'ort:{short}' for short in known)}"
        )
    log.info("onnxruntime computes, by its %s", PROVIDERS[asked])
    return PROVIDERS[asked]


def compiled(model: bytes, provider: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A model as a function of its inputs by name.

    Raises ArgumentError if another provider would run it: onnxruntime takes the CPU where one
    cannot be started, and says so in its log alone.
    """
    import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):  # CUDA's libraries where pip put them
        onnxruntime.preload_dlls()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=[provider])
    runs = session.get_providers()[0]
    if runs != provider:
        raise ArgumentError(f"onnxruntime could not start {provider}: it would take {runs}")
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return dict(zip(names, session.run(None, dict(inputs)), strict=True))

    return run
