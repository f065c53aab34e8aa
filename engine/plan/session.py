"""Segments of a Plan in onnxruntime, which convolves faster than anything else on a CPU."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from oneiro.kernels import crew
from oneiro.kernels.dispatch import Array
from oneiro.kernels.symbol import Graph, Symbol

from ..call import arguments, made, reads
from ..export.segment import segment_bytes
from .schedule import Segment

Sessions = dict[tuple[bytes, int], Any]  # by what they compute, and their threads


def bound(segment: Segment, arrays: Mapping[str, Array], sessions: Sessions) -> Callable[[], None]:
    """A call that fills the arrays of the segment's outputs from those of its inputs.

    What the segment reads besides is constant, and becomes part of the model.
    """
    import onnxruntime

    graph = Graph()
    values: dict[str, Any] = {}
    for k, symbol in enumerate(segment.inputs):
        values[symbol.name] = graph.input(f"input_{k}", symbol.dtype, symbol.dims)
    for call in segment.calls:
        for name in reads(arguments(call)):
            if name not in values:
                values[name] = graph.constant(arrays[name])
        for symbol, value in zip(call.results, made(call, values), strict=True):
            if isinstance(symbol, Symbol):
                values[symbol.name] = value
    results = [values[symbol.name] for symbol in segment.outputs]
    session = opened(segment_bytes(graph, results), sessions)
    binding = session.io_binding()
    held = []
    for k, symbol in enumerate(segment.inputs):
        held.append(onnxruntime.OrtValue.ortvalue_from_numpy(arrays[symbol.name]))
        binding.bind_ortvalue_input(f"input_{k}", held[-1])
    for symbol, result in zip(segment.outputs, results, strict=True):
        held.append(onnxruntime.OrtValue.ortvalue_from_numpy(arrays[symbol.name]))
        binding.bind_ortvalue_output(result.name, held[-1])

    def run() -> None:
        session.run_with_iobinding(binding)

    return run


def opened(model: bytes, sessions: Sessions) -> Any:
    """A session of the model; one that was opened before serves any size of picture."""
    key = hashlib.sha256(model).digest(), crew.threads()
    if key not in sessions:
        sessions[key] = new_session(model, crew.threads())
    return sessions[key]


def new_session(model: bytes, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # threads that spin between segments would take the cores from the crew
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if share_memory():
        options.add_session_config_entry("session.use_env_allocators", "1")
        options.enable_mem_pattern = False  # a pattern is a block of its own for each size
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@functools.cache
def share_memory() -> bool:
    """Let all sessions work in one piece of memory, which grows by what they ask for.

    By itself each would keep the most that it ever needed. False where the process has such
    memory already, of somebody else's making.
    """
    import onnxruntime

    kinds = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    unset = {"initial_chunk_size_bytes": -1, "max_dead_bytes_per_chunk": -1}
    config = {"max_mem": 0, "arena_extend_strategy": 1, **unset}  # 1: by what is asked for
    try:
        onnxruntime.create_and_register_allocator(
            onnxruntime.OrtMemoryInfo("Cpu", *kinds), onnxruntime.OrtArenaCfg(config)
        )
    except RuntimeError:
        return False
    return True
