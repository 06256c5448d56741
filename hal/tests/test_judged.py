# SPDX-License-Identifier: Apache-2.0
"""Whatever the model allocates passes the model's own judge, on every platform, with every switch, by every routine."""

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings

from nthal import framework, policy
from nthal.contract import Access, Kind, Observation, check
from nthal.contract.record import observe
from nthal.hardware.bus import Bus
from nthal.hardware.memory import FrameAllocator
from nthal.platforms import ARM0, FLAT, ISA, Platform
from nthal.windows import Caching, DeviceDescription
from tests.judged import CASES, HAL, ROUTINES, Call, Case, judge


@settings(max_examples=150, deadline=None)
@given(CASES)
def test_what_a_right_driver_gets_on_any_machine_violates_no_clause(case: Case) -> None:
    """Some 150 random cases; `scripts/judged.py` runs 100 000."""
    judge(case)


def case_of(platform: Platform, device: DeviceDescription, call: Call) -> Case:
    return Case(platform, device, int(framework.Profile.SCATTER_GATHER_64), (1, 33), 0, (call,))


@pytest.mark.parametrize("routine", ROUTINES)
def test_every_routine_is_among_the_calls_and_gives_a_buffer_that_is_judged(adapters, routine: str) -> None:
    judged = judge(case_of(FLAT, adapters["A64v3" if routine != HAL else "A64"], Call(routine, 5000)))
    assert {"CB-20", "CB-50", "CB-80", "CB-81", "CB-84"} <= {one.clause for one in judged}


# Each guard of the model in turn is taken away; the judge must name what is broken then.
BREAKS = {
    "a guarded buffer at an odd place": (
        (policy, "verifier_offset", lambda *_: 5),
        (replace(FLAT, hal_alignment=4).verified(), "A32", Call("AllocateCommonBuffer", 100)),
        "CB-110",
    ),
    "the same for a channel of words": (
        (policy, "verifier_offset", lambda *_: 5),
        (ISA.verified(), "S5", Call("AllocateCommonBuffer", 100)),
        "CB-56",
    ),
    "uncached on a PC": (
        (policy, "effective_caching", lambda *_a, **_k: Caching.NON_CACHED),
        (FLAT, "A32", Call("AllocateCommonBuffer", 100)),
        "CB-61",
    ),
    "cached where DMA is not coherent": (
        (policy, "effective_caching", lambda *_a, **_k: Caching.CACHED),
        (ARM0, "A32", Call("AllocateCommonBuffer", 100)),
        "CB-62",
    ),
    "a slave's buffer across 64 KiB": (
        (policy, "boundary", lambda *_: 0),
        (ISA.with_free((0x11_C000, 0x12_3FFF)), "S1", Call("AllocateCommonBuffer", 0x8000)),
        "CB-55",
    ),
    "a master's buffer across 4 GiB": (
        (policy, "boundary", lambda *_: 0),
        (FLAT.with_free((0xFFFF_F000, 0x1_0000_0FFF)), "A64", Call("AllocateCommonBuffer", 8192)),
        "CB-58",
    ),
    "beyond the device's reach": (
        (policy, "address_limit", lambda *_: (1 << 64) - 1),
        (FLAT, "A32", Call("AllocateCommonBuffer", 8192)),
        "Every byte|32-bit",
    ),
    "a buffer too long for the registers": (
        (policy, "over_register_limit", lambda *_: False),
        (FLAT, "A32", Call("AllocateCommonBuffer", 1 << 20)),
        "CB-41",
    ),
    "the rest of the last page is given away": (
        (Bus, "reach", lambda _bus, _la, length, _adapter: length),
        (FLAT, "A32", Call("AllocateCommonBuffer", 100)),
        "CB-21",
    ),
    "no room for the alignment": (
        (framework, "raw_length", lambda length, *_a, **_k: length),
        (FLAT, "A32", Call("WdfCommonBufferCreateWithConfig", 4096, mask=0x1FFF)),
        "CB-108",
    ),
    "pages that nobody gives back": (
        (FrameAllocator, "give", lambda *_: None),
        (FLAT, "A32", Call("AllocateCommonBuffer", 4096)),
        "CB-80",
    ),
}


@pytest.mark.parametrize(("guard", "case", "clause"), BREAKS.values(), ids=BREAKS)
def test_a_machine_that_is_broken_on_purpose_is_named_by_its_clause(monkeypatch, adapters, guard, case, clause) -> None:
    platform, device, call = case
    case = case_of(platform, adapters[device], call)
    judge(case)
    monkeypatch.setattr(*guard)
    with pytest.raises(AssertionError, match=clause):
        judge(case)


def verdicts(*seen: Observation) -> dict[str, tuple[Kind, str]]:
    return {one.clause: (one.verdict.kind, one.verdict.why) for one in check(seen)}


