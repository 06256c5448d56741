# SPDX-License-Identifier: Apache-2.0
"""From C sources to a driver that can be loaded: compiler, glue, link.

What nthal lacks is told by name: a routine that is in no header stops the compiler, a symbol that nobody defines stops
the loader. Drivers are compiled for this process, so integers and pointers have its sizes.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from nthal_c import calls
from nthal_c.prototypes import INCLUDE, Prototype, for_cffi, for_drivers, glue, prototypes
from nthal_c.shapes import DoesNotCompile, DoesNotLoad, NoCompiler

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

    from nthal_c.shapes import Compiled

MODULE: Final = "_nthal_driver"
_INCLUDES: Final = re.compile(r"^[ \t]*#[ \t]*include[ \t]*[<\"]([\w.]+)[>\"]", re.MULTILINE)
FLAGS: Final = (
    "-std=gnu11", "-O1", "-g", "-fPIC", "-fshort-wchar", "-fms-extensions", "-fno-strict-aliasing", "-fwrapv",
    "-fvisibility=hidden", "-Wno-unknown-pragmas", "-Wno-multichar", "-Werror=implicit-function-declaration",
    "-Werror=implicit-int", "-Wno-error=int-conversion", "-Wno-error=incompatible-pointer-types",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Glue:
    """What every driver is linked with, compiled once; `folder` has the header that is made for drivers."""

    folder: Path
    object: Path
    routines: tuple[Prototype, ...] = field(repr=False)


@cache
def _scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="nthal-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _compiler() -> list[str]:
    words = shlex.split(os.environ.get("CC") or "cc")
    if not words or shutil.which(words[0]) is None:
        raise NoCompiler(f"there is no compiler {words[0] if words else 'cc'}", "install gcc or clang, or set CC")
    return words


def _run(command: Sequence[str], what: str) -> str:
    """Run the compiler; give its warnings. Raises: DoesNotCompile."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DoesNotCompile(f"{what} does not compile:\n{done.stderr.strip()}")
    return done.stderr.strip()


@cache
def make_glue(around: tuple[ModuleType, ...]) -> Glue:
    """Compile what leads from C to Python and back. Raises: NoCompiler."""
    compiler = _compiler()
    try:
        import cffi  # noqa: PLC0415  (only who brings a driver in C needs it)
    except ImportError as why:
        raise NoCompiler(f"cffi cannot be imported ({why})", "pip install cffi") from why
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        raise NoCompiler("Python's headers are not there", "install the package python3-dev")
    folder = Path(tempfile.mkdtemp(dir=_scratch()))
    played = tuple(one for one in prototypes() if calls.played(one, around))
    ffi = cffi.FFI()
    ffi.cdef(for_cffi(played))
    ffi.set_source(MODULE, glue(played))
    source = folder / f"{MODULE}.c"
    with contextlib.redirect_stdout(io.StringIO()):  # cffi says what it does
        ffi.emit_c_code(str(source))
    (folder / "nthal_routines.h").write_text(for_drivers(played), encoding="utf-8")
    made = folder / f"{MODULE}.o"
    include = [f"-I{INCLUDE}", f"-I{sysconfig.get_path('include')}"]
    _run([*compiler, *FLAGS, *include, "-Wno-unused-function", "-c", str(source), "-o", str(made)], "nthal's own glue")
    return Glue(folder, made, played)


@dataclass(frozen=True, slots=True)
class Built:
    """A compiled driver, and what the compiler warned of. Each loading is a copy of its own, with fresh variables."""

    name: str
    library: Path
    warnings: str
    routines: tuple[Prototype, ...] = field(repr=False)
    around: tuple[ModuleType, ...] = ()

    def module(self) -> Compiled:
        """Load a copy. Raises: DoesNotLoad, with the name of what is missing."""
        with tempfile.NamedTemporaryFile(prefix=f"{self.name}-", suffix=".so", dir=_scratch(), delete=False) as file:
            file.write(self.library.read_bytes())
        loader = ExtensionFileLoader(MODULE, file.name)
        spec = spec_from_file_location(MODULE, file.name, loader=loader)
        assert spec is not None  # the loader is given
        try:
            module = module_from_spec(spec)
        except ImportError as why:
            raise DoesNotLoad(f"{self.name} needs what nobody has: {why}") from why
        finally:
            Path(file.name).unlink()
        return cast("Compiled", module)


def _forward(into: Path, folders: Sequence[Path], sources: Sequence[Path]) -> None:
    """Make what a driver includes and a file system of Windows would have found: names in other case, .tmh files."""
    headers = [file for folder in folders if folder.is_dir() for file in folder.glob("*.[hH]")]
    known = {file.name.lower(): file for file in [*INCLUDE.glob("*.h"), *headers]}
    for file in (*headers, *sources):
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        for name in _INCLUDES.findall(text):
            found = INCLUDE / "nthal" / "wpp.h" if name.lower().endswith(".tmh") else known.get(name.lower())
            if found is not None and found.name != name:
                (into / name).write_text(f'#include "{found.absolute()}"\n', encoding="utf-8")


def build(
    sources: Sequence[Path | str],
    *,
    defines: Mapping[str, str | int] | Sequence[str] = (),
    include: Sequence[Path | str] = (),
    flags: Sequence[str] = (),
    name: str | None = None,
    around: Sequence[ModuleType] = (),
) -> Built:
    """Compile a driver's unmodified sources against nthal's headers.

    `defines` and `include` are the compiler's -D and -I; the folders of the sources are looked in as well. `name` is
    the driver's; without one it is that of its first source. `around` are modules that play more of Windows (`calls`).
    Raises: NoCompiler, DoesNotCompile.
    """
    if not sources:
        raise ValueError("a driver has at least one source file")
    ready = make_glue(tuple(around))
    compiler = _compiler()
    macros = defines.items() if hasattr(defines, "items") else [(one, 1) for one in defines]
    folders = dict.fromkeys([*(str(Path(one)) for one in include), *(str(Path(one).parent) for one in sources)])
    name = name or Path(sources[0]).stem
    made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=ready.folder))
    target = made / f"{name}.so"
    _forward(made, [Path(one) for one in folders], [Path(one) for one in sources])
    places = [f"-I{one}" for one in (INCLUDE, ready.folder, *folders, made)]
    words = [*FLAGS, *flags, *(f"-D{key}={value}" for key, value in macros), *places]
    link = ["-shared", "-Wl,-Bsymbolic", "-Wl,-z,now", "-o", str(target)]
    said = _run([*compiler, *words, *(str(one) for one in sources), str(ready.object), *link], name)
    return Built(name, target, said, ready.routines, tuple(around))
