# SPDX-License-Identifier: Apache-2.0
"""Compile for the guest: out-of-tree kernel modules and static programs, kept by what they were made from."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from plx9x5x.errors import BadRequest, SetupError
from plx9x5x.lab.toolchain import host
from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.toolchain.kernels import GuestKernel
from plx9x5x.lab.toolchain.qemu import Qemu

MODULE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,55}")
"""What modules are called: MODULE_NAME_LEN of the kernel's linux/module.h is 56 on 64 bits, with the NUL."""

_RECIPE: Final = "2"
_EXPORTED: Final = "Module.symvers"
_STATIC_FLAGS: Final = ("-static", "-O2", "-Wall", "-Wextra", "-Werror")
# No library is named: QEMU has them all loaded, by a C library that may be older or newer than the host's.
_PLUGIN_FLAGS: Final = (
    *("-shared", "-fPIC", "-nostdlib", "-fvisibility=hidden", "-pthread"),
    *("-O2", "-Wall", "-Wextra", "-Werror"),
)
_MADE: Final = re.compile(r".*\.(o|ko|mod|mod\.c|cmd|a|order|symvers|d)|\..*|Module\.symvers|__pycache__")
# kbuild remarks on a compiler other than the kernel's own: known, and harmless for one major version up or down.
_HARMLESS: Final = re.compile(r"warning: the compiler differs from the one used to build the kernel")
_FLAGS: Final = ("KCFLAGS", "KCPPFLAGS", "EXTRA_CFLAGS")
"""Variables by which callers of make change what it builds."""
_HEADERS_ARE: Final = ("KDIR", "KERNELDIR", "KERNEL_DIR", "KERNEL_SRC")
"""What Makefiles call the folder of the kernel's headers."""
_CALLS_KBUILD: Final = re.compile(r"(\$[({]MAKE[)}]|\bmake)\s.*-C")
_LOADING_S: Final = 30.0
_WARNING: Final = re.compile(r"(?i)\bwarning:")


class FolderNotBuilt(BadRequest):
    """A stranger's folder could not be built; `said` is what make and the compiler said, with its own paths."""

    def __init__(self, source: Path, said: str) -> None:
        super().__init__(f"{source} was not built:\n{host.tail(said)}")
        self.said = said


def module(cache: Cache, kernel: GuestKernel, source: Path, *, name: str) -> Path:
    """Build the module folder `source` and give `name`.ko. Raises: SetupError with the compiler's words."""
    _need_headers(kernel)
    make, compiler = host.tool("make"), host.tool("gcc")
    facts = (
        kernel.release,
        str(kernel.headers),
        *kernel.make_args,
        host.compiler_version(compiler)[1],
        name,
        *_given(source),
    )
    key = f"module-{name}-{_digest(facts, _sources(source), source)}"
    if done := cache.built(key):
        return done / f"{name}.ko"
    with cache.building(key) as work:
        copy = work / "build"
        _copy(source, copy)
        argv: list[str | Path] = [
            make,
            "-C",
            kernel.headers,
            f"M={copy}",
            "W=1",
            *kernel.make_args,
            "modules",
        ]
        said = _compile(argv, f"building {name}.ko for Linux {kernel.release}", cache, cwd=copy, seen_as=source)
        found = [line for line in said.splitlines() if _WARNING.search(line) and not _HARMLESS.search(line)]
        if found:
            raise SetupError(
                f"building {name}.ko for Linux {kernel.release} gave warnings, and they count:\n{host.tail(said)}",
                hint=f"mend {found[0].strip().replace(f'{copy}/', f'{source}/')}",
            )
        if not (copy / f"{name}.ko").is_file():
            raise SetupError(
                f"the build of {source} made no {name}.ko", hint=f"say 'obj-m := {name}.o' in its Makefile"
            )
        (copy / f"{name}.ko").rename(work / f"{name}.ko")
        shutil.rmtree(copy)
    return _built(cache, key) / f"{name}.ko"


class BuiltFolder(NamedTuple):
    """What came of a folder: its modules, what they export (Module.symvers), and whether it was made just now."""

    modules: tuple[Path, ...]
    symbols: tuple[Path, ...]
    fresh: bool


