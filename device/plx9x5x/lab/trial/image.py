# SPDX-License-Identifier: Apache-2.0
"""The guest that a trial boots: modules built and in order, parameters for those that have them, files, a command."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from plx9x5x.errors import BadRequest
from plx9x5x.lab.card.settings import board_of, of_cards
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestFile, GuestImage
from plx9x5x.lab.guest.modules import (
    Module,
    ModuleTree,
    firmware_of,
    interpreter_of,
    modinfo,
    parameters_of,
    read_module,
)
from plx9x5x.lab.host.server import own_environment
from plx9x5x.lab.toolchain import Toolchain, build_folder
from plx9x5x.lab.trial import stuck
from plx9x5x.lab.trial.wanted import RESERVED, Folder, NothingToTry, TrySpec
from plx9x5x.model.chip import Chip
from plx9x5x.transport.loopback import Loopback
from plx9x5x.units import MIB

_FOLDERS: Final = ("virtiofs",)
_HOST_ROOT: Final = (*_FOLDERS, "overlay")
"""Modules of the guest's kernel that it takes to see the host's files."""
_GIVEN_MOST: Final = 128 * MIB
"""QEMU loads no larger initrd than 256 MiB."""
_PROGRAM_MOST: Final = 64 * MIB
_IDS: Final = re.compile(r"([0-9a-f]{4}:[0-9a-f]{4})\n")
_PLACE: Final = re.compile(r'^  File "(.+)", line (\d+) in (.+)$', re.MULTILINE)
"""Where Python was when a signal killed it (faulthandler), the innermost place first."""
_MAKES_S: Final = 20.0
"""How long a device of one's own may take to be made: its server is given as long."""


class NoDevice(BadRequest):
    """A device of one's own cannot be made; why, the text says."""


@dataclass(frozen=True, slots=True)
class LaidOut:
    """A guest, the modules that were built for it, and all that are tried in it."""

    image: GuestImage
    built: tuple[str, ...]
    tried: tuple[Module, ...]
    files: Mapping[str, Path]
    """Those of them that are no modules of the guest's kernel, by their names there."""


def lay_out(tc: Toolchain, spec: TrySpec, logs: Path, tell: Callable[[str], None]) -> LaidOut:
    """Build what is to be built, and lay out the guest.

    Raises: NothingToTry, NoDevice, FolderNotBuilt, SetupError.
    """
    sources = guest_sources.find()
    base = guest_sources.base_image(tc, sources)
    own: list[Path] = []
    named: list[str] = []
    built: list[str] = []
    tried: list[Module] = []
    parameters: dict[str, tuple[str, ...]] = {}
    lying: dict[str, Path] = {}
    symbols: list[Path] = []
    tree = ModuleTree(tc.kernel.modules)
    for wanted in spec.modules:
        path = Path(wanted.name)
        files_of: tuple[Path, ...] = ()
        if path.is_dir():
            began = time.monotonic()
            files_of, symbols_of, fresh = build_folder(tc, path, symbols=symbols, limit_s=spec.timeout_s)
            symbols += symbols_of
            names = ", ".join(it.name for it in files_of)
            built += [it.name for it in files_of]
            tell(f"built {names} " + (f"({time.monotonic() - began:.1f} s)" if fresh else "(nothing has changed)"))
        elif path.is_file():
            files_of = (path,)
        elif "/" in wanted.name or ".ko" in wanted.name:
            raise NothingToTry(f"no {wanted.name}: name a folder, a .ko file, or a module of the guest's kernel")
        else:
            named.append(wanted.name)
        found = tree.find(wanted.name) if not files_of else None
        here = [read_module(it) for it in files_of] if files_of else [found] if found is not None else []
        own += files_of
        lying |= {module.name: path for module, path in zip(here, files_of, strict=False)}
        tried += here
        for word in wanted.parameters:
            name = taker(word, here)
            parameters[name] = (*parameters.get(name, ()), word)
    files = {**base.files, "bin/try": GuestFile(sources.root / "initramfs" / "try")}
    if spec.command is not None:
        line = logs / "command"
        line.write_bytes(os.fsencode(spec.command) + b"\n")
        files["try/command"] = GuestFile(line)
    if spec.input is not None:
        if not spec.input.is_file():
            raise NothingToTry(f"{spec.input} is no file that the command could read")
        files["try/input"] = GuestFile(spec.input)
    files |= dict(firmware(tree, tried, spec.firmware, tell))
    files |= dict(copied(spec.files))
    files |= _told(spec, logs)
    image = replace(
        base,
        files=files,
        modules=(*base.modules, *_modules_for(spec), *named),
        own_modules=tuple(own),
        parameters=parameters,
        mode="try",
        words=(
            f"plx.device={','.join(dict.fromkeys(_ids_of_cards(spec)))}",
            *((f"plx.tried={','.join(module.name for module in tried)}",) if tried else ()),
            *(("plx.shell",) if spec.shell is not None else ()),
            *(("plx.gdb",) if spec.gdb is not None else ()),
            *stuck.WORDS,
            "log_buf_len=8M",  # a driver that talks much is read to the end
            "printk.devkmsg=on",  # else our own marks in it are held back
            "nosoftlockup",  # a guest that others keep from its processor is not stuck
            *spec.append,
        ),
    )
    return LaidOut(image, tuple(built), tuple(tried), lying)


