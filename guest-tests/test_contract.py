# SPDX-License-Identifier: Apache-2.0
"""The guest's common buffers under nthal's contract: one case per clause that applies to a Linux guest.

Every allocation and free of every case of the run is judged. NOT_FOR_LINUX in `lab/contract/linux.py` lists the other
clauses, each with its reason; where Linux promises more by design, the promise is tested. TV-nn are test vectors of
reference hal-contract 9.9.
"""

import pytest

from nthal.contract import Kind, check, from_json_lines
from plx9x5x.lab.contract import linux as contract_linux
from plx9x5x.lab.contract.guest import ContractVerdict
from plx9x5x.lab.contract.linux import APPLIES, NEEDS_TRANSLATION, PROMISES, Promise
from plx9x5x.lab.contract.observed import Buffer
from plx9x5x.lab.guest.shapes import Shape
from plx9x5x.lab.session import BUFFERS, RunResult

pytestmark = [pytest.mark.guest, pytest.mark.timeout(600)]

KIB = 1024
MIB = 1024 * KIB
FIXED_LENGTHS = {1, 4095, 4096, 4097, 64 * KIB, MIB}
EVERY_LENGTH = "cpu_and_device_share_buffers_of_every_length"
NARROW = "a_narrow_device_gets_low_memory"


def verdict(run: RunResult) -> ContractVerdict:
    assert run.contract is not None, f"the guest told nothing of its common buffers; logs: {run.logs}"
    return run.contract


def of_case(run: RunResult, case: str) -> list[Buffer]:
    return [buffer for buffer in verdict(run).seen.buffers.values() if buffer.case == case]


def assert_holds(run: RunResult, clause: str) -> None:
    """Tried at least once, and always held; a buffer whose use by the device was not reported tells nothing."""
    judged = [one for one in verdict(run).of(clause) if one.verdict.kind is not Kind.UNKNOWN]
    assert judged, f"{clause} was never tried; logs: {run.logs}"
    bad = [f"request {one.order}: {one.verdict}" for one in judged if one.verdict.kind is not Kind.HOLDS]
    assert not bad, f"{len(bad)} of {len(judged)}: {bad[0]}; logs: {run.logs}"


def assert_kept(run: RunResult, promise: Promise) -> None:
    seen = verdict(run).seen
    assert not [buffer for buffer in seen.buffers.values() if not promise.kept(buffer, seen.page_size)], promise.text


@pytest.mark.parametrize("clause", [clause for clause in APPLIES if clause not in NEEDS_TRANSLATION])
def test_clause_holds(guest_run: RunResult, clause: str) -> None:
    assert_holds(guest_run, clause)


@pytest.mark.shapes("iommu")
@pytest.mark.parametrize("clause", sorted(NEEDS_TRANSLATION))
def test_clause_on_translation_holds(guest_run: RunResult, clause: str) -> None:
    assert_holds(guest_run, clause)


@pytest.mark.parametrize(
    "promise", [promise for promise in PROMISES if promise.translated_too], ids=lambda promise: promise.name
)
def test_linux_keeps_its_promise(guest_run: RunResult, promise: Promise) -> None:
    """TV-140, TV-146 and TV-147: alignment, zeroes and no 64 KiB crossing, on all buffers of the run."""
    assert_kept(guest_run, promise)


@pytest.mark.shapes("plain", "high", "swiotlb")
@pytest.mark.parametrize(
    "promise", [promise for promise in PROMISES if not promise.translated_too], ids=lambda promise: promise.name
)
def test_linux_keeps_its_promise_without_an_iommu(guest_run: RunResult, promise: Promise) -> None:
    assert_kept(guest_run, promise)


def test_every_buffer_is_as_predicted(guest_run: RunResult) -> None:
    assert not list(contract_linux.unpredicted(verdict(guest_run).seen))


def test_all_lengths_were_tried_and_freed_in_another_order(guest_run: RunResult) -> None:
    seen = verdict(guest_run).seen
    buffers = of_case(guest_run, EVERY_LENGTH)
    lengths = {buffer.length for buffer in buffers}
    assert lengths >= FIXED_LENGTHS
    assert len(lengths - FIXED_LENGTHS) >= 10
    assert any(null.length == 0 for null in seen.nulls if null.case == EVERY_LENGTH)
    assert seen.seed
    freed = [free.of for free in seen.frees if free.case == EVERY_LENGTH]
    assert sorted(freed) == sorted(buffer.order for buffer in buffers)
    assert freed != sorted(freed)


