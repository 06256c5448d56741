# SPDX-License-Identifier: Apache-2.0
"""What makes a device of one's own, by its name: MODULE:NAME, or PATH.py:NAME."""

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

from plx9x5x.errors import RAISED, BadRequest
from plx9x5x.own import blame
from plx9x5x.ports import DeviceFactory

_HOW: Final = "name it as MODULE:NAME or PATH.py:NAME, a class or a function that takes (bus, irq) and gives a device"


class NoFactory(BadRequest):
    """What was named makes no device; why, the text says."""


def find(factory: str) -> DeviceFactory:
    """Import what makes the device; a module may be in the current folder. Raises: NoFactory."""
    module, name = _parts(factory)
    try:
        found = getattr(_module(module), name)
    except RAISED as exc:  # the module's own code: whatever it raises is why there is no device
        raise NoFactory(f"{factory} cannot be imported: {_why(exc, module, name)}") from exc
    if not callable(found):
        raise NoFactory(f"{factory} cannot be called: {_HOW}")
    return cast("DeviceFactory", found)


def absolute(factory: str, *, beside: Path | None = None) -> str:
    """The name for a process that runs elsewhere: a path is made absolute, from the folder `beside` or the current one.

    Raises: NoFactory for what is no such name.
    """
    module, name = _parts(factory)
    return f"{((beside or Path.cwd()) / module).absolute()}:{name}" if module.endswith(".py") else factory


def _parts(factory: str) -> tuple[str, str]:
    module, colon, name = factory.rpartition(":")
    if not colon or not module or not name:
        raise NoFactory(f"'{factory}' names no factory: {_HOW}")
    return module, name


def _why(exc: BaseException, module: str, name: str) -> str:
    """In the author's terms; the usual slips first."""
    if isinstance(exc, FileNotFoundError) and module.endswith(".py") and not Path(module).exists():
        return f"there is no file {module}"
    if isinstance(exc, ModuleNotFoundError) and not blame.places(exc):
        return f"there is no module {exc.name!r}, neither installed nor in {Path.cwd()}; {_HOW}"
    if isinstance(exc, AttributeError) and not blame.places(exc):
        return f"{module} has no {name!r}; {_HOW}"
    return blame.told(exc)


def _module(name: str) -> object:
    if not name.endswith(".py"):
        with _looked_in(Path.cwd()):
            return importlib.import_module(name)
    path = Path(name).absolute()
    private = f"_device_{path.stem}"  # it may be called as a module that others want
    spec = importlib.util.spec_from_file_location(private, path)
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[private] = module
    with _looked_in(path.parent):
        spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _looked_in(folder: Path) -> Iterator[None]:
    """Find modules there too, last of all, while the device's are imported.

    Not for longer: whatever is on the path the jail leaves open, and the folder may be somebody's home.
    """
    sys.path.append(str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.reverse()  # ours is the last of its name
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))
        sys.path.reverse()
