# SPDX-License-Identifier: Apache-2.0
"""Registers as data: a class a register, a descriptor a field, and one function that applies the access policy.

A table written with this module is the only place that knows a bit. Reset values, masks, the decoded text of a
trace line and the documentation are loops over `Register.fields`.

A wrong table (overlapping fields, a field outside its register, a reset value that does not fit) is refused at import,
with a message that names the field.
"""

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, Self, TypeVar, overload

T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=enum.IntEnum)


class Access(enum.Enum):
    """What a write from the PCI side does to a bit; every kind reads back what is stored unless said otherwise."""

    RW = "RW"
    """Stores what is written."""
    RO = "RO"
    """Writes are ignored; the chip alone changes it."""
    W1C = "W1C"
    """Writing 1 clears it. Set by the chip and cleared by software in the same access: the set wins, it comes after."""
    W1S = "W1S"
    """Writing 1 sets it; the local side clears it."""
    W1T = "W1T"
    """Writing 1 triggers an action. Stores nothing, reads 0."""


class Field(Generic[T_co]):
    """One field of a register: `Register.field` is this object, `Register(raw).field` the decoded value."""

    def __init__(
        self, hi: int, lo: int, access: Access, kind: Callable[[int], T_co], *, reset: int, doc: str, unverified: bool
    ) -> None:
        self.name = "?"
        self.hi, self.lo, self.access, self.kind, self.doc = hi, lo, access, kind, doc
        self.reset = reset
        self.unverified = unverified
        self.mask: Final = ((1 << (hi - lo + 1)) - 1) << lo if hi >= lo >= 0 else 0

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, obj: None, owner: type) -> Self: ...
    @overload
    def __get__(self, obj: "Register", owner: type) -> T_co: ...
    def __get__(self, obj: "Register | None", owner: type) -> "Self | T_co":
        """Give the field itself on the class, its value on an instance."""
        return self if obj is None else self.kind((obj.raw & self.mask) >> self.lo)

    def of(self, value: int) -> int:
        """Shift `value` to where this field stands. Raises: ValueError if it does not fit."""
        if value < 0 or (value << self.lo) & ~self.mask:
            raise ValueError(f"{self.name}: {value:#x} does not fit into bits {self.hi}:{self.lo}")
        return value << self.lo


def bit(n: int, access: Access, *, reset: int = 0, doc: str, unverified: bool = False) -> Field[bool]:
    """Declare a one-bit field that decodes to a `bool`."""
    return Field(n, n, access, bool, reset=reset, doc=doc, unverified=unverified)


@overload
def bits(
    hi: int, lo: int, access: Access, kind: type[E], *, reset: int = 0, doc: str, unverified: bool = False
) -> Field[E]: ...
@overload
def bits(hi: int, lo: int, access: Access, *, reset: int = 0, doc: str, unverified: bool = False) -> Field[int]: ...
def bits(
    hi: int,
    lo: int,
    access: Access,
    kind: Callable[[int], object] = int,
    *,
    reset: int = 0,
    doc: str,
    unverified: bool = False,
) -> Field[object]:
    """Declare a field from bit `hi` down to bit `lo`; `kind` is an IntEnum that names its values."""
    return Field(hi, lo, access, kind, reset=reset, doc=doc, unverified=unverified)


class Register:
    """One register. Subclass it with `offset=` (bytes from the window's start), `width=` (bits) and `source=`.

    A subclass without `offset` is a template: registers that share its fields derive from it. `aliases` are further
    offsets at which the same storage shows.
    """

    offset: ClassVar[int]
    width: ClassVar[int]
    source: ClassVar[str]
    aliases: ClassVar[tuple[int, ...]] = ()
    fields: ClassVar[tuple[Field[object], ...]] = ()
    reset: ClassVar[int]
    rw_mask: ClassVar[int]
    w1c_mask: ClassVar[int]
    w1s_mask: ClassVar[int]
    w1t_mask: ClassVar[int]
    stored_mask: ClassVar[int]
    """Bits that hold a value: all fields but the triggers."""

    def __init_subclass__(
        cls, *, offset: int | None = None, width: int = 32, source: str = "", aliases: tuple[int, ...] = ()
    ) -> None:
        """Check the declaration and work out the masks."""
        found: dict[str, Field[object]] = {}
        for klass in reversed(cls.__mro__):
            found |= {name: field for name, field in vars(klass).items() if isinstance(field, Field)}
        cls.fields = tuple(sorted(found.values(), key=lambda field: field.lo))
        if offset is None:
            return
        cls.offset, cls.width, cls.source, cls.aliases = offset, width, source, aliases
        _check(cls)
        cls.reset = sum(field.of(field.reset) for field in cls.fields)
        cls.rw_mask, cls.w1c_mask, cls.w1s_mask, cls.w1t_mask = (
            sum(field.mask for field in cls.fields if field.access is kind)
            for kind in (Access.RW, Access.W1C, Access.W1S, Access.W1T)
        )
        cls.stored_mask = sum(field.mask for field in cls.fields if field.access is not Access.W1T)

    def __init__(self, raw: int) -> None:
        self.raw = raw

    def __str__(self) -> str:
        values = ((field, (self.raw & field.mask) >> field.lo) for field in self.fields)
        texts = (
            f"{field.name}={value:#x}" if field.hi > field.lo else f"{field.name}={value}" for field, value in values
        )
        return " ".join((f"{type(self).__name__}={self.raw:#x}", *texts))

    __repr__ = __str__


