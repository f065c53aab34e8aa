"""bench/gpu.py without a GPU: what each stage gets, keeps, and says of what it cannot do."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gpu
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> gpu.Session:
    """Two networks, one size, two precisions; an hour of time."""
    asked = argparse.Namespace(
        networks=["googlenet", "vgg19"],
        sizes=[224],
        precisions=["exact", "half"],
        rounds=2,
        folder=tmp_path,
        device="emulator",
    )
    monkeypatch.delenv("OUT", raising=False)
    monkeypatch.setattr(gpu, "clocks", lambda: "1980 MHz")
    one = gpu.Session(asked, {"title": "NVIDIA RTX (new) 9000"})
    one.ends = time.monotonic() + 3600
    return one


def test_it_says_that_it_needs_a_gpu() -> None:
    ended = subprocess.run(
        [sys.executable, ROOT / "bench" / "gpu.py", "networks"],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("bench/gpu.py needs a GPU: ")


@pytest.mark.emulator
def test_what_the_sanitizer_looks_at_is_right() -> None:
    command = [sys.executable, ROOT / "bench" / "gpu.py", "exercise", "--device", "emulator"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.strip()) == (0, "0 results are wrong"), ended.stderr


def test_time_is_shared_out_and_what_is_left_is_handed_on() -> None:
    stages = list(gpu.SHARES)
    whole = sum(gpu.SHARES.values())
    assert gpu.share(100 * whole, stages) == 100 * gpu.SHARES["parity"]
    assert gpu.share(60, ["compiled"]) == 60
    assert gpu.share(-1, stages) == 0
    assert gpu.share(100, ["networks", "compiled"]) > gpu.share(100, stages[-3:])
    assert set(gpu.STAGES) == set(stages)


def test_results_are_kept_under_the_gpu_s_name(session: gpu.Session, tmp_path: Path) -> None:
    session.note("tune", {"networks": {"vgg19 224": "done"}})
    assert session.path == tmp_path / "gpu-rtx-new-9000.json"
    found = json.loads(session.path.read_text("utf-8"))
    assert found["tune"]["networks"] == {"vgg19 224": "done"}
    assert found["tune"]["clocks"] == "1980 MHz"
    again = gpu.Session(session.asked, {"title": "NVIDIA RTX (new) 9000", "python": "3.13"})
    assert again.results["tune"] == found["tune"]
    assert again.results["machine"]["python"] == "3.13"


def test_results_go_to_out_too(
    session: gpu.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    session.save()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"gpu-rtx-new-9000.json", "gpu-rtx-new-9000.md"}


def test_a_process_is_ended_when_its_time_is_over() -> None:
    begun = time.monotonic()
    ended = gpu.done([sys.executable, "-c", "import time; print(7, flush=True); time.sleep(90)"], 3)
    assert time.monotonic() - begun < 60
    assert (ended.code, ended.output, ended.reason) == (None, "7\n", "it was not done in time")


def test_the_reason_is_the_last_line() -> None:
    ended = gpu.done([sys.executable, "-c", "import sys; sys.exit('no\\n such thing\\n\\n')"], 60)
    assert (ended.code, ended.reason) == (1, "such thing")
    assert gpu.Done(3, "").reason == "it ended with 3"


def test_rows_are_kept_and_reasons_do_not_write_over_them(
    session: gpu.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process of one network breaks after its first row."""

    def rows(_: Any, name: str, options: Any, seconds: float) -> Any:
        if name == "vgg19":
            return {}, "Killed"
        row = {"network": name, "title": name, "size": 224, "precision": "exact", "reason": "wrong"}
        return {"exact": row}, "Segmentation fault"

    monkeypatch.setattr(gpu, "measured_rows", rows)
    gpu.networks(session)
    found = session.results["networks"]
    assert {label: row["reason"] for label, row in found.items()} == {
        "googlenet 224 exact": "wrong",
        "googlenet 224 half": "Segmentation fault",
        "vgg19 224 exact": "Killed",
        "vgg19 224 half": "Killed",
    }
    monkeypatch.setattr(gpu, "measured_rows", lambda *_: ({}, "later"))
    gpu.networks(session)
    assert session.results["networks"]["googlenet 224 exact"]["reason"] == "wrong"
    session.ends = time.monotonic()
    gpu.networks(session)
    assert "vgg19 224 half: Killed" in session.path.with_suffix(".md").read_text("utf-8")


def test_torch_compile_gets_a_second_chance(
    session: gpu.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mode that is best is not always ready in time; why is kept."""

    def rows(_: Any, name: str, options: tuple[Any, ...], seconds: float) -> Any:
        assert seconds <= gpu.COMPILING
        mode, precision = options[-1], options[3]
        if name == "vgg19":
            return {}, "it was not done in time"
        bad = {"torch.compile max-autotune": "no kernel"} if mode == "max-autotune" else {}
        table = {"failures": bad, "seconds": {}, "ratios": {}, "errors": {}}
        row = {"network": name, "precision": precision, "mode": mode, "gradient": table}
        return {precision: row}, ""

    monkeypatch.setattr(gpu, "measured_rows", rows)
    gpu.compiled(session)
    found = session.results["compiled"]
    assert found["googlenet 224 half"]["mode"] == "reduce-overhead"
    assert found["googlenet 224 half"]["reasons"] == ["max-autotune: no kernel"]
    late = "it was not done in time"
    assert found["vgg19 224 exact"]["reason"] == f"max-autotune: {late}; reduce-overhead: {late}"


def test_what_pytest_reports() -> None:
    report = """<testsuites><testsuite tests="5" failures="1" errors="1" skipped="2">
      <testcase classname="kernels.test_cuda" name="test_twin[conv]">
        <failure message="AssertionError: 3 is not 4">long</failure></testcase>
      <testcase classname="kernels.test_pool" name="test_pool">
        <error message="no memory"/></testcase>
      <testcase classname="kernels.test_lrn" name="test_lrn"/>
    </testsuite></testsuites>"""
    assert gpu.outcome(report) == {
        "tests": 5,
        "failures": 1,
        "errors": 1,
        "skipped": 2,
        "failed": {
            "kernels.test_cuda.test_twin[conv]": "AssertionError: 3 is not 4",
            "kernels.test_pool.test_pool": "no memory",
        },
    }


def test_the_sanitizer_s_own_summary_is_kept(
    session: gpu.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def done(command: list[str], seconds: float) -> gpu.Done:
        tool = command[2]
        said = {
            "memcheck": "========= ERROR SUMMARY: 2 errors",
            "racecheck": "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)",
        }
        return gpu.Done(0, said.get(tool, "Device not supported"))

    monkeypatch.setattr(gpu.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(gpu, "done", done)
    gpu.sanitizer(session)
    tools = session.results["sanitizer"]["tools"]
    assert tools["memcheck"] == "ERROR SUMMARY: 2 errors"
    assert tools["racecheck"].startswith("RACECHECK SUMMARY: 0 hazards")
    assert tools["initcheck"] == "Device not supported"


def test_without_the_sanitizer_it_says_so(
    session: gpu.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu.shutil, "which", lambda _: None)
    gpu.sanitizer(session)
    assert session.results["sanitizer"]["reason"] == "compute-sanitizer is not on PATH"
