# SPDX-License-Identifier: Apache-2.0
"""Memory descriptor lists: which physical pages are behind a range of virtual addresses.

Source: reference hal-contract 4.7.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nthal.events import NullReason
from nthal.memory import FrameList
from nthal.runs import Run
from nthal.types import GIB, Va, byte_offset, span_pages
from nthal.verifier import Misuse
from nthal.windows import Irql, WindowsVersion

if TYPE_CHECKING:
    from nthal.machine import Machine

_HEADER: Final = 0x30
"""Bytes of an MDL before its page-frame array, on 64-bit Windows."""


class MdlFlags(enum.IntFlag):
    """MdlFlags that matter to DMA."""

    MAPPED_TO_SYSTEM_VA = 0x1
    PAGES_LOCKED = 0x2
    SOURCE_IS_NONPAGED_POOL = 0x4
    ALLOCATED_FIXED_SIZE = 0x8


@dataclass(eq=False, slots=True)
class Mdl:
    """One MDL. `start_va` is page aligned, `byte_count` and `byte_offset` in bytes; `frames` is None until built."""

    start_va: int
    byte_count: int
    byte_offset: int
    page_size: int
    flags: MdlFlags = field(default_factory=lambda: MdlFlags(0))
    frames: FrameList | None = None
    next: Mdl | None = None
    mapped_system_va: Va | None = None
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = _HEADER + 8 * span_pages(self.byte_offset, self.byte_count, self.page_size)

    @property
    def va(self) -> Va:
        """MmGetMdlVirtualAddress."""
        return Va(self.start_va + self.byte_offset)

    @property
    def page_frames(self) -> tuple[int, ...]:
        """The page-frame array; empty until the MDL is built or locked."""
        return () if self.frames is None else self.frames.frames()

    @property
    def resident(self) -> bool:
        """True if its pages cannot move."""
        return bool(self.flags & (MdlFlags.PAGES_LOCKED | MdlFlags.SOURCE_IS_NONPAGED_POOL))


def _largest(machine: Machine) -> int:
    windows, page = machine.platform.windows, machine.platform.page_size
    if windows >= WindowsVersion.WINDOWS_7:
        return 4 * GIB - page
    if windows >= WindowsVersion.WINDOWS_VISTA:
        return 2 * GIB - page
    return page * (65535 - _HEADER) // 8


def allocate(machine: Machine, va: Va, length: int) -> Mdl | None:
    """IoAllocateMdl: describe a range, without looking at its pages; None if it is too long."""
    if not machine.irql_at_most(Irql.DISPATCH_LEVEL, "IoAllocateMdl"):
        return None
    if length > _largest(machine):
        machine.fail(NullReason.NO_MEMORY, f"an MDL cannot describe {length:#x} bytes")
        return None
    page = machine.platform.page_size
    offset = byte_offset(va, page)
    return Mdl(int(va) - offset, length, offset, page)


def build_for_nonpaged_pool(machine: Machine, mdl: Mdl) -> None:
    """MmBuildMdlForNonPagedPool: fill in the frames of memory that never moves (CB-142)."""
    region = machine.space.find(mdl.va)
    if region is not None and region.pageable:
        machine.verifier.violate(Misuse.NOT_LOCKED, f"{mdl.va!r} is pageable memory")
        return
    if _fill(machine, mdl):
        mdl.flags |= MdlFlags.SOURCE_IS_NONPAGED_POOL
        mdl.mapped_system_va = mdl.va


def probe_and_lock(machine: Machine, mdl: Mdl) -> None:
    """MmProbeAndLockPages: make pageable memory resident; wrong for an MDL built for nonpaged pool (CB-142)."""
    if mdl.flags & MdlFlags.SOURCE_IS_NONPAGED_POOL:
        machine.verifier.violate(Misuse.FIXED_MDL, f"MmProbeAndLockPages on the MDL of {mdl.va!r}")
        return
    if _fill(machine, mdl):
        mdl.flags |= MdlFlags.PAGES_LOCKED


def unlock(machine: Machine, mdl: Mdl) -> None:
    """MmUnlockPages."""
    if mdl.flags & MdlFlags.SOURCE_IS_NONPAGED_POOL:
        machine.verifier.violate(Misuse.FIXED_MDL, f"MmUnlockPages on the MDL of {mdl.va!r}")
        return
    mdl.flags &= ~MdlFlags.PAGES_LOCKED


def _fill(machine: Machine, mdl: Mdl) -> bool:
    region = machine.space.find(mdl.va)
    if region is None or not region.inside(int(mdl.va), mdl.byte_count):
        machine.verifier.violate(Misuse.WILD_ADDRESS, f"no {mdl.byte_count} bytes of memory at {mdl.va!r}")
        return False
    first = (mdl.start_va - region.page_base) // mdl.page_size
    pages = span_pages(mdl.byte_offset, mdl.byte_count, mdl.page_size)
    mdl.frames = FrameList([Run(frame, 1) for frame in region.frames.frames()[first : first + pages]], mdl.page_size)
    return True
