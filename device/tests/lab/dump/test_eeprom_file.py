# SPDX-License-Identifier: Apache-2.0
"""EEPROM files: what is read, what is refused and with which words."""

from collections.abc import Callable
from pathlib import Path

import pytest

from plx9x5x.lab.card import config_space
from plx9x5x.lab.dump import draft, eeprom_file
from plx9x5x.lab.dump.bad import BadDump
from plx9x5x.lab.dump.orders import Order, is_range
from plx9x5x.regs.eeprom_map import build_image
from plx9x5x.regs.profile import PROFILES
from tests.lab.dump import real

IMAGE = real.part(real.DASA_SIM)
Dump = Callable[[bytes | str], Path]


@pytest.fixture
def dump(tmp_path: Path) -> Dump:
    def write(content: bytes | str) -> Path:
        file = tmp_path / "dump"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


@pytest.mark.parametrize(
    ("order", "first"),
    [("word-le", "54 90 b5 10"), ("word-be", "90 54 10 b5"), ("dword-le", "b5 10 54 90"), ("half-be", "10 b5 90 54")],
)
def test_the_ids_of_a_9054_lie_so_in_each_order(order: str, first: str) -> None:
    (found,) = [one for one in Order if one.key == order]
    assert found.example == first
    assert found.turn(found.turn(IMAGE)) == IMAGE


def test_what_the_vendors_tool_saves_is_filled_as_an_unprogrammed_part_and_said(dump: Dump) -> None:
    made = draft.from_eeprom(eeprom_file.read(dump(IMAGE[:0x58])))
    assert made.image == IMAGE
    assert "blank beyond" in made.guesses["part"]


def test_a_9656_needs_more_bytes_than_a_9054(dump: Dump) -> None:
    with pytest.raises(BadDump, match="88 bytes, and a PCI 9656 loads 100"):
        draft.from_eeprom(eeprom_file.read(dump(IMAGE[:0x58])), "9656")


@pytest.mark.parametrize("length", [4, 64, 87, 90, 127, 200, 257, 1024, 4096])
def test_a_length_that_no_part_has_is_refused_with_those_there_are(dump: Dump, length: int) -> None:
    with pytest.raises(BadDump, match=r"an EEPROM has 128 \(C93CS46\), 256 \(C93CS56\), 512 \(C93CS66\)") as caught:
        eeprom_file.read(dump(b"\xff\x00" * 2048 if length == 4096 else IMAGE.ljust(4096, b"\xff")[:length]))
    assert ("--from-lspci" in str(caught.value)) == (length in (64, 4096))


@pytest.mark.parametrize("fill", [b"\xff", b"\x00"])
@pytest.mark.parametrize("order", [None, "word-le"])
def test_a_blank_part_is_called_blank(dump: Dump, fill: bytes, order: str | None) -> None:
    with pytest.raises(BadDump, match="the part is blank, or was not read"):
        eeprom_file.read(dump(fill * 256), order)


def test_an_order_that_cannot_be_told_is_asked_for_with_all_there_are(dump: Dump) -> None:
    nothing = bytes(range(256))
    with pytest.raises(BadDump, match="say it with --order") as caught:
        eeprom_file.read(dump(nothing))
    assert all(order.key in str(caught.value) and order.example in str(caught.value) for order in Order)
    assert eeprom_file.read(dump(nothing), "half-be").image == Order.DWORD_BE_WORDS.turn(nothing)
    with pytest.raises(BadDump, match="no order is called 'big'"):
        eeprom_file.read(dump(nothing), "big")


@pytest.mark.parametrize("key", ["word-be", "dword-le", "half-be"])
def test_a_wrong_order_on_demand_is_refused(dump: Dump, key: str) -> None:
    with pytest.raises(BadDump, match=f"read in the order {key}, .* lie in another order"):
        draft.from_eeprom(eeprom_file.read(dump(IMAGE), key), "9054")


def test_the_order_of_another_vendors_card_is_told_by_class_pin_and_ranges(dump: Dump) -> None:
    values = {
        "ids": 0x0061_1307, "class_revision": 0x1180_0000, "latency_interrupt": 0x0000_0100, "subsystem": 0x0061_1307,
        "las0rr": 0xFFFF_F000, "las1rr": 0xFFFF_FF00,
    }  # fmt: skip
    image = build_image(PROFILES["9080"], values, size=128)
    for order in Order:
        found = eeprom_file.read(dump(order.turn(image)))
        assert (found.order, found.image) == (order, image)
    with pytest.raises(BadDump, match="calls itself 1307:0061, which says nothing of its chip; say it with --chip"):
        draft.from_eeprom(found)
    assert draft.from_eeprom(found, "9080").image == image


@pytest.mark.parametrize(("chip", "guessed"), [("9054", "9054"), ("9056", "9056"), ("9656", "9056")])
def test_a_chip_is_told_by_the_capabilities_that_it_loads(dump: Dump, chip: str, guessed: str) -> None:
    values = {"ids": 0x0001_1234, "subsystem": 0x0001_1234}
    made = draft.from_eeprom(eeprom_file.read(dump(build_image(PROFILES[chip], values, size=256))))
    assert made.profile is PROFILES[guessed]
    assert made.guesses["chip"]


