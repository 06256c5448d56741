# SPDX-License-Identifier: Apache-2.0
"""A draft as a package: pyproject.toml, a module with the board, a test. Guessed lines say so in a comment."""

import re
import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from plx9x5x.board import BOARD_GROUP
from plx9x5x.lab.dump import bars
from plx9x5x.lab.dump.against import powered
from plx9x5x.lab.dump.bad import BadDump
from plx9x5x.lab.dump.draft import Draft
from plx9x5x.model.windows import range_mask, space_bar
from plx9x5x.regs.dma import LocalWidth
from plx9x5x.regs.eeprom_map import EXTRA_LONG_LOAD
from plx9x5x.regs.local import LBRD0

GUESSED: Final = "GUESSED: "
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")

_PYPROJECT: Final = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}-board"
version = "1"

[project.entry-points."plx9x5x.boards"]
{name} = "{module}:BOARD"

[tool.setuptools]
py-modules = ["{module}"]
"""

_TEST: Final = '''\
"""The board is found by its name, and is the card that was dumped."""

from plx9x5x.board import load_board
from plx9x5x.model.chip import Chip
from plx9x5x.transport.loopback import Loopback


def test_the_card_has_its_ids_and_bars():
    chip = Loopback(lambda bus, irq: Chip(load_board("{name}"), bus=bus, irq=irq)).device
    assert chip.config_read(0x00, 4) == 0x{ids:08x}
    assert chip.config_read(0x2C, 4) == 0x{subsystem:08x}
    assert [bar.size for bar in chip.regions[:4]] == {sizes}
'''


@dataclass(frozen=True, slots=True)
class Made:
    """A package that was written, and its guessed lines: (line of the module, what is guessed)."""

    folder: Path
    files: tuple[str, ...]
    module: str
    guessed: tuple[tuple[int, str], ...]


def check_name(name: str) -> None:
    """Raises: BadDump if it cannot name a board, or another package's board has it."""
    if not _NAME.fullmatch(name):
        raise BadDump(
            f"{name!r} cannot name a board: small letters, digits and '-' within, 64 at most, as in 'my-card'"
        )
    taken = [entry.value for entry in entry_points(group=BOARD_GROUP) if entry.name == name]
    mine = f"{module_of(name)}:BOARD"
    if taken and taken != [mine]:
        raise BadDump(f"a board named {name!r} is registered already ({taken[0]}): take another name")


def module_of(name: str) -> str:
    """Name of the package's module."""
    stem = name.replace("-", "_")
    # No name begins with '_': no other name's module is called so.
    return f"_{stem}_board" if stem[0].isdigit() else f"{stem}_board"


