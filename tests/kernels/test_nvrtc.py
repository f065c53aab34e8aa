"""NVRTC by way of our wrapper: what comes back, what is said of mistakes, what is kept."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oneiro.kernels import nvrtc, sass

try:
    nvrtc.version()
    missing = ""
except nvrtc.MissingCompiler as error:
    missing = str(error)
needs_nvrtc = pytest.mark.skipif(bool(missing), reason=missing)

try:
    sass.disassembler()
    no_disassembler = ""
except sass.MissingDisassembler as error:
    no_disassembler = str(error)
needs_nvdisasm = pytest.mark.skipif(bool(no_disassembler), reason=no_disassembler)

# two files in one text, as Source puts them together
DOUBLED = """#define FACTOR 2
#line 1 "double.cu"
#line 1 "factor.cuh"
__device__ float twice(float x) {
    return FACTOR * x;
}
#line 2 "double.cu"
extern "C" __global__ void twice_of_neighbour(float *y, const float *x, int n) {
    __shared__ float row[96];
    row[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    if (threadIdx.x < n) {
        y[threadIdx.x] = twice(row[n - 1 - threadIdx.x]);
    }
}
extern "C" __global__ void zero(float *y) {
    y[threadIdx.x] = 0;
}
"""

# `many` values live at once, and a block so large that a thread has few registers
SPILLED = """
extern "C" __global__ void __launch_bounds__(1024) reversed(float *y, const float *x) {
    float values[200];
    #pragma unroll
    for (int i = 0; i < 200; i++) {
        values[i] = x[i * 1024 + threadIdx.x];
    }
    __syncthreads();
    #pragma unroll
    for (int i = 0; i < 200; i++) {
        y[i * 1024 + threadIdx.x] = values[199 - i] * values[(i * 7) % 200];
    }
}
extern "C" __global__ void looked_up(float *y, const int *where) {
    float values[16];
    #pragma unroll
    for (int i = 0; i < 16; i++) {
        values[i] = y[i];
    }
    values[where[0]] += values[where[1]];
    y[threadIdx.x] = values[where[2 + threadIdx.x]];
}
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("ONEIRO_CACHE", str(tmp_path))
    return tmp_path


def test_neither_oneiro_nor_the_compiler_imports_cupy() -> None:
    code = """
import sys
import oneiro
from oneiro.kernels import dispatch, nvrtc, sass, source
try:
    nvrtc.version()
except nvrtc.MissingCompiler:
    pass
print([name for name in sys.modules if name.startswith("cupy")])
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@needs_nvrtc
def test_what_each_kernel_takes_is_known() -> None:
    binary = nvrtc.compile(DOUBLED, "double.cu", "sm_90a")
    assert binary.cubin.startswith(b"\x7fELF")
    assert b".target sm_90a" in binary.ptx
    assert set(binary.functions) == {"twice_of_neighbour", "zero"}
    shared = binary.functions["twice_of_neighbour"]
    assert shared.shared == 96 * 4
    assert 8 <= shared.registers <= 32
    assert (shared.spills, shared.stack) == (0, 0)
    assert binary.functions["zero"].shared == 0


@needs_nvrtc
def test_spills_and_a_stack_are_seen() -> None:
    functions = nvrtc.compile(SPILLED, "spill.cu", "sm_80").functions
    assert functions["reversed"].spills > 0
    assert functions["reversed"].registers <= 64
    assert functions["looked_up"].spills == 0
    assert functions["looked_up"].stack == 16 * 4


@needs_nvrtc
@needs_nvdisasm
def test_instructions_are_counted() -> None:
    counted = sass.instructions(nvrtc.compile(SPILLED, "spill.cu", "sm_80").cubin)
    assert counted["reversed"]["STL"] > 0
    assert counted["reversed"]["LDG"] == 200
    assert counted["looked_up"]["LDL"] == 3
    simple = sass.instructions(nvrtc.compile(DOUBLED, "double.cu", "sm_80").cubin)
    assert set(simple) == {"twice_of_neighbour", "zero"}
    assert simple["twice_of_neighbour"]["BAR"] == 1
    assert simple["twice_of_neighbour"]["LDL"] == simple["zero"]["STL"] == 0


@needs_nvrtc
@needs_nvdisasm
def test_a_division_and_a_tiny_number_are_those_of_ieee() -> None:
    def text(formula: str) -> str:
        code = f'extern "C" __global__ void f(float *y) {{ y[0] = {formula}; }}'
        return sass.disassembled(nvrtc.compile(code, "ieee.cu", "sm_90a").cubin)

    assert "FFMA" in text("y[1] * y[2] + y[3]")
    assert ".FTZ" not in text("y[1] * y[2] + y[3]")
    assert "CALL" in text("y[1] / y[2]")  # the long way of what is denormal
    assert "CALL" in text("sqrtf(y[1])")


@needs_nvrtc
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("FACTOR * x", "FACTOR * y", 'factor.cuh:2: identifier "y" is undefined'),
        ("row[n - 1", "row(n - 1", "double.cu:7: expression preceding parentheses"),
        ("__syncthreads();", '#error "no barriers here"', "double.cu:5: #error directive"),
        ("__syncthreads();", 'asm("halt;");', "Not a name of any known instruction: 'halt'"),
        ("row[96]", "row[96000]", "uses too much shared data"),
    ],
)
def test_the_first_error_is_one_line_with_its_place(old: str, new: str, says: str) -> None:
    with pytest.raises(nvrtc.CompileError) as caught:
        nvrtc.compile(DOUBLED.replace(old, new), "double.cu", "sm_80")
    text = str(caught.value)
    assert says in text
    assert "\n" not in text
    assert "(sm_80, NVRTC {}.{})".format(*nvrtc.version()) in text
    assert says.split(": ")[-1] in caught.value.log


@needs_nvrtc
def test_what_nvrtc_does_not_know_is_said() -> None:
    with pytest.raises(nvrtc.CompileError, match=r"invalid value for --gpu-architecture.*sm_20"):
        nvrtc.compile(DOUBLED, "double.cu", "sm_20")
    with pytest.raises(nvrtc.CompileError, match="unrecognized option --slowly"):
        nvrtc.compile(DOUBLED, "double.cu", "sm_80", ["--slowly"])


@needs_nvrtc
def test_a_cubin_is_compiled_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = nvrtc.cubin(DOUBLED, "double.cu", "sm_80")
    assert first == nvrtc.compile(DOUBLED, "double.cu", "sm_80").cubin
    others = [
        nvrtc.cubin(DOUBLED, "double.cu", "sm_86"),
        nvrtc.cubin(DOUBLED, "double.cu", "sm_80", ["-lineinfo"]),
        nvrtc.cubin(DOUBLED.replace("FACTOR 2", "FACTOR 3"), "double.cu", "sm_80"),
    ]
    assert len({first, *others}) == 4
    assert len(list((cache / "kernels").iterdir())) == 4
    monkeypatch.setattr(nvrtc, "compile", None)
    assert nvrtc.cubin(DOUBLED, "double.cu", "sm_80") == first
    monkeypatch.setattr(nvrtc, "OPTIONS", (*nvrtc.OPTIONS, "-ftz=true"))
    with pytest.raises(TypeError):
        nvrtc.cubin(DOUBLED, "double.cu", "sm_80")


@needs_nvrtc
def test_a_cache_that_cannot_be_written_is_done_without(cache: Path) -> None:
    (cache / "kernels").write_text("no folder")
    assert nvrtc.cubin(DOUBLED, "double.cu", "sm_80").startswith(b"\x7fELF")
    assert [path.name for path in cache.iterdir()] == ["kernels"]


@needs_nvrtc
def test_threads_compile_at_once(cache: Path) -> None:
    start = threading.Barrier(4)

    def compiled(arch: str) -> bytes:
        start.wait()
        return nvrtc.cubin(DOUBLED, "double.cu", arch)

    with ThreadPoolExecutor(4) as pool:
        a, b, c, d = pool.map(compiled, ["sm_80", "sm_90a", "sm_80", "sm_90a"])
    assert a == c
    assert b == d
    assert a != b


def test_a_gpu_gets_code_that_runs_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "architectures", lambda: (75, 80, 86, 90, 100, 120))
    monkeypatch.setattr(nvrtc, "version", lambda: (13, 1))
    assert nvrtc.architecture(7, 5) == "sm_75"
    assert nvrtc.architecture(9, 0) == "sm_90a"
    assert nvrtc.architecture(8, 9) == "sm_86"  # an older one of its generation
    assert nvrtc.architecture(12, 1) == "sm_120"
    assert nvrtc.architecture(11, 0) == "compute_100"  # another generation: PTX
    assert nvrtc.architecture(14, 2) == "compute_120"
    with pytest.raises(nvrtc.MissingCompiler, match=r"sm_70.*NVRTC 13\.1.*sm_75.*oneiro\[cuda12\]"):
        nvrtc.architecture(7, 0)


@needs_nvrtc
def test_ptx_is_text_for_the_driver() -> None:
    binary = nvrtc.compile(DOUBLED, "double.cu", "compute_80")
    assert b".target sm_80" in binary.ptx
    assert binary.cubin == binary.ptx
    assert binary.cubin.endswith(b"\0")
    assert binary.functions == {}


def test_without_nvrtc_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "folders", lambda: iter(()))
    with pytest.raises(nvrtc.MissingCompiler, match=r"pip install 'oneiro\[cuda13\]'"):
        nvrtc.nvrtc.__wrapped__()


def test_nvrtc_is_not_newer_than_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "libnvrtc.so.13").touch()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(nvrtc, "folders", lambda: iter([tmp_path]))
    monkeypatch.setattr(nvrtc, "driver_major", lambda: 12)
    with pytest.raises(nvrtc.MissingCompiler, match=r"so\.13 is too new for a driver of CUDA 12"):
        nvrtc.nvrtc.__wrapped__()
    monkeypatch.setattr(nvrtc, "driver_major", lambda: 13)
    with pytest.raises(nvrtc.MissingCompiler, match="file too short"):
        nvrtc.nvrtc.__wrapped__()
