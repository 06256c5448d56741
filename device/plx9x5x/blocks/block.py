# SPDX-License-Identifier: Apache-2.0
"""A peripheral of registers and ports: lanes, widths and words are done here, what happens is in methods by name."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

from plx9x5x.blocks.base import Base
from plx9x5x.regs.kernel import Register, RegisterFile, is_declared

R = TypeVar("R", bound=Register)

CELL: Final = 4
"""Bytes of the local bus that a port answers: one access to them, of whatever part, moves one word."""

_RUN: Final = 64
"""Bytes of registers that are one number; a burst over much more of them would be slow as one."""

_PAIR: Final = 2
_WRITTEN: Final = "on_write_"
_READ: Final = "on_read_"


@dataclass(frozen=True, slots=True)
class Port:
    """Four bytes of the local bus behind which words come and go, `width` bytes each."""

    offset: int
    width: int
    take: Callable[[int], bytes]
    put: Callable[[bytes | memoryview], object]

    def words(self, count: int) -> bytes:
        """Take words; zeros stand for those that are not there."""
        return self.take(count).ljust(count * self.width, b"\0")


class Block(Base):
    """A peripheral. Subclass it, name its `registers`, and write methods for what happens when they are accessed.

    `on_write_control(self, write: Write)` is called when CONTROL was written, after it stored what it stores, and
    `on_read_status(self, value: int) -> int` gives what a read of STATUS shows. What is put into `regs` by the block
    itself calls nothing.

    `interrupts` names two registers: what happened (`happened` sets bits of it), and what of that drives LINTi#. The
    same bits stand in both. `size` is what it decodes, by default up to the last register, as a power of two. Offsets
    that hold nothing read 0 and take no write.

    A wrong class is a TypeError at import. Raises: TypeError from `port`, for one that has no room, whose words are not
    the FIFO's, or whose channel another port drives already.
    """

    interrupts: ClassVar[tuple[type[Register], type[Register]] | None] = None
    _worked_out: ClassVar[bool] = False
    """`size` is the last register's end and nobody's word: a subclass works out its own."""

    def __init_subclass__(cls) -> None:
        """Check the declaration."""
        stated = next(vars(base) for base in cls.__mro__ if "size" in vars(base))
        size: int = 0 if stated.get("_worked_out") else stated["size"]
        _check(cls, size)
        if not size:
            cls._worked_out = True
            last = max((reg.offset + reg.width // 8 for reg in cls.registers), default=CELL)
            cls.size = 1 << (max(last, CELL) - 1).bit_length()

    def __init__(self) -> None:
        hooks = {prefix: self._hooks(prefix) for prefix in (_WRITTEN, _READ)}
        self.regs: Final = RegisterFile(self.registers, on_write=hooks[_WRITTEN], on_read=hooks[_READ])
        self._ports: dict[int, Port] = {}
        self._dreq_driven: set[int] = set()
        """DMA channels whose DREQ# a port drives."""
        self._ended = False

    # -- for the subclass --------------------------------------------------------------------------

    def port(
        self,
        offset: int,
        fifo: object = None,
        *,
        width: int = 0,
        take: Callable[[int], bytes] | None = None,
        put: Callable[[bytes | memoryview], object] | None = None,
        dreq: int | None = None,
        dreq_room: int | None = None,
    ) -> Port:
        """Put a FIFO, or a `take` and a `put` of one's own, behind the four bytes at `offset`.

        A register of 32 bits that is declared there only describes it. `width` is for what is no FIFO with one.
        `dreq`: the DMA channel whose DREQ# is driven while words are there; `dreq_room`: while there is room. A word is
        an access of the bus, whatever the width of either.
        """
        own: int = getattr(fifo, "width", 0)
        bytes_of = width or own
        if own and own != bytes_of:
            raise TypeError(f"the port at {offset:#x} has words of {width} bytes, and its FIFO has {own}")
        gives: Callable[[int], bytes] = getattr(fifo, "take", _nothing) if take is None else take
        takes: Callable[[bytes | memoryview], object] = getattr(fifo, "put", _dropped) if put is None else put
        port = Port(offset, bytes_of, gives, takes)
        taken = {reg.offset & ~3 for reg in self.registers if reg.offset != offset or reg.width < 8 * CELL}
        if offset % CELL or not 0 <= offset <= self.size - CELL or not 1 <= bytes_of <= CELL:
            raise TypeError(f"a port of {bytes_of}-byte words at {offset:#x} has no place in {self.size:#x} bytes")
        if offset in taken or offset in self._ports:
            raise TypeError(f"the port at {offset:#x} stands where a register or another port is")
        self._ports[offset] = port
        for channel, what in ((dreq, "level"), (dreq_room, "room")):
            if channel is not None:
                self._drive_dreq(channel, offset, fifo, what)
        return port

    def get(self, register: type[R]) -> R:
        """Give what a register holds, with its fields by name."""
        return register(self.regs[register])

    def happened(self, bits: int) -> None:
        """Set bits of the first register of `interrupts`, and drive LINTi# by it."""
        assert self.interrupts is not None, "interrupts names the registers"
        self.regs.set_bits(self.interrupts[0], bits, to=True)
        self._drive()

    def end(self, channel: int) -> None:
        """Assert EOT# of a DMA channel with the word that moves now, the last one.

        Called from a port's `take`, that gives the words up to it; from a `put`, that tells how many it did not take.
        """
        self._ended = True
        self.pins.assert_eot(channel)

    # -- as the chip sees it -----------------------------------------------------------------------

    def read(self, offset: int, length: int) -> bytes:
        """Read registers, and one word of a port for each access of four bytes that touches it."""
        pieces = []
        for at, size, port in self._parts(offset, length):
            if port is None:
                pieces.append(self.regs.read(at, size).to_bytes(size, "little"))
            else:
                lane = (at - port.offset) % port.width
                pieces.append(port.words(1)[lane : lane + size].ljust(size, b"\0"))
        self._drive()  # a read may take back what happened
        return b"".join(pieces)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write registers, and one word to a port for each access of four bytes that touches it."""
        for at, size, port in self._parts(offset, len(data)):
            part = data[at - offset : at - offset + size]
            if port is None:
                self.regs.write(at, size, int.from_bytes(part, "little"))
            else:
                lane = (at - port.offset) % port.width
                port.put((bytes(lane) + part)[: port.width].ljust(port.width, b"\0"))
        self._drive()

    def read_words(self, offset: int, width: int, count: int) -> bytes:
        """Read one place many times: of a port, whole words at once."""
        self._ended = False
        port = self._ports.get(offset)
        if port is not None and port.width == width:
            data = port.take(count)
            self._drive()
            return data if self._ended else data.ljust(count * width, b"\0")
        pieces = []
        for _ in range(count):
            pieces.append(self.read(offset, width))
            if self._ended:
                break
        return b"".join(pieces)

    def write_words(self, offset: int, width: int, data: memoryview) -> int:
        """Write one place many times: of a port, whole words at once."""
        self._ended = False
        port = self._ports.get(offset)
        if port is not None and port.width == width:
            left = port.put(data)
            self._drive()
            return len(data) - left * width if self._ended and isinstance(left, int) else len(data)
        for at in range(0, len(data), width):
            self.write(offset, data[at : at + width])
            if self._ended:
                return at + width
        return len(data)

    # ----------------------------------------------------------------------------------------------

    def _drive_dreq(self, channel: int, offset: int, fifo: object, what: str) -> None:
        """Drive DREQ# of a channel by a FIFO's level or room."""
        if not hasattr(fifo, what):
            raise TypeError(f"the port at {offset:#x} has no FIFO whose {what} could drive DREQ#")
        if channel in self._dreq_driven:
            raise TypeError(f"the port at {offset:#x} cannot drive DREQ# of channel {channel}: a port does already")
        self.pins.demand(channel, lambda: int(getattr(fifo, what)), words=True)
        self._dreq_driven.add(channel)

    def _hooks(self, prefix: str) -> Mapping[type[Register], Any]:
        return {reg: hook for reg in self.registers if (hook := getattr(self, prefix + reg.__name__.lower(), None))}

    def _parts(self, offset: int, length: int) -> Iterator[tuple[int, int, Port | None]]:
        """What an access comes to, lowest address first: (offset, bytes, the port there or None for registers)."""
        at, end, start = offset, offset + length, offset
        while at < end:
            following = (at & ~3) + CELL
            port = self._ports.get(at & ~3)
            if at > start and (port is not None or at - start >= _RUN):
                yield start, at - start, None
                start = at
            if port is not None:
                yield at, min(following, end) - at, port
                start = following
            at = following
        if start < end:
            yield start, end - start, None

    def _drive(self) -> None:
        if self.interrupts is None:
            return
        what, enabled = self.interrupts
        self.linti(bool(self.regs[what] & self.regs[enabled]))


