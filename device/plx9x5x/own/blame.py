# SPDX-License-Identifier: Apache-2.0
"""Whose code an exception comes from: the places of it that are neither ours nor Python's own."""

import sysconfig
import traceback
from pathlib import Path
from typing import Final

import plx9x5x
from plx9x5x.errors import printable, said

_OURS: Final = Path(plx9x5x.__file__).resolve().parent
_PYTHONS: Final = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
_INSTALLED: Final = frozenset(("site-packages", "dist-packages"))
_SHOWN: Final = 4
"""Places that are named."""


def told(exc: BaseException) -> str:
    """Say what went wrong, and where, the innermost place first; without a place if it is in none of theirs."""
    what = said(exc, lambda text: "\n".join(map(printable, text.split("\n"))))
    found = places(exc)
    return f"{', called from '.join(found)}: {what}" if found else what


def places(exc: BaseException) -> list[str]:
    """'FILE:LINE, in FUNCTION' of each place that is neither ours nor Python's, the innermost first."""
    found = [
        f"{_short(frame.filename)}:{frame.lineno}, in {frame.name}"
        for frame in reversed(traceback.extract_tb(exc.__traceback__))
        if _is_theirs(frame.filename)
    ]
    if isinstance(exc, SyntaxError) and exc.filename and _is_theirs(exc.filename):
        found.insert(0, f"{_short(exc.filename)}:{exc.lineno}")
    return found[:_SHOWN]


def is_raised_by_them(exc: BaseException) -> bool:
    """Whether theirs is the innermost code that is not Python's own, and not ours."""
    for frame in reversed(traceback.extract_tb(exc.__traceback__)):
        if _is_theirs(frame.filename):
            return True
        if not frame.filename.startswith("<") and Path(frame.filename).resolve().is_relative_to(_OURS):
            return False
    return False


def _is_theirs(name: str) -> bool:
    if name.startswith("<"):  # what Python has frozen, or made of text
        return False
    path = Path(name).resolve()
    if path.is_relative_to(_OURS):
        return False
    return not any(path.is_relative_to(it) for it in _PYTHONS) or not _INSTALLED.isdisjoint(path.parts)


def _short(name: str) -> str:
    """As somebody in the current folder would name it."""
    try:
        return str(Path(name).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return name