def folder(
    cache: Cache, kernel: GuestKernel, source: Path, *, symbols: Sequence[Path] = (), limit_s: float | None = None
) -> BuiltFolder:
    """Build somebody's folder of modules as its Makefile or Kbuild wants; give what it made.

    A Makefile that calls kbuild itself is run as it is, with the names by which such files know the kernel's headers.
    Warnings are its own affair. `symbols` are what other folders export. Raises: FolderNotBuilt with the compiler's
    words, or if it takes longer than `limit_s`; SetupError.
    """
    _need_headers(kernel)
    make, compiler = host.tool("make"), host.tool("gcc")
    exported = (hashlib.sha256(path.read_bytes()).hexdigest() for path in symbols)
    facts = (kernel.release, str(kernel.headers), *kernel.make_args, host.compiler_version(compiler)[1])
    name = re.sub(r"[^\w.-]", "_", source.resolve().name, flags=re.ASCII)[:60]
    key = f"folder-{name}-{_digest((*facts, *exported, *_given(source)), _sources(source), source)}"
    fresh = cache.built(key) is None
    if fresh:
        with cache.building(key) as work:
            copy = work / "build"
            _copy(source, copy)
            argv = _recipe(make, kernel, copy, source)
            if symbols:
                argv.append(f"KBUILD_EXTRA_SYMBOLS={' '.join(map(str, symbols))}")
            # Such a Makefile says $(PWD), which is the environment's.
            try:
                what = f"building {source} for Linux {kernel.release}"
                said = _compile(argv, what, cache, cwd=copy, seen_as=source, limit_s=limit_s)
            except host.ProgramFailed as exc:
                raise FolderNotBuilt(source, exc.output.replace(str(copy), str(source))) from exc
            made = sorted(copy.rglob("*.ko"))
            if not made:
                said += "\nit made no .ko: its Makefile has to say 'obj-m := NAME.o', or to make a .ko by itself"
                raise FolderNotBuilt(source, said.replace(str(copy), str(source)))
            for path in (*made, *copy.rglob(_EXPORTED)):
                path.replace(work / path.name)
            shutil.rmtree(copy)
    done = _built(cache, key)
    return BuiltFolder(tuple(sorted(done.glob("*.ko"))), tuple(done.glob(_EXPORTED)), fresh)


def _given(source: Path) -> tuple[str, ...]:
    """What a build takes from around it: flags of the environment, and the folder, which debug information names."""
    return (*(f"{name}={os.environ.get(name, '')}" for name in _FLAGS), str(source.resolve()))


def _recipe(make: str, kernel: GuestKernel, copy: Path, source: Path) -> list[str | Path]:
    """The make that builds a stranger's folder, of which `copy` is one. Raises: SetupError."""
    makefile = next((copy / name for name in ("GNUmakefile", "Makefile", "makefile") if (copy / name).is_file()), None)
    text = makefile.read_text(encoding="utf-8", errors="replace") if makefile else ""
    for_kbuild = "obj-m" in text or (copy / "Kbuild").is_file()
    # One that names no variable for the kernel's headers would look for those of the kernel that runs here.
    if for_kbuild and not (_CALLS_KBUILD.search(text) and any(name in text for name in _HEADERS_ARE)):
        return [make, "-C", kernel.headers, f"M={copy}", *kernel.make_args, "modules"]
    if makefile is None:
        raise FolderNotBuilt(source, "there is neither a Makefile nor a Kbuild; one line does: obj-m := NAME.o")
    given = (*(f"{name}={kernel.headers}" for name in _HEADERS_ARE), f"KVER={kernel.release}", f"M={copy}")
    return [make, *given, *kernel.make_args]


def _need_headers(kernel: GuestKernel) -> None:
    if not (kernel.headers / "Makefile").is_file():
        raise SetupError(
            f"the kernel {kernel.release} has no headers at {kernel.headers}, so no module can be built for it",
            hint=f"install linux-headers-{kernel.release}, or choose a series that plx9x5x fetches",
        )


def static_program(cache: Cache, source: Path, *, name: str, include: Sequence[Path] = ()) -> Path:
    """Compile one C file, or all of a folder, to a static program.

    What they include, headers or sources, may come from the folders `include` too.

    Raises: SetupError with the compiler's words.
    """
    compiler = host.compiler()
    files = sorted(source.glob("*.c")) if source.is_dir() else [source]
    if not files or not files[0].is_file():
        raise SetupError(f"no C source at {source}", hint="name a .c file, or a folder that holds some")
    base = source if source.is_dir() else source.parent
    hashed = _sources(base) if source.is_dir() else [source, *sorted(base.glob("*.h"))]
    facts = (*_STATIC_FLAGS, host.compiler_version(compiler)[1], host.libc(), name)
    shared = "".join(_digest((), sorted(folder.glob("*.[ch]")), folder) for folder in include)
    key = f"program-{name}-{_digest((*facts, shared), hashed, base)}"
    if done := cache.built(key):
        return done / name
    with cache.building(key) as work:
        folders = [f"-I{folder}" for folder in include]
        command: list[str | Path] = [compiler, *_STATIC_FLAGS, *folders, "-o", work / name, *files]
        _compile(command, f"compiling {name}", cache)
    return _built(cache, key) / name


