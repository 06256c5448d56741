# SPDX-License-Identifier: Apache-2.0
"""No clause is left out in silence, Linux' own promises are told from broken ones, predictions fit the guest."""

import pytest

from nthal.contract import CLAUSES
from plx9x5x.lab.contract import linux as contract_linux
from plx9x5x.lab.contract import observed
from plx9x5x.lab.contract.linux import APPLIES, NEEDS_TRANSLATION, NOT_FOR_LINUX, PROMISES
from plx9x5x.lab.contract.observed import Sightings
from tests.lab.contract.guest_words import BEGIN, BEGIN_TRANSLATED, LA, VA, alloc, report


def seen_of(*lines: str, begin: str = BEGIN) -> Sightings:
    return observed.read(report([begin, *lines, "end order=1"]))


def test_every_clause_applies_or_has_a_reason_not_to() -> None:
    assert set(APPLIES) | set(NOT_FOR_LINUX) == set(CLAUSES)
    assert not set(APPLIES) & set(NOT_FOR_LINUX)
    assert set(APPLIES) >= NEEDS_TRANSLATION
    assert all(NOT_FOR_LINUX.values())


@pytest.mark.parametrize(
    ("name", "length", "changed"),
    [
        ("natural-alignment-la", 12288, {"la": LA + 0x1000}),
        ("natural-alignment-va", 12288, {"la": LA & ~0x3FFF, "va": VA + 0x1000}),
        ("no-64-kib-crossing", 8192, {"la": 0x561_F000}),
        ("zeroed", 4096, {"zeroed": 0}),
    ],
)
def test_a_broken_promise_is_seen(name: str, length: int, changed: dict[str, object]) -> None:
    promise = next(one for one in PROMISES if one.name == name)
    (good,) = seen_of(*alloc(length=length, la=0x561_0000)).buffers.values()
    (bad,) = seen_of(*alloc(length=length, **changed)).buffers.values()
    assert promise.kept(good, 4096)
    assert not promise.kept(bad, 4096)


@pytest.mark.parametrize("length", [1, 4095, 4096, 4097, 1 << 20])
def test_a_buffer_where_logical_is_physical_is_as_predicted(length: int) -> None:
    assert not list(contract_linux.unpredicted(seen_of(*alloc(length=length))))


def test_a_buffer_behind_an_iommu_is_as_predicted() -> None:
    told, _ = alloc(length=8192, la=0xFFFF_E000)
    seen = seen_of(told, "frames order=1 run=0x9+1,0x3+1", begin=BEGIN_TRANSLATED)
    assert not list(contract_linux.unpredicted(seen))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (alloc(length=0), "request 1: a buffer, but NULL was due"),
        ([alloc(length=4097, pages=1)[0], "frames order=1 run=0x560e+1"], "request 1: 1 pages, not 2"),
        (alloc(limit=0xFFFFFF), "request 1: 0x560e000 to 0x560ffff is outside 0x0 to 0xffffff"),
        (
            [alloc(length=4096)[0], "frames order=1 run=0x560f+1"],
            "request 1: its logical address is the physical one plus -0x1000, not 0x0",
        ),
    ],
)
def test_what_is_not_as_predicted_is_said(lines: list[str], said: str) -> None:
    assert any(text.startswith(said) for text in contract_linux.unpredicted(seen_of(*lines)))
