# SPDX-License-Identifier: Apache-2.0
"""A register table: a class a register, a descriptor a field; what is wrong with one is said at import."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, Self, TypeVar, overload

T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=enum.IntEnum)

SHADOW: Final = 1 << 16
"""Added to the offset of a register that hides behind another one."""

Reset = int | Mapping[enum.Flag, int]
"""A reset value, or one for each set of chips; chips that no set names have 0."""


class OneDevice(enum.Flag):
    """The family of a device that has no relatives."""

    DEVICE = enum.auto()


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
    """One field of a register: `Register.field` is this object, `Register(raw).field` the decoded value.

    `absent`: the chip has it and nothing here models it; it reads 0 and the ledger says so. `address`: it is the upper
    bits of an address or of a mask of one, and is shown with those below as 0.
    """

    def __init__(
        self,
        hi: int,
        lo: int,
        access: Access,
        kind: Callable[[int], T_co],
        *,
        reset: Reset,
        doc: str,
        unverified: bool,
        chips: enum.Flag | None,
        absent: bool,
        address: bool = False,
    ) -> None:
        self.name = "?"
        self.hi, self.lo, self.access, self.kind, self.doc = hi, lo, access, kind, doc
        self.unverified, self.absent, self.address = unverified, absent, address
        self._named = chips
        self.chips: enum.Flag = OneDevice.DEVICE
        """Those that have it, once `join` has said whose family it is."""
        self._reset = reset
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

    def join(self, family: type[enum.Flag]) -> None:
        """Belong to a register of `family`: one that names no chips is on all of them."""
        self.chips = everyone(family) if self._named is None else self._named

    @property
    def named(self) -> tuple[enum.Flag, ...]:
        """Every set of chips that the declaration speaks of."""
        return (self.chips,) if isinstance(self._reset, int) else (self.chips, *self._reset)

    def reset(self, chip: enum.Flag) -> int:
        """Value after power-on, without an EEPROM."""
        if isinstance(self._reset, int):
            return self._reset
        return next((value for chips, value in self._reset.items() if chip in chips), 0)

    def shown(self, raw: int) -> str:
        """What the field holds in a register's value, for people: a bit as 0 or 1, the rest in hex."""
        value = raw & self.mask if self.address else (raw & self.mask) >> self.lo
        return f"{value:#x}" if self.hi > self.lo else str(value)

    def of(self, value: int) -> int:
        """Shift `value` to where this field stands. Raises: ValueError if it does not fit."""
        if value < 0 or (value << self.lo) & ~self.mask:
            raise ValueError(f"{self.name}: {value:#x} does not fit into bits {self.hi}:{self.lo}")
        return value << self.lo


def bit(
    n: int,
    access: Access,
    *,
    reset: Reset = 0,
    doc: str,
    unverified: bool = False,
    chips: enum.Flag | None = None,
    absent: bool = False,
) -> Field[bool]:
    """Declare a one-bit field that decodes to a `bool`."""
    return Field(n, n, access, bool, reset=reset, doc=doc, unverified=unverified, chips=chips, absent=absent)


