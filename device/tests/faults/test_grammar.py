# SPDX-License-Identifier: Apache-2.0
"""Sentences of a plan: what they mean, what is refused and in which words, and that no text does anything else."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.board import load_board
from plx9x5x.chip_faults import names, page
from plx9x5x.chip_faults.kinds import KINDS
from plx9x5x.faults import grammar
from plx9x5x.faults import kinds as kit
from plx9x5x.faults.plan import At, FaultPlan, Planned

READER = names.reader(load_board("rdk-9656-lite"))
DOCS = Path(__file__).parents[3] / "docs/faults.md"


def read(text: str) -> Planned:
    return READER.read(text)


def test_every_part_of_a_sentence_is_understood() -> None:
    it = read(
        "card 2: Channel 1: TARGET abort on write 5ms after write 3 of DMACSR0=0x03 for 4 times with probability 0.5"
    )
    assert (it.card, it.unit, it.kind.name, it.told) == (2, 1, "target abort", {"on": "write"})
    assert it.point is not None
    assert (it.point.at, it.point.number, it.point.value, it.delay_ns) == (At.WRITE, 3, 3, 5_000_000)
    assert it.point.place is not None
    assert it.point.place.spots == ((0, 0xA8), (1, 0xA8))
    assert (it.times, it.chance, it.every, it.lasts_ns) == (4, 0.5, 1, None)


@pytest.mark.parametrize(
    ("text", "times", "lasts", "every"),
    [
        ("master abort", 1, None, 1),
        ("master abort from then on", None, None, 1),
        ("master abort every 3", None, None, 3),
        ("master abort for 20 us", None, 20_000, 1),
        ("master abort with probability 0.1", None, None, 1),
        ("master abort with probability 0.1 once", 1, None, 1),
        ("master abort at transfer 3 with probability 0.1", 1, None, 1),
        ("surprise removal", None, None, 1),
        ("surprise removal for 1.5 s", None, 1_500_000_000, 1),
        ("slow bus by 1 ms once", 1, None, 1),
    ],
)
def test_how_often(text: str, times: int | None, lasts: int | None, every: int) -> None:
    it = read(text)
    assert (it.times, it.lasts_ns, it.every) == (times, lasts, every)


def test_addresses_registers_and_comments() -> None:
    assert read("master abort at address 0x1000..0x1fff").addresses == (0x1000, 0x1FFF)
    assert read("master abort at address 4096").addresses == (4096, 4096)
    assert read("bad read of dmacsr0  # why").text == "bad read of dmacsr0"
    place = read("bad read of BAR2+0x10 = 1").place
    assert place is not None
    assert (place.spots, place.width) == (((2, 0x10),), 4)
    whole = read("bad read of bar2").place
    assert whole is not None
    assert whole.overlap(2, 0x1_0000, 4) is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("master abord at transfer 7", "'master abord' is no kind of fault; did you mean 'master abort'?"),
        ("", "it names no kind of fault; 'plx9x5x faults' lists the kinds"),
        ("at transfer 7", "it names no kind of fault"),
        ("bad read of DMACSR7", "no register is called 'DMACSR7'; did you mean 'DMACSR"),
        ("master abort at transfr 7", "'transfr' is nothing to wait for; did you mean 'transfer'?"),
        ("master abort at transfer", "it ends where its number, from 1 is expected"),
        ("master abort at transfer 0", "it is 1 or more"),
        ("master abort at transfer x", "'x' stands where its number, from 1 is expected"),
        ("master abort frm then on", "'frm' is not understood here; did you mean 'from'?"),
        ("master abort at transfer 1 at transfer 2", "it says twice when"),
        ("master abort once every 2", "it says twice how often"),
        ("master abort 5 ms", "a time stands alone"),
        ("master abort for 5", "comes 'times', or us, ms or s"),
        ("master abort with probability 1.5", "1.5 is no probability"),
        ("master abort with luck", "after 'with' comes 'probability'"),
        ("master abort at address 9..3", "the addresses end at 0x3"),
        ("lost interrupt at address 9", "has no address on the bus"),
        ("channel 2: master abort", "there is no channel 2: they are 0 to 1"),
        ("stuck bit 40 of DMACSR0 = 1", "DMACSR0 has no bit 40: they are 0 to 7"),
        ("stuck bit 32 of BAR2+0x10 = 1", "BAR2+0x10 has no bit 32"),
        ("stuck bit 4 of INTCSR = 7", "7 is no number: it is 0 or more, and 1 at most"),
        ("corrupted descriptor 99", "99 is no number: it is 0 or more, and 7 at most"),
        ("short transfer of 0x800000", "0x7fffff at most"),
        ("ignored write of DMACSR0 = 0x103", "DMACSR0 cannot be 0x103: it has 8 bits"),
        ("master abort at write of DMACSR0 = 0x103", "DMACSR0 cannot be 0x103"),
        ("bad read of INTCSR = 0x100000000", "INTCSR cannot be 0x100000000"),
        ("wrong device ID = 0x12345", "device ID cannot be 0x12345"),
        ("EEPROM wrong 0xffff = 1", "0xffff is no dword of the EEPROM: a multiple of 4, up to 0xfc"),
        ("EEPROM wrong 0x02 = 1", "0x2 is no dword"),
        ("EEPROM wrong 0x00 = 0x100000000", "0xffffffff at most"),
        ("write-back abort on read", "'on' is not understood here"),
        ("slow bus by 0 ms", "0 ms is no time at all"),
        ("surprise removal for 0 us", "0 us is no time at all"),
        ("master abort with probability 0", "0 is no probability of use"),
        ("channel 0: lost interrupt", "no affair of one channel"),
        ("ignored write", "'ignored write' wants 'of' and a register, as in"),
        ("stuck bit of DMACSR0 = 1", "'stuck bit' wants a number"),
        ("EEPROM absent at transfer 2", "is so from power-on"),
        ("surprise removal for 3 times", "say 'for T', or nothing"),
        ("late interrupt by 20 min", "'min' is no unit of time"),
        ("late interrupt by 99999999999 s", "is too long a time"),
        ("master abort!", "'!' does not belong in a sentence"),
        ("master abort at read 3", "a read of which register?"),
        ("x " * 300, "more than 400 characters"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str) -> None:
    with pytest.raises(FaultPlan) as caught:
        read(text)
    assert said in str(caught.value)
    assert str(caught.value).startswith("--fault '")


WORDS = st.sampled_from(
    [word for kind in KINDS for word in kind.name.split()]
    + [
        "at",
        "after",
        "every",
        "once",
        "for",
        "from",
        "then",
        "on",
        "with",
        "probability",
        "transfer",
        "access",
        "read",
        "write",
        "interrupt",
        "address",
        "of",
        "by",
        "bytes",
    ]
    + [
        "channel",
        "card",
        ":",
        "=",
        "..",
        "+",
        "0",
        "1",
        "2",
        "7",
        "0x10",
        "0.5",
        "5",
        "ms",
        "us",
        "s",
        "times",
        "DMACSR0",
        "INTCSR",
        "PCICR",
        "BAR0",
        "MBOX0",
        "#",
        "x",
        "!",
        "1e9",
        "\x00",
    ]
)


@given(st.text(max_size=60) | st.lists(WORDS, max_size=14).map(" ".join))
def test_no_text_does_anything_but_plan_or_be_refused(text: str) -> None:
    try:
        planned = read(text)
    except FaultPlan:
        return
    assert read(planned.text) == planned


def test_the_example_of_each_kind_is_a_sentence_about_it() -> None:
    for kind in KINDS:
        assert read(kind.example).kind is kind


def test_files_have_a_sentence_a_line(tmp_path: Path) -> None:
    plan = tmp_path / "plan.txt"
    plan.write_text("# error paths\nmaster abort at transfer 7\n\n  lost interrupt  # the second\n", encoding="utf-8")
    wanted = ["master abort at transfer 7", "lost interrupt"]
    assert [it.text for it in READER.plan([f"@{plan}"])] == wanted
    assert [it.text for it in READER.plan([str(plan), "stuck busy"])] == [*wanted, "stuck busy"]


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nothing\n", encoding="utf-8")
    (tmp_path / "long").write_bytes(b"#" * (grammar.MOST_BYTES + 1))
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    for name, said in (
        ("none", "cannot be read"),
        ("empty", "no sentence"),
        ("long", "longer than"),
        ("binary", "does not belong"),
    ):
        with pytest.raises(FaultPlan, match=said):
            READER.plan([f"@{tmp_path / name}"])
    with pytest.raises(FaultPlan, match="are the most"):
        READER.plan(["stuck busy"] * (grammar.MOST + 1))


def test_a_chip_has_no_register_of_another() -> None:
    with pytest.raises(FaultPlan, match="PCIARB"):
        names.plan(["bad read of PCIARB"], load_board("rdk-9054-lite"))
    assert names.plan(["bad read of PCIARB"], load_board("rdk-9656-lite"))


@pytest.mark.parametrize("kind", ["EEPROM absent", "EEPROM blank", "EEPROM wrong 0x00 = 1"])
def test_an_eeprom_that_is_not_there_cannot_fail(kind: str) -> None:
    bare = replace(load_board("rdk-9656-lite"), eeprom=None)
    with pytest.raises(FaultPlan, match="rdk-9656-lite has no EEPROM"):
        names.plan([kind], bare)


def test_the_offsets_of_an_eeprom_are_those_of_the_boards_part() -> None:
    assert names.plan(["EEPROM wrong 0xfc = 1"], load_board("rdk-9656-lite"))
    with pytest.raises(FaultPlan, match="up to 0x7c"):
        names.plan(["EEPROM wrong 0xfc = 1"], load_board("9080-401b"))


def test_kinds_of_any_device_know_no_register_of_a_chip() -> None:
    for kind in kit.KINDS:
        said = f"{kind.silicon} {kind.shows} {kind.example}"
        assert [name for name in names.places(load_board("rdk-9656-lite").profile) if name in said] == [], kind.name
        assert grammar.Sentences(kit.KINDS, lambda _: None, units=2).read(kind.example).kind is kind


def test_a_device_has_as_many_channels_as_it_says() -> None:
    def reader(units: int) -> grammar.Sentences:
        return grammar.Sentences(kit.KINDS, lambda _: None, units=units)

    assert reader(3).read("channel 2: master abort").unit == 2
    with pytest.raises(FaultPlan, match="there is no channel 0: there are none"):
        reader(0).read("channel 0: master abort")


def test_the_page_is_made_from_the_kinds() -> None:
    assert DOCS.read_text(encoding="utf-8") == page.markdown(KINDS), "plx9x5x faults --markdown >docs/faults.md"


def test_pages_that_count_the_kinds_count_right() -> None:
    texts = [
        (DOCS.parents[1] / name).read_text(encoding="utf-8") for name in ("README.md", "docs/testing-your-driver.md")
    ]
    assert f"the card fails by plan, {len(KINDS)} ways" in texts[0]
    assert f"has all {len(KINDS)} kinds" in texts[1]


def test_a_kind_is_explained_and_listed_by_its_name() -> None:
    assert page.named("Late done", KINDS).name == "late DONE"
    text = "\n".join(page.explain(page.named("master abort", KINDS)))
    assert "PCISR bit 13" in text
    assert sum(line.startswith("stuck") for line in page.listing(KINDS)) == 3
    with pytest.raises(FaultPlan, match="did you mean 'stuck busy'"):
        page.named("stuck bussy", KINDS)


def test_a_plan_that_is_no_file_is_named_in_short() -> None:
    with pytest.raises(FaultPlan, match="the plan yyy") as said:
        grammar.sentences("@" + "y" * 120_000)
    assert len(str(said.value)) < 600
