# SPDX-License-Identifier: Apache-2.0
"""The stored values of a set of registers on one chip: access by byte lanes, the access policy, hooks."""

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from plx9x5x.regs.kernel.table import SHADOW, Layout, OneDevice, Register


def after_write(layout: Layout, old: int, data: int, lanes: int) -> int:
    """Stored bits once software wrote `data` on the enabled byte `lanes` (a mask of bits): the whole access policy."""
    hit = layout.rw & lanes
    new = old & ~hit | data & hit
    return new & ~(data & lanes & layout.w1c) | data & lanes & layout.w1s


class Write(NamedTuple):
    """A write that reached a register: what was stored before and after, and what software put on which lanes.

    A tuple, because one is made for each write with a hook, and a frozen dataclass takes three times as long to make.
    """

    old: int
    new: int
    data: int
    """As written, cut to the lanes."""
    lanes: int


WriteHook = Callable[[Write], None]
ReadHook = Callable[[int], int]
UnknownHook = Callable[[int, int, bool], None]
"""Told (dword offset, bits, is_write) of an access that means nothing on this chip: bits 0 is a whole dword."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What register files of the same registers on the same chip share; none of it changes."""

    registers: tuple[type[Register], ...]
    layouts: Mapping[type[Register], Layout]
    values: Mapping[type[Register], int]
    """At power-on."""
    dwords: Mapping[int, Sequence[tuple[type[Register], int]]]
    """What stands in each dword: registers, with their shift, from the lowest byte up."""
    known: Mapping[int, int]
    """Bits of each dword that mean anything."""
    whole: Mapping[int, type[Register]]
    """Registers that fill their dword, by its offset."""
    bytes: Mapping[int, type[Register]]
    """Registers of one byte, by their offset."""


_SHAPES: Final[dict[tuple[tuple[type[Register], ...], enum.Flag], _Shape]] = {}