def _check(reg: type[Register]) -> None:
    """Refuse a wrong table. Raises: TypeError that names the register and the field."""
    if reg.width not in (8, 16, 32) or reg.offset % (reg.width // 8):
        raise TypeError(f"{reg.__name__}: width {reg.width} at offset {reg.offset:#x} is not a natural register")
    if not reg.source:
        raise TypeError(f"{reg.__name__}: a register without a source")
    taken = 0
    for field in reg.fields:
        where = f"{reg.__name__}.{field.name}"
        if not reg.width > field.hi >= field.lo >= 0:
            raise TypeError(f"{where}: bits {field.hi}:{field.lo} are outside a {reg.width}-bit register")
        if field.mask & taken:
            raise TypeError(f"{where}: overlaps another field")
        if field.access is Access.W1T and field.reset:
            raise TypeError(f"{where}: a trigger stores nothing and has no reset value")
        try:
            field.of(field.reset)
        except ValueError as exc:
            raise TypeError(f"{reg.__name__}.{exc}") from None
        taken |= field.mask


def after_write(reg: type[Register], old: int, data: int, lanes: int) -> int:
    """Stored bits once software wrote `data` on the enabled byte `lanes` (a mask of bits): the whole access policy."""
    hit = reg.rw_mask & lanes
    new = old & ~hit | data & hit
    return new & ~(data & lanes & reg.w1c_mask) | data & lanes & reg.w1s_mask


@dataclass(frozen=True, slots=True)
class Write:
    """A write that reached a register: what was stored before and after, and what software put on which lanes."""

    old: int
    new: int
    data: int
    """As written, cut to the lanes."""
    lanes: int


WriteHook = Callable[[Write], None]
ReadHook = Callable[[int], int]


class RegisterFile:
    """The stored values of a set of registers, with byte-lane access at dword granularity.

    Registers narrower than a dword may share one; a write reaches those whose lanes it enables, lowest address first.
    An access that crosses a dword is split there, low half first. Offsets without a register read 0 and ignore writes.
    """

    def __init__(
        self,
        registers: Iterable[type[Register]],
        *,
        on_write: Mapping[type[Register], WriteHook] | None = None,
        on_read: Mapping[type[Register], ReadHook] | None = None,
    ) -> None:
        self.registers = tuple(registers)
        self._value: dict[type[Register], int] = {reg: reg.reset for reg in self.registers}
        self._on_write = dict(on_write or {})
        self._on_read = dict(on_read or {})
        self._dwords: dict[int, list[tuple[type[Register], int]]] = {}
        self.moved: dict[int, int] = {}
        """Dword offset -> dword offset, for registers that trade places at run time."""
        for reg in self.registers:
            for offset in (reg.offset, *reg.aliases):
                slots = self._dwords.setdefault(offset & ~3, [])
                shift = 8 * (offset & 3)
                for other, at in slots:
                    if shift < at + other.width and at < shift + reg.width:
                        raise TypeError(f"{reg.__name__} and {other.__name__} share bytes at offset {offset:#x}")
                slots.append((reg, shift))
                slots.sort(key=lambda slot: slot[1])

    def __getitem__(self, reg: type[Register]) -> int:
        return self._value[reg]

    def __setitem__(self, reg: type[Register], value: int) -> None:
        self._value[reg] = value & reg.stored_mask

    def __contains__(self, reg: type[Register]) -> bool:
        return reg in self._value

    def set_bits(self, reg: type[Register], mask: int, *, to: bool) -> None:
        """The chip's own hand: set or clear bits, whatever software may do to them."""
        self[reg] = self._value[reg] | mask if to else self._value[reg] & ~mask

    def reset(self, registers: Iterable[type[Register]] | None = None) -> None:
        """Give some registers, or all, their power-on value; no hook runs."""
        for reg in self.registers if registers is None else registers:
            self._value[reg] = reg.reset

    def load(self, offset: int, dword: int) -> None:
        """Store a dword as the EEPROM loader does: read-only fields too, no hook."""
        for reg, shift in self._dwords.get(offset, ()):
            self[reg] = dword >> shift & ((1 << reg.width) - 1)

    def read(self, offset: int, width: int) -> int:
        """Read `width` bytes at `offset`, little-endian."""
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
        base = offset & ~3
        lanes = (1 << 8 * width) - 1
        data &= lanes
        if offset + width <= base + 4:
            shift = 8 * (offset - base)
            self._write_dword(base, data << shift, lanes << shift)
            return
        for dword in range(base, offset + width, 4):
            place = 8 * (offset - dword)
            on = (lanes << place if place >= 0 else lanes >> -place) & 0xFFFF_FFFF
            self._write_dword(dword, (data << place if place >= 0 else data >> -place) & on, on)

    def _read_dword(self, offset: int) -> int:
        result = 0
        for reg, shift in self._dwords.get(self.moved.get(offset, offset), ()):
            value = self._value[reg]
            hook = self._on_read.get(reg)
            result |= (hook(value) if hook else value) << shift
        return result

    def _write_dword(self, offset: int, data: int, lanes: int) -> None:
        for reg, shift in self._dwords.get(self.moved.get(offset, offset), ()):
            mine = lanes >> shift & ((1 << reg.width) - 1)
            if not mine:
                continue
            written = data >> shift & mine
            old = self._value[reg]
            new = self._value[reg] = after_write(reg, old, written, mine)
            hook = self._on_write.get(reg)
            if hook:
                hook(Write(old, new, written, mine))
