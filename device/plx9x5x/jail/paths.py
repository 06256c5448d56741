# SPDX-License-Identifier: Apache-2.0
"""Where Python finds what it may still import: its own modules, installed packages, the libraries that those load."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
"""Where the loader looks for what an extension module needs."""


def python_paths() -> tuple[Path, ...]:
    """Every path that an import may read, for itself or for what is beneath it.

    The folder that `python -m` was called in is none, though Python looks there first: it may be anybody's home. What
    was imported from there already is one, a package with all that it may import later.
    """
    roots = {Path(path) for path in (*_searched(), *_LIBRARIES, *_of_prefixes())}
    known = roots.union(*map(_places, list(sys.modules.values())))
    return tuple(sorted(path for path in known if path in roots or known.isdisjoint(path.parents)))


def _searched() -> Iterator[str]:
    here = {""}
    with contextlib.suppress(OSError):  # it has been removed
        here.add(str(Path.cwd()))
    for position, path in enumerate(sys.path):
        if path and (position > 0 or sys.flags.safe_path or path not in here):
            yield path


def _of_prefixes() -> Iterator[str]:
    """Where an environment keeps libraries of its own."""
    for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix):
        yield str(Path(prefix) / "lib")


def _places(module: object) -> set[Path]:
    """The folders of a package, the file of any other module."""
    names = getattr(module, "__dict__", {})
    places = [*(names.get("__path__") or ())] or [names.get("__file__")]
    return {Path(place) for place in places if isinstance(place, str) and Path(place).is_absolute()}
