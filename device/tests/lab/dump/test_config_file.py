# SPDX-License-Identifier: Apache-2.0
"""Configuration space as a file: lspci's text in its forms, sysfs's `config`, and what is refused."""

import re
from pathlib import Path

import pytest

from plx9x5x.board import load_board
from plx9x5x.lab.card import config_space
from plx9x5x.lab.dump import against, config_file, draft
from plx9x5x.lab.dump.bad import BadDump
from tests.lab.dump import real
from tests.lab.dump.boards import config

IMAGE = config(load_board("rdk-9054-lite"), assigned=True)
HEX = config_space.hex_lines(IMAGE)
REGIONS = """\
\tRegion 0: Memory at fe020000 (32-bit, non-prefetchable) [size=256]
\tRegion 1: I/O ports at c000 [size=256]
\tRegion 2: Memory at fe000000 (32-bit, non-prefetchable) [size=128K]
"""


def read(tmp_path: Path, content: bytes | str, slot: str | None = None, name: str = "dump") -> config_file.Card:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return config_file.read(file, slot)


def test_hex_lines_are_exact_and_regions_have_the_sizes(tmp_path: Path) -> None:
    card = read(tmp_path, f"02:05.0 Bridge: a name (rev 0b)\n{REGIONS}{HEX}")
    assert (card.slot, bytes(card.image)) == ("02:05.0", IMAGE)
    assert card.sizes == {0: 256, 1: 256, 2: 0x2_0000, 3: 0, 4: 0, 5: 0}


def test_one_v_has_no_region_numbers_and_is_read_by_address(tmp_path: Path) -> None:
    text = re.sub("Region .: ", "", REGIONS)
    card = read(tmp_path, f"02:05.0 Bridge: a name\n{text}{HEX}")
    assert card.sizes == {0: 256, 1: 256, 2: 0x2_0000}
    with pytest.raises(BadDump, match=r"does not say which BAR a region is.*lspci -xxxvv"):
        read(tmp_path, f"02:05.0 Bridge: a name\n{text.replace('fe000000', '<unassigned>')}{HEX}")


@pytest.mark.parametrize("regions", [re.sub("Region .: ", "", REGIONS), ""])
def test_one_v_without_hex_lines_is_refused(tmp_path: Path, regions: str) -> None:
    with pytest.raises(BadDump, match=r"does not say which BAR a region is.*lspci -xxxvv"):
        read(tmp_path, f"02:05.0 0680: 10b5:9056 (rev aa)\n\tFlags: medium devsel, IRQ 10\n{regions}")


WORDS = "02:05.0 0680: 10b5:9054 (rev 0b)\n\tControl: I/O+ Mem+\n"
VIRTUAL = """\
\tRegion 0: [virtual] Memory at fe020000 (32-bit, non-prefetchable)
\tRegion 1: I/O ports at c000 [virtual] [size=256]
\tRegion 2: [enhanced] Memory at fe000000 (32-bit, non-prefetchable) [size=128K]
\t[virtual] Expansion ROM at fe040000 [disabled] [size=64K]
"""


@pytest.mark.parametrize("rest", [HEX, ""])
def test_what_is_not_in_the_cards_own_bars_is_taken_too(tmp_path: Path, rest: str) -> None:
    card = read(tmp_path, f"{WORDS}{VIRTUAL}{rest}")
    assert card.sizes == {1: 256, 2: 0x2_0000, 3: 0, 4: 0, 5: 0}
    assert (card.rom_size, card.bar(0)) == (0x1_0000, 0xFE02_0000)


def test_a_line_that_is_not_understood_does_not_mean_off(tmp_path: Path) -> None:
    text = f"{WORDS}{REGIONS}\tRegion 3: Something new\n\tExpansion ROM: new too\n"
    card = read(tmp_path, text)
    assert card.has_bar(3)
    assert (3 in card.sizes, card.rom_size) == (False, None)
    assert "BAR3 guessed: 65536 bytes;" in draft.from_card(card).guesses["las1rr"]
    left = against.compare(load_board("rdk-9054-lite"), card).left_out
    assert "BAR3 (the dump names it and says no more)" in left
    assert read(tmp_path, f"{WORDS}{REGIONS}").rom_size == 0


def test_a_bar_without_address_and_size_is_there(tmp_path: Path) -> None:
    unassigned = "\tRegion 3: Memory at <unassigned> (32-bit, non-prefetchable) [disabled]\n"
    for rest in ("", HEX):
        made = draft.from_card(read(tmp_path, f"{WORDS}{REGIONS}{unassigned}{rest}"))
        assert made.loaded["las1rr"] == 0xFFFF_0000
        assert "BAR3 guessed" in made.guesses["las1rr"]


def test_a_rom_by_its_address_alone_has_a_guessed_size(tmp_path: Path) -> None:
    for address, mask in ((0xFE04_0001, 0xFFFF_0000), (0xFE04_0800, 0xFFFF_F800)):
        made = draft.from_card(read(tmp_path, IMAGE[:0x30] + address.to_bytes(4, "little") + IMAGE[0x34:]))
        assert made.loaded["eromrr"] == mask
        assert "size of the expansion ROM guessed" in made.guesses["eromrr"]
    made = draft.from_card(read(tmp_path, f"{WORDS}{REGIONS}\tExpansion ROM at fe041000 [disabled]\n"))
    assert made.loaded["eromrr"] == 0xFFFF_F000


