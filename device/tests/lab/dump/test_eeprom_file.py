# SPDX-License-Identifier: Apache-2.0
"""EEPROM files: what is read, what is refused and with which words."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from plx9x5x.lab.card import config_space
from plx9x5x.lab.dump import config_file, draft, eeprom_file
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
    assert eeprom_file.read(dump(nothing), "half-be").image == Order.HALF_BE.turn(nothing)
    with pytest.raises(BadDump, match="no order is called 'big'"):
        eeprom_file.read(dump(nothing), "big")


@pytest.mark.parametrize("key", ["word-be", "dword-le", "half-be"])
def test_a_wrong_order_on_demand_is_refused(dump: Dump, key: str) -> None:
    with pytest.raises(BadDump, match=f"read in the order {key}, the file makes much less sense than .* word-le"):
        eeprom_file.read(dump(IMAGE), key)


@pytest.mark.parametrize("ids", [0x10B5_1307, 0xB510_1307, 0x0061_B510])
def test_a_right_image_whose_ids_look_turned_is_a_board_if_its_order_is_said(dump: Dump, ids: int) -> None:
    values = {"ids": ids, "class_revision": 0x1180_0000, "latency_interrupt": 0x0100, "las0rr": 0xFFFF_F000}
    image = build_image(PROFILES["9054"], values, size=256)
    made = draft.from_eeprom(eeprom_file.read(dump(image), "word-le"), "9054")
    board = made.board("x", "")
    assert board.eeprom is not None
    assert board.eeprom.image == image


def test_the_note_says_what_told_the_order(dump: Dump) -> None:
    def note(ids: int) -> str:
        values = {"ids": ids, "class_revision": 0x1180_0000, "latency_interrupt": 0x0100, "subsystem": 0x0061_1307}
        image = build_image(PROFILES["9054"], values | {"las0rr": 0xFFFF_F000}, size=256)
        return eeprom_file.read(dump(image)).notes[0]

    assert note(0x0061_1307).startswith("byte order word-le, told by class, interrupt pin, ranges (")
    assert note(0x9054_10B5).startswith("byte order word-le, told by IDs, class, interrupt pin, ranges (")


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


@pytest.mark.parametrize("kept", [30, 44, 64, 72, 80, 84, 88])
def test_a_file_that_was_cut_and_filled_up_is_suspected(dump: Dump, kept: int) -> None:
    whole = build_image(PROFILES["9054"], {"ids": 0x9054_10B5, "subsystem": 0x0001_1234}, size=128)
    image = whole[:kept].ljust(128, b"\xff")
    guesses = draft.from_eeprom(eeprom_file.read(dump(image), "word-le" if kept < 64 else None)).guesses
    suspected = [name for name, why in guesses.items() if "was the file cut off?" in why]
    assert bool(suspected) is (kept <= 80), guesses


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


def in_bytes(row: bytes) -> str:
    return f"  {row[:8].hex(' ')}  {row[8:].hex(' ')}".ljust(52) + f"|{characters(row)}|"


def in_groups(row: bytes) -> str:
    return "".join(f" {int.from_bytes(row[at : at + 2], 'little'):04x}" for at in range(0, len(row), 2)).ljust(40)


def characters(row: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)


def as_hexdump(data: bytes, offset: Callable[[int], str], values: Callable[[bytes], str]) -> str:
    """As hexdump prints it: of rows that are alike the first, then '*'; the length at the end."""
    lines: list[str] = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        if at and row == data[at - 16 : at]:
            lines += ["*"] * (lines[-1] != "*")
        else:
            lines.append(f"{offset(at)}{values(row)}")
    return "\n".join([*lines, offset(len(data))])


def as_xxd(data: bytes, size: int) -> str:
    return "\n".join(
        f"{at:08x}: {data[at : at + 16].hex(' ', -size)}  {characters(data[at : at + 16])}"
        for at in range(0, len(data), 16)
    )


TEXTS = {
    "dwords": "\n".join(f"{4 * n:02x}: {value:08x}" for n, value in enumerate(in_dwords())),
    "names behind": "\n".join(f" {4 * n:03X}h  {value:08X}  Device/Vendor ID" for n, value in enumerate(in_dwords())),
    "C's numbers": "\n".join(f"0x{4 * n:02x}, 0x{value:08x}," for n, value in enumerate(in_dwords())),
    "brackets": "\r\n".join(f"[{4 * n:02x}] = {value:08x}h ; x" for n, value in enumerate(in_dwords())),
    "by dword": "\n".join(f"{n:x}: {value:08x}" for n, value in enumerate(in_dwords())),
    "words": "\n".join(f"{2 * n:04x}: {value:04x}" for n, value in enumerate(in_words())),
    "by word": "\n".join(f"{n:04x}: {value:04x}" for n, value in enumerate(in_words())),
    "hexdump": as_hexdump(IMAGE, lambda at: f"{at:07x}", in_groups),
    "hexdump -C": as_hexdump(IMAGE, lambda at: f"{at:08x}", in_bytes),
    "xxd": as_xxd(IMAGE, 2),
    "xxd -g4": as_xxd(IMAGE, 4),
    "other order": config_space.hex_lines(Order.WORD_BE.turn(IMAGE)),
}


@pytest.mark.parametrize("form", TEXTS)
def test_text_is_read_in_many_forms(dump: Dump, form: str) -> None:
    made = draft.from_eeprom(eeprom_file.read(dump(f"PCI 9054 EEPROM\n\n{TEXTS[form]}\nbe 12\n")))
    assert made.image == IMAGE


@pytest.mark.parametrize("values", [in_bytes, in_groups])
@pytest.mark.parametrize("size", [256, 512])
def test_lines_that_hexdump_leaves_out_are_those_before_them(
    dump: Dump, size: int, values: Callable[[bytes], str]
) -> None:
    image = IMAGE.ljust(size, b"\xff")
    for data in (
        image, image[: size // 2] + b"text of 16 bytes" + image[size // 2 + 16 :], image[: size - 8] + bytes(8),
        image[:0x70] + bytes(64) + image[0xB0:],
    ):  # fmt: skip
        text = as_hexdump(data, lambda at: f"{at:08x}", values)
        assert "*" in text.splitlines()
        found = eeprom_file.read(dump(text))
        assert found.image == data
        assert draft.from_eeprom(found).part.size == size


def test_lines_left_out_up_to_nowhere_are_refused(dump: Dump) -> None:
    text = as_hexdump(IMAGE, lambda at: f"{at:08x}", in_bytes)
    without_end = text[: text.rindex("\n")]
    with pytest.raises(BadDump, match=r"ends with '\*', and the offset"):
        eeprom_file.read(dump(without_end))
    with pytest.raises(BadDump, match="the line '000000f4' is out of place: the next line would have offset 0x70"):
        eeprom_file.read(dump(f"{without_end}\n000000f4"))


@pytest.mark.parametrize("form", [form for form in TEXTS if form != "C's numbers"])
def test_a_gap_in_text_is_named_and_so_is_a_line_that_is_there_twice_with_other_data(dump: Dump, form: str) -> None:
    lines = TEXTS[form].splitlines()
    at = 0x60 if form == "other order" else 4
    at = min(at, len(lines) // 2)
    with pytest.raises(BadDump, match="is out of place: the next line would have offset"):
        eeprom_file.read(dump("\n".join(lines[:at] + lines[at + 1 :])))
    offset = re.match(r"\W*(?:0x)?[0-9A-Fa-f]+", lines[at - 1])
    assert offset
    other = offset[0] + lines[at][offset.end() :]
    if other != lines[at - 1]:
        with pytest.raises(BadDump, match="twice there and not the same"):
            eeprom_file.read(dump("\n".join([*lines[:at], other, *lines[at:]])))
    assert eeprom_file.read(dump("\n".join([*lines[:at], lines[at - 1], *lines[at:]]))).image[:0x58] == IMAGE[:0x58]


def test_another_table_behind_the_eeprom_is_none_of_it(dump: Dump) -> None:
    text = f"{TEXTS['dwords']}\nfe000000: 12345678 12345678\n"
    assert draft.from_eeprom(eeprom_file.read(dump(text))).image == IMAGE


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("order", Order)
def test_xxd_prints_bytes_of_a_file_and_an_order_is_of_those(dump: Dump, order: Order, size: int) -> None:
    text = as_xxd(order.turn(IMAGE), size)
    assert eeprom_file.read(dump(text), order.key).image == IMAGE
    assert eeprom_file.read(dump(text)).order is order


def test_characters_behind_dwords_of_a_monitor_are_not_taken_for_xxds(dump: Dump) -> None:
    lines = [
        f"{4 * n:08x}: {value:08x}    {characters(value.to_bytes(4, 'little'))}" for n, value in enumerate(in_dwords())
    ]
    assert eeprom_file.read(dump("\n".join(lines)), "word-le").image == IMAGE[:0x60]


def test_characters_that_look_like_values_are_none(dump: Dump) -> None:
    data = IMAGE[:0x60] + b"beef 12  cafe 00" + IMAGE[0x70:]
    assert eeprom_file.read(dump(as_xxd(data, 2))).image == data


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_text_of_windows_tools_is_text(dump: Dump, encoding: str) -> None:
    text = f"Gerät Nº 1\r\n{TEXTS['dwords']}"
    assert draft.from_eeprom(eeprom_file.read(dump(text.encode(encoding)))).image == IMAGE


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\xd8\x00", b"\xb0 text\x01", b"\xb0" * 9])
def test_what_is_neither_text_nor_raw_is_called_so(dump: Dump, content: bytes) -> None:
    with pytest.raises(BadDump, match="is neither text nor raw bytes of a part's length: it has"):
        eeprom_file.read(dump(content))
    with pytest.raises(BadDump, match="is neither text nor raw bytes of configuration space: it has"):
        config_file.read(dump(content))


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
