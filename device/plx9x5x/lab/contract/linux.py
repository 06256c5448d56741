# SPDX-License-Identifier: Apache-2.0
"""Where a Linux guest and the Windows contract part: clauses that do not apply to it, and what Linux promises instead.

A portable driver leans on neither: it keeps to what both sides promise. Source: reference hal-contract 8.2, which
cites Linux Documentation/core-api/dma-api.rst.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from nthal.contract import CLAUSES, Prediction, Request, predict
from nthal.platforms import Platform, Span, Switches, Translation
from nthal.records.request import BufferRequest
from nthal.types import GIB, MAXULONG
from nthal.windows import DeviceDescription, InterfaceType
from plx9x5x.lab.contract.observed import Buffer, Sightings

APPLIES: Final = tuple(clause.id for clause in CLAUSES.values() if clause.linux)
"""Clauses that dma_alloc_coherent promises too."""
NEEDS_TRANSLATION: Final = frozenset({"CB-53"})
"""Of these, the ones that say something of a guest with an IOMMU alone."""

_REASONS: Final[Mapping[str, tuple[str, ...]]] = {
    "the adapter object is Windows'; struct device is there from probe to remove, and has no version to ask for": (
        *("CB-01", "CB-02", "CB-03", "CB-04", "CB-07", "CB-08", "CB-85"),
    ),
    "Linux counts no map registers: a buffer is bounded by the largest run of pages, or by IOVA space": (
        *("CB-05", "CB-06", "CB-33", "CB-40", "CB-41", "CB-42", "CB-43", "CB-44", "CB-46", "CB-47"),
    ),
    "IRQL is Windows'; dma_alloc_coherent may sleep, or may not, as its flags say": ("CB-10",),
    "advice about when, how often and for what to allocate; no single allocation shows it": (
        *("CB-13", "CB-14", "CB-24", "CB-25", "CB-26", "CB-38", "CB-39"),
    ),
    "what this model chose where Windows says nothing; the shim refuses a length of 0 as well (its own test)": (
        "CB-27",
    ),
    "Linux promises more: new memory is zeroed (the promise is tested, and the shim spoils it for its callers)": (
        "CB-28",
    ),
    "the kernel's own mapping is never paged out, and a run of virtual addresses by construction": ("CB-32",),
    "a rule for a driver's source, which no allocation shows": ("CB-37", "CB-86", "CB-150", "CB-151", "CB-154"),
    "DEVICE_DESCRIPTION is Windows'; Linux takes a mask, and CB-50 holds the guest to it": ("CB-51", "CB-59"),
    "Linux gives this on a PC for the same reason, and CB-50 shows it as long as logical is physical": ("CB-52",),
    "swiotlb bounces streaming mappings alone; CB-23 shows that both sides use one memory": ("CB-54",),
    "channels of the 8237: the board is a bus master; Linux' 64 KiB promise to every device is tested instead": (
        *("CB-55", "CB-56", "CB-57"),
    ),
    "follows from Linux' alignment for every length below 4 GiB, which is tested instead": ("CB-58",),
    "caching is dma_alloc_attrs' on Linux; x86 caches and is coherent, as CB-66 shows": (
        *("CB-60", "CB-61", "CB-62", "CB-63", "CB-64", "CB-65", "CB-67"),
    ),
    "how Windows' memory is fragmented after start-up; Linux may say NULL at any time as well": ("CB-71",),
    "how a Windows driver answers NULL": ("CB-72", "CB-73", "CB-74", "CB-75"),
    "AllocateCommonBufferEx, WithBounds and vectors have no counterpart in the shim": (
        *("CB-87", "CB-130", "CB-131", "CB-132", "CB-133"),
    ),
    "system DMA by the 8237: the board is a bus master": (
        *("CB-140", "CB-141", "CB-142", "CB-143", "CB-144", "CB-145", "CB-146", "CB-147", "CB-148", "CB-149"),
    ),
    "Driver Verifier is Windows'; CONFIG_DMA_API_DEBUG, its counterpart, is off in Debian's kernels": ("CB-152",),
    "the NT routines have no counterpart in the shim": ("CB-153", "CB-160", "CB-161", "CB-162", "CB-163"),
    "KMDF has no counterpart in the shim": (
        *("CB-11", "CB-12", "CB-45", "CB-68", "CB-76"),
        *(f"CB-{number}" for number in range(100, 130)),
    ),
}
NOT_FOR_LINUX: Final[Mapping[str, str]] = {clause: reason for reason, group in _REASONS.items() for clause in group}
"""Every other clause, and why a Linux guest says nothing of it."""

_CROSSING: Final = 0x1_0000


def _rounded(buffer: Buffer, page_size: int) -> int:
    """The smallest power-of-two number of pages that holds the buffer, in bytes."""
    pages = max(1, -(-buffer.length // page_size))
    return page_size << (pages - 1).bit_length()


@dataclass(frozen=True, slots=True)
class Promise:
    """What Linux promises beyond the contract.

    `translated_too` is False for one that a guest behind an IOMMU was seen to break.
    """

    name: str
    text: str
    source: str
    kept: Callable[[Buffer, int], bool]
    translated_too: bool = True


PROMISES: Final = (
    Promise(
        "natural-alignment-la",
        "the device's address is aligned to the smallest power-of-two number of pages that holds the buffer",
        "Linux core-api/dma-api.rst, dma_alloc_coherent",
        lambda buffer, page_size: buffer.la % _rounded(buffer, page_size) == 0,
    ),
    Promise(
        "natural-alignment-va",
        "the CPU's address is aligned to the smallest power-of-two number of pages that holds the buffer",
        "Linux core-api/dma-api.rst, dma_alloc_coherent",
        lambda buffer, page_size: buffer.va % _rounded(buffer, page_size) == 0,
        translated_too=False,  # 6.1 and 6.12 map scattered pages there, aligned to one page
    ),
    Promise(
        "no-64-kib-crossing",
        "a buffer of 64 KiB or less crosses no 64 KiB boundary",
        "Linux core-api/dma-api.rst, dma_alloc_coherent",
        lambda buffer, _: (
            buffer.length > _CROSSING or buffer.la // _CROSSING == (buffer.la + buffer.length - 1) // _CROSSING
        ),
    ),
    Promise(
        "zeroed",
        "a new buffer holds zeroes",
        "Linux since 5.0, what it does; its document does not say so",
        lambda buffer, _: buffer.zeroed,
    ),
)


def platform_of(seen: Sightings) -> Platform:
    """The guest as a platform of nthal: memory wherever it likes, and none of Windows' registers to count."""
    translation = Translation.IOMMU if seen.translated else Translation.FLAT
    return Platform(
        "linux-guest",
        page_size=seen.page_size,
        free=(Span(0, 4 * GIB - 1),),
        translation=translation,
        iova_base=0,
        switches=Switches(enforce_map_register_limit=False),
    )