OFF = Observation(1, origin="windows-log", length=4096, va=0x1_0680, la=0x2_0680)


NULL = Observation(1, null=True, length=1)
FREE = Observation(2, kind="free", length=4096, va=OFF.va, la=OFF.la)
SLAVE = replace(OFF, boundary=1 << 16, la=0x1_F000, length=8192)
MASKED = replace(
    OFF, routine="WdfCommonBufferCreate", alignment_mask=15, usable=4096, raw_length=4096, old_client=False
)
REACHED = replace(FREE, access_after_free_ok=False)
DECIDES = {
    "kind": (OFF, "unload"),
    "origin": (replace(OFF, verified=False, irql=0), "linux"),
    "routine": (replace(MASKED, routine=None), "WdfCommonBufferCreate"),
    "length": (OFF, 0),
    "page_size": (replace(OFF, verified=False), 16),
    "null": (OFF, True),
    "irql": (OFF, 2),
    "adapter": (replace(FREE, adapter=1), 2),
    "limit": (OFF, 1),
    "boundary": (replace(SLAVE, channel_bits=16), 1 << 20),
    "channel_bits": (SLAVE, 16),
    "minimum": (replace(OFF, routine="AllocateCommonBufferWithBounds"), 1 << 32),
    "maximum": (replace(OFF, routine="AllocateCommonBufferWithBounds"), 1),
    "granted": (OFF, 0),
    "granularity": (replace(OFF, pages=(1,)), 8192),
    "alignment_mask": (MASKED, 0xFFF),
    "cache_enabled": (MASKED, False),
    "cache_type": (replace(OFF, routine="AllocateCommonBufferWithBounds", caching=1), 0),
    "va": (replace(OFF, verified=False, la=0x1000), 0x1000),
    "la": (replace(OFF, verified=False, va=0x1000), 0x1000),
    "usable": (OFF, 5000),
    "pages": (OFF, (1, 2)),
    "registers": (replace(OFF, registers_needed=False), 1),
    "registers_needed": (replace(OFF, registers=1), True),
    "caching": (replace(OFF, routine="AllocateCommonBuffer", arch="x64"), 0),
    "verified": (OFF, True),
    "raw_length": (MASKED, 8192),
    "raw_va": (replace(MASKED, raw_la=OFF.la), 0),
    "raw_la": (replace(MASKED, raw_va=OFF.va), 0),
    "old_client": (MASKED, True),
    "held_after_null": (NULL, 1),
    "held_after_free": (REACHED, 1),
    "access_after_free_ok": (FREE, True),
    "device_address": (OFF, 1),
    "access": (OFF, (Access(0, 1, 2),)),
    "translated": (replace(OFF, pages=(1,), limit=1 << 20), True),
    "arch": (replace(OFF, routine="AllocateCommonBuffer", caching=0), "x64"),
    "cca": (replace(OFF, routine="AllocateCommonBuffer", caching=0, arch="arm64"), True),
    "departs": (replace(OFF, usable=5000), ("AM-09",)),
}


@pytest.mark.parametrize("name", [one.name for one in fields(Observation) if one.name != "order"])
def test_every_field_of_an_observation_decides_a_verdict(name: str) -> None:
    """A field that no clause looks at is not asked for. `order` is the order."""
    seen, value = DECIDES[name]
    before = [] if seen.kind == "alloc" else [replace(OFF, adapter=1)]
    one, other = (verdicts(*before, replace(seen, **change)) for change in ({}, {name: value}))
    assert {clause: kind for clause, (kind, _) in one.items()} != {clause: kind for clause, (kind, _) in other.items()}


def test_cb29_in_mid_page_hangs_on_who_verifies_and_says_so() -> None:
    """Source: reference hal-contract AM-10; the addresses are of the kind that `!dma` shows."""
    assert verdicts(replace(OFF, verified=False))["CB-29"][0] is Kind.VIOLATED
    kind, why = verdicts(replace(OFF, verified=True))["CB-29"]
    assert kind is Kind.NOT_APPLICABLE
    assert "guard bytes" in why
    assert verdicts(OFF)["CB-29"] == (Kind.UNKNOWN, "CB-29 needs the fact verified")
    aligned = verdicts(replace(OFF, va=0x1_0000, la=0x2_0000))
    assert aligned["CB-29"][0] is Kind.HOLDS, "aligned is aligned, whoever verifies"
    assert verdicts(replace(OFF, origin="linux"))["CB-29"][0] is Kind.VIOLATED, "Linux has no DMA verification"


def test_cb58_is_no_rule_for_a_system_that_is_known_to_cross() -> None:
    over = replace(OFF, va=0x1_0000, la=0xFFFF_F000, length=8192)
    assert verdicts(over)["CB-58"][0] is Kind.VIOLATED
    kind, why = verdicts(replace(over, departs=("AM-07",)))["CB-58"]
    assert kind is Kind.NOT_APPLICABLE
    assert "AM-07" in why