def write(name: str, draft: Draft, *, source: str, into: Path) -> Made:
    """Write the package to a new folder `name` in `into`. Raises: BadDump if it cannot be, or is there."""
    check_name(name)
    folder, module = into / name, module_of(name)
    summary = f"A card {draft.ids}, from {source}"
    board = draft.board(name, summary)
    chip = powered(board)
    text = _module(name, draft, summary)
    files = {
        "pyproject.toml": _PYPROJECT.format(name=name, module=module),
        f"{module}.py": text,
        f"test_{module}.py": _TEST.format(
            name=name,
            ids=chip.config_read(0x00, 4),
            subsystem=chip.config_read(0x2C, 4),
            sizes=[bar.size for bar in bars.of(chip)],
        ),
    }
    _write(folder, files)
    return Made(folder, tuple(files), module, tuple(_guessed(text)))


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Write a new folder, or nothing."""
    into = folder.parent
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        what = "it is a file" if into.is_file() else exc.strerror
        raise BadDump(f"{into} cannot be the folder that the package goes to: {what}; say another with --into") from exc
    try:
        folder.mkdir()
    except FileExistsError:
        raise BadDump(f"{folder} is there already: remove it, or take another name or --into") from None
    except OSError as exc:
        raise BadDump(f"{folder} cannot be made: {exc.strerror}; say another place with --into") from exc
    try:
        for file, content in files.items():
            (folder / file).write_text(content, encoding="utf-8")
    except OSError as exc:
        shutil.rmtree(folder, ignore_errors=True)
        raise BadDump(f"{folder} cannot be written: {exc.strerror}; nothing of it was kept") from exc


def _guessed(text: str) -> list[tuple[int, str]]:
    """Each guess with the number of the line below it."""
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        _, mark, what = line.partition(f"# {GUESSED}")
        if mark:
            key = re.match(r'\s*"?(\w+)', lines[number])
            found.append((number + 1, f"{key[1]}: {what}" if key else what))
    return found


def _module(name: str, draft: Draft, summary: str) -> str:
    """The module's text. What comes from a dump is numbers, or quoted with `repr`."""
    loaded = "".join(
        f'{_guess(draft, key, "    ")}    "{key}": 0x{value:08x},{_remark(key, draft)}\n'
        for key, value in draft.loaded.items()
    )
    windows = "".join(
        f'        Window("{piece.name}", LocalAddr(0x{piece.at:08x}), partial(Sram, 0x{piece.size:x})),\n'
        for piece in draft.memory
    )
    if windows:
        windows = f"{_guess(draft, 'memory', '        ')}{windows}"
    eeprom, rest, extra = "Eeprom.loading(PROFILE, PART, LOADED)", "", ""
    if draft.rest:
        extra = "from plx9x5x.regs.eeprom_map import build_image\n"
        lines = "".join(f'    "{piece}"\n' for piece in textwrap.wrap(draft.rest.hex(), 64))
        rest = f"\n# What the part holds behind that; the chip does not load it.\nREST = bytes.fromhex(\n{lines})\n"
        eeprom = "Eeprom(PART, build_image(PROFILE, LOADED, size=PART.size)[: PROFILE.eeprom_bytes] + REST)"
    windows_text = f"(\n{windows}    )" if windows else "()"
    partial_text = "from functools import partial\n\n" if windows else ""
    sram_text = "from plx9x5x.model.localbus import Sram\n" if windows else ""
    window_text, units_text = ("Window", "from plx9x5x.units import LocalAddr\n") if windows else ("", "")
    names = ", ".join(filter(None, ("Board", "Eeprom", "EepromPart", window_text)))
    notes = "".join(f"\n{note[:1].upper()}{note[1:]}." for note in draft.notes)
    about = f"\n{notes}\n" if notes else ""
    return f'''\
"""Board {name}: card {draft.ids}, made of a dump. Lines that were guessed say so.{about}"""

{partial_text}from plx9x5x.board import {names}
{sram_text}{extra}from plx9x5x.regs.profile import PROFILES
{units_text}
{_guess(draft, "chip")}PROFILE = PROFILES["{draft.profile.key}"]
{_guess(draft, "part")}PART = EepromPart.{draft.part.name}
# What the chip loads from its EEPROM.
LOADED = {{
{loaded}}}
{rest}
BOARD = Board(
    name="{name}",
    summary="{summary}",
    profile=PROFILE,
    eeprom={eeprom},
    windows={windows_text},
)
'''


def _guess(draft: Draft, key: str, indent: str = "") -> str:
    return f"{indent}# {GUESSED}{draft.guesses[key]}\n" if key in draft.guesses else ""


def _remark(key: str, draft: Draft) -> str:
    """What a dword means, where that is worth a word."""
    value = draft.loaded[key]
    if key in ("las0rr", "las1rr"):
        mask = range_mask(value)
        return f"  # {bars.kind_text(value & (1 if value & 1 else 0xF))}, {bars.size_text(mask & -mask)}"
    if key in ("las0ba", "las1ba"):
        bar = space_bar(draft.loaded[f"{key[:4]}rr"], value)
        if not bar.size:
            return "  # off"
        written = value & 0xFFFF_FFFC
        below = "" if written == bar.local_base else f", not {written:08x}h: bits below the size do not count"
        return f"  # local address {bar.local_base:08x}h{below}"
    if key == "lbrd0":
        width = 8 * LocalWidth(LBRD0(value).bus_width).bytes
        return f"  # {width}-bit local bus in space 0{'' if value & EXTRA_LONG_LOAD else '; ends the load at 44h'}"
    return ""
