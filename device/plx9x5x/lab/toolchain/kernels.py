# SPDX-License-Identifier: Apache-2.0
"""The guest's kernel: one that is fetched, by its name, or one that is named by path.

A path is an unpacked tree (`boot/vmlinuz-RELEASE`, `lib/modules/RELEASE`, `usr/src/linux-headers-RELEASE`; "/" is the
host's own kernel) or a vmlinuz, whose modules are then looked for in trees above it. The image tells its release.
"""

import gzip
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plx9x5x.errors import BadRequest, SetupError
from plx9x5x.lab.toolchain import host, unpack
from plx9x5x.lab.toolchain.cache import Installed
from plx9x5x.lab.toolchain.table import KERNEL_SERIES, KERNELS

ENV: Final = "PLX9X5X_KERNEL"
_ELF: Final = b"\x7fELF"
_PT_INTERP: Final = 3
_FASTEST: Final = 1  # the next levels save a twentieth, and take two to four times as long
# gcc learnt -fmin-function-alignment in 14; a kernel configured by it must be told that an older one lacks it.
_MIN_ALIGNMENT_GCC: Final = 14


class NoSuchKernel(BadRequest):
    """It is neither a name that is known nor a path."""


@dataclass(frozen=True)
class GuestKernel:
    """A kernel for the guest.

    `series` is the name that it was asked for by, or the two numbers of one named by path. `modules` is the folder
    lib/modules/RELEASE (below it kernel/...ko, .ko.xz or .ko.gz), `headers` is what `make -C` wants
    and may not exist for a kernel named by path, `make_args` go with every such make.
    """

    series: str
    release: str
    vmlinuz: Path
    modules: Path
    headers: Path
    make_args: tuple[str, ...]


def choose(kernel: str | None) -> str:
    """The name or path to use: the argument, else $PLX9X5X_KERNEL, else the first series.

    Raises: NoSuchKernel, SetupError.
    """
    source = "--kernel" if kernel else ENV
    wish = kernel or os.environ.get(ENV) or KERNEL_SERIES[0]
    if wish in KERNELS:
        return wish
    if "/" in wish or Path(wish).exists():
        return wish
    text = f"{source}={wish} is neither a kernel that is fetched ({', '.join(KERNELS)}) nor a path"
    if source == ENV:
        raise SetupError(text, hint=f"set {ENV} to one of them, or unset it")
    raise NoSuchKernel(text)


def by_path(wish: str) -> GuestKernel:
    """A kernel of the host's own. Raises: SetupError that names what is missing."""
    path = Path(wish).expanduser().absolute()
    images = [path] if path.is_file() else sorted((path / "boot").glob("vmlinuz-*"), key=_age, reverse=True)
    if not images:
        raise SetupError(f"the kernel {wish} is neither a file nor a folder with boot/vmlinuz-*", hint=_hint())
    image = images[0]
    try:
        release = image_release(image)
    except OSError as exc:
        raise SetupError(f"the kernel {image} cannot be read: {exc.strerror}", hint=_hint()) from exc
    if not release:
        raise SetupError(f"{image} is not a bootable x86 Linux image", hint=_hint())
    root = next((r for r in _roots(path) if (r / "lib/modules" / release).is_dir()), None)
    if root is None:
        raise SetupError(f"no folder lib/modules/{release} goes with the kernel {image}", hint=_hint())
    modules = root / "lib/modules" / release
    headers = root / "usr/src" / f"linux-headers-{release}"
    if (modules / "build").is_dir():
        headers = (modules / "build").resolve()
    series = ".".join(re.findall(r"\d+", release)[:2])
    return GuestKernel(series, release, image, modules, headers, make_args(headers))


def image_release(image: Path) -> str:
    """The release that a bzImage names, or nothing. Source: Linux Documentation/arch/x86/boot.rst, 0x202, 0x20E."""
    with image.open("rb") as handle:
        head = handle.read(0x8200)
    if head[0x202:0x206] != b"HdrS":
        return ""
    start = int.from_bytes(head[0x20E:0x210], "little") + 0x200
    return head[start : start + 256].partition(b"\0")[0].decode("ascii", "replace").partition(" ")[0]


def make_args(headers: Path) -> tuple[str, ...]:
    """What makes kbuild of `headers` work with the host's gcc and without the kernel's debug data.

    It is gcc even where $CC names another compiler: Debian's kernels are configured for gcc.
    """
    gcc = shutil.which("gcc")
    args = [f"CC={gcc or 'gcc'}", "CONFIG_DEBUG_INFO_BTF_MODULES="]
    config = headers / "include/config/auto.conf"
    needs = config.is_file() and "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=y" in config.read_text(errors="replace")
    if needs and gcc and host.compiler_version(gcc)[0] < _MIN_ALIGNMENT_GCC:
        args.append("CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=")
    return tuple(args)


def installed(found: Installed, series: str) -> GuestKernel:
    """The fetched kernel."""
    facts = found.record.facts
    headers = found.path / facts["headers"]
    return GuestKernel(
        series,
        facts["release"],
        found.path / facts["vmlinuz"],
        found.path / facts["modules"],
        headers,
        make_args(headers),
    )


