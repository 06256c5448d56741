# SPDX-License-Identifier: Apache-2.0
"""Folders for the logs of runs, in the cache: runs/DATE-TIME-PID. The last few stay, and those that were to be kept."""

import os
import re
import shutil
import time
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError

KEPT: Final = 8
_MARK: Final = "keep"
_NAME: Final = re.compile(r"\d{8}-\d{6}-(\d+)(?:\.\d+)?")


def make(cache: Path, *, keep: bool = False) -> Path:
    """Give a fresh folder and drop old ones; `keep` keeps this one for good. Raises: SetupError."""
    top = cache / "runs"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    try:
        top.mkdir(parents=True, exist_ok=True)
        for number in range(1000):
            folder = top / f"{stamp}-{os.getpid()}{f'.{number}' if number else ''}"
            try:
                folder.mkdir(mode=0o700)
                break
            except FileExistsError:
                continue
        if keep:
            (folder / _MARK).touch()
    except OSError as exc:
        raise SetupError(
            f"cannot make a folder for the logs in {top}: {exc.strerror}",
            hint="make it writable, or set PLX9X5X_CACHE to another folder",
        ) from exc
    prune(top)
    return folder


def prune(top: Path, *, kept: int = KEPT) -> None:
    """Drop all but the newest `kept` folders; one that is marked, or whose process lives, stays and does not count."""
    old = sorted(path for path in top.iterdir() if _NAME.fullmatch(path.name) and not (path / _MARK).exists())
    for folder in [path for path in old if not _in_use(path)][:-kept]:
        shutil.rmtree(folder, ignore_errors=True)


def _in_use(folder: Path) -> bool:
    match = _NAME.fullmatch(folder.name)
    pid = int(match[1]) if match else 0
    if pid == os.getpid():
        return False  # our own earlier ones, as of a test session; the newest stay anyway
    return Path(f"/proc/{pid}").exists()
