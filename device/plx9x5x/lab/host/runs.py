# SPDX-License-Identifier: Apache-2.0
"""Folders for the logs of runs, in the cache: runs/DATE-TIME-PID. The last few stay, and what was to be kept."""

import contextlib
import os
import re
import shutil
import time
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError

KEPT: Final = 8
_MARK: Final = "keep"
_FAILED: Final = "failed"
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
    """Drop all but the newest `kept` folders, and twice as many of failed runs.

    One that is marked to be kept, or whose process lives, stays and does not count.
    """
    old = sorted(path for path in top.iterdir() if _NAME.fullmatch(path.name) and not (path / _MARK).exists())
    old = [path for path in old if not _in_use(path)]
    bad = {path for path in old if (path / _FAILED).exists()}
    for folder in (*[p for p in old if p not in bad][:-kept], *sorted(bad)[: -2 * kept]):
        shutil.rmtree(folder, ignore_errors=True)


def mark_failed(folder: Path) -> None:
    """Have these logs outlive those of good runs."""
    with contextlib.suppress(OSError):  # a full disk: they go as those of good runs do
        (folder / _FAILED).touch()


def _in_use(folder: Path) -> bool:
    match = _NAME.fullmatch(folder.name)
    return match is not None and Path(f"/proc/{match[1]}").exists()
