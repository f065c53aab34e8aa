"""What is compiled, measured or fetched once, and kept in a folder of the user's."""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path

log = logging.getLogger(__name__)


def folder() -> Path:
    """$ONEIRO_CACHE, or this user's cache folder."""
    asked = os.environ.get("ONEIRO_CACHE")
    if asked:
        return Path(asked)
    import platformdirs

    return Path(platformdirs.user_cache_dir("oneiro", appauthor=False))


def keep(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: processes may share the folder. It is only a cache."""
    draft = path.with_name(f".{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(draft, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        log.debug("%s is not kept: %s", path, error)