def test_device_wrote_and_read_every_byte(guest_run: RunResult) -> None:
    """TV-143: no sync call between, on either side."""
    buffers = of_case(guest_run, EVERY_LENGTH)
    mirror, *tried = sorted(buffers, key=lambda buffer: buffer.order)
    assert not mirror.moved
    for buffer in tried:
        assert sum(moved.length for moved in buffer.moved) == 2 * buffer.length
        assert not any(moved.wrong for moved in buffer.moved)


def test_12_kib_buffer_is_aligned_to_16_kib(guest_run: RunResult) -> None:
    """TV-140."""
    found = [b for b in verdict(guest_run).seen.buffers.values() if b.length == 12 * KIB and b.limit == 0xFFFFFFFF]
    assert found
    assert all(b.la % (16 * KIB) == 0 and b.la + b.length <= 1 << 32 for b in found)


def test_two_buffers_of_one_byte_have_a_page_each(guest_run: RunResult) -> None:
    """TV-141."""
    one, two = of_case(guest_run, "one_byte_buffers_share_no_page")
    assert one.length == two.length == 1
    assert not set(one.frames) & set(two.frames)
    assert not any(address % 4096 for address in (one.va, one.la, two.va, two.la))


def test_free_with_a_wrong_argument_frees_nothing(guest_run: RunResult) -> None:
    """TV-144. Debian's kernels have no DMA_API_DEBUG, so the shim itself has to notice."""
    case = "a_buffer_is_freed_once_and_whole"
    seen = verdict(guest_run).seen
    assert len([free for free in seen.refused if free.case == case]) == 3
    assert len([free for free in seen.frees if free.case == case]) == 1


def test_24_bit_device_gets_memory_below_16_mib(guest_run: RunResult) -> None:
    """TV-145."""
    buffers = of_case(guest_run, NARROW)
    assert buffers
    assert all(b.limit == 0xFFFFFF and b.la + b.length <= 16 * MIB for b in buffers)


@pytest.mark.shapes("iommu")
def test_logical_addresses_behind_an_iommu_are_not_physical(guest_run: RunResult) -> None:
    told = verdict(guest_run)
    assert not [one for one in told.seen.buffers.values() if one.la // told.seen.page_size in one.frames]
    assert "logical addresses of all are not physical ones" in told.line


@pytest.mark.shapes("iommu")
def test_device_is_kept_out_of_freed_memory_by_an_iommu(guest_run: RunResult) -> None:
    tried = [b.gone_device for b in verdict(guest_run).seen.buffers.values() if b.gone_device is not None]
    assert tried
    assert not any(tried)


@pytest.mark.shapes("high", "swiotlb")
def test_a_common_buffer_is_never_bounced(guest_run: RunResult) -> None:
    """CB-54: where the kernel bounces every other mapping, both sides still use one page."""
    told = verdict(guest_run)
    assert not [one for one in told.seen.buffers.values() if one.la != one.frames[0] * told.seen.page_size]
    assert "not physical" not in told.line


def test_streaming_mappings_are_where_the_guests_shape_has_them(guest_run: RunResult, shape: Shape) -> None:
    """The guest is what its name says: what the kernel does with ordinary memory shows it."""
    seen = verdict(guest_run).seen
    assert len(seen.streaming) >= 10
    assert all(one.la + one.length <= 1 << 32 for one in seen.streaming)
    moved = {one.la != one.physical for one in seen.streaming}
    above = {one.physical >= 1 << 32 for one in seen.streaming}
    expected = {
        "plain": (False, {False}, {False}),
        "high": (False, {True}, {True}),
        "swiotlb": (False, {True}, {False}),
        "iommu": (True, {True}, {False}),
    }
    assert (seen.translated, moved, above) == expected[shape.name]


def test_nothing_was_left_out(guest_run: RunResult) -> None:
    seen = verdict(guest_run).seen
    assert seen.began
    assert seen.ended
    assert not seen.problems
    assert len(seen.buffers) >= 100


def test_runs_file_of_observations_gives_the_same_verdict(guest_run: RunResult) -> None:
    lines = (guest_run.logs / BUFFERS).read_text(encoding="ascii").splitlines()
    observations = from_json_lines(lines)
    assert tuple(observations) == verdict(guest_run).observations
    assert {one.clause for one in check(observations)} == {one.clause for one in verdict(guest_run).judged} - {"CB-35"}