@pytest.mark.parametrize(
    ("words", "bits"), [("low-1M, non-", 2), ("64-bit, ", 12), ("type 3, ", 14), ("32-bit, non-", 0), ("32-bit, ", 8)]
)
def test_a_memory_bars_type_is_in_its_low_bits(tmp_path: Path, words: str, bits: int) -> None:
    text = f"{WORDS}\tRegion 2: Memory at fe000000 ({words}prefetchable) [size=64K]\n"
    assert read(tmp_path, text).bar(2) == 0xFE00_0000 | bits


def test_a_slot_is_no_word_for_a_file_of_one_device(tmp_path: Path) -> None:
    (folder := tmp_path / "0000:02:05.0").mkdir()
    with pytest.raises(BadDump, match=r"raw bytes of one device: --slot 02:06\.0"):
        read(folder, IMAGE, "02:06.0", "config")
    assert read(folder, IMAGE, "02:05.0", "config").slot == "0000:02:05.0"


def test_hex_lines_alone_have_no_sizes_and_those_are_guessed_by_the_addresses(tmp_path: Path) -> None:
    made = draft.from_card(read(tmp_path, HEX))
    assert made.loaded["las0rr"] == 0xFFFF_0000
    assert "at most" in made.guesses["las0rr"]
    small = bytearray(IMAGE)
    small[0x18:0x1C] = (0xE802_1000).to_bytes(4, "little")
    assert draft.from_card(read(tmp_path, bytes(small))).loaded["las0rr"] == 0xFFFF_F000


@pytest.mark.parametrize("length", [64, 256, 4096])
def test_sysfs_gives_64_256_or_4096_bytes(tmp_path: Path, length: int) -> None:
    card = read(tmp_path, IMAGE.ljust(4096, b"\0")[:length])
    assert bytes(card.image[:64]) == IMAGE[:64]
    assert card.knows(0x40, 4) == (length > 64)


@pytest.mark.parametrize(("length", "hint"), [(10, False), (88, True), (128, True), (255, False), (512, True)])
def test_another_length_is_refused(tmp_path: Path, length: int, hint: bool) -> None:
    with pytest.raises(BadDump, match="configuration space has 64, 256, 4096") as caught:
        read(tmp_path, IMAGE.ljust(4096, b"\0")[:length])
    assert ("--from-eeprom" in str(caught.value)) == hint


def test_an_eeprom_of_256_bytes_is_no_header(tmp_path: Path) -> None:
    with pytest.raises(BadDump, match="no header of type 0: is it an EEPROM"):
        read(tmp_path, real.part(real.DASA_SIM))


def test_of_many_devices_the_one_with_a_chip_of_the_family_is_meant(tmp_path: Path) -> None:
    other = bytearray(IMAGE)
    other[0:4] = bytes.fromhex("86808912")
    machine = f"00:00.0 Host bridge\n{config_space.hex_lines(bytes(other))}\n0000:02:05.0 Bridge: x\n{HEX}"
    assert read(tmp_path, machine).slot == "0000:02:05.0"
    assert read(tmp_path, machine, "00:00.0").vendor == 0x8086
    with pytest.raises(BadDump, match=r"say which one with --slot: 03:00\.0 \(10b5:5406\), 03:01\.0 \(10b5:5406\)"):
        read(tmp_path, f"03:00.0 x\n{HEX}\n03:01.0 x\n{HEX}")
    with pytest.raises(BadDump, match=r"no device in slot 09:00\.0; there are 00:00\.0, 0000:02:05\.0"):
        read(tmp_path, machine, "09:00.0")
    short = f"00:00.0 Host bridge\n{config_space.hex_lines(bytes(other))}\n02:05.0 Bridge: x\n{HEX}"
    assert read(tmp_path, short, "0000:02:05.0").slot == "02:05.0"


def test_another_vendors_card_that_shows_such_registers_may_be_meant_too(tmp_path: Path) -> None:
    other = config_space.hex_lines(bytes.fromhex("cd1a5440") + IMAGE[4:])
    machine = f"02:05.0 Bridge: x\n{REGIONS}{HEX}\n03:05.0 Bridge: y\n{REGIONS}{other}"
    with pytest.raises(BadDump, match=r"--slot: 02:05\.0 \(10b5:5406\), 03:05\.0 \(1acd:4054\)"):
        read(tmp_path, machine)
    file = tmp_path / "dump"
    assert config_file.read(file, ids=0x4054_1ACD).slot == "03:05.0"
    made = draft.from_card(config_file.read(file, "03:05.0"))
    assert made.notes == ("card: 1acd:4054 in slot 03:05.0",)


