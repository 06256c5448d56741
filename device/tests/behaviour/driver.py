# SPDX-License-Identifier: Apache-2.0
"""What a driver does, whatever carries it: the behaviour suite is written once against `Driver`.

`tests.behaviour.in_process` runs it on the model in this process, `guest-tests/` runs the same functions from a Linux
guest under QEMU. Register facts in here and in the cases come from the reference, not from the tables under test.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

FAMILY: Final = ("9080", "9054", "9056", "9656", "8311")
SINCE_9054: Final = FAMILY[1:]
SINCE_9056: Final = FAMILY[2:]

BOARD_OF: Final = {
    "9080": "9080-401b",
    "9054": "rdk-9054-lite",
    "9056": "rdk-9056-lite",
    "9656": "rdk-9656-lite",
    "8311": "pex-8311-rdk",
}
"""The board that each chip of the family is tried on."""

MEMORY_AT: Final = {"9054": 0x2000_0000}
"""Local address of the board's first memory, which BAR2 shows whole; 0 where not named."""

REGISTERS: Final = 0
"""BAR0, memory: the register window."""
PORTS: Final = 1
"""BAR1, I/O: the first 256 bytes of the same registers."""
SPACE0: Final = 2
"""BAR2: local address space 0."""
SPACE1: Final = 3
"""BAR3: local address space 1."""


class CommonBuffer(Protocol):
    """Memory that the driver and the device share: page aligned, every byte 0xA5 at first."""

    @property
    def bus(self) -> int:
        """The logical address: what the device is given. Below 4 GiB."""
        ...

    @property
    def length(self) -> int:
        """Bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Read as the CPU does."""
        ...

    def write(self, offset: int, data: bytes) -> None:
        """Write as the CPU does."""
        ...


class LocalSide(Protocol):
    """What only the board, or its processor, can do to the chip; a guest cannot reach it."""

    def read_memory(self, address: int, length: int) -> bytes:
        """Read local memory behind the chip's back."""
        ...

    def write_memory(self, address: int, data: bytes) -> None:
        """Write local memory behind the chip's back."""
        ...

    def read_register(self, offset: int) -> int:
        """Read a dword register from the local bus; offsets as in BAR0."""
        ...

    def write_register(self, offset: int, value: int) -> None:
        """Write a dword register from the local bus; offsets as in BAR0."""
        ...

    def drive_linti(self, level: bool) -> None:
        """Drive LINTi#."""
        ...

    def drive_useri(self, level: bool) -> None:
        """Drive USERi."""
        ...

    def linto(self) -> bool:
        """True if LINTo# is asserted now."""
        ...

    def lserr(self) -> bool:
        """True if LSERR# is asserted now."""
        ...

    def usero(self) -> bool:
        """Level of USERo."""
        ...

    def demand(self, channel: int, ready: Callable[[], int] | None) -> None:
        """Drive DREQ# of a channel: how many bytes may move now."""
        ...

    def assert_eot(self, channel: int) -> None:
        """Assert EOT# of a channel."""
        ...

    def finish_self_test(self, code: int, *, supported: bool = True) -> None:
        """End the built-in self test with a result."""
        ...

    def wake_host(self) -> None:
        """Raise a power management event."""
        ...

    def parity_error(self) -> None:
        """A parity error on the local bus."""
        ...

    def bad_parity(self, bus: int, length: int) -> None:
        """From now on, data that the chip reads from these bus addresses comes with wrong parity."""
        ...


class Driver(Protocol):
    """The driver's view of one freshly reset chip. Widths in bytes; values are little-endian integers."""

    @property
    def chip(self) -> str:
        """Which of `FAMILY` is under test."""
        ...

    @property
    def memory_at(self) -> int:
        """Local address of the board's first memory (at least 128 KiB), which BAR2 shows whole."""
        ...

    def read(self, offset: int, width: int = 4, *, bar: int = REGISTERS) -> int:
        """Read a BAR."""
        ...

    def write(self, offset: int, value: int, width: int = 4, *, bar: int = REGISTERS) -> None:
        """Write a BAR."""
        ...

    def config_read(self, offset: int, width: int = 4) -> int:
        """Read configuration space. Under QEMU most of it is answered by QEMU, not by the chip."""
        ...

    def config_write(self, offset: int, value: int, width: int = 4) -> None:
        """Write configuration space."""
        ...

    def buffer(self, length: int) -> CommonBuffer:
        """Allocate a common buffer; it lives as long as the case."""
        ...

    def settle(self) -> None:
        """Let the chip go on until it is idle, waits for software, or is held. Makes no register access."""
        ...

    def inta(self) -> bool:
        """True if INTA# is asserted now. Makes no register access."""
        ...

    @property
    def local(self) -> LocalSide:
        """The local side; only where `Case.guest` is False."""
        ...


CaseBody = Callable[[Driver], None]


@dataclass(frozen=True)
class Case:
    """One rule about the chip. `name` states it."""

    name: str
    body: CaseBody
    chips: tuple[str, ...]
    proves: tuple[str, ...]
    """'REGISTER.field' of the table: each fails this case when it is stuck."""
    guest: bool
    """True if a guest can express it: BAR accesses, common buffers, INTA#."""
    generic: bool = False
    """True if it is about registers keeping what they are given, and not about what they do."""


CASES: Final[dict[str, Case]] = {}
"""Every case, by name."""


def behaviour(
    *proves: str, chips: tuple[str, ...] = FAMILY, guest: bool = True, generic: bool = False
) -> Callable[[CaseBody], CaseBody]:
    """Register a function as a case of the suite."""

    def note(body: CaseBody) -> CaseBody:
        _register(Case(body.__name__, body, chips, proves, guest, generic))
        return body

    return note


ChannelBody = Callable[[Driver, int], None]


def channel_behaviour(
    *proves: str, chips: tuple[str, ...] = FAMILY, guest: bool = True
) -> Callable[[ChannelBody], ChannelBody]:
    """Register a function that takes a channel as two cases; '#' in `proves` stands for the channel."""

    def note(body: ChannelBody) -> ChannelBody:
        for channel in (0, 1):
            named = tuple(field.replace("#", str(channel)) for field in proves)
            on_it = functools.partial(_on_channel, body, channel)
            _register(Case(f"{body.__name__}_channel_{channel}", on_it, chips, named, guest))
        return body

    return note


def _on_channel(body: ChannelBody, channel: int, driver: Driver) -> None:
    body(driver, channel)


def _register(case: Case) -> None:
    if case.name in CASES:
        raise ValueError(f"two cases are named {case.name}")
    CASES[case.name] = case
