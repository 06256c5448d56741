# SPDX-License-Identifier: Apache-2.0
"""Planned faults as a real driver meets them: each kind strikes, with the bits that the page says; nobody is blamed.

One guest with seven cards, on libvfio-user, and one behind an IOMMU, on the wire; the driver of guest-tests/try/mishap
says what it saw of each transfer.
"""

import functools
import re
from dataclasses import dataclass

import pytest
from trying import folder, tried

from plx9x5x.chip_faults.kinds import KINDS
from plx9x5x.lab.guest.shapes import IOMMU, PLAIN, named
from plx9x5x.lab.trial import TryResult
from plx9x5x.lab.trial_plugin import Try

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]

MASTER, TARGET, PARITY, MASTER_PARITY = 0x2000, 0x1000, 0x8000, 0x0100
ONES = 0xFFFF_FFFF
LATCHED = 1 << 21
ID = 0x9601_10B5


@dataclass(frozen=True)
class Turn:
    """One transfer of the first card: its letter, what is planned for it, and what the driver has to see."""

    letter: str
    kind: str
    rest: str
    seen: str


GOOD = "done=1 irq=1 errors=0 wrong=0"
HUNG = "soon=0 done=0 irq=0"
TURNS = (
    Turn("r", "", "", GOOD),
    Turn("r", "master abort", "at transfer {n}", f"{HUNG} errors={MASTER} wrong=256 last=13 active=1"),
    Turn("w", "target abort", "on read at transfer {n}", f"{HUNG} errors={TARGET} wrong=256 last=13 active=1"),
    Turn("w", "parity error", "at transfer {n}", f"done=1 irq=1 errors={PARITY} wrong=1"),
    Turn("r", "corrupted byte", "at transfer {n}", "done=1 irq=1 errors=0 wrong=1"),
    Turn("r", "dropped write", "at transfer {n}", "done=1 irq=1 errors=0 wrong=256"),
    Turn("r", "lost interrupt", "at transfer {n}", f"done=1 irq=0 errors=0 wrong=0 latched={LATCHED}"),
    Turn("r", "late interrupt", "by 500 ms at transfer {n}", "done=1 irqsoon=0 irq=1 wrong=0"),
    Turn("r", "doubled interrupt", "at transfer {n}", f"{GOOD} strays=1"),
    Turn("r", "stuck interrupt", "at transfer {n} for 20 ms", f"{GOOD} strays=1"),
    Turn("c", "descriptor abort", "at transfer {n}", f"{HUNG} errors={MASTER} wrong=256 last=13"),
    Turn("c", "corrupted descriptor", "4 at transfer {n}", "done=1 irq=1 errors=0 wrong=128 left=0,0"),
    Turn("c", "write-back abort", "at transfer {n}", f"{HUNG} errors={TARGET} wrong=128 left=128,128"),
    Turn("c", "dropped write-back", "at transfer {n}", "done=1 irq=1 wrong=0 left=128,0"),
    Turn("r", "stuck busy", "at transfer {n}", f"{HUNG} errors=0 wrong=0"),
    Turn("r", "late DONE", "by 500 ms at transfer {n}", "soon=0 done=1 irq=1 wrong=0"),
    Turn("r", "short transfer", "of 100 bytes at transfer {n}", "done=1 irq=1 errors=0 wrong=156"),
    Turn("r", "START ignored", "at transfer {n}", "done=1 irq=0 errors=0 wrong=256 strays=1"),
    Turn("r", "ABORT ignored", "at transfer {n}", f"{HUNG} aborts=2"),
    Turn("r", "no grant", "at transfer {n} for 500 ms", "soon=0 done=1 irq=1 wrong=0"),
    Turn("r", "slow bus", "by 500 ms at transfer {n} once", "soon=0 done=1 irq=1 wrong=0"),
    Turn("a", "retry storm", "at transfer {n} once", f"{HUNG} errors={TARGET} wrong=256 last=5 active=1"),
    Turn("r", "missing interrupt", "at transfer {n}", "done=1 irq=0 errors=0 wrong=0 latched=0"),
    Turn("r", "stale register", "of MBOX3 at transfer {n} once", "done=1 mbox={before}"),
    Turn("r", "bad read", "of MBOX3 at transfer {n}", f"done=1 mbox={ONES}"),
    Turn("r", "ignored write", "of MBOX3 at transfer {n}", "done=1 mbox={before}"),
    Turn("r", "stuck bit", "7 of MBOX3 = 1 at transfer {n} once", "done=1 mbox={bit7}"),
    Turn("r", "configuration all ones", "at transfer {n} once", f"done=1 irq=1 id={ONES}"),
    Turn("r", "wrong device ID", "= 0x9999 at transfer {n} once", f"done=1 irq=1 id={0x9999_10B5}"),
    Turn("r", "reset", "at transfer {n}", "soon=0 done=0 irq=0 wrong=256 gone=1 back=1"),
    Turn("r", "", "", GOOD),
    Turn("r", "surprise removal", "at transfer {n} for 2 s", f"soon=0 done=0 irq=0 id={ONES} gone=1 back=1"),
    Turn("r", "bus mastering refused", "at transfer {n} once", GOOD),
    Turn("m", "", "", f"{HUNG} errors=0 wrong=256"),
    Turn("m", "", "", GOOD),
)
"""Bus mastering is refused where it is next asked for: in the transfer after."""