def unpredicted(seen: Sightings) -> Iterator[str]:
    """Each allocation that came out otherwise than nthal predicts for the guest, in words.

    NULL is never one of them: it may come at any time, and a prediction is for a machine with nothing else allocated.
    """
    platform = platform_of(seen)
    for buffer in seen.buffers.values():
        expected = predict(Request(_description(buffer.limit), BufferRequest(buffer.length)), platform)
        yield from (f"request {buffer.order}: {text}" for text in _differences(buffer, expected, seen.page_size))


def _differences(buffer: Buffer, expected: Prediction, page_size: int) -> Iterator[str]:
    if expected.null is not None:
        yield f"a buffer, but NULL was due ({expected.null})"
        return
    pages = len(buffer.frames)
    if pages != expected.pages:
        yield f"{pages} pages, not {expected.pages}"
    last = buffer.la + pages * page_size - 1
    if not expected.low <= buffer.la <= last <= expected.last:
        yield f"{buffer.la:#x} to {last:#x} is outside {expected.low:#x} to {expected.last:#x}"
    if expected.la_minus_pa is not None and buffer.frames:
        difference = buffer.la - buffer.frames[0] * page_size
        if difference != expected.la_minus_pa:
            yield f"its logical address is the physical one plus {difference:#x}, not {expected.la_minus_pa:#x}"


def _description(limit: int) -> DeviceDescription:
    return DeviceDescription(
        version=3,
        master=True,
        scatter_gather=True,
        interface_type=InterfaceType.PCI,
        dma_32bit_addresses=True,
        maximum_length=MAXULONG,
        dma_address_width=limit.bit_length(),
    )
