"""Files that are written whole or not at all."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def file_name(blob: str) -> str:
    """The name of a blob as that of a file anywhere: letters, digits, dots and hyphens.

    Of a long one the last 80 characters are kept: such names tend to differ at their ends.
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", blob)[-80:].strip("-.") or "blob"


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raise FileNotFoundError, naming the folder, where the folder of a new file is missing."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder", str(folder))
    if Path(path).exists() and not Path(path).is_file():
        return  # a device or a pipe
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, "No file can be made in it", str(folder)) from None


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of `path` only when the block ends without error.

    The bytes go to a new file in the same folder, which is synchronised with the disk and then
    renamed. After an error or Ctrl-C, `path` is what it was before and nothing is left over.
    Links are followed. A pipe or a device cannot be replaced: it is written as it is.

    Raises OSError as `open` does: no such folder, no permission, a full disk.
    """
    check_folder(path)
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        with open(target, "wb") as file:  # says so itself if this is a folder
            yield file
        return
    # Not mkstemp: its files are private, and the umask cannot be asked for without changing it.
    draft = target.with_name(f".oneiro-{secrets.token_hex(8)}")
    try:
        with open(draft, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, draft)
        os.replace(draft, target)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
