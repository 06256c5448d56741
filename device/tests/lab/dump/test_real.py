# SPDX-License-Identifier: Apache-2.0
"""Real cards' dumps become boards that a driver can bind to, and the board is the card."""

import struct
from pathlib import Path

import pytest

from plx9x5x.lab.card import config_space
from plx9x5x.lab.dump import against, bars, config_file, draft, eeprom_file
from plx9x5x.lab.dump.orders import Order
from plx9x5x.regs.eeprom_map import build_image
from plx9x5x.regs.profile import PROFILES
from tests.lab.dump import real
from tests.lab.dump.boards import binds, config, written


def lines(board: object) -> list[str]:
    return list(bars.lines(board, against.powered(board)))  # type: ignore[arg-type]


@pytest.mark.parametrize("order", Order)
def test_the_9054_of_the_dasa_sim_becomes_a_board_from_any_order(tmp_path: Path, order: Order) -> None:
    file = tmp_path / "dump"
    file.write_bytes(order.turn(real.part(real.DASA_SIM)))
    found = eeprom_file.read(file)
    assert found.order is order
    board = written("dasa-sim", draft.from_eeprom(found), tmp_path)
    assert board.profile is PROFILES["9054"]
    assert board.eeprom is not None
    assert board.eeprom.image == real.part(real.DASA_SIM)
    assert lines(board)[2:] == [
        "BAR2  memory, 256 KiB  space 0: local 00000000-0003ffff, spaces 0 and 1",
        "BAR3  memory, 2 MiB  space 1: local 00000000-001fffff, spaces 0 and 1",
    ]
    assert config(board)[0x2C:0x30] == bytes.fromhex("fe120201")
    binds(board)


def test_the_monitor_of_the_dasa_sim_prints_configuration_space_before_the_eeprom(tmp_path: Path) -> None:
    whole = struct.unpack(">64I", b"".join(value.to_bytes(4, "big") for value in real.DASA_SIM).ljust(256, b"\xff"))
    text = ""
    for values in (real.DASA_SIM_CONFIG, whole[:28]):
        for at in range(0, len(values), 4):
            text += f"{4 * at:02x}: {' '.join(f'{value:08x}' for value in values[at : at + 4])} \n"
        text += "\n"
    file = tmp_path / "minicom.log"
    file.write_text(f"=> pci9054 info\n{text}=> \n")
    board = draft.from_eeprom(eeprom_file.read(file)).board("x", "")
    assert board.eeprom is not None
    assert board.eeprom.image == real.part(real.DASA_SIM)


def test_the_8311_of_the_comm2_lpcie_is_the_same_board_by_its_eeprom_and_beside_its_lspci(tmp_path: Path) -> None:
    profile = PROFILES["8311"]
    file = tmp_path / "eeprom"
    file.write_bytes(build_image(profile, real.COMM2_LPCIE, size=256))
    board = written("comm2", draft.from_eeprom(eeprom_file.read(file), "8311"), tmp_path)
    assert lines(board) == [
        "BAR0  memory, 512 bytes  registers",
        "BAR1  off",
        "BAR2  memory, 16 bytes  space 0: local 03000000-0300000f, space 0",
        "BAR3  memory, 16 bytes  space 1: local 03100000-0310000f, space 1",
    ]
    text = tmp_path / "lspci"
    text.write_text(real.COMM2_LPCIE_LSPCI)
    assert against.compare(board, config_file.read(text)).differs == ()
    binds(board)


def test_the_comm2_lpcie_by_lspci_without_root_has_what_it_says_and_guesses_local_addresses(tmp_path: Path) -> None:
    text = tmp_path / "lspci"
    text.write_text(real.COMM2_LPCIE_LSPCI)
    made = draft.from_card(config_file.read(text))
    assert "--chip 8311" in made.guesses["chip"]
    assert {"las0ba", "las1ba", "memory", "part", "lbrd0"} <= set(made.guesses)
    assert not {"las0rr", "las1rr", "ids", "subsystem"} & set(made.guesses)
    board = written("comm2", made, tmp_path)
    assert [line.split("  ")[1] for line in lines(board)] == ["memory, 512 bytes", "off", *["memory, 16 bytes"] * 2]
    assert against.compare(board, config_file.read(text)).differs == ()
    binds(board)


def test_the_usb_card_with_an_io_space_by_wrapped_lspci(tmp_path: Path) -> None:
    text = tmp_path / "mail"
    text.write_text(real.USB_ON_5406)
    made = draft.from_card(config_file.read(text))
    assert made.ids == "10b5:5406"
    assert (made.loaded["las0rr"], made.loaded["las1rr"]) == (0xFFFF_FF01, 0xFFF0_0000)
    board = written("usb", made, tmp_path)
    assert [line.split("  ")[1] for line in lines(board)] == [
        "memory, 256 bytes", "I/O, 256 bytes", "I/O, 256 bytes", "memory, 1 MiB",
    ]  # fmt: skip
    assert against.compare(board, config_file.read(text)).differs == ()
    image = config(board, assigned=True)
    assert image[0x08] == 0x0B
    assert image[config_space.BARS[2]] & 1
    binds(board)