def test_configuration_space_of_256_bytes_is_no_eeprom(dump: Dump) -> None:
    from plx9x5x.board import load_board
    from tests.lab.dump.boards import config

    image = config(load_board("rdk-9054-lite"), assigned=True)
    with pytest.raises(BadDump, match="looks like configuration space"):
        eeprom_file.read(dump(image))
    with pytest.raises(BadDump, match="looks like configuration space"):
        eeprom_file.read(dump(config_space.hex_lines(image)))


def test_a_short_load_is_noted(dump: Dump) -> None:
    values = list(real.DASA_SIM)
    values[0x2C // 4] &= ~(1 << 25)
    made = draft.from_eeprom(eeprom_file.read(dump(real.part(tuple(values)))))
    assert any("bit 25 of lbrd0 is clear" in note for note in made.notes)
    assert [(piece.name, piece.size) for piece in made.memory] == [("space 0", 0x4_0000)]


# -- text ------------------------------------------------------------------------------------------------------------


def in_dwords() -> list[int]:
    return [int.from_bytes(Order.DWORD_LE.turn(IMAGE[at : at + 4]), "little") for at in range(0, 0x60, 4)]


def in_words() -> list[int]:
    return [int.from_bytes(IMAGE[at : at + 2], "little") for at in range(0, 0x60, 2)]


TEXTS = {
    "dwords": "\n".join(f"{4 * n:02x}: {value:08x}" for n, value in enumerate(in_dwords())),
    "names behind": "\n".join(f" {4 * n:03X}h  {value:08X}  Device/Vendor ID" for n, value in enumerate(in_dwords())),
    "C's numbers": "\n".join(f"0x{4 * n:02x}, 0x{value:08x}," for n, value in enumerate(in_dwords())),
    "brackets": "\r\n".join(f"[{4 * n:02x}] = {value:08x}h ; x" for n, value in enumerate(in_dwords())),
    "by dword": "\n".join(f"{n:x}: {value:08x}" for n, value in enumerate(in_dwords())),
    "words": "\n".join(f"{2 * n:04x}: {value:04x}" for n, value in enumerate(in_words())),
    "by word": "\n".join(f"{n:04x}: {value:04x}" for n, value in enumerate(in_words())),
    "hexdump": "\n".join(
        f"{2 * n:07x} {' '.join(f'{value:04x}' for value in in_words()[n : n + 8])}" for n in range(0, 48, 8)
    )
    + "\n0000060",
    "hexdump -C": "\n".join(
        f"{at:08x}  {IMAGE[at : at + 8].hex(' ')}  {IMAGE[at + 8 : at + 16].hex(' ')}  |T...............|"
        for at in range(0, 0x60, 16)
    ),
    "xxd": "\n".join(f"{at:08x}: {IMAGE[at : at + 16].hex(' ', 2)}  T..............." for at in range(0, 0x60, 16)),
    "other order": config_space.hex_lines(Order.WORD_BE.turn(IMAGE)),
}


@pytest.mark.parametrize("form", TEXTS)
def test_text_is_read_in_many_forms(dump: Dump, form: str) -> None:
    made = draft.from_eeprom(eeprom_file.read(dump(f"PCI 9054 EEPROM\n\n{TEXTS[form]}\nbe 12\n")))
    assert made.image == IMAGE


def test_a_gap_in_text_is_named(dump: Dump) -> None:
    lines = TEXTS["dwords"].splitlines()
    del lines[11]
    with pytest.raises(BadDump, match="the next line would have offset 0x2c"):
        eeprom_file.read(dump("\n".join(lines)))


def test_text_without_offsets_is_refused_with_what_can_be_read(dump: Dump) -> None:
    with pytest.raises(BadDump, match=r"no line has offset 0 and values behind it.*00: 905410b5"):
        eeprom_file.read(dump("vendor 10b5\ndevice 9054\n"))


def test_two_cards_in_one_text_are_not_guessed_at(dump: Dump) -> None:
    with pytest.raises(BadDump, match="2 EEPROMs in it that differ"):
        eeprom_file.read(dump(f"{TEXTS['dwords']}\n\n{TEXTS['dwords'].replace('010212fe', '010312fe')}"))


def test_a_file_that_is_not_there_or_empty_or_huge_is_refused(tmp_path: Path, dump: Dump) -> None:
    with pytest.raises(BadDump, match="cannot be read: No such file"):
        eeprom_file.read(tmp_path / "nothing")
    with pytest.raises(BadDump, match="cannot be read"):
        eeprom_file.read(tmp_path)
    with pytest.raises(BadDump, match="is empty"):
        eeprom_file.read(dump(b""))
    with pytest.raises(BadDump, match="that is no dump"):
        eeprom_file.read(dump(bytes((1 << 20) + 1)))


@pytest.mark.parametrize(
    ("value", "right"),
    [(0xFFFE0000, True), (0xFFFFFFF0, True), (0xFFFFFF01, True), (0, False), (0x0000FFF0, False), (0xFFFF0FF0, False)],
)
def test_a_range_is_ones_and_then_zeros(value: int, right: bool) -> None:
    assert is_range(value) == right
