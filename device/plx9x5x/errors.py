# SPDX-License-Identifier: Apache-2.0
"""Every error has an owner, and the class says who.

::

    PlxError
    |-- SetupError       the host lacks something; `hint` says how to get it      exit 69
    |-- BadRequest       the caller asked for something that does not exist        exit 2
    |   `-- UsageError   options that do not go together (plx9x5x.cli.usage)
    |-- LostVm           QEMU, the server or the guest is gone                     exit 75
    |-- ParityError      a bus-master access moved all its bytes, some of them bad; never leaves the model
    `-- BusAbort         the guest gave an address that nobody answers; becomes
                         status bits and an event, never leaves the model
        |-- MasterAbort  nothing decodes the address
        `-- TargetAbort  something decodes it and refuses

Anything else is our bug: traceback, exit 70.
"""

import enum
from collections.abc import Callable, Sequence
from typing import Final

from plx9x5x.units import BusAddr

RAISED: Final = (Exception, SystemExit)
"""What may leave somebody's code, a board's or a device's of one's own, and is their mistake: a server ends when its
user says so, and not by `sys.exit`."""


def printable(text: str) -> str:
    """Give it with what a terminal would act on, or cannot show, as escapes: a guest's bytes may be in it."""
    if text.isprintable():
        return text
    return "".join(it if it.isprintable() else it.encode("unicode_escape").decode("ascii") for it in text)


def said(exc: BaseException, shown: Callable[[str], str] = printable) -> str:
    """'TYPE: TEXT' of what somebody's code raised, its text as `shown` gives it; only the type where it has none."""
    try:
        text = shown(str(exc))
    except RAISED:  # its `__str__` is theirs as well
        text = ""
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


class PlxError(Exception):
    """Root of every error that this project raises on purpose."""


class SetupError(PlxError):
    """The host lacks something. `hint` is one line that says how to get it."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class BadRequest(PlxError):
    """The caller asked for something that does not exist or cannot be; the message names what does.

    Whoever refuses has a class of its own for it.
    """


class LostVm(PlxError):
    """The virtual machine went away before it could report: this is not a failed test."""


class ParityError(PlxError):
    """A bus-master access moved all its bytes, and at least one came with wrong parity."""


class AbortCause(enum.Enum):
    """Why nobody answers at a bus address."""

    NOTHING_MAPPED = "nothing is mapped there"
    UNMAPPED = "it was mapped, and is not any more"
    READ_ONLY = "it is read-only"
    NO_MEMORY = "it is mapped without memory"
    WRITE_ONLY = "it may be written and not read"
    NO_ANSWER = "its memory does not answer"
    TURNED_AWAY = "it was offered, and there was no room"
    NOT_GIVEN = "the driver has not given it to the device"
    """Whoever watches the driver knows what is wrong, and tells of it."""


class BusAbort(PlxError):
    """A bus-master access failed at `address` after `moved` bytes had been transferred.

    `nearest` holds (start, length) of the mapped ranges around the address, for the person who reads the event.
    """

    cause: AbortCause = AbortCause.NOTHING_MAPPED
    injected: str = ""
    """The planned fault that made it (plx9x5x.faults); empty if the address did."""

    def __init__(self, address: BusAddr, *, moved: int, nearest: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__(f"{type(self).__name__} at bus address {address:#x}")
        self.address = address
        self.moved = moved
        self.nearest = tuple(nearest)


class MasterAbort(BusAbort):
    """No target decodes the address."""

    def __str__(self) -> str:
        return f"nothing is mapped at bus address {self.address:#x}"


class TargetAbort(BusAbort):
    """A target decodes the address and refuses the access, as a write to read-only memory."""

    cause = AbortCause.READ_ONLY

    def __str__(self) -> str:
        return f"bus address {self.address:#x} is read-only"
