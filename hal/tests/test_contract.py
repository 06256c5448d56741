# SPDX-License-Identifier: Apache-2.0
"""Judging observations: a right machine breaks nothing, a shim broken on purpose is named by the clause it breaks."""

import json
from dataclasses import replace

import pytest

from nthal.contract import (
    Access,
    BadObservation,
    Kind,
    Observation,
    Request,
    check,
    from_json_lines,
    predict,
    summary,
    violations,
)
from nthal.contract.record import observe, observe_free
from nthal.operations.common_buffer import allocate, free
from nthal.platforms import FIXTURES
from nthal.records.request import BufferRequest, FreeRequest

GOOD = Observation(
    1,
    length=4097,
    limit=0xFFFFFFFF,
    va=0xFFFF888000100000,
    la=0x100000,
    usable=4097,
    pages=(0x100, 0x101),
    translated=False,
    verified=False,
    device_address=0x100000,
    access=(Access(0, 7, 7), Access(4096, 9, 9)),
)
FREE = Observation(2, kind="free", length=4097, va=GOOD.va, la=GOOD.la)


def broken(*observations):
    return {one.clause for one in violations(check(observations))}


def test_a_right_life_breaks_nothing():
    judged = check([GOOD, FREE, Observation(3, kind="unload")])
    assert not violations(judged)
    assert not [one for one in judged if one.verdict.kind is Kind.UNKNOWN]
    assert summary([GOOD, FREE], judged).startswith("common buffers: 1 observed, ")


def test_verdict_says_where_logical_addresses_are_not_physical_ones():
    moved = replace(GOOD, la=0xFFFF_E000, translated=True)
    says = "common buffers: {}, {} clauses hold".format
    assert summary([GOOD, FREE], ()) == says("1 observed", 0)
    assert summary([moved, FREE], ()) == says("1 observed, logical addresses of all are not physical ones", 0)
    assert summary([GOOD, moved], ()) == says("2 observed, logical addresses of 1 are not physical ones", 0)


@pytest.mark.parametrize(
    ("wrong", "clause"),
    [
        (replace(GOOD, usable=8192), "CB-22"),
        (replace(GOOD, length=100, usable=4096, pages=(0x100,), access=()), "CB-21"),
        (replace(GOOD, la=0x1_0000_0000, device_address=0x1_0000_0000), "CB-50"),
        (replace(GOOD, device_address=0x9_0000_0000), "CB-36"),
        (replace(GOOD, pages=(0x100,)), "CB-20"),
        (replace(GOOD, pages=(0x100, 0x200)), "CB-31"),
        (replace(GOOD, access=(Access(0, 7, 0xA5),)), "CB-66"),
        (replace(GOOD, access=(Access(5000, 7, 7),)), "CB-23"),
        (replace(GOOD, la=0x100800), "CB-29"),
        (replace(GOOD, la=0xFFFFF000, limit=(1 << 64) - 1), "CB-58"),
        (replace(GOOD, irql=2), "CB-10"),
        (replace(GOOD, pages=(0x100000, 0x100001)), "CB-52"),
        (replace(GOOD, la=0x10F000, boundary=0x10000), "CB-55"),
        (Observation(1, null=True, length=1, held_after_null=1), "CB-70"),
    ],
)
def test_a_broken_allocation_is_named_by_its_clause(wrong, clause):
    assert clause in broken(wrong)


@pytest.mark.parametrize(
    ("wrong", "clause"),
    [
        (replace(FREE, length=4096), "CB-82"),
        (replace(FREE, length=4098), "CB-81"),
        (replace(FREE, la=0x200000), "CB-81"),
        (replace(FREE, va=0x1000, la=0x2000), "CB-81"),
        (replace(FREE, access_after_free_ok=True), "CB-80"),
    ],
)
def test_a_broken_free_is_named_by_its_clause(wrong, clause):
    assert clause in broken(GOOD, wrong)


def test_a_double_free_a_leak_and_an_overlap_are_seen_across_observations():
    assert broken(GOOD, FREE, replace(FREE, order=3)) == {"CB-83"}
    assert broken(GOOD, Observation(2, kind="unload")) == {"CB-84"}
    assert broken(GOOD, replace(GOOD, order=2)) == {"CB-31"}
    assert broken(GOOD, FREE, replace(GOOD, order=3)) == set()


def test_a_linux_guest_is_held_to_what_linux_promises():
    linux = replace(GOOD, origin="linux", irql=2)
    judged = {one.clause: one.verdict.kind for one in check([linux])}
    assert judged["CB-10"] is Kind.NOT_APPLICABLE
    assert judged["CB-58"] is Kind.NOT_APPLICABLE
    assert judged["CB-20"] is Kind.HOLDS