@pytest.mark.parametrize(("asked", "said"), [("9054", True), ("8311", False), ("9056", False)])
def test_a_chip_against_the_cards_own_word_is_said(tmp_path: Path, asked: str, said: bool) -> None:
    image = config_space.hex_lines(config(load_board("rdk-9056-lite"), assigned=True))
    image = image.replace("00: b5 10 01 56", "00: b5 10 56 90")
    guesses = draft.from_card(read(tmp_path, f"02:05.0 Bridge: x\n{image}"), asked).guesses
    assert ("although the card calls itself a 9056" in guesses.get("chip", "")) is said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing of the kind\n", "lspci -xxxvv -s SLOT"),
        ("02:05.0 Bridge: x\n" + HEX.replace("10: ", "20: ", 1), "is out of place: 10 is the next"),
        ("02:05.0 Bridge: Some Name (rev 01)\n\tFlags: medium devsel\n", "no IDs in numbers"),
        ("02:05.0 Bridge: x\n" + config_space.hex_lines(b"\xff" * 64), "nothing answered"),
        ("02:05.0 PCI bridge: x\n" + config_space.hex_lines(IMAGE[:14] + b"\x01" + IMAGE[15:]), "a bridge's"),
    ],
)
def test_text_that_does_not_say_enough_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadDump, match=words):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("line", "ids"),
    [
        ("02:05.0 0680: 10b5:9056 (rev aa)", "b5105690"),
        ("02:05.0 Bridge [0680]: PLX Technology, Inc. PCI9054 32-bit 33MHz PCI <-> IOBus Bridge [10b5:9054] (rev 0b)", "b5105490"),
        ("02:05.0 Bridge: PLX Technology, Inc. PCI9080 32-bit; 33MHz PCI <-> IOBus Bridge (rev 03)", "b5108090"),
        ("02:05.0 Bridge: PLX Technology, Inc. Device 9601 (rev ba)", "b5100196"),
        ("0000:02:05.0 Class 0680: 1307:0061 (rev 02)", "07136100"),
    ],
)  # fmt: skip
def test_v_alone_gives_ids_and_revision(tmp_path: Path, line: str, ids: str) -> None:
    card = read(tmp_path, f"{line}\n\tControl: I/O+\n{REGIONS}")
    assert card.image[:4].hex() == ids
    assert card.image[0x08] == int(line[-3:-1], 16)
    assert card.sizes[2] == 0x2_0000
    assert not card.knows(0x34, 1)


def test_a_mail_may_quote_it(tmp_path: Path) -> None:
    text = f"02:05.0 Bridge: x (rev 0b)\n{REGIONS}{HEX}"
    plain = read(tmp_path, text)
    assert read(tmp_path, "".join(f">> {line}\n" for line in text.splitlines())) == plain


def test_prefetchable_and_64_bit_are_kept(tmp_path: Path) -> None:
    words = REGIONS.replace("fe000000 (32-bit, non-prefetchable)", "fe000000 (64-bit, prefetchable)")
    made = draft.from_card(
        read(tmp_path, f"02:05.0 0680: 10b5:9656\n\tControl: x\n{words.replace('=256]', '=512]', 1)}")
    )
    assert made.loaded["las0rr"] == 0xFFFE_000C


@pytest.mark.parametrize(
    ("bars", "misc", "spaces"),
    [
        ("\tRegion 0: Memory at fe000000 [size=256]\n\tRegion 2: Memory at fd000000 [size=64K]\n", 0x0030_0400, (1, 0)),
        (
            "\tRegion 0: Memory at fe000000 [size=256]\n\tRegion 1: Memory at fd000000 [size=64K]\n"
            "\tRegion 2: Memory at fc000000 [size=32K]\n",
            0x0030_0600,
            (1, 1),
        ),
    ],
)
def test_bar1_off_or_shifted_is_lmisc1(tmp_path: Path, bars: str, misc: int, spaces: tuple[int, int]) -> None:
    made = draft.from_card(read(tmp_path, f"02:05.0 0680: 10b5:9054\n\tControl: x\n{bars}"))
    assert made.loaded["misc"] == misc
    assert (made.loaded["las0ba"] & 1, made.loaded["las1ba"] & 1) == spaces
    assert "LMISC1" in made.guesses["misc"]


@pytest.mark.parametrize(
    ("text", "chip"),
    [
        ("02:05.0 0680: 1234:0001\n\tControl: x\n\tRegion 0: Memory at fe000000 [size=512]\n", "9056"),
        (f"02:05.0 x\n{config_space.hex_lines(bytes.fromhex('34120100') + IMAGE[4:])}", "9054"),
    ],
)
def test_a_chip_that_the_ids_do_not_tell_is_guessed_by_what_it_can(tmp_path: Path, text: str, chip: str) -> None:
    made = draft.from_card(read(tmp_path, text))
    assert made.profile.key == chip
    assert made.guesses["chip"]


@pytest.mark.parametrize("size", ["256", "4K"])
def test_a_chip_that_nothing_tells_is_asked_for(tmp_path: Path, size: str) -> None:
    text = f"02:05.0 0680: 1234:0001\n\tControl: x\n\tRegion 0: Memory at fe000000 [size={size}]\n"
    with pytest.raises(BadDump, match="--chip"):
        draft.from_card(read(tmp_path, text))
    assert draft.from_card(read(tmp_path, text), "9080").profile.key == "9080"
