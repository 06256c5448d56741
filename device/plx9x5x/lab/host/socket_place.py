# SPDX-License-Identifier: Apache-2.0
"""Where a socket is put, and that nothing of it is left: its path is short, which a cache folder's need not be."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_PATH_MAX: Final = 100


class SocketPlace:
    """The place of a socket of that name: in `logs`, or in a folder of its own. A context manager, or call `remove`."""

    def __init__(self, logs: Path, name: str) -> None:
        self.path = logs.absolute() / name
        self._own_folder: Path | None = None
        if len(os.fsencode(self.path)) > _PATH_MAX:
            self._own_folder = Path(tempfile.mkdtemp(prefix="plx9x5x-", dir="/tmp"))
            self.path = self._own_folder / name

    def remove(self) -> None:
        """Have nothing there any more, whatever somebody left, or took away."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.remove()