def taker(word: str, among: Sequence[Module]) -> str:
    """Which of the modules takes a parameter. Raises: NothingToTry if none does, or it cannot be passed on."""
    name = word.partition("=")[0]
    if any(c.isspace() for c in word):
        raise NothingToTry(f"the parameter {word!r} cannot be passed to the guest: a blank would end it")
    for module in among:
        if name in parameters_of(module.data) or (name == "dyndbg" and module is among[-1]):
            return module.name
    known = sorted({known for module in among for known in parameters_of(module.data)})
    names = ", ".join(module.name for module in among) or "a module that the kernel has built in"
    raise NothingToTry(f"{names} takes no parameter '{name}': {', '.join(known) or 'it has none'}")


def copied(files: Sequence[Path]) -> Iterator[tuple[str, GuestFile]]:
    """Where the guest has the caller's files. Raises: NothingToTry for one that cannot go there."""
    seen: set[str] = set()
    left = _GIVEN_MOST
    for path in files:
        if not path.is_file():
            raise NothingToTry(f"{path} is no file that could be copied")
        if path.name in RESERVED or path.name in seen:
            raise NothingToTry(f"the guest has a /{path.name} already: name the file otherwise")
        if any(c in path.name for c in "\n\r") or not path.name.isprintable():
            raise NothingToTry(f"{str(path)!r} cannot have that name in the guest: rename it")
        left -= path.stat().st_size
        if left < 0:
            raise NothingToTry(f"what is to be copied is over {_GIVEN_MOST // MIB} MiB: give the folder (--ro)")
        seen.add(path.name)
        yield path.name, GuestFile(path, path.stat().st_mode & 0o777)


@dataclass(frozen=True, slots=True)
class Share:
    """A folder with the tag by which the guest mounts it."""

    tag: str
    folder: Folder


def shares(spec: TrySpec) -> tuple[Share, ...]:
    """All that the guest has of the host, in the order in which it mounts them; the host's root comes first."""
    wanted = (*((Folder(Path("/")),) if spec.host_root else ()), *spec.folders)
    return tuple(Share(f"folder{number}", folder) for number, folder in enumerate(wanted))


def _modules_for(spec: TrySpec) -> tuple[str, ...]:
    return _HOST_ROOT if spec.host_root else _FOLDERS if spec.folders else ()


def start_of(spec: TrySpec) -> Path | None:
    """Where the command starts: in the first folder that can be written, or else the first; None is the guest's /."""
    for folder in sorted(spec.folders, key=lambda it: not it.writable):
        return folder.path
    return Path.cwd() if spec.host_root else None


def _told(spec: TrySpec, logs: Path) -> dict[str, GuestFile]:
    """What initramfs/try reads: folders, where the command starts, files for the host's root, files to be sent."""
    start = start_of(spec)
    told = {
        "folders": [f"{it.tag} {'rw' if it.folder.writable else 'ro'} {it.folder.path}" for it in shares(spec)],
        "start": [] if start is None else [str(start)],
        "copied": [path.name for path in spec.files],
        "get": list(spec.get),
    }
    for name, lines in told.items():
        (logs / f"try-{name}").write_text("".join(f"{it}\n" for it in lines), "utf-8", errors="surrogateescape")
    return {f"try/{name}": GuestFile(logs / f"try-{name}") for name, lines in told.items() if lines}