def test_a_missing_fact_is_unknown_never_a_pass():
    judged = {one.clause: one.verdict for one in check([Observation(1, length=1)])}
    assert judged["CB-50"].kind is Kind.UNKNOWN
    assert "la" in judged["CB-50"].why


@pytest.mark.parametrize(
    ("second", "overlaps"),
    [
        ({"la": 0x10800, "va": 1 << 50}, True),
        ({"la": 1 << 40, "va": 0x20FFF}, True),
        ({"la": 1 << 40, "va": 1 << 50, "pages": (9, 7)}, True),
        ({"la": 0x11000, "va": 0x21000, "pages": (8,)}, False),
    ],
)
def test_an_overlap_is_one_in_any_space_and_ends_with_the_free(second, overlaps):
    made = Observation(1, length=4096, la=0x10000, va=0x20000, pages=(7,))
    freed = replace(made, order=2, kind="free")

    def told(*seen):
        return [one.order for one in violations(check(seen)) if one.clause == "CB-31"]

    later = Observation(3, length=4096, **second)
    assert told(made, later) == ([3] if overlaps else [])
    assert told(made, freed, later) == []
    assert told(made, freed, later, replace(later, order=4)) == [4]


def test_observations_come_from_json_lines():
    line = json.dumps(
        {
            "order": 1,
            "origin": "linux",
            "length": 4097,
            "va": "0xffff888000100000",
            "la": "0x100000",
            "limit": 0xFFFFFFFF,
            "usable": 4097,
            "pages": [256, 257],
            "translated": False,
            "verified": False,
            "device_address": "0x100000",
            "access": [{"offset": 0, "cpu": 7, "device": 7}, {"offset": 4096, "cpu": 9, "device": 9}],
        }
    )
    assert from_json_lines([line, "", "\n"]) == [replace(GOOD, origin="linux")]


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("{}", "order is missing"),
        ('{"order": 1, "colour": 3}', "unknown fields: colour"),
        ('{"order": 1, "la": "ten"}', "la: 'ten' is no number"),
        ('{"order": 1, "va": "FFFFFA8000101000"}', "an address of %p begins with 0x here"),
        ('{"order": ' + "9" * 5000 + "}", "digits"),
        ('{"order": "0x1' + "0" * 5000 + '"}', "is no number"),
        ('{"order": 1, "null": 1}', "neither true nor false"),
        ('{"order": 1, "kind": "grow"}', "kind 'grow'"),
        ('{"order": 1, "pages": 5}', "no list"),
        ('{"order": 1, "access": [5]}', "no record"),
        ('{"order": 1, "access": [{"offset": 1}]}', "lacks"),
        ("[]", "no JSON object"),
        ("{", "line 1"),
    ],
)
def test_a_bad_record_is_refused_with_its_line_and_field(record, words):
    with pytest.raises(BadObservation, match="line 1") as caught:
        from_json_lines([record])
    assert words in str(caught.value)


def test_an_address_as_windbg_writes_it_is_one():
    (seen,) = from_json_lines(['{"order": 1, "va": "0xfffffa80`00101000"}'])
    assert seen.va == 0xFFFFFA80_00101000


LENGTHS = [0, 1, 4095, 4096, 4097, 65536, 65537, 1 << 20, 0xFFFFFFFF, 1 << 32]


@pytest.mark.parametrize("platform", [p for p in FIXTURES.values() if p.name != "frag"], ids=lambda p: p.name)
@pytest.mark.parametrize("adapter", ["A32", "A64", "AP", "A24", "S1", "S5", "A64v3"])
def test_the_prediction_and_the_core_agree_and_no_clause_breaks(bench, adapters, platform, adapter):
    for length in LENGTHS:
        b = bench(platform, adapter)
        request = BufferRequest(length)
        prediction = predict(Request(adapters[adapter], request), platform)
        if b.adapter_or_none is None:
            assert prediction.null is b.machine.last_failure.reason
            return
        made = allocate(b.machine, b.adapter.core, request)
        if made is None:
            assert prediction.null is b.machine.last_failure.reason
            continue
        assert prediction.null is None
        assert made.frames.count == prediction.pages
        assert prediction.low <= int(made.la)
        assert int(made.la) + length - 1 <= prediction.last
        assert made.caching is prediction.caching
        assert (made.registers.count if made.registers else 0) == prediction.registers
        if prediction.la_minus_pa is not None:
            assert int(made.la) == b.pa(_as_buffer(made)) + prediction.la_minus_pa
        seen = [observe(b.machine, made, 1), observe_free(made, 2)]
        free(b.machine, b.adapter.core, FreeRequest(length, made.la, made.va, cache_enabled=True))
        assert not violations(check(seen))


def _as_buffer(made):
    return made
