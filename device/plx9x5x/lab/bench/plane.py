# SPDX-License-Identifier: Apache-2.0
"""The data plane that ours runs on: this version's only one, or one of several that a version offers.

A version with several takes `serve --plane NAME`, and the variable PLX9X5X_PLANE in process. A version with one takes
neither, and only its name can be asked for.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from typing import Final

from plx9x5x.errors import BadRequest

ENV: Final = "PLX9X5X_PLANE"
ONLY: Final = "python"
NAMES: Final = (ONLY, "native")


class NoSuchPlane(BadRequest):
    """No data plane has that name in this version."""


@cache
def selectable() -> bool:
    """True if this version lets a plane be chosen."""
    said = subprocess.run(
        [sys.executable, "-m", "plx9x5x", "serve", "--help"], capture_output=True, text=True, check=True
    )
    return "--plane" in said.stdout


def asked(name: str | None) -> tuple[str, ...]:
    """The planes to measure for `--plane name`; 'all' is every one, None what runs unless told otherwise ('').

    Raises: NoSuchPlane.
    """
    if name is None:
        return ("",)
    if name == "all":
        return NAMES if selectable() else (ONLY,)
    if name not in NAMES or (name != ONLY and not selectable()):
        there = NAMES if selectable() else (ONLY,)
        raise NoSuchPlane(f"no data plane '{name}' in this version; there are: {', '.join(there)}")
    return (name,)


def options(name: str) -> tuple[str, ...]:
    """What `serve` takes for the plane `name`."""
    return ("--plane", name) if name and selectable() else ()


@contextlib.contextmanager
def chosen(name: str) -> Iterator[None]:
    """Have devices that are made meanwhile, here and in child processes, run on the plane `name`; '' leaves it open."""
    before = os.environ.get(ENV)
    if name and selectable():
        os.environ[ENV] = name
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(ENV, None)
        else:
            os.environ[ENV] = before