BESIDE = (
    ("ABORT ignored", "stuck busy at transfer {n}"),
    ("START ignored", "spurious interrupt 100 ms after transfer {n}"),
)
"""So that there is something to abort; and where no other interrupt comes meanwhile."""

OTHERS = (
    ("hpdi32", "dd", ("no DREQ at transfer 1",)),
    ("rdk-9656-lite", "", ("EEPROM absent",)),
    ("rdk-9656-lite", "", ("EEPROM blank",)),
    ("rdk-9656-lite", "", ("EEPROM wrong 0x00 = 0x123410b5",)),
    ("rdk-9656-lite", "", ("no interrupt pin",)),
    ("rdk-9656-lite", "s", ("channel 0: stuck busy",)),
)


def plan() -> list[str]:
    sentences = [f"{turn.kind} {turn.rest}".format(n=number) for number, turn in enumerate(TURNS, 1) if turn.kind]
    numbers = {turn.kind: number for number, turn in enumerate(TURNS, 1)}
    sentences += [text.format(n=numbers[kind]) for kind, text in BESIDE]
    return sentences + [f"card {number}: {text}" for number, (_, _, texts) in enumerate(OTHERS, 2) for text in texts]


@pytest.fixture(params=(PLAIN, IOMMU), ids=lambda shape: shape.name)
def result(request: pytest.FixtureRequest) -> TryResult:
    """What came of it in a guest of that shape: one for all tests."""
    return trial(request.param.name)


@functools.cache
def trial(shape: str) -> TryResult:
    programs = ",".join(["".join(turn.letter for turn in TURNS), *(letters for _, letters, _ in OTHERS)])
    came, _ = tried(
        folder("mishap"),
        f"program={programs}",
        boards=("rdk-9656-lite", *(board for board, _, _ in OTHERS)),
        faults=tuple(plan()),
        guest=named(shape),
        timeout_s=150.0,
    )
    return came


def lines_of(result: TryResult, card: int) -> list[str]:
    """What the driver said of a card, by the order in which the slots are."""
    said = re.findall(r"mishap 0000:00:(\w\w)\.0: (.*)", result.dmesg)
    slots = sorted({slot for slot, _ in said})
    return [text for slot, text in said if slot == slots[card - 1]]


def seen(result: TryResult, card: int, number: int) -> dict[str, object]:
    """What the driver saw of one transfer: numbers by their names."""
    found: dict[str, object] = {}
    for line in lines_of(result, card):
        if (match := re.match(rf"{number} [a-z] (.*)", line)) is not None:
            found |= dict(word.split("=", 1) for word in match[1].split())
        elif (match := re.match(rf"{number} was aborted (\d+) times, done=(\d)", line)) is not None:
            found["aborts"] = int(match[1])
        elif (match := re.match(rf"{number} is back: intcsr=(\w+)", line)) is not None:
            found["back"] = int(match[1] != "ffffffff")
    assert found, (lines_of(result, card), result.problems)
    intcsr = int(str(found["intcsr"]), 16)
    found |= {name: int(str(found[name]), 16) for name in ("errors", "id", "mbox")}
    found |= {name: int(str(found[name])) for name in ("soon", "done", "irqsoon", "irq", "wrong")}
    found |= {"stray": int(str(found["stray"])), "gone": int(intcsr == ONES), "latched": intcsr & LATCHED}
    return found | {"last": intcsr >> 24 & 0xF, "active": intcsr >> 14 & 1}