def adapt(tree: Path, *, pack_modules: bool = False) -> dict[str, str]:
    """Make the unpacked packages work from any place; give where its pieces are. Raises: SetupError.

    `pack_modules` gzips the modules.
    """
    root = tree / "root"
    image = next(iter(sorted(root.glob("boot/vmlinuz-*"))), None)
    if image is None:
        raise SetupError("the kernel package holds no boot/vmlinuz-*", hint="look for a newer version of plx9x5x")
    release = image.name.removeprefix("vmlinuz-")
    modules = next((p for base in ("lib", "usr/lib") if (p := root / base / "modules" / release).is_dir()), None)
    headers = root / "usr/src" / f"linux-headers-{release}"
    if modules is None or not (headers / "Makefile").is_file():
        raise SetupError(
            f"the packages of {release} lack modules or headers", hint="look for a newer version of plx9x5x"
        )
    _movable_makefile(headers / "Makefile")
    for program in _programs(root / "usr/lib"):
        _run_by_own_loader(program, tree / "runtime")
    for link in ("build", "source"):
        (modules / link).unlink(missing_ok=True)  # they point at the host's own /usr/src
    if pack_modules:
        _pack(modules)
    unpack.keep_only(root, ("boot", "lib", "usr"))
    unpack.keep_only(root / "usr", ("lib", "src"))
    unpack.keep_only(root / "boot", (image.name, f"config-{release}"))
    unpack.keep_only(tree / "runtime", ("lib", "usr"))
    unpack.keep_only(tree / "runtime/usr", ("lib",))
    for folder in unpack.library_folders(tree / "runtime"):
        shutil.rmtree(folder / "gconv", ignore_errors=True)
    return {
        "release": release,
        "vmlinuz": str(image.relative_to(tree)),
        "modules": str(modules.relative_to(tree)),
        "headers": str(headers.relative_to(tree)),
    }


def _pack(modules: Path) -> None:
    """Put a .ko.gz in the place of each plain module: a third of the room, for a few seconds."""
    for path in sorted(modules.rglob("*.ko")):
        packed = gzip.compress(path.read_bytes(), _FASTEST, mtime=0)
        path.with_name(f"{path.name}.gz").write_bytes(packed)
        path.unlink()


def _movable_makefile(path: Path) -> None:
    """Debian's headers include the common ones by absolute path; go by the Makefile's own place instead."""
    text = path.read_text()
    here = "$(dir $(lastword $(MAKEFILE_LIST)))../"
    changed, count = re.subn(r"^include /usr/src/", f"include {here}", text, flags=re.MULTILINE)
    if not count:
        raise SetupError(
            f"{path.name} of the kernel headers has an unknown form", hint="look for a newer version of plx9x5x"
        )
    path.write_text(changed)


def _programs(folder: Path) -> Iterator[Path]:
    """The dynamic programs of kbuild itself."""
    for base in sorted(folder.glob("linux-kbuild-*")):
        for path in sorted(base.rglob("*")):
            if path.is_file() and not path.is_symlink() and os.access(path, os.X_OK) and _has_interpreter(path):
                yield path


def _has_interpreter(path: Path) -> bool:
    """Tell whether this is a 64-bit ELF program that asks for a dynamic loader."""
    with path.open("rb") as handle:
        head = handle.read(4096)
    if head[:4] != _ELF or len(head) < 64:
        return False
    table = int.from_bytes(head[32:40], "little")
    size, count = int.from_bytes(head[54:56], "little"), int.from_bytes(head[56:58], "little")
    kinds = (head[table + i * size :][:4] for i in range(count))
    return any(int.from_bytes(kind, "little") == _PT_INTERP for kind in kinds)


def _run_by_own_loader(program: Path, runtime: Path) -> None:
    """Put a script in the program's place that runs it with the libraries it was linked against.

    Debian's modpost is a chooser that looks for the real one beside its own name, hence --argv0.
    """
    hidden = program.with_name(f"{program.name}.elf")
    program.rename(hidden)
    up = os.path.relpath(runtime, program.parent)
    loader = unpack.loader(runtime).relative_to(runtime)
    folders = ":".join(f'"$up"/{f.relative_to(runtime)}' for f in unpack.library_folders(runtime))
    program.write_text(
        "#!/bin/sh\n"
        f'here="${{0%/*}}"; up="$here/{up}"\n'
        f'exec "$up/{loader}" --argv0 "$0" --library-path {folders} "$here/{hidden.name}" "$@"\n'
    )
    program.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IXUSR | 0o055)


def _roots(path: Path) -> Iterator[Path]:
    """Trees that may hold the modules: the folder itself, those above an image, the host."""
    yield from (path, *path.parents)


def _age(path: Path) -> tuple[float, str]:
    return path.stat().st_mtime, path.name


def _hint() -> str:
    return (
        f"give one of {', '.join(KERNELS)}, a vmlinuz, or a folder with boot/vmlinuz-RELEASE and "
        f"lib/modules/RELEASE (--kernel or {ENV})"
    )
