# SPDX-License-Identifier: Apache-2.0
"""The judge of a guest's common buffers: a good life passes, and each mistake is named by the clause that it breaks."""

import pytest

from nthal.contract import CLAUSES, Kind, check, from_json_lines
from plx9x5x.lab.contract import guest as contract_guest
from plx9x5x.lab.contract.guest import ContractVerdict
from plx9x5x.lab.report.ktap import Report
from tests.lab.contract.guest_words import BEGIN, BEGIN_TRANSLATED, GOOD, LA, VA, alloc, free, report, used


def judged(lines: list[str]) -> ContractVerdict:
    verdict = contract_guest.judge(report(lines))
    assert verdict is not None
    return verdict


def test_a_good_life_breaks_nothing() -> None:
    verdict = judged(GOOD)
    assert verdict.problems == ()
    assert verdict.broken == ()
    assert set(verdict.holding) == {clause.id for clause in CLAUSES.values() if clause.linux} - {"CB-53", "CB-70"}
    assert verdict.line == f"common buffers: 1 observed, {len(verdict.holding)} clauses hold"


def test_a_guest_that_tells_nothing_has_no_verdict() -> None:
    assert contract_guest.judge(Report()) is None


def test_a_null_holds_nothing() -> None:
    null = "null order=1 length=4294967295 limit=0xffffffff held={} cached=1"
    assert judged([BEGIN, null.format(0), "end order=1"]).holding == ("CB-70", "CB-84")
    assert judged([BEGIN, null.format(3), "end order=1"]).broken == ("CB-70",)


@pytest.mark.parametrize(
    ("lines", "clauses"),
    [
        pytest.param([*alloc(length=1, usable=4096), *free(length=1)], ("CB-21",), id="a-page-instead-of-a-byte"),
        pytest.param([*alloc(usable=8192), *free()], ("CB-22",), id="whole-pages-instead-of-the-length"),
        pytest.param(["past order=1 cpu=1", *alloc(), *free()], ("CB-22",), id="the-byte-behind-is-given-in-silence"),
        pytest.param([*alloc(limit=0xFFFFFF), *free()], ("CB-50",), id="above-the-limit"),
        pytest.param([*alloc(), *free(), *free(3)], ("CB-83",), id="freed-twice"),
        pytest.param([*alloc(), *free(length=4096)], ("CB-81", "CB-82"), id="half-of-it-freed"),
        pytest.param([*alloc()], ("CB-84",), id="never-freed"),
        pytest.param([*alloc(va=VA + 16), *free()], ("CB-29", "CB-81"), id="not-page-aligned"),
        pytest.param(["gone order=1 cpu=1", *alloc(), *free()], ("CB-80",), id="the-cpu-reads-what-is-freed"),
        pytest.param(
            ["gone order=1 cpu=0 device=1", *alloc(), *free()], ("CB-80",), id="the-device-reads-what-is-freed"
        ),
        pytest.param(
            [*used(cpu=1, device=2), *alloc(), *free()], ("CB-23", "CB-30", "CB-34", "CB-66"), id="the-bytes-differ"
        ),
        pytest.param(
            [*used(address=VA), *alloc(), *free()], ("CB-35", "CB-36"), id="the-device-got-the-virtual-address"
        ),
        pytest.param([*used(address=0x10), *alloc(), *free()], ("CB-35", "CB-36"), id="the-device-got-nonsense"),
        pytest.param(
            [*alloc(length=4096), *alloc(2, length=4096), *free(3, 2, 4096), *free(4, 1, 4096)],
            ("CB-31",),
            id="two-buffers-on-one-page",
        ),
    ],
)
def test_each_mistake_is_named_by_its_clause(lines: list[str], clauses: tuple[str, ...]) -> None:
    last = sum(line.startswith(("alloc", "free", "null")) for line in lines)
    verdict = judged([BEGIN, *lines, f"end order={last}"])
    assert verdict.broken == clauses
    assert not verdict.seen.problems
    for clause, problem in zip(clauses, verdict.problems, strict=True):
        assert problem.startswith(f"common buffers: {clause} is violated: {CLAUSES[clause].text} (request ")


def test_physical_address_handed_to_the_device() -> None:
    physical = 0x123_4000
    told = [
        f"alloc order=1 length=4096 limit=0xffffffff va={VA:#x} la=0xfffff000 given={physical:#x} usable=4096 pages=1"
    ]
    lines = [f"{told[0]} zeroed=1 cached=1", "frames order=1 run=0x1234+1", *used(length=4096, address=physical)]
    freed = f"free order=2 of=1 length=4096 va={VA:#x} la={physical:#x} refused=0 cached=1"
    verdict = judged([BEGIN_TRANSLATED, *lines, freed, "end order=2"])
    assert verdict.broken == ("CB-35", "CB-36")
    assert "device_got=physical" in verdict.problems[0]
    assert "la=0xfffff000, device_address=0x1234000" in verdict.problems[1]