def test_cb20_of_a_large_page_counts_large_pages_and_asks_for_their_size() -> None:
    large = replace(OFF, routine="AllocateCommonBufferWithBounds", pages=tuple(range(512)))
    assert verdicts(large)["CB-20"] == (Kind.UNKNOWN, "CB-20 needs the fact granularity")
    assert verdicts(replace(large, granularity=4096 * 512))["CB-20"][0] is Kind.HOLDS
    assert verdicts(replace(large, granularity=4096))["CB-20"][0] is Kind.VIOLATED


def test_cb20_of_a_framework_buffer_asks_what_the_hal_was_asked_for() -> None:
    aligned = replace(OFF, routine="WdfCommonBufferCreate", pages=(1, 2, 3), alignment_mask=0x1FFF)
    assert verdicts(aligned)["CB-20"] == (Kind.UNKNOWN, "CB-20 needs the fact raw_length")
    assert verdicts(replace(aligned, raw_length=4096 + 0x1FFF))["CB-20"][0] is Kind.HOLDS


def test_cb66_says_nothing_of_cached_memory_that_the_driver_must_flush() -> None:
    """Source: reference hal-contract CB-65, AM-20."""
    stale = replace(OFF, access=(Access(0, 1, 2),), arch="arm64", cca=False)
    for clause in ("CB-23", "CB-30", "CB-34", "CB-66"):
        assert verdicts(replace(stale, caching=0))[clause][0] is Kind.VIOLATED
        assert verdicts(replace(stale, caching=1))[clause][0] is Kind.NOT_APPLICABLE


def test_cb65_such_memory_of_the_model_is_not_probed(bench) -> None:
    b = bench(ARM0, "A32v3")
    assert b.bounds(4096, caching=Caching.CACHED) is not None
    seen = observe(b.machine, b.machine.bus.buffers()[0], 1)
    assert seen.access == ()
    assert not b.machine.verifier.findings


def test_cb81_a_free_by_another_adapter_or_with_another_flag_is_named() -> None:
    made = replace(OFF, adapter=1, cache_enabled=True)
    for wrong in ({"adapter": 2}, {"cache_enabled": False}):
        given_back = replace(made, order=2, kind="free", **wrong)
        assert verdicts(made, given_back)["CB-81"][0] is Kind.VIOLATED
        linux = [replace(one, origin="linux") for one in (made, given_back)]
        assert verdicts(*linux)["CB-81"][0] is Kind.HOLDS, "dma_free_coherent takes neither"


def test_cb42_buffers_of_one_adapter_that_hold_more_registers_than_granted_are_named() -> None:
    first = replace(OFF, adapter=1, registers=10, registers_needed=True, granted=16)
    second = replace(first, order=2, va=0x9_0000, la=0x9_0000)
    assert verdicts(first)["CB-42"] == (Kind.UNKNOWN, "CB-42 needs the fact held_by_channels")
    assert verdicts(first, second)["CB-42"][0] is Kind.VIOLATED
    assert verdicts(first, replace(second, adapter=2))["CB-42"][0] is Kind.UNKNOWN


def test_cb87_what_ex_made_is_freed_by_the_one_free() -> None:
    made = replace(OFF, routine="AllocateCommonBufferEx")
    for routine, kind in (("FreeCommonBuffer", Kind.HOLDS), ("MmFreeContiguousMemory", Kind.VIOLATED)):
        free = replace(made, order=2, kind="free", routine=routine)
        assert verdicts(made, free)["CB-87"][0] is kind


def test_cb31_of_more_than_a_page_without_frames_or_accesses_cannot_be_told() -> None:
    assert verdicts(replace(OFF, length=8192))["CB-31"] == (Kind.UNKNOWN, "CB-31 needs the fact pages or access")
    again = replace(OFF, order=2, length=8192)
    assert verdicts(OFF, again)["CB-31"][0] is Kind.VIOLATED, "an overlap is one all the same"


@pytest.mark.parametrize("alignment", [1, 2, 16, 64, 4096])
def test_cb110_a_verified_buffer_keeps_the_alignment_of_the_hal_and_eight_bytes(adapters, alignment: int) -> None:
    """Source: reference hal-contract 6; the sample of `!dma` has offsets 0x7F8, 0x680 and 0x400 and none that is odd."""
    platform = replace(FLAT, hal_alignment=alignment).verified()
    for length in (1, 100, 4095, 0x2010):
        judge(case_of(platform, adapters["A32"], Call("AllocateCommonBuffer", length)))
        assert policy.verifier_offset(length, platform) % max(alignment, 8) == 0
