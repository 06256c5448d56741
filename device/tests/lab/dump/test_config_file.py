# SPDX-License-Identifier: Apache-2.0
"""Configuration space as a file: lspci's text in its forms, sysfs's `config`, and what is refused."""

from pathlib import Path

import pytest

from plx9x5x.board import load_board
from plx9x5x.lab.card import config_space
from plx9x5x.lab.dump import config_file, draft
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
    text = REGIONS.replace("Region 0: ", "").replace("Region 1: ", "").replace("Region 2: ", "")
    card = read(tmp_path, f"02:05.0 Bridge: a name\n{text}{HEX}")
    address = {index: card.bar(index) & ~0xF for index in range(3)}
    found = {index: size for index, size in card.sizes.items() if size}
    assert found == {i: s for i, s in {0: 256, 1: 256, 2: 0x2_0000}.items() if f"{address[i]:x}" in text}
    assert found


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
    with pytest.raises(BadDump, match=r"no device in slot 09:00\.0"):
        read(tmp_path, machine, "09:00.0")


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
    card = read(tmp_path, f"{line}\n\tFlags: bus master\n{REGIONS}")
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
    made = draft.from_card(read(tmp_path, f"02:05.0 0680: 10b5:9656\n\tFlags: x\n{words.replace('=256]', '=512]', 1)}"))
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
    made = draft.from_card(read(tmp_path, f"02:05.0 0680: 10b5:9054\n\tFlags: x\n{bars}"))
    assert made.loaded["misc"] == misc
    assert (made.loaded["las0ba"] & 1, made.loaded["las1ba"] & 1) == spaces
    assert "LMISC1" in made.guesses["misc"]


@pytest.mark.parametrize(
    ("text", "chip"),
    [
        ("02:05.0 0680: 1234:0001\n\tFlags: x\n\tRegion 0: Memory at fe000000 [size=512]\n", "9056"),
        (f"02:05.0 x\n{config_space.hex_lines(bytes.fromhex('34120100') + IMAGE[4:])}", "9054"),
    ],
)
def test_a_chip_that_the_ids_do_not_tell_is_guessed_by_what_it_can(tmp_path: Path, text: str, chip: str) -> None:
    made = draft.from_card(read(tmp_path, text))
    assert made.profile.key == chip
    assert made.guesses["chip"]


@pytest.mark.parametrize("size", ["256", "4K"])
def test_a_chip_that_nothing_tells_is_asked_for(tmp_path: Path, size: str) -> None:
    text = f"02:05.0 0680: 1234:0001\n\tFlags: x\n\tRegion 0: Memory at fe000000 [size={size}]\n"
    with pytest.raises(BadDump, match="--chip"):
        draft.from_card(read(tmp_path, text))
    assert draft.from_card(read(tmp_path, text), "9080").profile.key == "9080"