def test_all_was_planned_and_all_struck(result: TryResult) -> None:
    assert result.lost is None, result.lines()
    assert lines_of(result, 1 + len(OTHERS)), result.lines()
    assert len(result.faults) == len(plan())
    assert [str(it) for it in result.faults if not it.times] == []
    assert {it.kind for it in result.faults} == {kind.name for kind in KINDS}


@pytest.mark.parametrize("number", range(1, len(TURNS) + 1), ids=lambda n: f"{n}-{TURNS[n - 1].kind or 'none'}")
def test_the_driver_sees_what_the_page_says(result: TryResult, number: int) -> None:
    turn = TURNS[number - 1]
    before = number - 1
    wanted = dict(word.split("=", 1) for word in turn.seen.format(before=before, bit7=number | 0x80).split())
    there = seen(result, 1, number)
    if "strays" in wanted:  # the driver may be at its next transfer already
        there["strays"] = int(bool(there["stray"]) or bool(seen(result, 1, number + 1)["stray"]))
    assert {name: str(there[name]) for name in wanted} == wanted, there


def test_no_dreq_is_a_transfer_that_starves(result: TryResult) -> None:
    first, second = seen(result, 2, 1), seen(result, 2, 2)
    assert (first["done"], first["irq"], first["errors"], first["aborts"]) == (0, 0, 0, 1)
    assert (second["done"], second["irq"]) == (1, 1)


def test_cards_whose_eeprom_is_not_as_it_should_be(result: TryResult) -> None:
    absent, blank, wrong = (" ".join(lines_of(result, card)) for card in (3, 4, 5))
    assert "device=9656" in absent
    assert "local=0" in absent
    assert int(re.findall(r"cntrl=(\w+)", absent)[0], 16) >> 28 & 1 == 0
    assert "device=9656" in blank
    assert int(re.findall(r"cntrl=(\w+)", blank)[0], 16) >> 28 & 1 == 1
    assert "device=1234" in wrong
    assert "irq=0" in " ".join(lines_of(result, 6))


def test_nobody_is_blamed_for_what_was_planned_but_who_polls_for_ever(result: TryResult) -> None:
    blamed = [[finding.rule for finding in card.findings] for card in result.cards]
    assert blamed == [[], [], [], [], [], [], ["spinning"]], result.lines()


def test_the_verdict_says_what_struck(result: TryResult) -> None:
    lines = result.lines()
    assert any("fault: master abort at transfer 2: struck once at write of 256 bytes" in line for line in lines)
    told = result.json()["faults"]
    assert isinstance(told, list)
    assert {name: next(it for it in told if it["card"] == 3)[name] for name in ("card", "fault", "kind", "struck")} == {
        "card": 3,
        "fault": "card 3: EEPROM absent",
        "kind": "EEPROM absent",
        "struck": 1,
    }


def test_a_fixture_takes_sentences(plx_try: Try) -> None:
    """A right driver whose only interrupt is lost gives up, and says so; nobody is blamed."""
    result = plx_try(folder("blink"), faults=["lost interrupt"])
    assert any("failed with error -110" in line for line in result.kernel_said)
    assert [(it.text, it.times) for it in result.faults] == [("lost interrupt", 1)]
    assert (result.exit_code, result.findings) == (1, ())


@pytest.mark.parametrize("register", ["DMAPADR0", "DMASIZ0"])
def test_a_driver_that_is_watched_is_not_blamed_for_a_lost_write(plx_try: Try, register: str) -> None:
    result = plx_try(folder("blink"), faults=[f"ignored write of {register}"])
    assert [it.times for it in result.faults] == [1]
    assert result.findings == ()
    assert result.coverage is not None, "nobody watched"


@pytest.mark.plx_board("rdk-9656-lite", faults=["bus mastering refused"])
def test_a_marker_takes_sentences(plx_try: Try) -> None:
    result = plx_try(folder("blink"))
    assert [it.times for it in result.faults] == [1]
    assert (result.exit_code, result.findings) == (1, ())
