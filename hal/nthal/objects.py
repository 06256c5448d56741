# SPDX-License-Identifier: Apache-2.0
"""KMDF's objects: parents and children, devices, requests; and how the framework refuses a call.

Source: reference hal-contract 2.10 and 5.2, which follow the published framework source.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from nthal.arguments import size_t
from nthal.events import NullReason
from nthal.machine import DeviceObject
from nthal.platforms import Arch
from nthal.types import Out
from nthal.verifier import BugCheck, Misuse
from nthal.windows import Irql, NtStatus

if TYPE_CHECKING:
    from nthal.machine import Machine
    from nthal.records.mdl import Mdl

_MASK_CLIENT: Final = (1, 11)
"""First client version with the newer rules: alignments are masks, an enabler's parent counts, a longer config."""

H = TypeVar("H", bound="WdfObject")
T = TypeVar("T")


class Direction(enum.IntEnum):
    """WDF_DMA_DIRECTION: from the driver's point of view."""

    READ_FROM_DEVICE = 0
    WRITE_TO_DEVICE = 1


@dataclass(slots=True)
class ObjectAttributes:
    """WDF_OBJECT_ATTRIBUTES, as far as DMA objects look at it."""

    parent_object: WdfObject | None = None


class WdfObject:
    """A framework object. Deleting it deletes its children first; a handle to a deleted object is a bug check."""

    def __init__(self, parent: WdfObject | None) -> None:
        self.parent = parent
        self._children: dict[WdfObject, None] = {}
        self.alive = True
        if parent is not None:
            parent.adopt(self)

    @property
    def children(self) -> list[WdfObject]:
        """Objects that go with this one, oldest first."""
        return list(self._children)

    def adopt(self, child: WdfObject) -> None:
        """Take a new object for a child."""
        # A dictionary in the order of creation: one of many children goes as fast as one of few.
        self._children[child] = None

    def forget(self, child: WdfObject) -> None:
        """Let go of a child that was deleted."""
        del self._children[child]

    def delete(self) -> None:
        """WdfObjectDelete: children last to first, then the object itself."""
        self.check()
        for child in reversed(self.children):
            if child.alive:  # a cleanup of another may have deleted it
                child.delete()
        self.alive = False
        if self.parent is not None:
            self.parent.forget(self)
        self.dispose()

    def dispose(self) -> None:
        """Give back what the object holds."""

    def check(self) -> None:
        """Bug-check on a dead handle (CB-119). Raises: BugCheck."""
        if not self.alive:
            raise BugCheck(f"{type(self).__name__} handle is invalid: the object was deleted")


def live(handle: object, kind: type[H]) -> H:
    """Give the object behind a handle. Raises: BugCheck if it is NULL, of another kind, or deleted (CB-119)."""
    if not isinstance(handle, kind):
        shown = "NULL" if handle is None else f"an object {type(handle).__name__}"
        raise BugCheck(f"{shown} is no {kind.__name__} handle")
    handle.check()
    return handle


def given(out: Out[T] | None, name: str) -> Out[T]:
    """Give an out parameter that may not be NULL. Raises: BugCheck, before anything is taken."""
    if not isinstance(out, Out):
        raise BugCheck(f"{name} is {out!r}, and the framework writes through it: pass an Out()")
    return out


