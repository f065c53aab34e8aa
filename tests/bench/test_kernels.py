"""bench/kernels.py without a GPU: what there is, what it takes, and whether a stranger's is right.

The stranger's kernel adds up neighbouring channels, as channel_sum does.
"""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from oneiro.kernels import nvrtc
from oneiro.kernels.dispatch import KERNELS

SCRIPT = str(Path(__file__).parents[2] / "bench" / "kernels.py")

RIGHT = """
extern "C" __global__ void mine(float* y, const float* x, int count, int channels, int below,
                                int above) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    float sum = 0.0f;
    for (int k = max(-below, -(i % channels)); k <= min(above, channels - 1 - i % channels); ++k) {
      sum += x[i + k];
    }
    y[i] = sum;
  }
}
"""
ALIKE = ("--try", "mine.cu:mine", "--as", "channel_sum")


@pytest.fixture(autouse=True)
def compiler() -> None:
    try:
        nvrtc.version()
    except nvrtc.MissingCompiler as error:
        pytest.skip(str(error))


def bench(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a folder, on a machine whose GPUs, if any, are out of sight."""
    return subprocess.run(
        [sys.executable, SCRIPT, *words],
        cwd=folder,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )


def tried(folder: Path, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "mine.cu").write_text(text)
    return bench(folder, *(words or ALIKE))


def test_the_list_names_every_kernel_and_its_versions(tmp_path: Path) -> None:
    done = bench(tmp_path, "--list")
    assert done.returncode == 0, done.stderr
    kernels = re.findall(r"^\w+", done.stdout, re.MULTILINE)
    assert kernels == [name for name, kernel in KERNELS.items() if "device" in kernel.twins]
    assert re.search(r"^  mma +conv_mma\.cu:conv_mma$", done.stdout, re.MULTILINE)


def test_one_kernel_in_the_sizes_of_a_network(tmp_path: Path) -> None:
    done = bench(tmp_path, "--only", "max_pool", "--size", "32", "--end", "fire2/concat")
    assert done.returncode == 0, done.stderr
    assert "times need a GPU" in done.stdout
    assert "max_pool 1x64x15x15, kernel 3x3 stride 2x2" in done.stdout
    assert re.search(r"pool\.cu:max_pool.*\n.* blocks of 256 threads, \d+ registers", done.stdout)


def test_a_kernel_that_the_network_does_not_call(tmp_path: Path) -> None:
    done = bench(tmp_path, "--only", "softmax", "--size", "32", "--end", "fire2/concat")
    assert done.returncode == 1
    assert "the network calls no softmax, but " in done.stderr


@pytest.mark.emulator
def test_a_kernel_that_is_right(tmp_path: Path) -> None:
    done = tried(tmp_path, RIGHT)
    assert done.returncode == 0, done.stderr
    assert "mine as channel_sum, emulated in check mode: 3 cases are right, 0 wrong" in done.stdout
    assert re.search(r"^sm_90a +\d+ registers, 0 bytes spilled", done.stdout, re.MULTILINE)
    assert "times need a GPU" in done.stdout


@pytest.mark.emulator
def test_a_kernel_that_is_launched_in_its_own_way(tmp_path: Path) -> None:
    """It walks, so any grid will do; in the names of the parameters."""
    shape = ("--grid", "2, count // channels // count + 1", "--block", "32", "--shared", "64")
    done = tried(tmp_path, RIGHT, *ALIKE, *shape)
    assert done.returncode == 0, done.stdout
    wrong = tried(tmp_path, RIGHT, *ALIKE, "--grid", "count // pixels")
    assert wrong.returncode == 1
    assert "name 'pixels' is not defined; there are count, channels, below, above" in wrong.stderr


@pytest.mark.emulator
def test_a_kernel_is_asked_only_for_what_it_can_do(tmp_path: Path) -> None:
    text = RIGHT.replace("max(-below, ", "max(-1, ")
    done = tried(tmp_path, text, *ALIKE, "--when", "below == 1")
    assert done.returncode == 0, done.stdout
    found = re.search(r"(\d) cases are right, 0 wrong, (\d) not asked of it", done.stdout)
    assert found, done.stdout
    assert int(found[1]) > 0 < int(found[2])


@pytest.mark.emulator
def test_a_kernel_that_reads_behind_its_arrays(tmp_path: Path) -> None:
    done = tried(tmp_path, RIGHT.replace("i < count", "i <= count"))
    assert done.returncode == 1
    assert "wrong: channel_sum 2x7x3x5, 1, 2: mine: out-of-bounds read of 4 bytes" in done.stdout
    assert "mine.cu:7, in block (0, 0, 0), thread (210, 0, 0)" in done.stdout
    assert "0 cases are right, 3 wrong" in done.stdout
    assert "times need a GPU" not in done.stdout


@pytest.mark.emulator
def test_a_kernel_that_adds_up_something_else(tmp_path: Path) -> None:
    done = tried(tmp_path, RIGHT.replace("sum += x[i + k]", "sum += 1.01f * x[i + k]"))
    assert done.returncode == 1
    assert "wrong: channel_sum 2x7x3x5, 1, 2: an error of 1.0e-02" in done.stdout


def test_a_kernel_that_does_not_compile(tmp_path: Path) -> None:
    done = tried(tmp_path, RIGHT.replace("float sum = 0.0f;", "float sum = zero;"))
    assert done.returncode == 1
    assert 'mine.cu:5: identifier "zero" is undefined (sm_75, NVRTC ' in done.stdout
    assert "emulated" not in done.stdout


def test_names_of_the_field_stand_for_ours(tmp_path: Path) -> None:
    """It compiles in the place of conv_simple_backward, whose parameters it has."""
    simple = (Path(nvrtc.__file__).parent / "conv_simple.cu").read_text()
    wanted = ("--when", "images * group < 0", "--as", "conv_backward_data")
    done = tried(tmp_path, simple, "--try", "mine.cu:conv_simple_backward", *wanted)
    assert done.returncode == 1
    assert "no case launches conv_simple_backward" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--try", "mine.cu:mine"), "--try and --as go together"),
        (("--try", "other.cu:mine", "--as", "lrn"), "--try wants FILE:FUNCTION, not other.cu:mine"),
        (("--try", "mine.cu:yours", "--as", "lrn"), 'no extern "C" kernel yours in '),
        (("--try", "mine.cu:mine", "--as", "tanh"), "no case launches tanh"),
        (("--try", "mine.cu:mine", "--as", "arange"), "arange has no CUDA"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_tried_is_said_in_a_line(
    tmp_path: Path,
    words: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before it is asked whether there is a GPU, so this process will do."""
    (tmp_path / "mine.cu").write_text(RIGHT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [SCRIPT, *words])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(SCRIPT, run_name="__main__")
    assert end.value.code
    # what is no number is told by the interpreter as it ends
    assert said in f"{capsys.readouterr().err}{end.value.code}"
