"""What many tests share: networks from ONNX models that a test builds."""

import functools
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto
from threadpoolctl import threadpool_limits

from oneiro import Net
from oneiro.kernels.dispatch import DeviceError, imported_cupy

if importlib.util.find_spec("platformdirs") is None:
    # installed without dependencies, on a machine that has only what computes
    os.environ.setdefault("ONEIRO_CACHE", str(Path(tempfile.gettempdir()) / "oneiro-cache"))


SHARED = Path(__file__).parents[2] / "shared" / "models"  # beside the repository


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run the whole suite on all cores, where xdist is installed and -n does not say otherwise."""
    is_worker = hasattr(config, "workerinput")
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if is_worker or not is_whole or not config.pluginmanager.hasplugin("xdist"):
        return
    if config.option.numprocesses is None and not config.option.usepdb:
        config.option.numprocesses = "auto"
        config.option.dist = "worksteal"


@functools.cache
def missing_gpu() -> str:
    """Why there is no GPU; empty where there is one."""
    try:
        imported_cupy()
    except DeviceError as error:
        return f"no GPU: {error}"
    return ""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked gpu where there is none, and emulator where it cannot be built."""
    if item.get_closest_marker("gpu") and missing_gpu():
        pytest.skip(missing_gpu())
    if item.get_closest_marker("emulator") and shutil.which("g++") is None:
        pytest.skip("the emulator needs g++")


@pytest.fixture(scope="session", autouse=True)
def auto_is_the_host() -> Iterator[None]:
    """So that tests of what is computed on the host mean the same on a machine with a GPU."""
    from oneiro import net

    named = net.device_named

    def device_named(name: str, precision: str) -> Any:
        if name == "auto":
            raise DeviceError("the tests name the device that they mean")
        return named(name, precision)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(net, "device_named", device_named)
        yield


@pytest.fixture(scope="session", autouse=True)
def auto_is_numpy() -> Iterator[None]:
    """So that Plans have the bits of Nets, and open no sessions, where a test does not ask."""
    from oneiro import executor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "suits", lambda dtype: False)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Arrays this small gain nothing by a second thread, and lose much on a busy machine."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def walker() -> Iterator[ModuleType]:
    """The judge that computes with torch, in one thread."""
    torch = pytest.importorskip("torch", reason="the walker computes with torch")
    from oracle import walker

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield walker
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def trained() -> Callable[[str], Path]:
    """trained("googlenet"): its file; skips where that is neither embedded nor at hand."""
    from oneiro.models import registry

    def find(name: str) -> Path:
        folder = registry.FOLDER if name == "squeezenet1.1" else SHARED
        path = folder / f"{name}.onnx"
        if not path.exists():
            pytest.skip(f"{path.name} is not part of the repository")
        return path

    return find


@pytest.fixture
def net_of(tmp_path: Path) -> Callable[..., Net]:
    """net_of(model, dtype=np.float32): the Net of an ONNX model, by way of a file."""

    def make(model: ModelProto, dtype: Any = np.float32) -> Net:
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return Net(path, dtype=dtype)

    return make