class Device(WdfObject):
    """WDFDEVICE: the FDO's alignment mask, the client's framework version, and the framework's own verifier.

    `fdo_alignment` is a mask. `pointer_bits` bounds size_t. `pdo` is the bus driver's device object, where one exists.
    `packet_owner` is the packet transaction of DMA version 2 that is under way: there is one at a time for a device.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        client: tuple[int, int] = (1, 33),
        fx_verifier_on: bool = False,
        driver: str = "driver",
        pdo: DeviceObject | None = None,
    ) -> None:
        super().__init__(None)
        self.machine = machine
        self.client = client
        self.fx_verifier_on = fx_verifier_on
        self.pdo = DeviceObject(driver) if pdo is None else pdo
        self.fdo_alignment = 0
        self.pointer_bits = 32 if machine.platform.arch in (Arch.X86, Arch.ARM) else 64
        self.packet_owner: WdfObject | None = None

    def masks(self) -> bool:
        """True for clients that get the newer rules."""
        return self.client >= _MASK_CLIENT

    def irql_allows(self, most: Irql, routine: str) -> bool:
        """True if a routine may go on at this IRQL; only the framework's verifier looks (CB-12)."""
        if not self.fx_verifier_on or self.machine.processor.irql <= most:
            return True
        self.machine.processor.fail(NullReason.BAD_CALL, f"{routine} wants at most {most.name}")
        return False

    def set_alignment_requirement(self, mask: int) -> None:
        """WdfDeviceSetAlignmentRequirement: stored as it is (CB-101)."""
        self.check()
        self.machine.processor.irql_at_most(Irql.DISPATCH_LEVEL, "WdfDeviceSetAlignmentRequirement")
        look_at_mask(self.machine, mask)
        self.fdo_alignment = mask

    def refuse(self, status: NtStatus, detail: str, reason: NullReason = NullReason.BAD_CALL) -> NtStatus:
        """Give `status` to the driver, and the reason to who asks for `last_failure`."""
        self.machine.processor.fail(reason, detail)
        return status

    def ignores(self, call: str, why: str) -> None:
        """Tell of a call that the framework passes over; its verifier would stop in a debugger."""
        self.machine.verifier.note(Misuse.IGNORED_CALL, f"{call}: {why}")

    def fatal(self, words: str) -> None:
        """Stop where the framework's verifier does. Raises: BugCheck with it; without it that is a finding."""
        if self.fx_verifier_on:
            raise BugCheck(words)
        self.machine.verifier.note(Misuse.FRAMEWORK_STATE, words)


def look_at_mask(machine: Machine, mask: int) -> None:
    """Tell of an alignment that is no mask; it is used all the same (CB-101, CB-112)."""
    if size_t(mask, "AlignmentRequirement") & (mask + 1):
        machine.verifier.note(Misuse.NOT_A_MASK, f"AlignmentRequirement {mask:#x}, {mask - 1:#x} was meant perhaps")


class Major(enum.IntEnum):
    """IRP_MJ_: what a request asks for."""

    READ = 0x03
    WRITE = 0x04
    DEVICE_CONTROL = 0x0E
    INTERNAL_DEVICE_CONTROL = 0x0F


class Method(enum.IntEnum):
    """METHOD_: how a device control passes its buffers; the low two bits of its code."""

    BUFFERED = 0
    IN_DIRECT = 1
    OUT_DIRECT = 2
    NEITHER = 3


class Request(WdfObject):
    """WDFREQUEST, as far as a DMA transaction looks at it: what it asks for, its buffer's MDL, its lengths in bytes.

    `length` is of a read or a write. A device control has `control_code`, `length` for its input and `output_length`;
    `mdl` describes its output buffer, or with METHOD_BUFFERED the one buffer of both.
    """

    def __init__(
        self,
        device: Device,
        major: Major,
        mdl: Mdl | None,
        length: int,
        *,
        output_length: int = 0,
        control_code: int = 0,
    ) -> None:
        super().__init__(device)
        self.major = major
        self.mdl = mdl
        self.length = length
        self.output_length = output_length
        self.control_code = control_code

    def buffer_for(self, direction: Direction) -> tuple[Mdl, int] | str:
        """MDL and length that a transaction in `direction` moves; words if the request has none for it."""
        writes = direction is Direction.WRITE_TO_DEVICE
        length, fits = self.length, writes
        if self.major is Major.READ:
            fits = not writes
        elif self.major is not Major.WRITE:
            method = Method(self.control_code & 3)
            if method is Method.NEITHER:
                return "a device control with METHOD_NEITHER has no MDL"
            fits = method is Method.BUFFERED or writes == (method is Method.IN_DIRECT)
            length = self.length if method is Method.BUFFERED and writes else self.output_length
        if not fits:
            return f"a request of kind {self.major.name} moves nothing in direction {direction.name}"
        if self.mdl is None:
            return "the request has no MDL"
        return (self.mdl, length) if length else "the request asks for zero bytes"
