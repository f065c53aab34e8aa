"""A table of what was measured: kept per device, found again, never required."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneiro.kernels import conv_mma
from oneiro.kernels.conv import conv
from oneiro.kernels.dispatch import DeviceError, Emulator
from oneiro.kernels.tuning import TUNINGS, fastest, measured, tuning
from oneiro.kernels.window import sliding_window

CHOICES = [(64, 1), (32, 1), (32, 4)]


class Clock(Emulator):
    """An emulator with a clock: a call takes as long as it says."""

    fingerprint = ("a clock", "driver 1")

    def seconds(self, run: Callable[[], Any]) -> float:
        return run() or 1.0


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, and no table in memory."""
    monkeypatch.setenv("ONEIRO_CACHE", str(tmp_path))
    monkeypatch.setattr("oneiro.kernels.tuning.TUNINGS", {})
    return tmp_path


def seconds(choice: tuple[int, ...]) -> float:
    return {(64, 1): 3.0, (32, 1): 2.0, (32, 4): 1.0}[choice]


def test_the_rule_chooses_until_something_is_measured() -> None:
    device = Clock()
    assert fastest(device, "a layer", CHOICES, seconds) == (64, 1)
    assert tuning(device).digest == ""


def test_what_was_measured_is_found_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with measured(Clock()) as table:
        assert fastest(Clock(), "a layer", CHOICES, seconds) == (32, 4)
    monkeypatch.setattr("oneiro.kernels.tuning.TUNINGS", {})  # as in another process
    assert fastest(Clock(), "a layer", CHOICES, seconds) == (32, 4)
    assert fastest(Clock(), "another", CHOICES, seconds) == (64, 1)
    assert tuning(Clock()).digest == table.digest != ""
    assert list(folder.rglob("*.json")) == [table.path]


def test_another_driver_has_another_table() -> None:
    with measured(Clock()):
        fastest(Clock(), "a layer", CHOICES, seconds)
    other = Clock()
    other.fingerprint = ("a clock", "driver 2")
    assert fastest(other, "a layer", CHOICES, seconds) == (64, 1)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 1}', '{"version": 1, "choices": [3]}']
)
def test_a_damaged_table_is_ignored(
    text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with measured(Clock()) as table:
        fastest(Clock(), "a layer", CHOICES, seconds)
    table.path.write_text(text)
    monkeypatch.setattr("oneiro.kernels.tuning.TUNINGS", {})
    assert fastest(Clock(), "a layer", CHOICES, seconds) == (64, 1)
    assert "is damaged and ignored" in caplog.text


def test_a_table_of_another_version_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with measured(Clock()) as table:
        fastest(Clock(), "a layer", CHOICES, seconds)
    table.path.write_text(table.path.read_text().replace('"version": 1', '"version": 2'))
    monkeypatch.setattr("oneiro.kernels.tuning.TUNINGS", {})
    assert fastest(Clock(), "a layer", CHOICES, seconds) == (64, 1)


def test_the_emulator_measures_nothing() -> None:
    assert tuning(Emulator()) is None
    with pytest.raises(DeviceError, match="tuning wants a GPU"), measured(Emulator()):
        pass


@pytest.mark.emulator
def test_convolutions_run_as_was_measured() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(1, 32, 9, 7)).astype(np.float32)
    w = random.normal(size=(40, 32, 3, 3)).astype(np.float32)
    window = sliding_window((3, 3), (1, 1), (1, 1, 1, 1))
    device = Clock()
    times = iter([5.0, 4.0, 3.0, 1.0, *[2.0] * 99])

    def measure(run: Callable[[], Any]) -> float:
        run()
        return next(times)

    device.seconds = measure  # type: ignore[method-assign]
    with measured(device) as table:
        conv(device.place(x), device.place(w), None, window, 1)
    ((key, chosen),) = table.choices.items()
    layer = conv_mma.forward_layer(x.shape, w.shape, window, 1)
    assert chosen == conv_mma.candidates(layer, "exact", device.processors)[3]
    assert key.startswith("conv exact 63 40 32")
    found = conv(device.place(x), device.place(w), None, window, 1)
    np.testing.assert_allclose(np.asarray(found), conv(x, w, None, window, 1), atol=2e-4)
    assert len(TUNINGS) == 0  # nothing of the user's was read
