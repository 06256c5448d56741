# SPDX-License-Identifier: Apache-2.0
"""The two C programs beside this file, compiled and kept in the toolchain's cache: the peer and the raw client."""

import hashlib
import os
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError
from plx9x5x.lab.host.server import Backend
from plx9x5x.lab.toolchain import Cache, Toolchain, build_static, host

SOURCES: Final = Path(__file__).parent
PACKAGE: Final = SOURCES.parents[1]
_FLAGS: Final = ("-O2", "-Wall", "-Wextra", "-Werror")
_SONAME: Final = "libvfio-user.so.0"
"""By this name the peer asks the loader for the library; the file of the toolchain has another one."""


def client() -> Path:
    """The raw client. Raises: SetupError."""
    include = (SOURCES, PACKAGE / "plane", PACKAGE / "model")
    return build_static(SOURCES / "client", name="bench-client", include=include)


def peer(tc: Toolchain) -> Backend:
    """The device in C, on the libvfio-user that ours runs on. Raises: SetupError, also without its header."""
    library = tc.libvfio_user
    include = library.parent / "include"
    if not (include / "libvfio-user.h").is_file():
        raise SetupError(
            f"{library} has no header beside it (include/libvfio-user.h), so no peer can be built on it",
            hint="unset PLX9X5X_LIBVFIO_USER and let plx9x5x build the library",
        )
    compiler, cache = host.compiler(), Cache(tc.cache)
    files = (library, include / "libvfio-user.h", SOURCES / "peer.c", SOURCES / "bench.h")
    facts = "\0".join((*_FLAGS, str(library), host.compiler_version(compiler)[1], host.libc()))
    key = f"program-bench-peer-{_digest(facts, files)}"
    if cache.built(key) is None:
        with cache.building(key) as work:
            command: list[str | Path] = [
                compiler,
                *_FLAGS,
                f"-I{include}",
                "-o",
                work / "peer",
                SOURCES / "peer.c",
                library,
            ]
            host.run(command, what="compiling the peer")
            (work / _SONAME).symlink_to(library)
    folder = cache.root / "built" / key
    return Backend((str(folder / "peer"),), environment={"LD_LIBRARY_PATH": _first(folder)})


def _first(folder: Path) -> str:
    before = os.environ.get("LD_LIBRARY_PATH")
    return f"{folder}{os.pathsep}{before}" if before else str(folder)


def _digest(facts: str, files: tuple[Path, ...]) -> str:
    digest = hashlib.sha256(facts.encode())
    for path in files:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:20]
