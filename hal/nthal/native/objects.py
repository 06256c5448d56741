# SPDX-License-Identifier: Apache-2.0
"""What Windows keeps for a driver in C and the model has no object for: data, without behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nthal.framework import Device, WdfObject
from nthal.windows import Irql

if TYPE_CHECKING:
    from nthal.native.cdata import CData
    from nthal.native.host import InterruptLine
    from nthal.records.backing import Backing
    from nthal.records.mdl import Mdl


@dataclass(frozen=True, slots=True)
class IoWindow:
    """Registers that a driver mapped: `offset` into BAR 0, and where it did so."""

    backing: Backing
    offset: int
    length: int
    place: str


class FxDriver(WdfObject):
    """WDFDRIVER: the addresses of its callbacks."""

    def __init__(self, add: int, unload: int) -> None:
        super().__init__(None)
        self.add = add
        self.unload = unload


@dataclass(eq=False)
class DeviceInit:
    """WDFDEVICE_INIT: what the driver says of its device before it is made."""

    callbacks: dict[str, int] = field(default_factory=dict)


@dataclass(eq=False)
class Resources:
    """WDFCMRESLIST: register window and interrupt."""

    descriptors: list[CData]


class FxInterrupt(WdfObject):
    """WDFINTERRUPT: the addresses of its callbacks by name; `line` is there while it is connected."""

    def __init__(self, device: Device, callbacks: dict[str, int]) -> None:
        super().__init__(device)
        self.device = device
        self.callbacks = callbacks
        self.line: InterruptLine | None = None
        self.level_before = Irql.PASSIVE_LEVEL


class FxSpinLock(WdfObject):
    """WDFSPINLOCK: `level_before` is the IRQL to go back to while it is held."""

    def __init__(self, parent: WdfObject) -> None:
        super().__init__(parent)
        self.level_before: int | None = None


class FxQueue(WdfObject):
    """WDFQUEUE: the addresses of its callbacks by name."""

    def __init__(self, device: Device, callbacks: dict[str, int], *, zero_length: bool) -> None:
        super().__init__(device)
        self.device = device
        self.callbacks = callbacks
        self.zero_length = zero_length


class FxRequest(WdfObject):
    """WDFREQUEST: one read, write or device control of a program. `status` is None while it is the driver's.

    Lengths in bytes; a control's input and output share its memory, as for METHOD_BUFFERED.
    """

    def __init__(self, queue: FxQueue, kind: int, mdl: Mdl, *, input_length: int, output_length: int) -> None:
        super().__init__(queue)
        self.queue = queue
        self.kind = kind
        self.mdl = mdl
        self.input_length = input_length
        self.output_length = output_length
        self.offset = 0
        self.code = 0
        self.status: int | None = None
        self.information = 0
