# SPDX-License-Identifier: Apache-2.0
"""Which plane moves data: the caller's word, then the environment's, then the native one if it was built."""

import enum
import os
from pathlib import Path
from typing import Final

from plx9x5x.errors import BadRequest, SetupError

VARIABLE: Final = "PLX9X5X_PLANE"

_REASON: Final = Path(__file__).with_name("not-built.txt")
HINT: Final = "build it with a C compiler: `sh scripts/setup.sh` in a checkout, else install the package again"


class Plane(enum.Enum):
    """What moves data."""

    NATIVE = "native"
    PYTHON = "python"


NAMES: Final = tuple(plane.value for plane in Plane)


class NoSuchPlane(BadRequest):
    """A name that is no plane's."""


def choose(asked: Plane | str | None = None) -> Plane:
    """Say which plane to use. Raises: SetupError if it is to be the native one and is not there; NoSuchPlane."""
    name = asked.value if isinstance(asked, Plane) else asked or os.environ.get(VARIABLE)
    if not name:
        return Plane.PYTHON if lack() else Plane.NATIVE
    if name not in NAMES:
        raise NoSuchPlane(f"no plane {name!r} ({VARIABLE} or --plane): there are {' and '.join(NAMES)}")
    if name == Plane.NATIVE.value and (why := lack()):
        raise SetupError(f"the native plane is not there: {why}", hint=f"{HINT}; or take --plane python")
    return Plane(name)


def lack() -> str:
    """Why the native plane cannot be used, in words; empty if it can."""
    try:
        from plx9x5x.plane import _mappings  # noqa: F401, PLC0415 - only whoever asks pays for loading it
    except ImportError as exc:
        if _REASON.is_file():
            return f"it could not be compiled: {_REASON.read_text(encoding='utf-8').strip()}"
        return "it has not been compiled" if isinstance(exc, ModuleNotFoundError) else str(exc)
    return ""


def describe(plane: Plane, *, by: str = "") -> str:
    """One line for people: which plane, and why if it is Python's by lack of the other, or `by` what else."""
    if by:
        return f"plane {Plane.PYTHON.value}, by {by}"
    if plane is Plane.PYTHON and (why := lack()):
        return f"plane {plane.value}: the native one is not there, {why}; {HINT}"
    return f"plane {plane.value}"
