# SPDX-License-Identifier: Apache-2.0
"""Adapter channels and map registers: who owns them, who waits, and what AdapterControl's answer frees.

Source: reference hal-contract 4.5, CB-42, CB-44.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nthal.adapter import usable
from nthal.events import ChannelFreed, ChannelGranted
from nthal.platforms import Translation
from nthal.runs import Run
from nthal.verifier import Misuse
from nthal.windows import AllocationAction, Irql, NtStatus

if TYPE_CHECKING:
    from nthal.adapter import Adapter
    from nthal.machine import DeviceObject, Machine
    from nthal.mdl import Mdl
    from nthal.memory import FrameList


@dataclass(eq=False, slots=True)
class Mapping:
    """One MapTransfer that was not flushed yet. `bounce` is where its bytes really stand, if not in the MDL's pages."""

    mdl: Mdl
    va: int
    length: int
    to_device: bool
    bounce: FrameList | None
    bounce_offset: int
    first_register: int
    registers: int


@dataclass(eq=False, slots=True)
class MapRegisterFile:
    """The map registers of one channel allocation; the object is the opaque MapRegisterBase."""

    adapter: Adapter
    count: int
    hardware: Run | None = None
    used: int = 0
    mappings: list[Mapping] = field(default_factory=list)
    ever_mapped: bool = False
    freed: int = 0
    map_calls: int = 0
    hidden: bool = False


AdapterControl = Callable[["DeviceObject", object, "MapRegisterFile | None", object], AllocationAction]
"""PDRIVER_CONTROL: (DeviceObject, Irp, MapRegisterBase, Context)."""


@dataclass(eq=False, slots=True)
class Waiter:
    """A queued request for the channel. The HAL's own ones see the file that a driver is shown as NULL."""

    adapter: Adapter
    device: DeviceObject
    count: int
    routine: AdapterControl
    context: object
    sees_hidden: bool = False


