"""What a cubin makes the GPU do: its instructions, counted, by NVIDIA's nvdisasm.

It is needed to check and to measure kernels, not to run them: `pip install nvidia-cuda-nvdisasm`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from .dispatch import DeviceError
from .nvrtc import folders


class MissingDisassembler(DeviceError):
    """nvdisasm is not installed."""


SECTION = re.compile(r"^\s*\.section\s+\.text\.(?P<function>\w+),", re.MULTILINE)
# "        /*0040*/               @!P0 LDG.E R2, desc[UR4][R2.64] ;"
INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?(?P<name>[A-Z]\w*)", re.MULTILINE)


def instructions(cubin: bytes) -> dict[str, Counter[str]]:
    """How often each instruction stands in each function, without its modifiers.

    HMMA multiplies on tensor cores, LDSM is ldmatrix, LDGSTS is cp.async; LDL and STL are reads
    and writes of local memory: spilled registers, and arrays whose index is not a constant.
    """
    _, *parts = SECTION.split(disassembled(cubin))
    return {
        function: Counter(found["name"] for found in INSTRUCTION.finditer(body))
        for function, body in zip(parts[::2], parts[1::2], strict=True)
    }


def disassembled(cubin: bytes) -> str:
    """The text of a cubin, as nvdisasm writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.cubin")
        path.write_bytes(cubin)
        command = [disassembler(), str(path)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def disassembler() -> str:
    """Where nvdisasm is: in NVIDIA's package, in a CUDA toolkit, or on the PATH."""
    for folder in folders():
        if found := shutil.which("nvdisasm", path=folder):
            return found
    if found := shutil.which("nvdisasm"):
        return found
    raise MissingDisassembler("nvdisasm is not installed: pip install nvidia-cuda-nvdisasm")
