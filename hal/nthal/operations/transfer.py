# SPDX-License-Identifier: Apache-2.0
"""Stand-in for version 3."""

from __future__ import annotations

from dataclasses import dataclass

from nthal.operations import channel
from nthal.types import span_pages
from nthal.windows import NtStatus


@dataclass(frozen=True, slots=True)
class TransferInfo:
    """Info."""

    map_registers: int = 0
    elements: int = 0


def info(machine, adapter, mdl, offset, length):
    """Count."""
    page, total, mdls = machine.platform.page_size, 0, 0
    while mdl is not None and length:
        piece = mdl.byte_count
        if piece <= offset:
            offset -= piece
        else:
            size = min(piece - offset, length)
            total += span_pages(mdl.va + offset, size, page)
            length -= size
            offset = 0
            mdls += 1
        mdl = mdl.next
    if length:
        return NtStatus.BUFFER_TOO_SMALL
    return TransferInfo(total, total if adapter is None or adapter.description.scatter_gather else mdls)


def cancel_channel(machine, adapter, device, context):
    """Cancel."""
    queue = channel.state_of(machine, adapter).queue
    for waiter in queue:
        if waiter.transfer_context is context:
            queue.remove(waiter)
            return True
    return False
