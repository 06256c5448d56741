# SPDX-License-Identifier: Apache-2.0
"""The HAL's use of the 8237 controllers: set a channel up, stop it, read how far it is; each by ports alone.

Source: reference hal-contract 4.1 to 4.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nthal import policy
from nthal.hardware.controller import PAGE_PORTS, Request, mode_byte
from nthal.types import KIB, La
from nthal.verifier import Misuse

if TYPE_CHECKING:
    from nthal.machine import Machine
    from nthal.records.adapter import Adapter


def _port(channel: int, register: int) -> int:
    return register if channel < 4 else 0xC0 + 2 * register


def _exists(machine: Machine, channel: int) -> bool:
    """False, and told, for a channel of neither controller, which ReactOS makes an adapter for."""
    if not 0 <= channel < len(PAGE_PORTS):
        machine.verifier.violate(Misuse.BAD_CHANNEL, f"there is no channel {channel}")
        return False
    return True


def cascade(machine: Machine, channel: int) -> None:
    """Let a bus master on the ISA bus use the channel's arbitration."""
    machine.dma.out(_port(channel, 0xB), Request.CASCADE << 6 | channel & 3)
    machine.dma.out(_port(channel, 0xA), channel & 3)


def program(machine: Machine, adapter: Adapter, la: La, length: int, *, to_device: bool) -> bool:
    """Set the adapter's channel up and unmask it; False if controller and range do not fit."""
    description = adapter.description
    number = description.dma_channel
    if not _exists(machine, number):
        return False
    words = number >= 4
    largest = 128 * KIB if words else 64 * KIB
    if length > largest or (words and (int(la) | length) & 1):
        machine.verifier.violate(Misuse.BAD_CHANNEL, f"{length} bytes at {la!r} on channel {number}")
        return False
    request = Request.DEMAND if description.demand_mode else Request.SINGLE
    mode = mode_byte(number, request, to_device=to_device, auto_initialize=description.auto_initialize)
    address = int(la) >> 1 if words else int(la)
    if words and machine.platform.switches.reactos_grant:
        address = (int(la) & 0xFFFF) >> 1  # what ReactOS does: it loses A16
    count = (length >> 1 if words else length) - 1
    local = number & 3
    out = machine.dma.out
    out(_port(number, 0xC), 0)
    out(_port(number, 0xB), mode)
    out(_port(number, 2 * local), address & 0xFF)
    out(_port(number, 2 * local), address >> 8 & 0xFF)
    out(PAGE_PORTS[number], int(la) >> 16 & 0xFF)
    out(_port(number, 2 * local + 1), count & 0xFF)
    out(_port(number, 2 * local + 1), count >> 8 & 0xFF)
    out(_port(number, 0xA), local)
    return True


def stop(machine: Machine, channel: int) -> None:
    """Mask the channel; nobody waits for its end any more."""
    machine.dma.at_end.pop(channel, None)
    machine.dma.out(_port(channel, 0xA), 4 | channel & 3)


def not_moved(machine: Machine, adapter: Adapter) -> int:
    """Bytes of the adapter's transfer that the device did not move, 0 where the counter does not tell.

    It does not for a channel that starts over by itself, nor where the driver said so by IgnoreCount.
    Source: reference hal-contract 4.6.
    """
    description = adapter.description
    if description.auto_initialize or policy.ignores_count(description):
        return 0
    return remaining(machine, description.dma_channel)


def remaining(machine: Machine, channel: int) -> int:
    """Bytes left in the current pass, read as the HAL does: twice, until the upper bytes agree."""
    if not _exists(machine, channel):
        return 0
    dma = machine.dma
    port = _port(channel, 2 * (channel & 3) + 1)
    before = -1
    while True:
        dma.out(_port(channel, 0xC), 0)
        low = dma.inp(port)
        count = dma.inp(port) << 8 | low
        if before >> 8 == count >> 8:
            break
        before = count
    left = (count + 1) & 0xFFFF
    return left * 2 if channel >= 4 else left