def plugin(cache: Cache, source: Path, *, name: str, qemu: Qemu) -> Path:
    """Compile a folder of C files to a plugin for this QEMU, and have that load it once, with the option check=on.

    It says then that it "loads", and refuses to go on. Raises: SetupError with the compiler's or QEMU's words.
    """
    if done := plugin_built(cache, source, name=name, qemu=qemu):
        return done
    key = _plugin_key(source, name, qemu)
    with cache.building(key) as work:
        made = work / f"{name}.so"
        files = (path for path in _sources(source) if path.suffix == ".c")
        _compile([host.compiler(), *_PLUGIN_FLAGS, "-o", made, *files], f"compiling {name}.so", cache)
        said = loaded_by(qemu, made)
        if "loads" not in said:
            raise SetupError(
                f"QEMU {qemu.version} does not load the plugin {name}: {host.tail(said, 3)}",
                hint="look for a newer version of plx9x5x, or use the QEMU that it fetches",
            )
    return _built(cache, key) / f"{name}.so"


def plugin_built(cache: Cache, source: Path, *, name: str, qemu: Qemu) -> Path | None:
    """What `plugin` made before of the same sources for the same QEMU. Raises: SetupError without a compiler."""
    done = cache.built(_plugin_key(source, name, qemu))
    return done and done / f"{name}.so"


def _plugin_key(source: Path, name: str, qemu: Qemu) -> str:
    facts = (*_PLUGIN_FLAGS, host.compiler_version(host.compiler())[1], *qemu.argv, qemu.version, name)
    return f"plugin-{name}-{_digest(facts, _sources(source), source)}"


def loaded_by(qemu: Qemu, plugin: Path) -> str:
    """What the plugin, or QEMU about it, says when it is loaded with check=on: QEMU ends then, in any case."""
    machine = ("-M", "none", "-accel", "tcg", "-nodefaults", "-no-user-config", "-display", "none")
    option = f"{str(plugin).replace(',', ',,')},check=on"
    try:
        return host.run([*qemu.argv, *machine, "-plugin", option], what="loading a plugin", limit_s=_LOADING_S)
    except host.ProgramFailed as exc:
        return exc.output


def _compile(
    argv: list[str | Path],
    what: str,
    cache: Cache,
    *,
    cwd: Path | None = None,
    seen_as: Path | None = None,
    limit_s: float | None = None,
) -> str:
    """Run make or a compiler; what is compiled in `cwd` says of itself that it lies in `seen_as`, to debuggers too."""
    env = None
    if cwd is not None:
        env = {**host.plain_env(), "PWD": str(cwd)}
        if seen_as is not None and not re.search(r"\s", str(seen_as.resolve())):  # make takes words apart
            map_ = f"-ffile-prefix-map={cwd}={seen_as.resolve()}"
            env["KCFLAGS"] = f"{env.get('KCFLAGS', '')} {map_}".strip()
    try:
        return host.run(argv, what=what, cwd=cwd, env=env, limit_s=limit_s)
    except host.ProgramFailed as exc:
        if full := cache.disk_full(exc.output):
            raise full from exc
        if re.search(r"(stdio|stdlib)\.h: No such file|cannot find -lc\b", exc.output):
            raise SetupError(f"{what} needs the C library's headers", hint=host.install_hint("gcc")) from exc
        raise


def _built(cache: Cache, key: str) -> Path:
    if (done := cache.built(key)) is None:
        raise SetupError(f"{key} vanished from the cache {cache.root}", hint="run the command again")
    return done


def _sources(folder: Path) -> list[Path]:
    return sorted(_walk(folder, set()))


def _walk(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Files below it; a folder that links lead to again and again is entered once."""
    for path in folder.iterdir():
        if _MADE.fullmatch(path.name):
            continue
        if path.is_dir():
            real = path.resolve()
            # A link to a folder above would never end.
            if not path.is_symlink():
                yield from _walk(path, seen)
            elif real not in seen and not folder.resolve().is_relative_to(real):
                seen.add(real)
                yield from _walk(path, seen)
        elif path.is_file():  # no pipes, and no links to nowhere
            yield path


def _digest(facts: Iterable[str], files: Iterable[Path], base: Path) -> str:
    digest = hashlib.sha256("\0".join((_RECIPE, *facts)).encode())
    for path in files:
        digest.update(f"\0{path.relative_to(base)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:20]


def _copy(source: Path, into: Path) -> None:
    """The sources alone, so that nothing made elsewhere is taken for fresh."""
    for path in _sources(source):
        target = into / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
