# SPDX-License-Identifier: Apache-2.0
"""A board beside a real card, by configuration space: what differs, register by register and bit by bit.

What software writes is not the card's: addresses, the command register, cache line size, latency timer, interrupt line,
power state, error bits that stay until they are cleared, the last VPD access. Those bits are left out, and named.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from plx9x5x.board import Board
from plx9x5x.lab.card import config_space
from plx9x5x.lab.card.register_text import bits_text
from plx9x5x.lab.dump import bars
from plx9x5x.lab.dump.config_file import Card
from plx9x5x.model.chip import Chip
from plx9x5x.regs import config as cfg
from plx9x5x.regs.kernel import Register
from plx9x5x.transport.loopback import Loopback

_TYPE: Final = 0xF
_IO_TYPE: Final = 0x1


@dataclass(frozen=True, slots=True)
class Comparison:
    """Lines that say what differs, none if nothing does; and what was left out although it differs."""

    differs: tuple[str, ...]
    left_out: tuple[str, ...]


def powered(board: Board) -> Chip:
    """Make the chip as it stands after power-on, nobody having touched it."""
    return Loopback(lambda bus, irq: Chip(board, bus=bus, irq=irq), enabled=False).device


def ids_of(board: Board) -> int:
    """The dword at offset 0 of its configuration space."""
    return powered(board).config_read(0, 4)


def compare(board: Board, card: Card) -> Comparison:
    """Lay them beside each other; what the card's dump does not have is not looked at."""
    chip = powered(board)
    config_space.assign(chip)
    return beside(chip, card)


def beside(chip: Chip, card: Card) -> Comparison:
    """Compare with a chip whose BARs have addresses; it is only read."""
    found: list[str] = []
    left: list[str] = []
    for reg in chip.config.registers:
        if reg.offset in config_space.BARS or reg is cfg.PCIERBAR:
            continue
        ours, theirs = chip.config_read(reg.offset, reg.width // 8), card.value(reg.offset, reg.width // 8)
        known = int.from_bytes(card.known[reg.offset : reg.offset + reg.width // 8], "little")
        differ = (ours ^ theirs) & known
        layout = reg.on(chip.profile.chip)
        software = layout.rw | layout.w1c | layout.w1s | layout.w1t
        if differ & software:
            left.append(reg.__name__)
        if differ & ~software:
            found += _register(reg, chip, ours, theirs, differ & ~software)
    found += _bars(chip, card, left)
    found += _beyond(chip, card)
    return Comparison(tuple(found), tuple(left))


def _register(reg: type[Register], chip: Chip, ours: int, theirs: int, differ: int) -> Iterator[str]:
    digits = reg.width // 4
    yield f"0x{reg.offset:02x} {reg.__name__}: board 0x{ours:0{digits}x}, card 0x{theirs:0{digits}x}"
    for field in reversed(reg.fields_on(chip.profile.chip)):
        if field.mask & differ:
            yield f"  {bits_text(field):>5}  {field.name}: board {field.shown(ours)}, card {field.shown(theirs)}"
    if rest := differ & ~reg.on(chip.profile.chip).known:
        yield f"  bits {rest:#x} mean nothing on the {chip.profile.name}"


def _bars(chip: Chip, card: Card, left: list[str]) -> Iterator[str]:
    """Kind and size of each; of an address only that it fits the size."""
    made = {index: (bar.size, bar.kind) for index, bar in enumerate(bars.of(chip))}
    for index, offset in enumerate(config_space.BARS):
        if not card.knows(offset, 4):
            if index in card.there:
                left.append(f"BAR{index} (the dump names it and says no more)")
            continue
        size, kind = made.get(index, (0, 0))
        raw = card.bar(index)
        theirs = raw & (_IO_TYPE if raw & 1 else _TYPE)
        there = card.has_bar(index)
        ours_text = f"{bars.kind_text(kind)}, {bars.size_text(size)}" if size else "off"
        if not size and not there:
            continue
        if bool(size) != there:
            if card.sizes.get(index) is None and not there:
                left.append(f"BAR{index} (no address and no size in the dump)")
                continue
            theirs_text = f"{bars.kind_text(theirs)}, {bars.size_text(card.sizes.get(index, 0))}" if there else "off"
            if there and index not in card.sizes:
                theirs_text = f"{bars.kind_text(theirs)}, address {raw & ~theirs:#x}"
            yield f"0x{offset:02x} BAR{index}: board {ours_text}; card {theirs_text}"
        elif index in card.sizes:
            if (card.sizes[index], theirs) != (size, kind):
                card_text = f"{bars.kind_text(theirs)}, {bars.size_text(card.sizes[index])}"
                yield f"0x{offset:02x} BAR{index}: board {ours_text}; card {card_text}"
        elif theirs != kind or raw & ~(_IO_TYPE if raw & 1 else _TYPE) & size - 1:
            card_text = f"{bars.kind_text(theirs)}, address {raw & ~theirs:#x}"
            yield f"0x{offset:02x} BAR{index}: board {ours_text}; card {card_text}"
        else:
            left.append(f"BAR{index} (its size is not in the dump: lspci -v, or sysfs's `resource`)")
    yield from _rom(chip, card, left)


def _rom(chip: Chip, card: Card, left: list[str]) -> Iterator[str]:
    """Size, or that an address fits it; the address itself and the enable are software's."""
    size, raw, address = bars.rom_size(chip), card.value(config_space.ROM, 4), card.rom_address
    ours_text = bars.size_text(size) if size else "off"
    if raw & ~address & ~cfg.PCIERBAR.enable.mask:
        yield f"0x30 PCIERBAR: board 0 in bits 10:1, card 0x{raw:08x}"
    if raw & cfg.PCIERBAR.enable.mask:
        left.append("PCIERBAR")
    if card.rom_size is not None:
        if card.rom_size != size:
            theirs_text = bars.size_text(card.rom_size) if card.rom_size else "off"
            yield f"0x30 expansion ROM: board {ours_text}; card {theirs_text}"
    elif address and (not size or address & size - 1):
        yield f"0x30 expansion ROM: board {ours_text}; card at address {address:#x}"
    elif address:
        left.append("expansion ROM (its size is not in the dump: lspci -v, or sysfs's `resource`)")
    elif size:
        left.append("expansion ROM (no address and no size in the dump)")


def _beyond(chip: Chip, card: Card) -> Iterator[str]:
    """Bytes of the dump where the board's chip has no register."""
    taken = {at for reg in chip.config.registers for at in range(reg.offset, reg.offset + reg.width // 8)}
    for at in range(config_space.SIZE):
        if at not in taken and card.known[at] and card.image[at]:
            yield f"0x{at:02x} no register on the {chip.profile.name}: board 0x00, card 0x{card.image[at]:02x}"
