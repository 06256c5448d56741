# SPDX-License-Identifier: Apache-2.0
"""Adapter channels and map registers: who owns them, who waits, and what AdapterControl's answer frees.

Source: reference hal-contract 4.5, CB-42, CB-44.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nthal.events import ChannelFreed, ChannelGranted
from nthal.operations.adapter import owned, usable
from nthal.platforms import Translation
from nthal.records.adapter import ChannelState, MapRegisterFile, Waiter
from nthal.records.waits import tell_endless
from nthal.runs import Run
from nthal.verifier import BugCheck, Misuse, driver_place
from nthal.windows import AllocationAction, Irql, NtStatus

if TYPE_CHECKING:
    from nthal.machine import Machine
    from nthal.records.adapter import Adapter, AdapterControl, DeviceObject, DmaTransferContext

_WATCHDOG: Final = 100_000
"""Callbacks in a row at DISPATCH_LEVEL, after which DPC_WATCHDOG_VIOLATION stops the machine."""


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
    if state.waking:
        return  # who wakes already goes on with the next
    state.waking, ran = True, 0
    try:
        while state.owner is None and state.queue and not state.in_callback:
            ran += 1
            if ran > _WATCHDOG:
                raise BugCheck(f"{ran} callbacks ran for one that ended: each asks again, and none ever waits", 0x133)
            waiter = state.queue[0]
            if not _registers_there(machine, waiter.adapter, waiter.count):
                return
            state.queue.popleft()
            _run(machine, state, waiter)
    finally:
        state.waking = False


def _run(machine: Machine, state: ChannelState, waiter: Waiter) -> None:
    adapter, processor = waiter.adapter, machine.processor
    file = grant_registers(machine, adapter, waiter.count)
    file.made_at, file.ticket = waiter.made_at, waiter.ticket
    if waiter.ticket is not None:
        waiter.ticket.file = file
    file.hidden = not adapter.needs_registers and machine.platform.switches.reactos_grant
    state.owner, state.owner_device = file, waiter.device
    adapter.books.channels.allocated += 1
    processor.emit(ChannelGranted(processor.clock, adapter.number, waiter.count))
    state.in_callback = True
    try:
        with processor.at_irql(Irql.DISPATCH_LEVEL):
            shown = None if file.hidden and not waiter.sees_hidden else file
            answer = _action(waiter.routine(waiter.device, waiter.device.current_irp, shown, waiter.context))
    except BaseException:
        _release(machine, state, adapter)
        if not file.mappings:
            give_registers(machine, file, file.count - file.freed)
        raise
    finally:
        state.in_callback = False
    if answer is AllocationAction.KEEP_OBJECT:
        return
    _release(machine, state, adapter)
    if answer is AllocationAction.DEALLOCATE_OBJECT:
        give_registers(machine, file, file.count - file.freed)


def _action(answer: int) -> AllocationAction:
    if answer not in list(AllocationAction):
        raise BugCheck(f"AdapterControl gave {answer!r}, which is no IO_ALLOCATION_ACTION")
    return AllocationAction(answer)


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
    if file.freed >= file.count and file in adapter.files:
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
    if inside_callback(machine, adapter, "AllocateAdapterChannel") or count < 0:
        return NtStatus.INVALID_PARAMETER
    if too_many(machine, adapter, count):
        return NtStatus.INSUFFICIENT_RESOURCES
    state = state_of(machine, adapter)
    if state.owner is not None and (
        state.owner_device is device or (machine.verifier.on and state.owner.adapter is adapter)
    ):
        machine.verifier.violate(Misuse.SECOND_CHANNEL, f"{adapter!r} holds one", 1)
        return NtStatus.INVALID_PARAMETER
    return (
        request(machine, Waiter(adapter, device, count, routine, context, made_at=driver_place())) or NtStatus.SUCCESS
    )


def inside_callback(machine: Machine, adapter: Adapter, routine: str) -> bool:
    """True, and told, if the caller is the AdapterControl of the channel that it asks for."""
    if not state_of(machine, adapter).in_callback:
        return False
    machine.verifier.violate(Misuse.NOT_IN_CALLBACK, f"{routine} on {adapter!r}")
    return True


def too_many(machine: Machine, adapter: Adapter, count: int) -> bool:
    """True for more map registers than the adapter was granted (CB-44)."""
    bounded = adapter.needs_registers or not machine.platform.switches.reactos_grant
    if count <= adapter.granted or not bounded:
        return False
    if machine.verifier.on:
        detail = f"{count} registers, {adapter!r} has {adapter.granted}"
        machine.verifier.violate(Misuse.TOO_MANY_REGISTERS, detail, count, adapter.granted)
    return True


def waits(machine: Machine, adapter: Adapter, ticket: DmaTransferContext) -> bool:
    """True while a request with this context is queued."""
    return any(waiter.ticket is ticket for waiter in state_of(machine, adapter).queue)


def request(machine: Machine, waiter: Waiter, *, now: bool = False) -> NtStatus | None:
    """Ask for channel and registers; with `now` a status if they are not there, else None: the request waits or ran."""
    state = state_of(machine, waiter.adapter)
    if now:
        busy = state.owner is not None or state.queue or state.in_callback
        if busy or not _registers_there(machine, waiter.adapter, waiter.count):
            return NtStatus.INSUFFICIENT_RESOURCES
    state.queue.append(waiter)
    wake(machine, state)
    if waiter in state.queue:
        tell_endless(waiter, machine.adapters, machine.platform, machine.verifier)
    return None


def cancel(machine: Machine, adapter: Adapter, ticket: DmaTransferContext) -> bool:
    """Take a request out of the queue; False if none waits. Who stood behind it may go on."""
    state = state_of(machine, adapter)
    for waiter in state.queue:
        if waiter.ticket is ticket:
            state.queue.remove(waiter)
            wake(machine, state)
            return True
    return False


def free_channel(machine: Machine, adapter: Adapter | None) -> None:
    """FreeAdapterChannel: give back what KeepObject kept, then run who waits."""
    if not usable(machine, adapter, "FreeAdapterChannel") or adapter is None:
        return
    if machine.processor.irql_is(Irql.DISPATCH_LEVEL, "FreeAdapterChannel"):
        free_object(machine, adapter, "FreeAdapterChannel")


def free_object(machine: Machine, adapter: Adapter, routine: str, *, keep_registers: bool = False) -> None:
    """Free the channel that an adapter holds, and its map registers, then run who waits."""
    state = state_of(machine, adapter)
    file = state.owner
    if file is None or file.adapter is not adapter:
        machine.verifier.violate(Misuse.CHANNEL_FREED_TWICE, f"{routine}({adapter!r})", 1)
        return
    if file.mappings and not keep_registers:
        machine.verifier.violate(Misuse.FREED_WHILE_MAPPED, f"{len(file.mappings)} mappings", len(file.mappings))
        return
    _release(machine, state, adapter)
    if not keep_registers:
        give_registers(machine, file, file.count - file.freed)
    wake(machine, state)


def free_registers(machine: Machine, adapter: Adapter | None, file: MapRegisterFile | None, count: int) -> None:
    """FreeMapRegisters: give back what DeallocateObjectKeepRegisters kept, all of it at once."""
    if not usable(machine, adapter, "FreeMapRegisters") or adapter is None:
        return
    owned(machine, "FreeMapRegisters", file)
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
