"""A file is written whole or not at all: after an error, on a full disk, through a link."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from oneiro.file import atomic_write, file_name

posix = pytest.mark.skipif(os.name != "posix", reason="files as POSIX has them")


def test_the_file_appears_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "dream.png"
    with atomic_write(target) as file:
        file.write(b"first ")
        assert not target.exists()
        file.write(b"second")
    assert target.read_bytes() == b"first second"
    assert os.listdir(tmp_path) == ["dream.png"]


def test_an_old_file_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "dream.png"
    target.write_bytes(b"old and longer")
    with atomic_write(str(target)) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("trouble", [ValueError, KeyboardInterrupt, SystemExit])
def test_trouble_keeps_the_old_file_and_leaves_nothing(
    tmp_path: Path, trouble: type[BaseException]
) -> None:
    target = tmp_path / "dream.png"
    target.write_bytes(b"old")

    def write() -> None:
        with atomic_write(target) as file:
            file.write(b"half of the n")
            raise trouble

    with pytest.raises(trouble):
        write()
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["dream.png"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "nowhere"
    with (
        pytest.raises(FileNotFoundError, match="no such folder") as caught,
        atomic_write(folder / "dream.png"),
    ):
        pass
    assert Path(caught.value.filename).name == "nowhere"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=tmp_path.name), atomic_write(tmp_path):
        pass


@posix
def test_a_long_name_is_no_trouble(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 251 + ".png")
    with atomic_write(target) as file:
        file.write(b"dream")
    assert target.read_bytes() == b"dream"


@posix
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_open(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with open(tmp_path / "plain", "wb"):
            pass
        with atomic_write(tmp_path / "atomic"):
            pass
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")]
    assert modes[0] == modes[1] == 0o666 & ~umask


@posix
def test_permissions_of_an_old_file_are_kept(tmp_path: Path) -> None:
    target = tmp_path / "dream.png"
    target.write_bytes(b"old")
    target.chmod(0o640)
    with atomic_write(target) as file:
        file.write(b"new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@posix
def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "dream.png"
    link = tmp_path / "link.png"
    link.symlink_to(target)
    with atomic_write(link) as file:
        file.write(b"dream")
    assert link.is_symlink()
    assert target.read_bytes() == b"dream"


@posix
def test_a_device_is_not_replaced() -> None:
    with atomic_write(os.devnull) as file:
        file.write(b"dream")
    assert not Path(os.devnull).is_file()


@posix
def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "dream.png"
    target.write_bytes(b"old")
    script = """
import resource, signal, sys
from oneiro.file import atomic_write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    with atomic_write(sys.argv[1]) as file:
        for _ in range(100):
            file.write(bytes(4096))
except OSError as error:
    print(type(error).__name__, error.errno)
"""
    run = subprocess.run(
        [sys.executable, "-c", script, str(target)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == ["OSError", "27"], run.stderr
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["dream.png"]


@pytest.mark.parametrize(
    ("blob", "name"),
    [
        ("fire2/concat", "fire2-concat"),
        ("/net/conv", "net-conv"),
        ("../../etc", "etc"),
        ("a:0 <b>|*?", "a-0-b"),
        ("é", "blob"),
    ],
)
def test_names_of_files_are_safe(blob: str, name: str) -> None:
    assert file_name(blob) == name
    assert len(file_name(200 * blob)) <= 80


def test_long_names_stay_apart() -> None:
    one, other = (file_name(f"/net/{'block/' * 20}conv_{k}") for k in range(2))
    assert one != other
