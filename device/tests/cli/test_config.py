# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x config`, and real lspci on what it prints: somebody else's reading of our configuration space."""

from pathlib import Path

import pytest

from plx9x5x.board import board_names
from plx9x5x.cli.main import main
from plx9x5x.lab.card import config_space
from plx9x5x.lab.toolchain import Pciutils, load
from plx9x5x.regs.config import CONFIG_REGISTERS

BOARD = "rdk-9656-lite"

Output = pytest.CaptureFixture[str]


def config(capsys: Output, *options: str) -> str:
    assert main(["config", "--board", BOARD, *options]) == 0
    return capsys.readouterr().out


@pytest.fixture(scope="session")
def pciutils() -> Pciutils:
    """Real lspci, of the toolchain that `make setup` fetches. Never skipped."""
    return load(need={"pciutils"}).pciutils


def test_every_register_is_shown_with_offset_value_and_fields(capsys: Output) -> None:
    lines = config(capsys).splitlines()
    assert BOARD in lines[0]
    assert [line.split()[1] for line in lines[1:] if line.startswith("0x")] == [
        reg.__name__ for reg in CONFIG_REGISTERS
    ]
    assert lines[1].split() == ["0x00", "PCIIDR", "0x960110b5", "vendor=0x10b5", "device=0x9601"]


def test_each_bar_is_shown_with_kind_size_and_local_range(capsys: Output) -> None:
    assert config(capsys).splitlines()[-4:] == [
        "BAR0  memory, 512 bytes  registers",
        "BAR1  I/O, 256 bytes  registers",
        "BAR2  memory, 128 KiB  space 0: local 00000000-0001ffff, SRAM",
        "BAR3  off",
    ]


def test_against_a_real_card_prints_what_differs_alone_and_exits_as_diff_does(capsys: Output, tmp_path: Path) -> None:
    same = tmp_path / "same"
    same.write_text(config(capsys, "--lspci", "--assigned"))
    assert main(["config", "--board", BOARD, "--against", str(same)]) == 0
    assert capsys.readouterr().out == ""
    assert main(["config", "--board", "pex-8311-rdk", "--against", str(same)]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "0x00 PCIIDR: board 0x86e110b5, card 0x960110b5",
        "  31:16  device: board 0x86e1, card 0x9601",
        "0x2e PCISID: board 0x8311, card 0x9656",
        "   15:0  device: board 0x8311, card 0x9656",
    ]
    assert said.err.startswith("not compared, since software writes it or the dump lacks it: BAR0 (its size")


def test_against_what_is_no_dump_is_refused(capsys: Output, tmp_path: Path) -> None:
    assert main(["config", "--against", str(tmp_path / "nothing")]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err
    assert main(["config", "--slot", "02:05.0"]) == 2
    assert "--slot goes with --against" in capsys.readouterr().err
    assert main(["config", "--against", "/nothing", "--assigned"]) == 2
    assert "--assigned goes without --against" in capsys.readouterr().err


def test_power_on_has_no_address_and_answers_nothing(capsys: Output) -> None:
    (image,) = config_space.from_lspci(config(capsys, "--lspci")).values()
    assert image[0x04:0x06] == bytes(2)
    assert image[0x10:0x14] == bytes(4)


def test_assigned_is_what_a_driver_finds(capsys: Output) -> None:
    (image,) = config_space.from_lspci(config(capsys, "--lspci", "--assigned")).values()
    assert image[0x04] == 7
    assert all(int.from_bytes(image[at : at + 4], "little") & ~3 for at in (0x10, 0x14, 0x18))
    assert "memory=1 bus_master=1" in config(capsys, "--assigned")


def test_hex_is_the_bytes_and_nothing_else(capsys: Output) -> None:
    shown = config(capsys, "--hex")
    (image,) = config_space.from_lspci(config(capsys, "--lspci")).values()
    assert shown == config_space.hex_lines(image)
    assert len(shown.splitlines()) == 16


def test_an_unknown_board_is_refused_with_those_that_exist(capsys: Output) -> None:
    assert main(["config", "--board", "no-such-board"]) == 2
    said = capsys.readouterr().err
    assert "no-such-board" in said
    assert all(name in said for name in board_names())


def test_two_forms_at_once_are_refused(capsys: Output) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["config", "--lspci", "--hex"])
    assert caught.value.code == 2


@pytest.mark.parametrize("board", board_names())
@pytest.mark.parametrize("options", [[], ["--assigned"]])
def test_real_lspci_reads_every_board(
    capsys: Output, tmp_path: Path, pciutils: Pciutils, board: str, options: list[str]
) -> None:
    assert main(["config", "--lspci", "--board", board, *options]) == 0
    dump = tmp_path / "dump"
    dump.write_text(capsys.readouterr().out)
    text = pciutils.lspci("-vvv", "-F", dump)
    assert text.startswith(f"{config_space.SLOT} Bridge: PLX Technology, Inc. ")
    assert "pin A" in text
    assert ("Region 0: Memory at " in text) == bool(options)
    assert "Unknown" not in text
    assert "Chain " not in text  # 'Chain broken', 'Chain looped'
    (again,) = config_space.from_lspci(pciutils.lspci("-xxx", "-F", dump)).items()
    assert again == (config_space.SLOT, config_space.from_lspci(dump.read_text())[config_space.SLOT])


def test_real_lspci_decodes_the_9656(capsys: Output, tmp_path: Path, pciutils: Pciutils) -> None:
    dump = tmp_path / "dump"
    dump.write_text(config(capsys, "--lspci", "--assigned"))
    lines = [line.strip() for line in pciutils.lspci("-vvv", "-F", dump).splitlines()]
    for wanted in (
        "Subsystem: PLX Technology, Inc. Device 9656",
        "Region 1: I/O ports at c000",
        "Capabilities: [40] Power Management version 2",
        "Flags: PMEClk- DSI- D1- D2- AuxCurrent=0mA PME(D0+,D1-,D2-,D3hot+,D3cold-)",
        "Capabilities: [48] CompactPCI hot-swap <?>",
        "Capabilities: [4c] Vital Product Data",
    ):
        assert wanted in lines
    control = next(line for line in lines if line.startswith("Control: "))
    assert {"I/O+", "Mem+", "BusMaster+", "DisINTx-"} <= set(control.split())
    status = next(line for line in lines if line.startswith("Status: Cap"))
    assert {"Cap+", "66MHz+", "FastB2B+", "DEVSEL=medium", "INTx-"} <= set(status.split())


def test_lspci_that_refuses_is_a_setup_error_with_its_words(tmp_path: Path, pciutils: Pciutils) -> None:
    from plx9x5x.errors import SetupError

    with pytest.raises(SetupError, match="no-such-file"):
        pciutils.lspci("-F", tmp_path / "no-such-file")
