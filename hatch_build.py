# SPDX-License-Identifier: Apache-2.0
"""Compiles the native plane when the package is built or installed: all of its units, or none.

Without a compiler the package is built all the same, and `plane/not-built.txt` in it says why: `plx9x5x doctor` and
`serve` show that. The modules use Python's stable ABI, so that one wheel does for every Python.
"""

import contextlib
import io
import os
import shutil
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = Path(__file__).parent / "device/plx9x5x"
REASON = PACKAGE / "plane/not-built.txt"
FLAGS = ("-std=gnu11", "-O2", "-fvisibility=hidden", "-Wall", "-Wextra")


@dataclass(frozen=True)
class Unit:
    """One extension module: `headers` are what Python may call, `sources` are compiled as one file.

    `types_of` are other modules whose types it shares.
    """

    module: str
    headers: tuple[str, ...]
    sources: tuple[str, ...]
    types_of: tuple[str, ...] = ()


# The card and the wire have copies of the plane's functions, so that they are inlined; tables, pages and lines that
# they are given are the plane's.
UNITS = (
    Unit("plx9x5x.plane._mappings", ("plane/mappings.h",), ("plane/mappings.c",)),
    Unit("plx9x5x.plane._serving", ("plane/line.h", "plane/serving.h"), ("plane/line.c", "plane/serving.c")),
    Unit(
        "plx9x5x.transport.wire._hot",
        ("transport/wire/hot.h",),
        ("plane/line.c", "plane/serving.c", "transport/wire/hot.c"),
        ("plx9x5x.plane._serving",),
    ),
    Unit(
        "plx9x5x.model._card",
        ("model/walker.h", "model/card.h"),
        ("plane/mappings.c", "plane/line.c", "model/walker.c", "model/card.c"),
        ("plx9x5x.plane._mappings", "plx9x5x.plane._serving"),
    ),
)


class NativePlane(BuildHookInterface):  # type: ignore[type-arg]
    """Hatch's hook for wheels, editable ones included."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put what came of it into the wheel."""
        reason = build()
        if reason:
            self.app.display_warning(f"plx9x5x is built without its native plane: {reason}")
            made = [REASON]
        else:
            made = sorted(PACKAGE.glob("**/_*.abi3.so"))
            build_data["pure_python"] = False
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"cp311-abi3-{platform}"
        if version != "editable":
            build_data["force_include"].update({str(f): f"plx9x5x/{f.relative_to(PACKAGE)}" for f in made})


def build() -> str:
    """Compile all modules into the package; give in words why that failed, or nothing."""
    for old in (*PACKAGE.glob("**/_*.so"), REASON):
        old.unlink(missing_ok=True)
    said = io.StringIO()
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    try:
        with tempfile.TemporaryDirectory() as folder:
            # What distutils prints would be taken for the answer of the build backend.
            with contextlib.redirect_stdout(said):
                made = _compile(Path(folder), compiler)
            for module, library in made.items():
                shutil.copy(library, PACKAGE.parent.joinpath(*module.split(".")[:-1]) / library.name)
    except Exception as exc:  # noqa: BLE001 - whatever a compiler may do, the package goes without it
        sys.stderr.write(f"{said.getvalue()}\n{exc}\n")
        reason = str(exc) if isinstance(exc, OSError) else f"{compiler} failed ({type(exc).__name__}); pip -v shows how"
        REASON.write_text(reason + "\n", encoding="utf-8")
        return reason
    return ""


def _compile(folder: Path, compiler: str) -> dict[str, Path]:
    """Give the library file of each module."""
    if shutil.which(compiler) is None:
        raise FileNotFoundError(f"there is no compiler {compiler}")
    import cffi  # noqa: PLC0415 - whatever is wrong with it is a reason too

    made = {}
    known = {}
    for unit in UNITS:
        ffi = cffi.FFI()
        for other in unit.types_of:
            ffi.include(known[other])
        for header in unit.headers:
            ffi.cdef(declarations((PACKAGE / header).read_text(encoding="utf-8")))
        ffi.set_source(
            unit.module,
            "".join(f'#include "{PACKAGE / source}"\n' for source in unit.sources),
            include_dirs=[str(PACKAGE / room) for room in ("plane", "model", "transport/wire")],
            extra_compile_args=list(FLAGS),
            py_limited_api=True,
        )
        made[unit.module] = Path(ffi.compile(tmpdir=str(folder)))
        known[unit.module] = ffi
    return made


def declarations(header: str) -> str:
    """Give a header without its preprocessor's lines: cffi knows the standard types."""
    return "\n".join(line for line in header.splitlines() if not line.startswith("#"))
