# SPDX-License-Identifier: Apache-2.0
"""libvfio-user: one that is named, or the copy in Debian's QEMU source, built here by meson.

meson, ninja and pkgconf are Python packages (the extra `lab`), so the host needs a C compiler and nothing else.
"""

import ctypes
import importlib.util
import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain import host, unpack
from plx9x5x.lab.toolchain.cache import Cache

ENV: Final = "PLX9X5X_LIBVFIO_USER"
LIBRARY: Final = "libvfio-user.so"
HEADERS: Final = "include"
"""Beside the library: our tests compare the binding with it."""
_MARKER: Final = "subprojects/libvfio-user"
_EXTRA_HINT: Final = "pip install 'plx9x5x[lab]'"
# Symbols of every version: anything without them is another library.
_SYMBOLS: Final = ("vfu_create_ctx", "vfu_run_ctx", "vfu_setup_region", "vfu_destroy_ctx")


def from_environment() -> Path | None:
    """The library that $PLX9X5X_LIBVFIO_USER names. Raises: SetupError naming the variable when it will not do."""
    named = os.environ.get(ENV)
    if not named:
        return None
    path = Path(named).expanduser().absolute()
    hint = f"name a libvfio-user.so for this machine, or unset {ENV} and let plx9x5x build one"
    if not path.is_file():
        raise SetupError(f"{ENV}={named} is not a file", hint=hint)
    try:
        check(path)
    except SetupError as exc:
        raise SetupError(f"{ENV}={named} will not do: {exc}", hint=hint) from exc
    return path


def check(path: Path) -> None:
    """Load the library and look for its calls. Raises: SetupError."""
    hint = "plx9x5x toolchain clean, then fetch again"
    try:
        library = ctypes.CDLL(str(path))
    except OSError as exc:
        raise SetupError(f"it does not load: {exc}", hint=hint) from exc
    missing = [name for name in _SYMBOLS if not hasattr(library, name)]
    if missing:
        raise SetupError(f"it has no {', '.join(missing)}: not libvfio-user", hint=hint)


def require_tools() -> None:
    """Look for everything that the build calls, before anything is fetched for it. Raises: SetupError."""
    missing = [m for m in ("mesonbuild", "ninja", "pkgconf") if importlib.util.find_spec(m) is None]
    if missing:
        names = ", ".join(m.replace("mesonbuild", "meson") for m in missing)
        raise SetupError(f"libvfio-user is built by Python packages that are missing: {names}", hint=_EXTRA_HINT)
    if importlib.util.find_spec("_lzma") is None:
        raise SetupError(
            "this Python was built without lzma, which unpacks Debian's sources",
            hint="use Debian's own python3, or install liblzma-dev and build this Python again",
        )
    host.compiler()


def build(tree: Path, cache: Cache) -> dict[str, str]:
    """Build from tree/source (the archive) and tree/sysroot; leave the library and its headers. Raises: SetupError."""
    archives = sorted((tree / "source").glob("*.tar.*"))
    if not archives:
        raise SetupError("the source package holds no archive", hint="look for a newer version of plx9x5x")
    with cache.guard():
        source = unpack.subtree(archives[0], _MARKER, tree / "unpacked")
    archives[0].unlink()
    sysroot, work = tree / "sysroot", tree / "work"
    env = _environment(sysroot)
    meson = [sys.executable, "-m", "mesonbuild.mesonmain"]
    options = ["-Dbuildtype=release", "-Ddebug=false", "-Dprefer_static=true", "--wrap-mode=nodownload"]
    try:
        host.run([*meson, "setup", *options, work, source], what="configuring libvfio-user", env=env)
        target = _target(work, env)
        host.run([_script("ninja", env), "-C", work, target], what="compiling libvfio-user", env=env)
    except host.ProgramFailed as exc:
        if full := cache.disk_full(exc.output):
            raise full from exc
        if "stdio.h: No such file" in exc.output or "cannot compile programs" in exc.output:
            raise SetupError(
                f"the C compiler cannot compile:\n{host.tail(exc.output, 8)}", hint=host.install_hint("gcc")
            ) from exc
        raise
    with cache.guard():
        shutil.copyfile(work / target, tree / LIBRARY)
        shutil.copytree(source / "include", tree / HEADERS)
    check(tree / LIBRARY)
    unpack.keep_only(tree, (LIBRARY, HEADERS))
    return {"compiler": " ".join(map(str, host.compiler_version(host.compiler())[1:])), "libc": host.libc()}


def _target(work: Path, env: dict[str, str]) -> str:
    """The shared library among ninja's targets: the file, not the links to it."""
    listed = host.run([_script("ninja", env), "-C", work, "-t", "targets", "all"], what="reading the build", env=env)
    targets: list[str] = re.findall(r"^(lib/libvfio-user\.so[\d.]*): \S*LINKER", listed, re.MULTILINE)
    for target in sorted(targets, key=len, reverse=True):
        return target
    raise SetupError(
        f"libvfio-user's build has no shared library:\n{host.tail(listed)}", hint="look for a newer version of plx9x5x"
    )


def _environment(sysroot: Path) -> dict[str, str]:
    """The .pc files of the sysroot carry absolute paths, so both variables are needed."""
    folders = [
        Path(sys.executable).parent,
        Path(sysconfig.get_path("scripts")),
        *_bundled("ninja"),
        *_bundled("pkgconf"),
    ]
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])
    return host.plain_env(
        PATH=path,
        CC=host.compiler(),
        PKG_CONFIG_SYSROOT_DIR=str(sysroot),
        PKG_CONFIG_PATH=os.pathsep.join(str(f / "pkgconfig") for f in unpack.library_folders(sysroot)),
    )


def _bundled(package: str) -> list[Path]:
    """Where a wheel may keep its program when its script is not on PATH."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return [Path(p) / sub for p in places or () for sub in ("data/bin", ".bin", "bin") if (Path(p) / sub).is_dir()]


def _script(name: str, env: dict[str, str]) -> str:
    found = shutil.which(name, path=env["PATH"])
    if found is None:
        raise SetupError(f"the Python package {name} is there, its program is not", hint=_EXTRA_HINT)
    return found
