# SPDX-License-Identifier: Apache-2.0
"""Any plan, and a guest that does what it likes: nothing is raised, nothing hangs, nothing grows."""

from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x.board import load_board
from plx9x5x.chip_faults import names
from plx9x5x.chip_faults.kinds import KINDS
from plx9x5x.faults.plan import FaultPlan
from plx9x5x.plane.choice import Plane
from plx9x5x.ports import ResetKind
from tests.chip_faults.faulty import Faulty
from tests.length import tries

READER = names.reader(load_board("rdk-9656-lite"))
WHENS = (
    "",
    " at transfer 1",
    " at access 2",
    " at write of DMACSR0",
    " at read 2 of INTCSR",
    " after 1 ms",
    " at interrupt 1",
)
OFTEN = ("", " once", " for 2 times", " for 1 ms", " from then on", " every 2", " with probability 0.5")


def sentence(kind: int, when: str, often: str) -> str:
    """The beginning of an example, with another end; a sentence that is none is left out."""
    example = KINDS[kind].example
    for word in (" at ", " after ", " for ", " with ", " every ", " once"):
        example = example.partition(word)[0]
    return f"{example.rstrip('0123456789 ms') if KINDS[kind].prompt else example}{when}{often}"


def planned(sentences: list[str]) -> list[str]:
    good = []
    for text in sentences:
        try:
            good.append(READER.read(text).text)
        except FaultPlan:
            continue
    return good


OFFSETS = st.sampled_from(
    (0x00, 0x04, 0x68, 0x6C, 0x70, 0x78, 0x80, 0x84, 0x88, 0x8C, 0x90, 0xA8, 0xA9, 0xAC, 0xFE, 0x1FC)
)
ACCESS = st.one_of(
    st.tuples(st.just("r"), st.sampled_from((0, 1, 2, 5)), OFFSETS, st.sampled_from((1, 2, 4, 8)), st.just(0)),
    st.tuples(
        st.just("w"), st.sampled_from((0, 1, 2)), OFFSETS, st.sampled_from((1, 2, 4, 8)), st.integers(0, 2**64 - 1)
    ),
    st.tuples(st.just("c"), st.just(0), st.integers(0, 255), st.sampled_from((1, 2, 4)), st.integers(0, 2**32 - 1)),
    st.tuples(st.just("v"), st.just(0), st.integers(0, 255), st.sampled_from((1, 2, 4)), st.just(0)),
    st.tuples(st.just("m"), st.just(0), st.just(0), st.just(0), st.sampled_from((0x43, 0x2_0443, 0x1_0643, 0x1443))),
    st.tuples(st.just("t"), st.just(0), st.just(0), st.just(0), st.integers(0, 3_000_000)),
    st.tuples(st.just("x"), st.just(0), st.just(0), st.just(0), st.integers(0, 1)),
)


@settings(max_examples=tries(40, 120), deadline=None)
@given(
    st.lists(
        st.builds(sentence, st.integers(0, len(KINDS) - 1), st.sampled_from(WHENS), st.sampled_from(OFTEN)), max_size=6
    ),
    st.lists(ACCESS, max_size=40),
    st.sampled_from(list(Plane)),
)
def test_a_hostile_guest_finds_nothing_that_raises(sentences: list[str], accesses: list[tuple], plane: Plane) -> None:
    it = Faulty(*planned(sentences), plane=plane)
    for what, bar, offset, width, value in accesses:
        match what:
            case "r":
                assert 0 <= it.chip.read(bar, offset, width) < 1 << 8 * width
            case "w":
                it.chip.write(bar, offset, width, value & (1 << 8 * width) - 1)
            case "c":
                it.chip.config_write(offset, min(width, 256 - offset), value & (1 << 8 * min(width, 256 - offset)) - 1)
            case "v":
                it.chip.config_read(offset, min(width, 256 - offset))
            case "m":
                it.chip.config_write(4, 2, 7)
                it.channel(0).block(pci=it.RAM, local=0, length=300, to="pci", mode=value)
            case "t":
                it.clock.advance(value)
            case "x":
                it.chip.reset(ResetKind.LOST_CLIENT if value else ResetKind.POWER_ON)
        for _ in range(4):
            it.chip.step(64 * 1024)
        wait = it.chip.wait_ns()
        assert wait is None or wait >= 0
    it.clock.advance(10_000_000_000)
    for _ in range(8):
        it.chip.step(64 * 1024)
    assert len(it.card.injector.record()) == len(it.struck)
