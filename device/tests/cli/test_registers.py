# SPDX-License-Identifier: Apache-2.0
"""The verbs on registers and boards: `regs`, `decode`, `boards`."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from plx9x5x.cli.main import main
from plx9x5x.lab.card import ledger


def said(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    assert main(argv) == code
    return capsys.readouterr().out


def test_regs_lists_what_the_chip_has(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = (said(capsys, "regs", "--chip", chip) for chip in ("9080", "9656"))
    assert "PABTADR" in new
    assert "PABTADR" not in old
    assert "0x68         INTCSR             32  0f010100    Interrupt control and status" in new
    assert "config 0x00  PCIIDR             32  908010b5" in old


def test_regs_shows_one_register_with_its_fields_as_the_chip_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "regs", "cntrl", "--chip", "9080")
    assert text.startswith("CNTRL: EEPROM, PCI commands, user pins, reset\nat 0x6c, 32 bits, on all")
    assert "init_done" in text
    assert "eeprom_input_enable" not in text


def test_regs_says_what_the_chip_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    assert "The PCI 9080 lacks it: reads 0" in said(capsys, "regs", "LMISC1", "--chip", "9080")


def test_regs_marks_what_no_source_confirms(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "regs", "--unverified").splitlines()
    assert "PCIHREV.revision [7:0]: Stepping of the chip." in lines
    assert not [line for line in lines if line.startswith("PCIHIDR")]


def test_regs_lists_what_a_board_declares(capsys: pytest.CaptureFixture[str]) -> None:
    said_of_it = said(capsys, "regs", "--board", "hpdi32").splitlines()
    assert said_of_it[0] == "HPDI32, local address 0x0"
    assert "0x40     TX_FIFO_SIZE               32  00008000    How many words the transmit FIFO takes" in said_of_it
    one = said(capsys, "regs", "board_status", "--board", "hpdi32")
    assert one.startswith(
        "BOARD_STATUS: FIFO flags, and what went wrong\nat 0x08 of HPDI32, 32 bits; source: Linux gsc_hpdi"
    )
    assert "     12  RO        0x0  rx_not_empty: The receive FIFO has a word.\n" in one
    assert "    6:0  RO        0x0  command_lines: Levels of the cable's command lines: all low.  [UNVERIFIED]\n" in one
    few = said(capsys, "regs", "FIFO", "--board", "hpdi32", "--unverified").splitlines()
    assert [line.partition(":")[0] for line in few] == ["FIFO.word [31"]
    assert "declares no registers" in said(capsys, "regs", "--board", "rdk-9656-lite")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("regs", "DMACSR"), "no register is called 'DMACSR'; did you mean DMACSR"),
        (("regs", "XYZZY"), "'plx9x5x regs' lists them"),
        (("regs", "--chip", "9050"), "no chip is called '9050'; there are: 9080, 9054, 9056, 9656, 8311"),
        (("regs", "--ledger", "--format", "c"), "--format c goes with the plain list"),
        (("regs", "--board", "hpdi32", "--format", "c"), "--format c is of the chip's registers only"),
        (("regs", "--board", "hpdi32", "--ledger"), "--ledger is of the chip's registers only"),
        (
            ("regs", "--board", "hpdi32", "INTCSR"),
            "'hpdi32' declares no register 'INTCSR'; there are: FIRMWARE_REVISION, ",
        ),
        (("regs", "--board", "rdk-9656-lite", "X"), "declares no register 'X'; there are: none"),
        (("regs", "--board", "hpdi33"), "no board is named 'hpdi33'"),
        (("decode", "DMACSR0"), "'DMACSR0' is no NAME=VALUE, as in DMACSR0=0x13"),
        (("decode", "DMACSR0=zz"), "'zz' is no number"),
        (("decode", "DMACSR0=0x100"), "0x100 does not fit a register of 8 bits"),
        (("decode", "DMACSR0=-1"), "-1 does not fit"),
    ],
)
def test_a_wrong_name_or_number_is_told_in_words(
    capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], words: str
) -> None:
    assert main(argv) == 2
    assert words in capsys.readouterr().err


def test_decode_takes_values_apart(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "decode", "DMACSR0=0x13", "DMAARB=0b1", "LMISC1=5")
    assert "DMACSR0 = 0x13 on the PCI 9656\n      4  done = 1    No transfer" in text
    assert "MARBR = 0x00000001" in text
    assert "      2  init_done = 1" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("LAS1BA=0x00040001", "base = 0x40000 "),
        ("DMADPR0=0x1234567d", "next = 0x12345670 "),
        ("LAS0RR=0xfffe0000", "mask = 0xfffe0000 "),
        ("EROMBA=0x00012810", "base = 0x12800 "),
        ("QBAR=0x12300000", "base = 0x12300000 "),
    ],
)
def test_decode_shows_an_address_as_one(capsys: pytest.CaptureFixture[str], value: str, shown: str) -> None:
    assert shown in said(capsys, "decode", value)


def test_decode_names_bits_that_mean_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "decode", "--chip", "9080", "DMAMODE0=0x00100043")
    assert "  bits 0x100000 mean nothing on the PCI 9080: they read 0" in text


def test_the_json_has_every_register(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, "regs", "--format", "json", "--chip", "9054"))
    assert found["chip"] == "9054"
    by_name = {reg["name"]: reg for reg in found["registers"]}
    assert by_name["INTCSR"]["reset"] == 0x0F01_0100
    assert by_name["PMC"]["reset"] == 0x4801
    assert {"name": "done", "hi": 4, "lo": 4, "access": "RO", "reset": 1}.items() <= by_name["DMACSR0"]["fields"][
        -1
    ].items()


def test_the_c_header_compiles_and_has_the_masks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    header = tmp_path / "plx.h"
    header.write_text(said(capsys, "regs", "--format", "c"))
    program = tmp_path / "t.c"
    program.write_text(
        '#include "plx.h"\n_Static_assert(PLX_DMACSR0 == 0xa8 && PLX_DMACSR0_DONE == 0x10 && PLX_INTCSR_PCI_ENABLE == 0x100, "");\n'
    )
    subprocess.run(["cc", "-Wall", "-Werror", "-c", program, "-o", tmp_path / "t.o"], check=True)


def test_the_page_in_docs_is_the_one_that_regs_makes(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[3] / "docs/registers.md"
    assert page.read_text() == said(capsys, "regs", "--format", "md"), "plx9x5x regs --format md > docs/registers.md"


def test_boards_are_listed_with_chip_eeprom_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "boards")
    assert "9080-401b        PCI 9080-401B, 16 MiB DRAM, 512 KiB SRAM (10b5:0401)\n" in text
    assert "                 PCI 9080, C93CS46\n" in text
    assert "                 local 10000000-1007ffff  SRAM\n" in text
    names = said(capsys, "boards", "--names").split()
    assert names == sorted(names)
    assert {"9080-401b", "pex-8311-rdk", "rdk-9054-lite", "rdk-9056-lite", "rdk-9656-lite", "hpdi32"} <= set(names)


def test_the_ledger_exits_1_when_too_little_is_proved(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "proofs", lambda key: {})
    text = said(capsys, "regs", "--ledger", code=1)
    assert "PCI 9080" in text
    assert "0.0% too little: 95% are needed" in text


def test_the_ledger_names_state_source_confidence_and_test(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "regs", "--ledger", "DMACSR0", code=0)
    assert re.search(
        r"^DMACSR0.start \[1\] W1T modelled; sourced: PEX 8311 register dumps; on .*\n    \w+", text, re.MULTILINE
    )
