# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802, N803  (the headers' names and parameter names are the point)
"""Pool: memory of the kernel, by blocks that know their tag, with guard bytes around each.

What only C does to a block is seen when it is freed: a changed guard byte is an access outside of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nthal.types import Va
from nthal.verifier import Misuse, driver_place
from nthal.windows import Irql
from nthal_c import rules
from nthal_c.blocks import Block

if TYPE_CHECKING:
    from nthal_c.session import Session

_PAGED: Final = 1
GUARD: Final = bytes(0xC7 ^ 37 * n & 0xFF for n in range(32))
"""What stands before a block and behind it: no byte is that of its neighbour, and none is zero."""
_REMEMBERED: Final = 1024
_FREE: Final = "free what ExAllocatePoolWithTag or its kin returned, once"


def ExAllocatePoolWithTag(session: Session, PoolType: int, NumberOfBytes: int, Tag: int) -> Va | None:
    """Give memory that is not zero; NULL if there is none."""
    paged = bool(PoolType & _PAGED)
    if paged:
        rules.at_most(session.machine, Irql.APC_LEVEL, "paged pool")
    va = session.machine.allocate_pool(NumberOfBytes, pageable=paged)
    if va is not None:
        block = session.pool.blocks[int(va)] = Block(NumberOfBytes, Tag, driver_place(), paged)
        session.pool.freed.pop(int(va), None)
        session.held[int(va)] = str(block)
        for guard in _guards(session, int(va), block):
            guard[:] = GUARD
    return va


def ExFreePoolWithTag(session: Session, P: int, Tag: int) -> None:
    """Give memory back; a tag of 0 fits each block, as ExFreePool has none. Raises: DmaViolation."""
    machine, pool = session.machine, session.pool
    block = pool.blocks.get(P)
    if block is None:
        _tell_what_it_is(session, P)
        return
    if block.paged:
        rules.at_most(machine, Irql.APC_LEVEL, "the free of paged pool")
    broken = _broken(session, P, block)
    del pool.blocks[P]
    session.held.pop(P, None)
    while len(pool.freed) >= _REMEMBERED:
        del pool.freed[next(iter(pool.freed))]
    pool.freed[P] = block, driver_place()
    machine.free_pool(Va(P))
    if Tag not in (0, block.tag):
        detail = f"ExFreePoolWithTag with {tag(Tag)}: {block}, with {tag(block.tag)}"
        rules.tell(
            machine,
            Misuse.FREE_MISMATCH,
            "pool is freed with another tag",
            detail,
            hint="free with the tag of the allocation",
        )
    if broken is not None:
        detail = f"the byte at offset {broken} of {block} was written"
        hint = f"only the {block.length} bytes that were asked for are yours"
        rules.tell(machine, Misuse.OUTSIDE_BUFFER, "a write outside of a block of pool", detail, hint=hint)


def tag(number: int) -> str:
    """A tag as a driver writes it: the first character of 'abcd' is the highest byte."""
    text = number.to_bytes(4, "big")
    return f"'{text.decode('ascii')}'" if text.isascii() and text.decode("ascii").isprintable() else f"tag {number:#x}"


def _guards(session: Session, address: int, block: Block) -> list[memoryview]:
    """The bytes before and behind a block, which are this process's memory too."""
    ffi, size = session.ffi, len(GUARD)
    return [ffi.buffer(ffi.cast("char *", at), size) for at in (address - size, address + block.length)]


def _broken(session: Session, address: int, block: Block) -> int | None:
    """Offset from the block of the guard byte next to it that was changed."""
    before, behind = (bytes(guard[:]) for guard in _guards(session, address, block))
    after = next((block.length + n for n, byte in enumerate(behind) if byte != GUARD[n]), None)
    return (
        after
        if after is not None
        else next((n - len(GUARD) for n in reversed(range(len(GUARD))) if before[n] != GUARD[n]), None)
    )


def _tell_what_it_is(session: Session, address: int) -> None:
    """Say of an address that no block begins at what it is instead. Raises: DmaViolation."""
    machine, pool = session.machine, session.pool
    if address in pool.freed:
        block, place = pool.freed[address]
        hint = "clear the pointer when you free it"
        rules.tell(machine, Misuse.DOUBLE_FREE, "this pool was freed before", f"{block}, freed at {place}", hint=hint)
        return
    detail, hint = f"no block of pool begins at {address:#x}", _FREE
    if address in session.held:
        detail = f"at {address:#x} is {session.held[address]}"
    ghost = machine.space.ghost(Va(address))
    if ghost is not None and ghost.is_common_buffer:
        detail = f"{address:#x} is in a common buffer of {ghost.length} bytes that was freed"
    for buffer in (one for adapter in machine.adapters for one in adapter.buffers):
        if buffer.region.in_pages(address, 1):
            detail = f"{address:#x} is in the common buffer of {buffer.length} bytes made at {buffer.made_at}"
            hint = "free a common buffer by FreeCommonBuffer, or by deleting the WDFCOMMONBUFFER"
    for base, block in pool.blocks.items():
        if base < address < base + block.length:
            detail = f"{address:#x} is byte {address - base} of {block}"
    if not address:
        detail, hint = "P is NULL", "test for NULL before the free"
    rules.tell(machine, Misuse.UNKNOWN_FREE, "ExFreePool is given what is no block of pool", detail, hint=hint)