def _shape(declared: tuple[type[Register], ...], chip: enum.Flag) -> _Shape:
    """Work it out once. Raises: TypeError if two registers share bytes, or one is of another family."""
    if (declared, chip) in _SHAPES:
        return _SHAPES[declared, chip]
    if chip not in list(type(chip)):
        raise TypeError(f"{chip!r} is not one chip: a register file is of one")
    for reg in declared:
        if reg.family is not type(chip):
            raise TypeError(f"{reg.__name__} is a register of {reg.family.__name__}, and {chip!r} is none of them")
    present = tuple(reg for reg in declared if chip in reg.chips)
    layouts = {reg: reg.on(chip) for reg in present}
    dwords: dict[int, list[tuple[type[Register], int]]] = {}
    known: dict[int, int] = {}
    for reg in present:
        for offset in (reg.offset | (SHADOW if reg.shadow else 0), *reg.aliases):
            slots = dwords.setdefault(offset & ~3, [])
            shift = 8 * (offset & 3)
            for other, at in slots:
                if shift < at + other.width and at < shift + reg.width:
                    raise TypeError(f"{reg.__name__} and {other.__name__} share bytes at offset {offset:#x}")
            slots.append((reg, shift))
            slots.sort(key=lambda slot: slot[1])
            known[offset & ~3] = known.get(offset & ~3, 0) | layouts[reg].known << shift
    values = {reg: layouts[reg].reset if reg in layouts else reg.missing for reg in declared}
    placed = [(offset, reg, shift) for offset, found in dwords.items() for reg, shift in found]
    shape = _SHAPES[declared, chip] = _Shape(
        present,
        layouts,
        values,
        dwords,
        known,
        whole={offset: reg for offset, reg, _ in placed if reg.width == 32},
        bytes={offset + shift // 8: reg for offset, reg, shift in placed if reg.width == 8},
    )
    return shape


@dataclass(frozen=True, slots=True)
class PlainDword:
    """What an access to a whole dword comes to: places of the values that it reads and writes; -1: somebody has a say.

    A write stores the bits `stored`; one of a bit that is not `known`, or a change of a `watched` one, is news.
    """

    offset: int
    read: int
    write: int
    stored: int
    known: int
    watched: int = 0


class _Cells(MutableMapping["type[Register]", int]):
    """Stored values in cells that somebody else gave, and may read and write meanwhile."""

    __slots__ = ("_cells", "_places")

    def __init__(self, cells: MutableSequence[int], values: Mapping[type[Register], int]) -> None:
        self._cells = cells
        self._places = {reg: place for place, reg in enumerate(values)}
        for reg, value in values.items():
            self[reg] = value

    def __getitem__(self, reg: type[Register]) -> int:
        return self._cells[self._places[reg]]

    def __setitem__(self, reg: type[Register], value: int) -> None:
        self._cells[self._places[reg]] = value

    def __delitem__(self, reg: type[Register]) -> None:
        raise TypeError(f"{reg.__name__} cannot be taken out of its register file")

    def __iter__(self) -> Iterator[type[Register]]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class RegisterFile:
    """The stored values of a set of registers on one chip, with byte-lane access at dword granularity.

    Registers narrower than a dword may share one; a write reaches those whose lanes it enables, lowest address first.
    An access that crosses a dword is split there, low half first. Offsets without a register read 0 and ignore writes;
    `on_unknown` is told. The write hook of a register in `watched` is called only if one of those bits changes.
    A register that the chip lacks reads as its `missing` value to the model and takes nothing.

    `storage` gives the cells in which the values are kept, as many as it is asked for: whoever shares them (`plain`)
    may read and write there too. By default they are the file's own.

    Raises: TypeError for registers that share bytes or are of another family, for what is not one chip, for a hook on a
    register that is not there, and for a watched one without a hook.
    """

    def __init__(
        self,
        registers: Iterable[type[Register]],
        chip: enum.Flag = OneDevice.DEVICE,
        *,
        on_write: Mapping[type[Register], WriteHook] | None = None,
        on_read: Mapping[type[Register], ReadHook] | None = None,
        on_unknown: UnknownHook | None = None,
        watched: Mapping[type[Register], int] | None = None,
        storage: Callable[[int], MutableSequence[int]] | None = None,
    ) -> None:
        declared = tuple(registers)
        shape = _shape(declared, chip)
        for reg in (*(on_write or ()), *(on_read or ())):
            if reg not in declared:
                raise TypeError(f"{reg.__name__} has a hook and is not in the file")
        for reg in watched or ():
            if reg not in (on_write or ()):
                raise TypeError(f"{reg.__name__} is watched, and no hook is told of its writes")
        self.chip: Final = chip
        self._declared, self._shape = declared, shape
        self.registers: Final = shape.registers
        self._layout: Final = shape.layouts
        self._dwords: Final = shape.dwords
        self._known: Final = shape.known
        self._value: MutableMapping[type[Register], int] = dict(shape.values)
        if storage is not None:
            self._value = _Cells(storage(len(declared)), shape.values)
        self._on_write = dict(on_write or {})
        self._watched: Final[Mapping[type[Register], int | None]] = {
            reg: (watched or {}).get(reg) for reg in self._on_write
        }
        """Of each register with a write hook: the bits whose change it is told of, None for all writes."""
        self._on_read = dict(on_read or {})
        self._on_unknown = on_unknown
        self._plain_reads: Final = {at: reg for at, reg in shape.whole.items() if reg not in self._on_read}
        self._plain_writes: Final = {
            at: (reg, shape.layouts[reg].rw, ~shape.known[at], bits)
            for at, reg in shape.whole.items()
            if (bits := self._watched.get(reg, 0)) is not None and shape.layouts[reg].only_rw
        }
        self._bytes: Final = shape.bytes
        self.moved: dict[int, int] = {}
        """Dword offset -> dword offset, for registers that trade places at run time."""

    @property
    def stored(self) -> Mapping[type[Register], int]:
        """The stored values, to be read: for who looks at many at a time."""
        return self._value

    def __getitem__(self, reg: type[Register]) -> int:
        return self._value[reg]

    def __setitem__(self, reg: type[Register], value: int) -> None:
        if reg in self._layout:
            self._value[reg] = value & self._layout[reg].stored

    def __contains__(self, reg: type[Register]) -> bool:
        return reg in self._layout

    def set_bits(self, reg: type[Register], mask: int, *, to: bool) -> None:
        """The chip's own hand: set or clear bits, whatever software may do to them."""
        self[reg] = self._value[reg] | mask if to else self._value[reg] & ~mask

    def reset(self, registers: Iterable[type[Register]] | None = None) -> None:
        """Give some registers, or all, their power-on value; no hook runs."""
        for reg in self.registers if registers is None else registers:
            if reg in self._layout:
                self._value[reg] = self._layout[reg].reset

    def plain(self) -> Iterator[PlainDword]:
        """Say of each dword what an access to the whole of it reads and stores, where nobody has a say in it.

        Places are those of the registers in the list that the file was made of. It changes with `moved`.
        """
        for offset in {at for at in (*self._shape.dwords, *self.moved) if at < SHADOW}:
            at = self.moved.get(offset, offset)
            read, plain = self._plain_reads.get(at), self._plain_writes.get(at, (None, 0, ~0, 0))
            write, stored, unknown, watched = plain
            places = [-1 if reg is None else self._declared.index(reg) for reg in (read, write)]
            yield PlainDword(offset, places[0], places[1], stored, ~unknown & 0xFFFF_FFFF, watched)

    def place(self, reg: type[Register]) -> int:
        """Tell which of the cells of `storage` holds a register."""
        return self._declared.index(reg)

    def known(self, reg: type[Register]) -> int:
        """Give the bits of a register that mean anything on this chip."""
        return self._layout[reg].known

    def stored_bits(self, reg: type[Register]) -> int:
        """Give the bits that a register of this chip can hold."""
        return self._layout[reg].stored

    def load(self, offset: int, dword: int) -> None:
        """Store a dword as the EEPROM loader does: read-only fields too, no hook."""
        for reg, shift in self._dwords.get(offset, ()):
            self[reg] = dword >> shift & ((1 << reg.width) - 1)

    def read(self, offset: int, width: int) -> int:
        """Read `width` bytes at `offset`, little-endian."""
        if width == 4:
            reg = self._plain_reads.get(self.moved.get(offset, offset))
            if reg is not None:
                return self._value[reg]
        base = offset & ~3
        if offset + width <= base + 4:
            return self._read_dword(base) >> 8 * (offset - base) & (1 << 8 * width) - 1
        result = 0
        for dword in range(base, offset + width, 4):
            place = 8 * (dword - offset)
            value = self._read_dword(dword)
            result |= value << place if place >= 0 else value >> -place
        return result & ((1 << 8 * width) - 1)

    def write(self, offset: int, width: int, data: int) -> None:
        """Write `width` bytes at `offset`, little-endian."""
        lanes = (1 << 8 * width) - 1
        data &= lanes
        if width == 4:
            plain = self._plain_writes.get(self.moved.get(offset, offset))
            if plain is not None and not data & plain[2]:
                reg, rw, _, watched = plain
                old = self._value[reg]
                if not (old ^ data) & watched:
                    self._value[reg] = old & ~rw | data & rw
                    return
        base = offset & ~3
        if width == 1 and (narrow := self._bytes.get(offset)) is not None and base not in self.moved:
            if data & ~self._layout[narrow].known and self._on_unknown:
                self._on_unknown(base, (data & ~self._layout[narrow].known) << 8 * (offset - base), True)
            self._write_register(narrow, data, lanes)
            return
        if offset + width <= base + 4:
            shift = 8 * (offset - base)
            self._write_dword(base, data << shift, lanes << shift)
            return
        for dword in range(base, offset + width, 4):
            place = 8 * (offset - dword)
            on = (lanes << place if place >= 0 else lanes >> -place) & 0xFFFF_FFFF
            self._write_dword(dword, (data << place if place >= 0 else data >> -place) & on, on)

    def _read_dword(self, offset: int) -> int:
        slots = self._dwords.get(self.moved.get(offset, offset))
        if slots is None:
            if self._on_unknown:
                self._on_unknown(offset, 0, False)
            return 0
        result = 0
        for reg, shift in slots:
            value = self._value[reg]
            hook = self._on_read.get(reg)
            result |= (hook(value) if hook else value) << shift
        return result

    def _write_dword(self, offset: int, data: int, lanes: int) -> None:
        offset = self.moved.get(offset, offset)
        slots = self._dwords.get(offset)
        if slots is None:
            if self._on_unknown:
                self._on_unknown(offset, 0, True)
            return
        if data & ~self._known[offset] and self._on_unknown:
            self._on_unknown(offset, data & ~self._known[offset], True)
        for reg, shift in slots:
            mine = lanes >> shift & ((1 << reg.width) - 1)
            if not mine:
                continue
            self._write_register(reg, data >> shift & mine, mine)

    def _write_register(self, reg: type[Register], written: int, lanes: int) -> None:
        old = self._value[reg]
        new = self._value[reg] = after_write(self._layout[reg], old, written, lanes)
        hook = self._on_write.get(reg)
        if hook is None:
            return
        bits = self._watched[reg]
        if bits is None or (old ^ new) & bits:
            hook(Write(old, new, written, lanes))
