# SPDX-License-Identifier: Apache-2.0
"""From C sources to a driver that can be loaded: compiler, glue, link.

What nthal lacks is told by name: a routine that is in no header stops the compiler, a symbol that nobody defines stops
the loader. Drivers are compiled for this process, so integers and pointers have its sizes.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import weakref
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from nthal_c import calls
from nthal_c.prototypes import INCLUDE, Prototype, for_cffi, for_drivers, glue, prototypes
from nthal_c.shapes import DoesNotCompile, DoesNotLoad, NativeError, NoCompiler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

    from nthal_c.shapes import Compiled

MODULE: Final = "_nthal_driver"
_PREFIX: Final = "nthal-"
_LOCK: Final = "lock"
_INCLUDES: Final = re.compile(r"^[ \t]*#[ \t]*include[ \t]*[<\"]([\w.]+)[>\"]", re.MULTILINE)
FLAGS: Final = (
    "-std=gnu11", "-O1", "-g", "-fPIC", "-fshort-wchar", "-fms-extensions", "-fno-strict-aliasing", "-fwrapv",
    "-fno-delete-null-pointer-checks",
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
    for old in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        _sweep(old)
    folder = _folder(Path(tempfile.gettempdir()), _PREFIX)
    made = folder / f"{_LOCK}.new"
    fcntl.flock(os.open(made, os.O_CREAT | os.O_RDWR, 0o600), fcntl.LOCK_EX)  # for as long as the process lives
    made.rename(folder / _LOCK)  # who sweeps meets it locked, or not at all
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _sweep(folder: Path) -> None:
    """Remove the folder of a process that was killed before it could: nobody holds its lock."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        pass  # it is in use
    finally:
        os.close(lock)


def _folder(inside: Path, prefix: str = "") -> Path:
    with _writing(inside):
        return Path(tempfile.mkdtemp(prefix=prefix, dir=inside))


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Raises: NativeError, with what to do, where a file cannot be written."""
    try:
        yield
    except OSError as why:
        words = f"{folder} cannot take what is built: {why}; make room, raise `ulimit -f`, or set TMPDIR"
        raise NativeError(words) from why


def _compiler() -> list[str]:
    said = os.environ.get("CC") or "cc"
    try:
        words = shlex.split(said)
    except ValueError as why:
        raise NoCompiler(f"CC={said} is no command ({why})", "set CC to a C compiler, as in CC=gcc") from why
    if not words or shutil.which(words[0]) is None:
        raise NoCompiler(f"there is no compiler {words[0] if words else 'cc'}", "install gcc or clang, or set CC")
    return words


def _run(command: Sequence[str], what: str, target: Path) -> str:
    """Run the compiler, which makes `target`; give its warnings. Raises: DoesNotCompile, NoCompiler."""
    try:
        done = subprocess.run([*command, "-o", str(target)], capture_output=True, check=False)
    except OSError as why:
        raise NoCompiler(f"{command[0]} cannot be run ({why})", "set CC to a C compiler") from why
    said = done.stderr.decode(errors="replace").strip()  # in the encoding of the source, perhaps
    if done.returncode < 0:
        by = signal.Signals(-done.returncode).name
        hint = "; raise `ulimit -f`" if by == "SIGXFSZ" else ""
        raise DoesNotCompile(f"{what} does not compile: the compiler was ended by {by}{hint}\n{said}".strip())
    if done.returncode:
        raise DoesNotCompile(f"{what} does not compile:\n{said}")
    if not target.exists():
        raise NoCompiler(f"{command[0]} ended without an error and made no {target.name}", "set CC to a C compiler")
    return said


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
    folder = _folder(_scratch())
    played = tuple(one for one in prototypes() if calls.played(one, around))
    ffi = cffi.FFI()
    ffi.cdef(for_cffi(played))
    ffi.set_source(MODULE, glue(played))
    source = folder / f"{MODULE}.c"
    with _writing(folder), contextlib.redirect_stdout(io.StringIO()):  # cffi says what it does
        ffi.emit_c_code(str(source))
        (folder / "nthal_routines.h").write_text(for_drivers(played), encoding="utf-8")
    made = folder / f"{MODULE}.o"
    include = [f"-I{INCLUDE}", f"-I{sysconfig.get_path('include')}"]
    _run([*compiler, *FLAGS, *include, "-Wno-unused-function", "-c", str(source)], "nthal's own glue", made)
    return Glue(folder, made, played)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Built:
    """A compiled driver, and what the compiler warned of. Each loading is a copy of its own, with fresh variables.

    Its folder goes when it goes.
    """

    name: str
    library: Path
    warnings: str
    routines: tuple[Prototype, ...] = field(repr=False)
    around: tuple[ModuleType, ...] = ()

    def module(self) -> Compiled:
        """Load a copy. Raises: DoesNotLoad, with the name of what is missing."""
        with (
            _writing(_scratch()),
            tempfile.NamedTemporaryFile(prefix=f"{self.name}-", suffix=".so", dir=_scratch(), delete=False) as file,
        ):
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
    Raises: NoCompiler, DoesNotCompile, NativeError if there is no room.
    """
    if isinstance(sources, (str, os.PathLike)):
        raise TypeError(f"sources is one name: give a list, build([{os.fspath(sources)!r}])")
    if not sources:
        raise ValueError("a driver has at least one source file")
    name = Path(sources[0]).stem if name is None else name
    if not name or "/" in name or "\0" in name:
        raise ValueError(f"name is {name!r}: it names a file, so give a word without /")
    ready = make_glue(tuple(around))
    compiler = _compiler()
    macros = defines.items() if hasattr(defines, "items") else [(one, 1) for one in defines]
    folders = dict.fromkeys([*(str(Path(one)) for one in include), *(str(Path(one).parent) for one in sources)])
    made = _folder(ready.folder, f"{name}-")
    target = made / f"{name}.so"
    with _writing(made):
        _forward(made, [Path(one) for one in folders], [Path(one) for one in sources])
    places = [f"-I{one}" for one in (INCLUDE, ready.folder, *folders, made)]
    words = [*FLAGS, *flags, *(f"-D{key}={value}" for key, value in macros), *places]
    link = ["-shared", "-Wl,-Bsymbolic", "-Wl,-z,now"]
    files = [f"./{one}" if str(one).startswith(("-", "@")) else str(one) for one in sources]  # no options
    try:
        said = _run([*compiler, *words, *files, str(ready.object), *link], name, target)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    built = Built(name, target, said, ready.routines, tuple(around))
    weakref.finalize(built, shutil.rmtree, made, ignore_errors=True)
    return built
