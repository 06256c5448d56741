# SPDX-License-Identifier: Apache-2.0
"""The register table as text: for a terminal, as Markdown, as JSON, as a C header. All of it loops over the table."""

import enum
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from plx9x5x.regs.catalog import Listed, chips_text
from plx9x5x.regs.eeprom_map import Space
from plx9x5x.regs.family import Chips
from plx9x5x.regs.kernel import Field, Register
from plx9x5x.regs.profile import Profile

UNVERIFIED: Final = "UNVERIFIED"


def title(reg: type[Register]) -> str:
    """What the register is for, in a line."""
    return (reg.__doc__ or "").partition("\n")[0].rstrip(".")


def bits_text(field: Field[object]) -> str:
    """'7:4', or '3'."""
    return f"{field.hi}:{field.lo}" if field.hi > field.lo else str(field.lo)


def where(listed: Listed) -> str:
    """Space and offset; a queue port, which takes a mailbox's place while QSR bit 0 is 1, is marked."""
    reg = listed.register
    place = f"config 0x{reg.offset:02x}" if listed.space is Space.CONFIG else f"0x{reg.offset:02x}"
    if reg.shadow:
        return f"{place} (QSR 0)"
    return place + "".join(f", 0x{alias:02x}" for alias in reg.aliases)


def table(registers: Iterable[Listed], profile: Profile) -> Iterator[str]:
    """A line for each register."""
    yield f"{'offset':12} {'name':16} {'bits':>4}  {'reset':10}  {profile.name}"
    for listed in registers:
        reg = listed.register
        reset = f"{reg.on(profile.chip).reset:0{reg.width // 4}x}"
        yield f"{where(listed):12} {listed.name:16} {reg.width:>4}  {reset:10}  {title(reg)}"


def one(listed: Listed, profile: Profile) -> Iterator[str]:
    """A register with its fields, as one chip has it."""
    reg = listed.register
    yield f"{listed.name}: {title(reg)}"
    yield f"at {where(listed)}, {reg.width} bits, on {chips_text(reg.chips)}; source: {reg.source}"
    if profile.chip not in reg.chips:
        yield f"The {profile.name} lacks it: reads 0, ignores writes."
        return
    yield f"reset {reg.on(profile.chip).reset:#x} on the {profile.name}, without an EEPROM"
    yield ""
    for field in reversed(reg.fields_on(profile.chip)):
        reset = f"{field.reset(profile.chip):#x}"
        mark = f"  [{UNVERIFIED}]" if field.unverified else ""
        only = "" if field.chips == Chips.ALL else f"  ({chips_text(field.chips)})"
        yield f"  {bits_text(field):>5}  {field.access.value:4} {reset:>8}  {field.name}: {field.doc}{only}{mark}"


def unverified(registers: Iterable[Listed], profile: Profile) -> Iterator[str]:
    """A line for each field of one chip that no public source confirms."""
    for listed in registers:
        for field in listed.register.fields_on(profile.chip):
            if field.unverified:
                yield f"{listed.name}.{field.name} [{bits_text(field)}]: {field.doc}"


def decoded(listed: Listed, value: int, profile: Profile) -> Iterator[str]:
    """A value of a register, field by field; bits that mean nothing on the chip are named."""
    reg = listed.register
    yield f"{listed.name} = {value:#0{2 + reg.width // 4}x} on the {profile.name}"
    for field in reversed(reg.fields_on(profile.chip)):
        yield f"  {bits_text(field):>5}  {field.name} = {field.shown(value)}    {field.doc}"
    if rest := value & ~reg.on(profile.chip).known:
        yield f"  bits {rest:#x} mean nothing on the {profile.name}: they read 0"


def markdown(registers: Sequence[Listed]) -> Iterator[str]:
    """The whole family's registers as a page."""
    yield "# Registers"
    yield ""
    yield "Made by `plx9x5x regs --format md` from the tables in `device/plx9x5x/regs/`; do not edit."
    yield f"Reset values are those without an EEPROM. {UNVERIFIED}: no public source confirms it."
    for space in Space:
        yield ""
        yield f"## {'PCI configuration space' if space is Space.CONFIG else 'BAR0'}"
        for listed in registers:
            if listed.space is space:
                yield ""
                yield from _markdown_register(listed)


def _markdown_register(listed: Listed) -> Iterator[str]:
    reg = listed.register
    yield f"### {listed.name}, {where(listed)}"
    yield ""
    yield f"{title(reg)}. {reg.width} bits; chips: {chips_text(reg.chips)}. Source: {reg.source}."
    yield ""
    yield "| bits | field | access | reset | chips | |"
    yield "|---|---|---|---|---|---|"
    for field in reversed(reg.fields):
        mark = f" {UNVERIFIED}." if field.unverified else ""
        chips = field.chips & reg.chips
        yield (
            f"| {bits_text(field)} | {field.name} | {field.access.value} | {_resets(field, chips)} | "
            f"{chips_text(chips)} | {field.doc}{mark} |"
        )


def _resets(field: Field[object], chips: enum.Flag) -> str:
    values = {chip: field.reset(chip) for chip in chips}
    if len(set(values.values())) == 1:
        return f"{next(iter(values.values())):x}"
    groups: dict[int, list[str]] = {}
    for chip, value in values.items():
        groups.setdefault(value, []).append(chips_text(chip))
    return ", ".join(f"{value:x} ({'/'.join(names)})" for value, names in groups.items())


def as_json(registers: Iterable[Listed], profile: Profile) -> Iterator[str]:
    """The registers of one chip as JSON."""
    yield json.dumps(
        {
            "chip": profile.key,
            "registers": [
                {
                    "name": listed.name,
                    "space": "config" if listed.space is Space.CONFIG else "bar0",
                    "offset": listed.register.offset,
                    "aliases": list(listed.register.aliases),
                    "shadow": listed.register.shadow,
                    "width": listed.register.width,
                    "reset": listed.register.on(profile.chip).reset,
                    "doc": title(listed.register),
                    "source": listed.register.source,
                    "fields": [
                        {
                            "name": field.name,
                            "hi": field.hi,
                            "lo": field.lo,
                            "access": field.access.value,
                            "reset": field.reset(profile.chip),
                            "doc": field.doc,
                            "unverified": field.unverified,
                        }
                        for field in listed.register.fields_on(profile.chip)
                    ],
                }
                for listed in registers
            ],
        },
        indent=1,
    )


def c_header(registers: Iterable[Listed], profile: Profile) -> Iterator[str]:
    """Offsets and masks of one chip as C macros."""
    guard = f"PLX{profile.key}_REGISTERS_H"
    yield "/* SPDX-License-Identifier: Apache-2.0 */"
    yield f"/* {profile.name}: made by `plx9x5x regs --format c --chip {profile.key}` */"
    yield f"#ifndef {guard}"
    yield f"#define {guard}"
    for listed in registers:
        reg, name = listed.register, f"PLX_{listed.name}"
        yield ""
        space = "configuration space" if listed.space is Space.CONFIG else "BAR0"
        yield f"/* {title(reg)}; {space}, {reg.width} bits */"
        yield f"#define {name} 0x{reg.offset:02x}"
        for field in reg.fields_on(profile.chip):
            yield f"#define {name}_{field.name.upper()} 0x{field.mask:0{reg.width // 4}x}"
    yield ""
    yield f"#endif /* {guard} */"


FORMATS: Final[dict[str, Callable[[Sequence[Listed], Profile], Iterator[str]]]] = {
    "text": table,
    "md": lambda registers, _profile: markdown(registers),
    "json": as_json,
    "c": c_header,
}
