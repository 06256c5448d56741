# SPDX-License-Identifier: Apache-2.0
"""Adapter channels and map registers: who owns them, who waits, and what AdapterControl's answer frees.

Source: reference hal-contract 4.5, CB-42, CB-44.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nthal.events import ChannelFreed, ChannelGranted
from nthal.operations.adapter import usable
from nthal.platforms import Translation
from nthal.records.adapter import ChannelState, MapRegisterFile, Waiter
from nthal.runs import Run
from nthal.verifier import Misuse
from nthal.windows import AllocationAction, Irql, NtStatus

if TYPE_CHECKING:
    from nthal.machine import Machine
    from nthal.records.adapter import Adapter, AdapterControl, DeviceObject


def state_of(machine: Machine, adapter: Adapter) -> ChannelState:
    """Channel of an adapter, made at first use."""
    if adapter.channel_state is None:
        if adapter.description.master:
            adapter.channel_state = ChannelState()
        else:
            adapter.channel_state = machine.system_channels[adapter.description.dma_channel]
    return adapter.channel_state


def wake(machine: Machine, state: ChannelState) -> None:
    """Run waiting callbacks while the channel is free and their registers are there; FIFO."""
    while state.owner is None and state.queue and not state.in_callback:
        waiter = state.queue[0]
        if not _registers_there(machine, waiter.adapter, waiter.count):
            return
        state.queue.popleft()
        _run(machine, state, waiter)


def _run(machine: Machine, state: ChannelState, waiter: Waiter) -> None:
    adapter, processor = waiter.adapter, machine.processor
    file = grant_registers(machine, adapter, waiter.count)
    file.hidden = not adapter.needs_registers and machine.platform.switches.reactos_grant
    state.owner, state.owner_device = file, waiter.device
    adapter.books.channels.allocated += 1
    processor.emit(ChannelGranted(processor.clock, adapter.number, waiter.count))
    state.in_callback = True
    try:
        with processor.at_irql(Irql.DISPATCH_LEVEL):
            shown = None if file.hidden and not waiter.sees_hidden else file
            answer = waiter.routine(waiter.device, waiter.device.current_irp, shown, waiter.context)
    finally:
        state.in_callback = False
    if answer is AllocationAction.KEEP_OBJECT:
        return
    _release(machine, state, adapter)
    if answer is AllocationAction.DEALLOCATE_OBJECT:
        give_registers(machine, file, file.count - file.freed)


def _release(machine: Machine, state: ChannelState, adapter: Adapter) -> None:
    """Free the channel object alone."""
    state.owner = state.owner_device = None
    adapter.books.channels.freed += 1
    machine.processor.emit(ChannelFreed(machine.processor.clock, adapter.number))


def _registers_there(machine: Machine, adapter: Adapter, count: int) -> bool:
    """True if `count` more registers fit the adapter's share and the platform's pool (CB-42)."""
    if not adapter.needs_registers:
        return True
    if adapter.held_registers + count > adapter.granted:
        return False
    hardware = machine.platform.translation is Translation.MAPREG
    return not hardware or machine.registers.find(count) is not None


def grant_registers(machine: Machine, adapter: Adapter, count: int) -> MapRegisterFile:
    """Take `count` map registers; the caller made sure that they are there."""
    file = MapRegisterFile(adapter, count)
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


def give_registers(machine: Machine, file: MapRegisterFile, count: int) -> None:
    """Take `count` registers of a file back."""
    adapter = file.adapter
    file.freed += count
    adapter.books.registers.freed += count
    if adapter.needs_registers:
        adapter.held_registers -= count
    if file.freed >= file.count:
        adapter.files.remove(file)
        if file.hardware is not None:
            machine.registers.give(file.hardware.start, file.hardware.count)
            file.hardware = None
    for other in machine.adapters:
        if other.channel_state is not None:
            wake(machine, other.channel_state)


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
    if not machine.processor.irql_is(Irql.DISPATCH_LEVEL, "AllocateAdapterChannel"):
        return NtStatus.INVALID_PARAMETER
    state = state_of(machine, adapter)
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
    wake(machine, state)
    return NtStatus.SUCCESS


def request(machine, adapter, device, count, routine, *, transfer_context=None, synchronous=False):
    """Stand-in."""
    state = state_of(machine, adapter)
    waiter = Waiter(adapter, device, count, routine, None, sees_hidden=True, transfer_context=transfer_context)
    state.queue.append(waiter)
    wake(machine, state)
    if synchronous and waiter in state.queue:
        state.queue.remove(waiter)
        return NtStatus.INSUFFICIENT_RESOURCES
    return NtStatus.SUCCESS


def enqueue(machine: Machine, adapter: Adapter, device: DeviceObject, count: int, routine: AdapterControl) -> None:
    """Ask for channel and registers in the name of the HAL itself, whose requests may be many for one device."""
    state = state_of(machine, adapter)
    state.queue.append(Waiter(adapter, device, count, routine, None, sees_hidden=True))
    wake(machine, state)


def free_channel(machine: Machine, adapter: Adapter | None) -> None:
    """FreeAdapterChannel: give back what KeepObject kept, then run who waits."""
    if not usable(machine, adapter, "FreeAdapterChannel") or adapter is None:
        return
    if not machine.processor.irql_is(Irql.DISPATCH_LEVEL, "FreeAdapterChannel"):
        return
    state = state_of(machine, adapter)
    file = state.owner
    if file is None or file.adapter is not adapter:
        machine.verifier.violate(Misuse.CHANNEL_FREED_TWICE, f"FreeAdapterChannel({adapter!r})", 1)
        return
    if file.mappings:
        machine.verifier.violate(Misuse.FREED_WHILE_MAPPED, f"{len(file.mappings)} mappings", len(file.mappings))
        return
    _release(machine, state, adapter)
    give_registers(machine, file, file.count - file.freed)
    wake(machine, state)


def free_registers(machine: Machine, adapter: Adapter | None, file: MapRegisterFile | None, count: int) -> None:
    """FreeMapRegisters: give back what DeallocateObjectKeepRegisters kept, all of it at once."""
    if not usable(machine, adapter, "FreeMapRegisters") or adapter is None:
        return
    if not machine.processor.irql_is(Irql.DISPATCH_LEVEL, "FreeMapRegisters") or file is None:
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
    give_registers(machine, file, count)
