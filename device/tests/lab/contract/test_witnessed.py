# SPDX-License-Identifier: Apache-2.0
"""The recorded calls of anybody's driver are judged by nthal's clauses, load by load, and held against what it tells."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.lab.contract import observed
from plx9x5x.lab.contract.witnessed import Calls, differences, judge, parse
from plx9x5x.witness.log import as_json
from plx9x5x.witness.records import Alloc, Kind, Mask, Record
from tests.lab.contract.guest_words import BEGIN, LA, VA, alloc, free, report

TEXT = 0xFFFF_FFFF_C000_0000
FRAMES = 0x120_0000


class Log:
    """Lines as the server writes them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.seq = 0

    def put(self, kind: Kind, *a: int, flags: int = 0, pc: int = TEXT + 16, text: str = "") -> None:
        self.seq += 1
        told = as_json(Record(self.seq, kind, flags, 0, 0, pc, (*a, *(0,) * (8 - len(a))), text))
        assert told is not None
        self.lines.append(json.dumps(told))

    def load(self, text: int = TEXT, module: int = 5) -> None:
        self.put(Kind.MODULE, module, text, 0x1000, 0, 0, text="my_drv")

    def unload(self, module: int = 5) -> None:
        self.put(Kind.MODULE, module, TEXT, 0x1000, 0, 0, text="my_drv", flags=1)

    def alloc(self, size: int = 4096, *, va: int = VA, la: int = LA, physical: int = 0, pc: int = TEXT + 16) -> None:
        self.put(Kind.ALLOC, va, la if va else 0, size, physical or la, pc=pc)

    def free(self, size: int = 4096, *, va: int = VA, la: int = LA, pc: int = TEXT + 16) -> None:
        self.put(Kind.FREE, va, la, size, pc=pc)

    @property
    def calls(self) -> Calls:
        return parse(self.lines)


def broken(log: Log) -> tuple[str, ...]:
    verdict = judge(log.calls)
    assert verdict is not None
    assert not log.calls.problems
    return verdict.broken


def test_a_good_life_breaks_nothing() -> None:
    log = Log()
    log.put(Kind.MASK, (1 << 32) - 1, 0, flags=Mask.COHERENT)
    for _ in range(2):
        log.load()
        log.alloc()
        log.alloc(0x3000, va=VA + 0x10000, la=LA + 0x10000)
        log.alloc(va=0)
        log.free(0x3000, va=VA + 0x10000, la=LA + 0x10000)
        log.free()
        log.unload()
    verdict = judge(log.calls)
    assert verdict is not None
    assert verdict.broken == ()
    assert {"CB-31", "CB-50", "CB-81", "CB-84"} <= set(verdict.holding)
    assert verdict.line.startswith("common buffers: 6 observed")
    assert not log.calls.translated


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_never_freed_is_named_for_each_load_alone(times: int) -> None:
    log = Log()
    for turn in range(times):
        log.load()
        log.alloc()
        if turn:
            log.free()
        log.unload()
    assert broken(log) == ("CB-84",)


def test_a_wrong_free_and_an_address_above_the_mask() -> None:
    log = Log()
    log.load()
    log.alloc()
    log.free(8192)
    assert broken(log) == ("CB-81",)
    log = Log()
    log.put(Kind.MASK, 0xFF_FFFF, 0, flags=Mask.COHERENT)
    log.load()
    log.alloc()
    log.free()
    assert broken(log) == ("CB-50",)


def test_behind_an_iommu_frames_are_not_known() -> None:
    log = Log()
    log.load()
    log.alloc(0x4000, la=0xFFFF_0000, physical=FRAMES)
    log.free(0x4000, la=0xFFFF_0000)
    assert log.calls.translated
    assert broken(log) == ()


def test_others_and_the_pages_of_pools_are_not_the_drivers() -> None:
    log = Log()
    log.load()
    log.alloc(pc=0x1000)
    log.put(Kind.ALLOC, VA, LA, 4096, LA, flags=Alloc.POOL_PAGE)
    log.unload()
    assert judge(log.calls) is None


@pytest.mark.parametrize("freed", [True, False])
def test_memory_that_is_somebody_elses_now_is_not_the_drivers(freed: bool) -> None:
    """A module that nobody watches gets the same address, and frees it by calls of its own."""
    log = Log()
    log.load()
    log.alloc()
    if freed:
        log.free()
    log.alloc(8192, pc=0x1000)
    log.free(8192, pc=0x1000)
    log.alloc(4096, pc=0x1000)
    log.free(4096, pc=0x1000)
    if freed:
        log.unload()
    assert broken(log) == ()


def test_what_others_free_after_the_driver_is_not_its_second_free() -> None:
    log = Log()
    log.load()
    log.alloc()
    log.free()
    log.free(8192, pc=0x1000)
    log.unload()
    assert broken(log) == ()


def test_what_the_driver_frees_twice_is_its_own() -> None:
    log = Log()
    log.load()
    log.alloc()
    log.free()
    log.free()
    assert broken(log)


def test_what_a_driver_tells_is_what_was_called() -> None:
    seen = observed.read(report([BEGIN, *alloc(length=4096), *free(2, 1, 4096), "end order=2"]))
    log = Log()
    log.load()
    log.alloc()
    log.free()
    assert differences(seen, log.calls) == ()
    log.alloc(va=VA + 0x10000)
    assert len(differences(seen, log.calls)) == 1
    assert "does not tell" in differences(seen, log.calls)[0]
    assert len(differences(seen, Calls())) == 2


@given(
    st.lists(st.sampled_from(["", "{", "[]", "null", '{"kind": "alloc"}', '{"kind": "module", "gone": 1}']) | st.text())
)
def test_any_lines_are_read(lines: list[str]) -> None:
    calls = parse(lines)
    assert not any(calls.loads)
    assert (judge(calls) is None) is not bool(calls.problems)