def _nothing(_count: int) -> bytes:
    return b""


def _dropped(_data: object) -> None:
    return None


def _check(block: type[Block], size: int) -> None:
    """Refuse a wrong block; `size` 0 is to be worked out. Raises: TypeError that names the class and what is there."""
    registers: object = block.registers
    if not isinstance(registers, tuple) or not all(is_declared(reg) for reg in registers):
        raise TypeError(f"{block.__name__}: registers={registers!r} is no tuple of registers with an offset")
    names = {reg.__name__.lower(): reg for reg in block.registers}
    for name in dir(block):
        prefix = next((it for it in (_WRITTEN, _READ) if name.startswith(it)), None)
        if prefix is None:
            continue
        if name.removeprefix(prefix) not in names:
            raise TypeError(
                f"{block.__name__}.{name}: it has no such register; there are {', '.join(sorted(names)) or 'none'}"
            )
        try:
            inspect.signature(getattr(block, name)).bind("self", "given")
        except TypeError:
            raise TypeError(
                f"{block.__name__}.{name} takes self and {'the Write' if prefix == _WRITTEN else 'the stored value'}"
            ) from None
    _check_interrupts(block)
    RegisterFile(block.registers)  # which says what is wrong with them together
    last = max((reg.offset + reg.width // 8 for reg in block.registers), default=0)
    if size and size < last:
        raise TypeError(f"{block.__name__}: size {size:#x} ends before its last register, {last:#x}")


def _check_interrupts(block: type[Block]) -> None:
    pair: object = block.interrupts
    if pair is None:
        return
    if not isinstance(pair, tuple) or len(pair) != _PAIR:
        raise TypeError(f"{block.__name__}: interrupts={pair!r} is no two registers: what happened, what interrupts")
    if any(reg not in block.registers for reg in pair):
        raise TypeError(f"{block.__name__}: interrupts={pair!r} names what is none of its registers")