HIGH_LIFE = [  # a guest of 6 GiB: the page was found below 4 GiB, another mapping was bounced
    BEGIN,
    "alloc order=1 length=4097 limit=0xffffffff va=0xffff88807bb26000 la=0x7bb26000 given=0x7bb26000 usable=4097 "
    "pages=2 zeroed=1 cached=1",
    "frames order=1 run=0x7bb26+2",
    "streaming length=64 physical=0x1031de000 la=0x7bb24000",
    "free order=2 of=1 length=4097 va=0xffff88807bb26000 la=0x7bb26000 refused=0 cached=1",
    "end order=2",
]
IOMMU_LIFE = [  # scattered pages in a row of logical ones, then nothing there
    BEGIN_TRANSLATED,
    "dma order=1 address=0xffffe000 bytes=4097 wrong=0",
    "byte order=1 offset=0 cpu=0x6f device=0x6f",
    "gone order=1 cpu=0 device=0",
    "alloc order=1 length=4097 limit=0xffffffff va=0xffffc90000065000 la=0xffffe000 given=0xffffe000 usable=4097 "
    "pages=2 zeroed=1 cached=1",
    "frames order=1 run=0x14d82+1,0x5974+1",
    "free order=2 of=1 length=4097 va=0xffffc90000065000 la=0xffffe000 refused=0 cached=1",
    "end order=2",
]


def test_a_bounced_mapping_is_not_held_against_the_common_buffers() -> None:
    verdict = judged(HIGH_LIFE)
    assert verdict.problems == ()
    assert "CB-50" in verdict.holding
    assert "not physical" not in verdict.line


def test_a_page_above_what_the_device_drives_is_named_by_the_limit() -> None:
    high = [line.replace("0x7bb26000", "0x10bb26000").replace("0x7bb26+2", "0x10bb26+2") for line in HIGH_LIFE]
    assert judged(high).broken == ("CB-50",)


def test_behind_an_iommu_logical_addresses_are_judged_and_the_verdict_says_that_they_differ() -> None:
    verdict = judged(IOMMU_LIFE)
    assert verdict.problems == ()
    assert "CB-53" in verdict.holding
    assert verdict.line.startswith("common buffers: 1 observed, logical addresses of all are not physical ones, ")


def test_the_same_addresses_without_an_iommu_are_no_run_of_pages() -> None:
    assert judged([BEGIN, *IOMMU_LIFE[1:]]).broken == ("CB-31",)


def test_a_refused_free_is_no_free() -> None:
    lines = [BEGIN, *alloc(), *free(length=4096, refused=1), *free(3), *free(4, of=0, refused=1), "end order=4"]
    assert judged(lines).broken == ()


def test_clauses_that_are_windows_alone_are_not_held_against_it() -> None:
    verdict = judged(GOOD)
    kinds = {one.clause: one.verdict.kind for one in verdict.judged}
    assert kinds["CB-58"] is Kind.NOT_APPLICABLE
    assert verdict.of("CB-50")[0].verdict.kind is Kind.HOLDS


def test_many_violations_are_one_line() -> None:
    lines = [*alloc(usable=8192), *free(), *alloc(3, usable=8192), *free(4, 3)]
    (problem,) = judged([BEGIN, *lines, "end order=4"]).problems
    assert problem.endswith("(request 1 in a: length=0x1001, page_size=0x1000, usable=0x2000, and 1 times more)")


def test_what_could_not_be_read_is_a_problem_of_the_run() -> None:
    assert judged([*GOOD[:-1], "end order=9"]).problems == (
        "common buffers: 7 of 9 requests for common buffers were not told",
    )


def test_its_file_gives_nthal_the_same_observations() -> None:
    verdict = judged([*used(), BEGIN_TRANSLATED, *alloc(), *free(), "end order=2"])
    again = from_json_lines(contract_guest.json_lines(verdict.observations).splitlines())
    assert tuple(again) == verdict.observations
    assert {one.clause for one in check(again)} == {one.clause for one in verdict.judged} - {"CB-35"}


def test_clauses_have_a_fixed_order() -> None:
    verdict = judged([BEGIN, *used(cpu=1, device=2), *alloc(), "end order=1"])
    assert verdict.broken == ("CB-23", "CB-30", "CB-34", "CB-66", "CB-84")
    assert verdict.seen.buffers[1].la == LA
