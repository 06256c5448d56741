# SPDX-License-Identifier: Apache-2.0
"""Kernel modules on the host's side: find them, open them, and put them in an order that loads.

`modules.dep` is absent from a package that was only unpacked, so each module is asked itself: its `.modinfo` section
names what it depends on.
"""

import contextlib
import gzip
import lzma
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain.kmod import MODULE_NAME
from plx9x5x.lab.witness import elf
from plx9x5x.lab.witness.elf import BadElf

_SUFFIXES: Final = (".ko", ".ko.xz", ".ko.gz", ".ko.zst")
_THIS_MODULE: Final = slice(24, 80)
"""Where struct module has its name: behind a state and a list's head, in every Linux since 2.6."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module: the name by which the kernel knows it, and the ELF file's bytes."""

    name: str
    data: bytes

    @property
    def depends(self) -> tuple[str, ...]:
        """Names of the modules that must be loaded first."""
        return tuple(canonical(n) for n in modinfo(self.data).get("depends", "").split(",") if n)


class ModuleTree:
    """The modules of one kernel: the folder lib/modules/RELEASE, or kernel/ below it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def _files(self) -> Mapping[str, Path]:
        found: dict[str, Path] = {}
        for path in self.root.rglob("*.ko*"):
            if path.name.endswith(_SUFFIXES):
                found.setdefault(canonical(path.name.partition(".ko")[0]), path)
        return found

    @cached_property
    def _builtin(self) -> frozenset[str]:
        try:
            text = (self.root / "modules.builtin").read_text(encoding="utf-8")
        except FileNotFoundError:
            return frozenset()
        return frozenset(canonical(Path(line).stem) for line in text.split())

    def find(self, name: str) -> Module | None:
        """The module, or None if the kernel has it built in. Raises: SetupError if the kernel lacks it."""
        if path := self._files.get(canonical(name)):
            return read_module(path)
        if canonical(name) in self._builtin:
            return None
        raise SetupError(
            f"the kernel whose modules are in {self.root} has no module '{name}'",
            hint="choose a kernel that has it (--kernel 6.1-full has all of Debian's), or name the module's own file",
        )

    def resolve(self, names: Iterable[str], own: Sequence[Module] = ()) -> list[Module]:
        """The modules `names`, then `own`, each once and after whatever it depends on. Raises: SetupError."""
        mine = {m.name: m for m in own}
        order: dict[str, Module] = {}

        def visit(name: str, above: tuple[str, ...]) -> None:
            if name in order:
                return
            if name in above:
                circle = " -> ".join((*above, name))
                raise SetupError(f"modules depend on each other in a circle: {circle}", hint="break the circle")
            module = mine.get(name) or self.find(name)
            if module is None:
                return
            for needed in module.depends:
                visit(needed, (*above, name))
            order[name] = module

        for module in own:
            if mine[module.name].data != module.data:
                raise SetupError(
                    f"two files hold a module that calls itself '{module.name}'",
                    hint="a kernel takes one of that name: try them one after the other",
                )
        for name in (*names, *mine):
            visit(canonical(name), ())
        return list(order.values())


def read_module(path: Path) -> Module:
    """Read a .ko, .ko.xz or .ko.gz. Raises: SetupError."""
    name = path.name
    try:
        data = path.read_bytes()
        if name.endswith(".xz"):
            data = lzma.decompress(data)
        elif name.endswith(".gz"):
            data = gzip.decompress(data)
    except (OSError, EOFError, lzma.LZMAError) as exc:
        raise SetupError(f"the module {path} cannot be read: {exc}", hint="name a file that insmod takes") from exc
    if not data.startswith(elf.LITTLE_64):
        kind = "compressed by zstd, which is not supported here" if name.endswith(".zst") else "no 64-bit ELF file"
        raise SetupError(f"the module {path} is {kind}", hint="name the plain .ko file of an x86-64 module")
    own = own_name(data)
    called = own or canonical(name.partition(".ko")[0])
    if not MODULE_NAME.fullmatch(called):
        whose = "calls itself" if own else "would be called"
        raise SetupError(
            f"the module {path} {whose} {called[:80]!r}, which is no name of a module",
            hint="names have letters, digits and _, at most 55 of them",
        )
    return Module(called, data)


def own_name(image: bytes) -> str:
    """The name that a module has in the kernel, whatever its file is called; '' if it does not say.

    The kernel takes it from the module's own struct module; .modinfo has it too, for tools.
    """
    name = _section(image, ".gnu.linkonce.this_module")[_THIS_MODULE].partition(b"\0")[0]
    return canonical(name.decode("utf-8", "replace") or modinfo(image).get("name", ""))


def canonical(name: str) -> str:
    """The kernel's spelling: it takes '-' and '_' for the same."""
    return name.replace("-", "_")


def modinfo(image: bytes) -> Mapping[str, str]:
    """The key=value strings of the section .modinfo (the last one of each key); empty if there is none."""
    return dict(_entries(image))


def parameters_of(image: bytes) -> frozenset[str]:
    """Names of the parameters that a module takes."""
    return frozenset(value.partition(":")[0] for key, value in _entries(image) if key == "parmtype")


def aliases_of(image: bytes) -> tuple[str, ...]:
    """What a module says of the devices that it wants (modalias patterns)."""
    return tuple(value for key, value in _entries(image) if key == "alias")


def firmware_of(image: bytes) -> tuple[str, ...]:
    """Names of the firmware files that a module may ask for (MODULE_FIRMWARE), below /lib/firmware."""
    return tuple(value for key, value in _entries(image) if key == "firmware")


def interpreter_of(image: bytes) -> str | None:
    """The loader that a dynamic program asks for; None for a static one, and for what is no program."""
    return _section(image, ".interp").rstrip(b"\0").decode("utf-8", "replace") or None


def _entries(image: bytes) -> Iterator[tuple[str, str]]:
    """Key and value of each string of .modinfo."""
    for entry in _section(image, ".modinfo").split(b"\0"):
        key, equals, value = entry.decode("utf-8", "replace").partition("=")
        if equals:
            yield key, value


def _section(image: bytes, wanted: str) -> bytes:
    """The bytes of a section of a 64-bit little-endian ELF file, b'' if it is absent or the file is cut."""
    with contextlib.suppress(BadElf):
        for it in elf.sections(image):
            if it.name == wanted:
                return image[it.offset : it.offset + it.size]
    return b""
