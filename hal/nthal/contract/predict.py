# SPDX-License-Identifier: Apache-2.0
"""Say before an allocation what it must look like: NULL with a reason, or the shape that a buffer has to have."""

from dataclasses import dataclass

from nthal import policy
from nthal.events import NullReason
from nthal.platforms import Platform, Translation
from nthal.records.request import BufferRequest
from nthal.runs import RunSet, Where
from nthal.types import MAXULONG
from nthal.windows import Caching, DeviceDescription


@dataclass(frozen=True, slots=True)
class Request:
    """An allocation on a fresh platform: the device's description and what the allocator is asked for."""

    description: DeviceDescription
    buffer: BufferRequest


@dataclass(frozen=True, slots=True)
class Prediction:
    """What must come out. `null` is the reason for NULL, None if a buffer must come.

    Of the buffer: `pages` consumed, `registers` held, the highest logical address it may touch (`last`), the distance
    in bytes it may not cross (`boundary`, 0 for none), its caching, and LA minus PA where that is constant.
    """

    null: NullReason | None
    pages: int = 0
    registers: int = 0
    low: int = 0
    last: int = 0
    boundary: int = 0
    page_offset: int = 0
    caching: Caching | None = None
    la_minus_pa: int | None = None


def predict(request: Request, platform: Platform) -> Prediction:
    """Predict the outcome of `request` on `platform` with nothing else allocated."""
    description, buffer = request.description, request.buffer
    switches = platform.switches
    if policy.why_no_adapter(description, platform) is not None:
        return Prediction(NullReason.NO_ADAPTER)
    if buffer.length == 0 and not switches.zero_length_gives_page:
        return Prediction(NullReason.ZERO_LENGTH)
    if not 0 <= buffer.length <= MAXULONG:
        return Prediction(NullReason.NOT_A_ULONG)
    granted = policy.registers_granted(description, platform)
    if switches.enforce_map_register_limit and policy.over_register_limit(buffer.length, granted, platform.page_size):
        return Prediction(NullReason.REGISTER_LIMIT)
    caching = policy.effective_caching(
        platform, buffer.routine, cache_enabled=buffer.cache_enabled, cache_type=buffer.cache_type
    )
    if caching is None:
        return Prediction(NullReason.UNSUPPORTED_CACHING)
    pages = policy.pages_for(buffer.length, platform.page_size)
    if buffer.large_pages:
        pages = -(-pages // policy.LARGE_PAGE_FACTOR) * policy.LARGE_PAGE_FACTOR
    limit = policy.address_limit(description, switches)
    low, last = buffer.window(limit, inclusive=switches.maximum_address_inclusive)
    if last - low + 1 < max(buffer.length, 1):
        return Prediction(NullReason.EMPTY_WINDOW)
    boundary = policy.boundary(description, switches)
    null = _no_room(platform, buffer, pages, granted, (low, last, boundary))
    if null is not None:
        return Prediction(null)
    offset = 0
    if platform.verifier and switches.verifier_offsets and not buffer.page_aligned:
        offset = policy.verifier_offset(buffer.length, platform)
    constant = None if platform.translation.scatters else platform.bus_offset
    registers = pages if platform.translation is Translation.MAPREG else 0
    return Prediction(None, pages, registers, low, last, boundary, offset, caching, constant)


def _no_room(
    platform: Platform, buffer: BufferRequest, pages: int, granted: int, bounds: tuple[int, int, int]
) -> NullReason | None:
    low, last, boundary = bounds
    size = platform.page_size
    frames = platform.free_frames()
    align = policy.LARGE_PAGE_FACTOR if buffer.large_pages else 1
    first, end = -(-low // size), (last + 1) // size - 1
    match platform.translation:
        case Translation.MAPREG:
            base = platform.register_base // size
            pool = RunSet([(base, platform.register_pool)])
            if pages > granted or pool.find(pages, Where(first, end, boundary // size, align)) is None:
                return NullReason.NO_LOGICAL_SPACE if end < base else NullReason.REGISTERS_BUSY
        case Translation.IOMMU:
            if pages > frames.total:
                return NullReason.NO_MEMORY
            space = RunSet([(platform.iova_base // size, (1 << 64) // size - platform.iova_base // size)])
            found = space.find(pages, Where(first, end, boundary // size, align))
            return NullReason.NO_LOGICAL_SPACE if found is None else None
        case _:
            shift = platform.bus_offset // size
            if end < shift:
                return NullReason.EMPTY_WINDOW
            where = Where(max(first - shift, 0), end - shift, boundary // size, align, shift=shift)
            if frames.find(pages, where) is None:
                return NullReason.NO_MEMORY if frames.total < pages else NullReason.NO_RUN
    return NullReason.NO_MEMORY if pages > frames.total else None