def undynamic(spec: TrySpec) -> Iterator[str]:
    """Say which programs of the command cannot start: they want a loader, which the guest has with --root host only."""
    if spec.command is None or spec.host_root:
        return
    start = start_of(spec)
    copied_there = {f"/{path.name}": path for path in spec.files}
    for word in dict.fromkeys(spec.command.replace(";", " ").split()):
        here = copied_there.get(word)
        if here is None and "/" in word and start is not None:
            path = Path(os.path.normpath(start / word))
            here = path if any(path.is_relative_to(it.path) for it in spec.folders) else None
        if here is None or not here.is_file() or not os.access(here, os.R_OK):
            continue
        with here.open("rb") as file:
            loader = interpreter_of(file.read(_PROGRAM_MOST))
        if loader is not None:
            yield f"{word} is a dynamic program and the guest has no {loader}: link it with -static, or use --root host"


def firmware(
    tree: ModuleTree, tried: Sequence[Module], folders: Sequence[Path], tell: Callable[[str], None]
) -> Iterator[tuple[str, GuestFile]]:
    """Where the guest has the firmware that modules, and those that they need, ask for; say what is nowhere."""
    for module in tree.resolve((), tried):
        for name in firmware_of(module.data):
            place = PurePosixPath(name)
            if place.is_absolute() or ".." in place.parts:
                continue
            found = next((folder / name for folder in folders if (folder / name).is_file()), None)
            if found is not None:
                yield f"lib/firmware/{place}", GuestFile(found)
            else:
                where = ", ".join(map(str, folders))
                tell(f"{module.name} may ask for the firmware {name}, which is not in {where} (--firmware DIR)")


def foreign(tried: Sequence[Module], release: str) -> Iterator[str]:
    """Say which modules were built for another kernel than the guest's."""
    for module in tried:
        made_for = modinfo(module.data).get("vermagic", release).partition(" ")[0]
        if made_for != release:
            yield f"{module.name}.ko was built for Linux {made_for}, and the guest runs {release}"


def _ids_of_cards(spec: TrySpec) -> Iterator[str]:
    """Of boards with their settings, then of devices of one's own."""
    yield from map(_ids, spec.boards, of_cards(spec.settings, spec.boards))
    yield from map(_own_ids, spec.devices)


def _ids(name: str, words: Sequence[str]) -> str:
    """VVVV:DDDD as a guest sees the card with its settings."""
    board = board_of(name, words)
    chip = Loopback(lambda bus, irq: Chip(board, bus=bus, irq=irq), plane="python").device
    value = chip.config_read(0, 4)
    return f"{value & 0xFFFF:04x}:{value >> 16:04x}"


def _own_ids(factory: str) -> str:
    """The same of a device of one's own, whose code runs in a process of its own. Raises: NoDevice."""
    try:
        said = subprocess.run(
            [sys.executable, "-m", "plx9x5x.own", factory],
            env={**os.environ, **own_environment()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_MAKES_S,
        )
    except subprocess.TimeoutExpired:
        raise NoDevice(f"{factory} was not made within {_MAKES_S:g} s") from None
    # They go into the command line of the guest's kernel; what else the device's code prints does not.
    if said.returncode == 0 and (ids := _IDS.fullmatch(said.stdout)):
        return ids[1]
    errors = [line.removeprefix("error: ") for line in said.stderr.splitlines() if line.startswith("error: ")]
    if errors:
        raise NoDevice(errors[-1])
    ended = signal.strsignal(-said.returncode) if said.returncode < 0 else f"its process ended with {said.returncode}"
    place = _PLACE.search(said.stderr)
    at = f"{place[1]}:{place[2]}, in {place[3]}: " if place else ""
    last = "" if place else "".join(f": {line}" for line in said.stderr.splitlines()[-1:])
    raise NoDevice(f"{factory}: {at}{ended}, and it did not say who it is{last}")