@overload
def bits(
    hi: int,
    lo: int,
    access: Access,
    kind: type[E],
    *,
    reset: Reset = 0,
    doc: str,
    unverified: bool = False,
    chips: enum.Flag | None = None,
    absent: bool = False,
    address: bool = False,
) -> Field[E]: ...
@overload
def bits(
    hi: int,
    lo: int,
    access: Access,
    *,
    reset: Reset = 0,
    doc: str,
    unverified: bool = False,
    chips: enum.Flag | None = None,
    absent: bool = False,
    address: bool = False,
) -> Field[int]: ...
def bits(
    hi: int,
    lo: int,
    access: Access,
    kind: Callable[[int], object] = int,
    *,
    reset: Reset = 0,
    doc: str,
    unverified: bool = False,
    chips: enum.Flag | None = None,
    absent: bool = False,
    address: bool = False,
) -> Field[object]:
    """Declare a field from bit `hi` down to bit `lo`; `kind` is an IntEnum that names its values.

    `address`: upper bits of an address, shown as one; the decoded value is still the field's bits.
    """
    return Field(
        hi, lo, access, kind,
        reset=reset, doc=doc, unverified=unverified, chips=chips, absent=absent, address=address,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """A register as one chip has it: its reset value and a mask for each access."""

    reset: int = 0
    rw: int = 0
    w1c: int = 0
    w1s: int = 0
    w1t: int = 0
    stored: int = 0
    """Bits that hold a value: all fields but the triggers."""

    @property
    def known(self) -> int:
        """Bits that mean anything."""
        return self.stored | self.w1t

    @property
    def only_rw(self) -> bool:
        """True if a write stores and does nothing else."""
        return not self.w1c | self.w1s | self.w1t


class Register:
    """One register. Subclass it with `offset=` (bytes from the window's start), `width=` (bits) and `source=`.

    A subclass without `offset` is a template: registers that share its fields derive from it. `aliases` are further
    offsets at which the same storage shows. `chips` have it, by default the whole `family`; the others behave as if it
    held `missing`.
    """

    offset: ClassVar[int]
    width: ClassVar[int]
    source: ClassVar[str]
    aliases: ClassVar[tuple[int, ...]] = ()
    family: ClassVar[type[enum.Flag]] = OneDevice
    """Every chip there is; its members with one bit are the chips."""
    chips: ClassVar[enum.Flag] = OneDevice.DEVICE
    missing: ClassVar[int] = 0
    shadow: ClassVar[bool] = False
    """It hides behind another register at the same offset until `RegisterFile.moved` shows it (SHADOW | offset)."""
    fields: ClassVar[tuple[Field[object], ...]] = ()

    def __init_subclass__(
        cls,
        *,
        offset: int | None = None,
        width: int = 32,
        source: str = "",
        aliases: tuple[int, ...] = (),
        chips: enum.Flag | None = None,
        missing: int = 0,
        shadow: bool = False,
        family: type[enum.Flag] | None = None,
    ) -> None:
        """Check the declaration."""
        if family is not None:
            if not _has_chips(family):
                raise TypeError(f"{cls.__name__}: family={family!r} is no enum.Flag with a chip in it")
            cls.family = family
        found: dict[str, Field[object]] = {}
        for klass in reversed(cls.__mro__):
            found |= {name: field for name, field in vars(klass).items() if isinstance(field, Field)}
        cls.fields = tuple(sorted(found.values(), key=lambda field: field.lo))
        for field in vars(cls).values():
            if isinstance(field, Field):
                field.join(cls.family)
        if offset is None:
            return
        for name in found:
            if name in Register.__annotations__ or name in vars(Register) or name == "raw":
                raise TypeError(f"{cls.__name__}.{name}: every register has a {name} of its own")
        cls.offset, cls.width, cls.source, cls.aliases = offset, width, source, aliases
        cls.chips = everyone(cls.family) if chips is None else chips
        cls.missing, cls.shadow = missing, shadow
        _check(cls)

    @classmethod
    def fields_on(cls, chip: enum.Flag) -> tuple[Field[object], ...]:
        """The fields that one chip has, from bit 0 up; none if it lacks the register."""
        return tuple(field for field in cls.fields if chip in field.chips & cls.chips)

    @classmethod
    def on(cls, chip: enum.Flag) -> Layout:
        """Masks and reset value on one chip; all zero if it lacks the register."""
        layout = _LAYOUTS.get((cls, chip))
        if layout is None:
            layout = _LAYOUTS[cls, chip] = _layout(cls, chip)
        return layout

    def __init__(self, raw: int) -> None:
        self.raw = raw

    def __str__(self) -> str:
        return self.text(everyone(self.family))

    __repr__ = __str__

    def text(self, chips: enum.Flag) -> str:
        """Name, value and fields, as one of `chips` has them."""
        texts = (f"{field.name}={field.shown(self.raw)}" for field in self.fields if field.chips & chips)
        return " ".join((f"{type(self).__name__}={self.raw:#x}", *texts))


def is_declared(register: object) -> bool:
    """Tell whether it is a register that a file can hold: a class that was declared with an offset."""
    return isinstance(register, type) and issubclass(register, Register) and hasattr(register, "offset")


def everyone(family: type[enum.Flag]) -> enum.Flag:
    """All chips of a family."""
    return ~family(0)


def _has_chips(family: object) -> bool:
    return isinstance(family, type) and issubclass(family, enum.Flag) and bool(list(family))


_LAYOUTS: Final[dict[tuple[type[Register], enum.Flag], Layout]] = {}


def _layout(reg: type[Register], chip: enum.Flag) -> Layout:
    fields = [field for field in reg.fields_on(chip) if not field.absent]

    def mask(*kinds: Access) -> int:
        return sum(field.mask for field in fields if field.access in kinds)

    return Layout(
        reset=sum(field.of(field.reset(chip)) for field in fields),
        rw=mask(Access.RW),
        w1c=mask(Access.W1C),
        w1s=mask(Access.W1S),
        w1t=mask(Access.W1T),
        stored=mask(Access.RW, Access.RO, Access.W1C, Access.W1S),
    )


def _check(reg: type[Register]) -> None:
    """Refuse a wrong table. Raises: TypeError that names the register and the field."""
    if reg.width not in (8, 16, 32) or reg.offset % (reg.width // 8):
        raise TypeError(f"{reg.__name__}: width {reg.width} at offset {reg.offset:#x} is not a natural register")
    if not reg.source:
        raise TypeError(f"{reg.__name__}: a register without a source")
    spoken_of = [(reg.__name__, reg.chips), *((f"{reg.__name__}.{f.name}", c) for f in reg.fields for c in f.named)]
    for where, chips in spoken_of:
        if not isinstance(chips, reg.family):
            raise TypeError(f"{where}: {chips!r} is not of the family {reg.family.__name__}")
    for chip in reg.chips:
        taken = 0
        for field in reg.fields_on(chip):
            where = f"{reg.__name__}.{field.name}"
            if not reg.width > field.hi >= field.lo >= 0:
                raise TypeError(f"{where}: bits {field.hi}:{field.lo} are outside a {reg.width}-bit register")
            if field.mask & taken:
                raise TypeError(f"{where}: overlaps another field")
            if field.access is Access.W1T and field.reset(chip):
                raise TypeError(f"{where}: a trigger stores nothing and has no reset value")
            try:
                field.of(field.reset(chip))
            except ValueError as exc:
                raise TypeError(f"{reg.__name__}.{exc}") from None
            taken |= field.mask
