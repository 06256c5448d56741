# SPDX-License-Identifier: Apache-2.0
"""Three kinds of address that refuse to mix, and the page arithmetic of the DDK.

Windows gives a physical and a logical address the same type, PHYSICAL_ADDRESS, and most wrong DMA drivers live on that.
Here `Va`, `Pa` and `La` are different classes: comparing or subtracting across kinds raises `AddressKindError`.

Source: reference hal-contract 0.3, 1.1, 1.2.
"""

from typing import Final, Generic, Self, TypeVar, overload

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

PAGE_SIZE: Final = 0x1000
"""Bytes of a page on x86, x64, ARM and ARM64; Alpha and Itanium have 0x2000."""
PAGE_SHIFT: Final = 12
MAXULONG: Final = 0xFFFF_FFFF
MAX_ADDRESS: Final = (1 << 64) - 1

T = TypeVar("T")


class AddressKindError(TypeError):
    """An address of one kind was used where another kind is due, as a physical one given to a device."""


def _plain(number: object) -> int:
    if not isinstance(number, int):
        raise AddressKindError(
            f"{number!r} stands where a plain number of bytes is due; int() gives an address's number"
        )
    return number


class Address:
    """A 64-bit address of one kind. Adding to it gives an address, taking it apart gives plain numbers.

    `hex(va)`, `f"{va:#x}"`, `va & 0xFFF`, `va % n`, `va // n` and `va >> n` are of the number, as a driver writes them.
    Nothing turns one kind into another, and no operator takes two addresses but comparison and difference, which want
    one kind. `__index__` is there for `hex` and struct: where Python asks for a plain number of its own accord, as
    in `range`, the kind is lost as with `int(va)`. `bytes(va)` would be that many zero bytes, so it is refused.
    """

    __slots__ = ("_value",)

    def __init__(self, value: int) -> None:
        _plain(value)
        if not 0 <= value <= MAX_ADDRESS:
            raise ValueError(f"{value:#x} is no 64-bit address")
        self._value = value

    def _same(self, other: object) -> int:
        if type(other) is not type(self) or not isinstance(other, Address):
            raise AddressKindError(f"{self!r} and {other!r} are not of one address space")
        return int(other)

    @property
    def low(self) -> int:
        """LowPart of the PHYSICAL_ADDRESS: the low 32 bits."""
        return self._value & MAXULONG

    @property
    def high(self) -> int:
        """HighPart of the PHYSICAL_ADDRESS: the high 32 bits, unsigned."""
        return self._value >> 32

    def __int__(self) -> int:
        return self._value

    __index__ = __int__

    def __bytes__(self) -> bytes:
        raise AddressKindError(f"{self!r} has no bytes of its own: read what is there, or int() and to_bytes")

    def __format__(self, spec: str) -> str:
        """Write the number as `spec` says for integers; without a spec, the address with its kind."""
        return format(self._value, spec) if spec else repr(self)

    def __and__(self, mask: int) -> int:
        return self._value & _plain(mask)

    def __or__(self, bits: int) -> int:
        return self._value | _plain(bits)

    def __xor__(self, bits: int) -> int:
        return self._value ^ _plain(bits)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __mod__(self, number: int) -> int:
        return self._value % _plain(number)

    def __floordiv__(self, number: int) -> int:
        return self._value // _plain(number)

    def __rshift__(self, bits: int) -> int:
        return self._value >> _plain(bits)

    def __add__(self, offset: int) -> Self:
        """Give the address `offset` bytes on. Raises: AddressKindError if `offset` is an address."""
        return type(self)(self._value + _plain(offset))

    __radd__ = __add__

    @overload
    def __sub__(self, other: Self) -> int: ...
    @overload
    def __sub__(self, other: int) -> Self: ...
    def __sub__(self, other: Self | int) -> int | Self:
        """Give the distance in bytes to an address of the same kind, or the address that many bytes before."""
        if isinstance(other, int):
            return type(self)(self._value - other)
        return self._value - self._same(other)

    def __lt__(self, other: Self) -> bool:
        return self._value < self._same(other)

    def __le__(self, other: Self) -> bool:
        return self._value <= self._same(other)

    def __gt__(self, other: Self) -> bool:
        return self._value > self._same(other)

    def __ge__(self, other: Self) -> bool:
        return self._value >= self._same(other)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Address):
            return self._value == self._same(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._value))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._value:#x})"


class Va(Address):
    """Virtual: what driver code dereferences."""

    __slots__ = ()


def _signed(value: int, bits: int) -> int:
    return value - (value >> (bits - 1) << bits)


class PhysicalAddress(Address):
    """What Windows types as PHYSICAL_ADDRESS, with the members of that union. A virtual address has none of them."""

    __slots__ = ()

    @property
    def QuadPart(self) -> int:  # noqa: N802  (the member's name)
        """All 64 bits, as the signed LONGLONG that it is."""
        return _signed(self._value, 64)

    @property
    def LowPart(self) -> int:  # noqa: N802  (the member's name)
        """The low 32 bits, a ULONG."""
        return self.low

    @property
    def HighPart(self) -> int:  # noqa: N802  (the member's name)
        """The high 32 bits, as the signed LONG that they are."""
        return _signed(self.high, 32)


class Pa(PhysicalAddress):
    """Physical: what the memory controller and an MDL's page frames mean."""

    __slots__ = ()


class La(PhysicalAddress):
    """Logical: what the device puts on its bus. Linux calls it dma_addr_t."""

    __slots__ = ()


class Out(Generic[T]):
    """Storage for an out parameter. `value` is None until a routine wrote it."""

    __slots__ = ("value",)

    def __init__(self, value: T | None = None) -> None:
        self.value = value

    def clear(self) -> None:
        """Set it to NULL."""
        self.value = None

    @property
    def taken(self) -> T:
        """The value. Raises: LookupError if no routine wrote it yet."""
        if self.value is None:
            raise LookupError("this out parameter was never written")
        return self.value


def byte_offset(address: Address | int, page_size: int = PAGE_SIZE) -> int:
    """Bytes from the start of its page."""
    return int(address) & (page_size - 1)


def round_to_pages(length: int, page_size: int = PAGE_SIZE) -> int:
    """Bytes in the whole pages that hold `length` bytes; 0 gives 0."""
    return bytes_to_pages(length, page_size) * page_size


def bytes_to_pages(length: int, page_size: int = PAGE_SIZE) -> int:
    """Pages that `length` bytes from a page's start need; 0 gives 0."""
    return length // page_size + (1 if length % page_size else 0)


def span_pages(address: Address | int, length: int, page_size: int = PAGE_SIZE) -> int:
    """Pages that `length` bytes from `address` touch. 0 bytes in mid-page give 1, as the DDK's macro does."""
    return bytes_to_pages(byte_offset(address, page_size) + length, page_size)
