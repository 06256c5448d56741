# SPDX-License-Identifier: Apache-2.0
"""Every board's EEPROM in a file, in every order, is the board again; and so is its lspci text, as far as that goes."""

from pathlib import Path

import pytest

from plx9x5x.board import Board, EepromPart, board_names, load_board
from plx9x5x.lab.card import config_space
from plx9x5x.lab.dump import against, bars, config_file, draft, eeprom_file
from plx9x5x.lab.dump.config_file import Card
from plx9x5x.lab.dump.orders import Order
from tests.lab.dump.boards import binds, config, written


def whole(board: Board) -> bytes:
    assert board.eeprom is not None
    return board.eeprom.image.ljust(board.eeprom.part.size, b"\xff")


def sizes(board: Board) -> list[tuple[int, int, int]]:
    return [(bar.size, bar.kind, bar.local_base) for bar in bars.of(against.powered(board))]


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("name", board_names())
def test_board_to_image_to_board_is_the_identity(tmp_path: Path, name: str, order: Order) -> None:
    board = load_board(name)
    file = tmp_path / "image"
    file.write_bytes(order.turn(whole(board)))
    found = eeprom_file.read(file)
    assert (found.order, found.image) == (order, whole(board))
    again = written("again", draft.from_eeprom(found, board.profile.key), tmp_path)
    assert again.profile is board.profile
    assert again.eeprom is not None
    assert again.eeprom.part is board.eeprom.part  # type: ignore[union-attr]
    assert whole(again) == whole(board)
    assert config(again) == config(board)
    assert sizes(again) == sizes(board)
    binds(again)


@pytest.mark.parametrize("name", board_names())
def test_what_stands_behind_the_loaded_dwords_is_kept(tmp_path: Path, name: str) -> None:
    board = load_board(name)
    image = bytearray(whole(board))
    image[board.profile.eeprom_bytes + 5] = 0x5A
    file = tmp_path / "image"
    file.write_bytes(image)
    again = written("again", draft.from_eeprom(eeprom_file.read(file), board.profile.key), tmp_path)
    assert whole(again) == bytes(image)


@pytest.mark.parametrize("name", board_names())
def test_a_boards_lspci_text_with_sizes_becomes_a_board_that_does_not_differ(tmp_path: Path, name: str) -> None:
    board = load_board(name)
    file = tmp_path / "lspci"
    file.write_text(lspci(board))
    card = config_file.read(file)
    again = written("again", draft.from_card(card, board.profile.key), tmp_path)
    assert against.compare(again, card).differs == ()
    assert against.compare(board, card).differs == ()
    assert [bar[:2] for bar in sizes(again)] == [bar[:2] for bar in sizes(board)]
    binds(again)


@pytest.mark.parametrize("length", [64, 256, 4096])
@pytest.mark.parametrize("name", board_names())
def test_sysfs_with_its_resource_file_becomes_a_board_that_does_not_differ(
    tmp_path: Path, name: str, length: int
) -> None:
    board = load_board(name)
    image = config(board, assigned=True)
    (tmp_path / "config").write_bytes(image.ljust(4096, b"\0")[:length])
    (tmp_path / "resource").write_text(resource(board, image))
    card = config_file.read(tmp_path / "config")
    assert sum(card.known) == 0xFF * min(length, 256)
    again = written("again", draft.from_card(card, board.profile.key), tmp_path)
    assert against.compare(again, card).differs == ()
    assert [bar[:2] for bar in sizes(again)] == [bar[:2] for bar in sizes(board)]


@pytest.mark.parametrize("part", EepromPart)
def test_a_part_is_told_by_its_size(tmp_path: Path, part: EepromPart) -> None:
    file = tmp_path / "image"
    file.write_bytes(whole(load_board("9080-401b"))[: part.size].ljust(part.size, b"\xff"))
    assert draft.from_eeprom(eeprom_file.read(file)).part is part


def lspci(board: Board) -> str:
    """What lspci -vxxx would print on a real machine, as far as it is read."""
    image = config(board, assigned=True)
    first, *hexes = config_space.lspci_text(image).splitlines()
    regions = []
    for index, (size, kind, _) in enumerate(sizes(board)):
        if size:
            address = int.from_bytes(image[0x10 + 4 * index : 0x14 + 4 * index], "little") & ~0xF
            words = (
                f"I/O ports at {address:x}"
                if kind & 1
                else f"Memory at {address:x} (32-bit, {'' if kind & 8 else 'non-'}prefetchable)"
            )
            text = f"{size >> 20}M" if size >= 1 << 20 else f"{size >> 10}K" if size >= 1 << 10 else str(size)
            regions.append(f"\tRegion {index}: {words} [size={text}]")
    return "\n".join([first, *regions, *hexes, ""])


def resource(board: Board, image: bytes) -> str:
    """What sysfs has in `resource`."""
    lines = []
    for index, (size, kind, _) in enumerate(sizes(board)):
        address = int.from_bytes(image[0x10 + 4 * index : 0x14 + 4 * index], "little") & ~0xF
        flags = 0x0004_0101 if kind & 1 else 0x0004_0200
        lines.append(
            f"0x{address:016x} 0x{address + size - 1:016x} 0x{flags:016x}" if size else " ".join(["0x" + "0" * 16] * 3)
        )
    return "\n".join([*lines, *[" ".join(["0x" + "0" * 16] * 3)] * 9, ""])


def test_a_card_that_knows_nothing_has_no_bar() -> None:
    assert not any(Card().has_bar(index) for index in range(6))
