# SPDX-License-Identifier: Apache-2.0
"""MDL routines: describe a range of memory, fill in its pages, make it resident.

Source: reference hal-contract 4.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nthal.events import NullReason
from nthal.operations.adapter import owned
from nthal.records.mdl import HEADER, Mdl, MdlFlags
from nthal.types import GIB, Va, byte_offset, span_pages
from nthal.verifier import Misuse
from nthal.windows import Irql, WindowsVersion

if TYPE_CHECKING:
    from nthal.machine import Machine


def _largest(machine: Machine) -> int:
    windows, page = machine.platform.windows, machine.platform.page_size
    if windows >= WindowsVersion.WINDOWS_7:
        return 4 * GIB - page
    if windows >= WindowsVersion.WINDOWS_VISTA:
        return 2 * GIB - page
    return page * (65535 - HEADER) // 8


def allocate(machine: Machine, va: Va, length: int) -> Mdl | None:
    """IoAllocateMdl: describe a range, without looking at its pages; None if it is too long."""
    if not machine.processor.irql_at_most(Irql.DISPATCH_LEVEL, "IoAllocateMdl"):
        return None
    if not 0 <= length <= _largest(machine):
        machine.processor.fail(NullReason.NO_MEMORY, f"an MDL cannot describe {length:#x} bytes")
        return None
    page = machine.platform.page_size
    offset = byte_offset(va, page)
    return Mdl(int(va) - offset, length, offset, page, owner=machine)


def build_for_nonpaged_pool(machine: Machine, mdl: Mdl) -> None:
    """MmBuildMdlForNonPagedPool: fill in the frames of memory that never moves (CB-142)."""
    owned(machine, "MmBuildMdlForNonPagedPool", mdl)
    region = machine.space.find(mdl.va)
    if region is not None and region.pageable:
        machine.verifier.violate(Misuse.NOT_LOCKED, f"{mdl.va!r} is pageable memory")
        return
    if _fill(machine, mdl):
        mdl.flags |= MdlFlags.SOURCE_IS_NONPAGED_POOL
        mdl.mapped_system_va = mdl.va


def probe_and_lock(machine: Machine, mdl: Mdl) -> None:
    """MmProbeAndLockPages: make pageable memory resident; wrong for an MDL built for nonpaged pool (CB-142)."""
    owned(machine, "MmProbeAndLockPages", mdl)
    if mdl.flags & MdlFlags.SOURCE_IS_NONPAGED_POOL:
        machine.verifier.violate(Misuse.FIXED_MDL, f"MmProbeAndLockPages on the MDL of {mdl.va!r}")
        return
    if _fill(machine, mdl):
        mdl.flags |= MdlFlags.PAGES_LOCKED


def unlock(machine: Machine, mdl: Mdl) -> None:
    """MmUnlockPages."""
    owned(machine, "MmUnlockPages", mdl)
    if mdl.flags & MdlFlags.SOURCE_IS_NONPAGED_POOL:
        machine.verifier.violate(Misuse.FIXED_MDL, f"MmUnlockPages on the MDL of {mdl.va!r}")
        return
    mdl.flags &= ~MdlFlags.PAGES_LOCKED


def flush_io_buffers(machine: Machine, mdl: Mdl) -> None:
    """KeFlushIoBuffers: make caches and memory agree (CB-67)."""
    owned(machine, "KeFlushIoBuffers", mdl)
    machine.flush_io_buffers(mdl.va, mdl.byte_count)


def _fill(machine: Machine, mdl: Mdl) -> bool:
    region = machine.space.find(mdl.va)
    if region is None or not region.inside(int(mdl.va), mdl.byte_count):
        machine.verifier.violate(Misuse.WILD_ADDRESS, f"no {mdl.byte_count} bytes of memory at {mdl.va!r}")
        return False
    first = (mdl.start_va - region.page_base) // mdl.page_size
    pages = span_pages(mdl.byte_offset, mdl.byte_count, mdl.page_size)
    mdl.frames = region.frames.part(first, pages)
    return True