class ChannelState:
    """One channel: of a bus master by itself, of a system DMA channel shared by every adapter that names it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.owner: MapRegisterFile | None = None
        self.owner_device: DeviceObject | None = None
        self.queue: deque[Waiter] = deque()
        self.in_callback = False

    def wake(self) -> None:
        """Run waiting callbacks while the channel is free and their registers are there; FIFO."""
        while self.owner is None and self.queue and not self.in_callback:
            waiter = self.queue[0]
            if not _registers_there(waiter.adapter, waiter.count):
                return
            self.queue.popleft()
            self._run(waiter)

    def _run(self, waiter: Waiter) -> None:
        adapter, machine = waiter.adapter, self.machine
        file = grant_registers(adapter, waiter.count)
        file.hidden = not adapter.needs_registers and machine.platform.switches.reactos_grant
        self.owner, self.owner_device = file, waiter.device
        adapter.books.channels.allocated += 1
        machine.emit(ChannelGranted(machine.clock, adapter.number, waiter.count))
        self.in_callback = True
        try:
            with machine.at_irql(Irql.DISPATCH_LEVEL):
                shown = None if file.hidden and not waiter.sees_hidden else file
                answer = waiter.routine(waiter.device, waiter.device.current_irp, shown, waiter.context)
        finally:
            self.in_callback = False
        if answer is AllocationAction.KEEP_OBJECT:
            return
        self.release(adapter)
        if answer is AllocationAction.DEALLOCATE_OBJECT:
            give_registers(file, file.count - file.freed)

    def release(self, adapter: Adapter) -> None:
        """Free the channel object alone."""
        self.owner = self.owner_device = None
        adapter.books.channels.freed += 1
        self.machine.emit(ChannelFreed(self.machine.clock, adapter.number))


def state_of(adapter: Adapter) -> ChannelState:
    """Channel of an adapter, made at first use."""
    if adapter.channel_state is None:
        if adapter.description.master:
            adapter.channel_state = ChannelState(adapter.machine)
        else:
            adapter.channel_state = adapter.machine.dma.channel_state(adapter.description.dma_channel)
    return adapter.channel_state


def _registers_there(adapter: Adapter, count: int) -> bool:
    return not adapter.needs_registers or adapter.registers_free(count)


def grant_registers(adapter: Adapter, count: int) -> MapRegisterFile:
    """Take `count` map registers; the caller made sure that they are there."""
    file = MapRegisterFile(adapter, count)
    machine = adapter.machine
    if adapter.needs_registers:
        adapter.held_registers += count
        if machine.platform.translation is Translation.MAPREG and count:
            start = machine.registers.find(count)
            if start is not None:
                machine.registers.take(start, count)
                file.hardware = Run(start, count)
    adapter.books.registers.allocated += count
    adapter.files.append(file)
    return file


def give_registers(file: MapRegisterFile, count: int) -> None:
    """Take `count` registers of a file back."""
    adapter = file.adapter
    file.freed += count
    adapter.books.registers.freed += count
    if adapter.needs_registers:
        adapter.held_registers -= count
    if file.freed >= file.count:
        adapter.files.remove(file)
        if file.hardware is not None:
            adapter.machine.registers.give(file.hardware.start, file.hardware.count)
            file.hardware = None
    for other in adapter.machine.adapters:
        if other.channel_state is not None:
            other.channel_state.wake()


def allocate(  # the shape of the real routine
    machine: Machine,
    adapter: Adapter | None,
    device: DeviceObject,
    count: int,
    routine: AdapterControl,
    context: object,
) -> NtStatus:
    """AllocateAdapterChannel: run `routine` once channel and registers are there, now or later."""
    if not usable(machine, adapter, "AllocateAdapterChannel") or adapter is None:
        return NtStatus.INVALID_PARAMETER
    if not machine.irql_is(Irql.DISPATCH_LEVEL, "AllocateAdapterChannel"):
        return NtStatus.INVALID_PARAMETER
    state = state_of(adapter)
    if state.in_callback:
        machine.verifier.violate(Misuse.NOT_IN_CALLBACK, f"AllocateAdapterChannel on {adapter!r}")
        return NtStatus.INVALID_PARAMETER
    bounded = adapter.needs_registers or not machine.platform.switches.reactos_grant
    if count > adapter.granted and bounded:
        detail = f"{count} registers, {adapter!r} has {adapter.granted}"
        if machine.verifier.on:
            machine.verifier.violate(Misuse.TOO_MANY_REGISTERS, detail, count, adapter.granted)
        return NtStatus.INSUFFICIENT_RESOURCES
    if state.owner is not None and (
        state.owner_device is device or (machine.verifier.on and state.owner.adapter is adapter)
    ):
        machine.verifier.violate(Misuse.SECOND_CHANNEL, f"{adapter!r} holds one", 1)
        return NtStatus.INVALID_PARAMETER
    state.queue.append(Waiter(adapter, device, count, routine, context))
    state.wake()
    return NtStatus.SUCCESS


def enqueue(adapter: Adapter, device: DeviceObject, count: int, routine: AdapterControl) -> None:
    """Ask for channel and registers in the name of the HAL itself, whose requests may be many for one device."""
    state = state_of(adapter)
    state.queue.append(Waiter(adapter, device, count, routine, None, sees_hidden=True))
    state.wake()


def free_channel(machine: Machine, adapter: Adapter | None) -> None:
    """FreeAdapterChannel: give back what KeepObject kept, then run who waits."""
    if not usable(machine, adapter, "FreeAdapterChannel") or adapter is None:
        return
    if not machine.irql_is(Irql.DISPATCH_LEVEL, "FreeAdapterChannel"):
        return
    state = state_of(adapter)
    file = state.owner
    if file is None or file.adapter is not adapter:
        machine.verifier.violate(Misuse.CHANNEL_FREED_TWICE, f"FreeAdapterChannel({adapter!r})", 1)
        return
    if file.mappings:
        machine.verifier.violate(Misuse.FREED_WHILE_MAPPED, f"{len(file.mappings)} mappings", len(file.mappings))
        return
    state.release(adapter)
    give_registers(file, file.count - file.freed)
    state.wake()


def free_registers(machine: Machine, adapter: Adapter | None, file: MapRegisterFile | None, count: int) -> None:
    """FreeMapRegisters: give back what DeallocateObjectKeepRegisters kept, all of it at once."""
    if not usable(machine, adapter, "FreeMapRegisters") or adapter is None:
        return
    if not machine.irql_is(Irql.DISPATCH_LEVEL, "FreeMapRegisters") or file is None:
        return
    left = file.count - file.freed
    if count > left:
        machine.verifier.violate(Misuse.REGISTERS_OVERFREED, f"{count} freed, {left} are out", count - left)
        return
    if file.mappings:
        machine.verifier.violate(Misuse.FREED_WHILE_MAPPED, f"{len(file.mappings)} mappings", len(file.mappings))
        return
    if count < left and not machine.verifier.on:
        machine.verifier.violate(Misuse.ONE_COUNT, f"{count} freed of {left}")
        return
    give_registers(file, count)
