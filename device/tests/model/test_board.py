# SPDX-License-Identifier: Apache-2.0
"""Boards, EEPROM images and the local bus."""

from dataclasses import replace
from unittest.mock import patch

import pytest

from plx9x5x.board import Board, Eeprom, EepromPart, NoSuchBoard, Window, board_names, load_board
from plx9x5x.errors import SetupError
from plx9x5x.model.localbus import LocalBus, Sram
from plx9x5x.regs.eeprom_map import build_image, loaded_dwords
from plx9x5x.regs.kernel import Register
from plx9x5x.regs.profile import PROFILES, Profile
from plx9x5x.units import LocalAddr
from tests.model.bench import Bench

PCI9656 = PROFILES["9656"]


def test_our_board_is_registered() -> None:
    assert "rdk-9656-lite" in board_names()
    assert load_board("rdk-9656-lite").name == "rdk-9656-lite"


def test_an_unknown_board_names_those_there_are() -> None:
    with pytest.raises(NoSuchBoard, match=r"no board is named 'nope'; there are: .*rdk-9656-lite"):
        load_board("nope")


def test_a_wrong_entry_point_says_who_is_at_fault() -> None:
    class Entry:
        name, value = "odd", "somewhere:THING"

        def load(self) -> object:
            return 42

    with (
        patch("plx9x5x.board._installed", return_value={"odd": [Entry()]}),
        pytest.raises(SetupError, match="somewhere:THING is not"),
    ):
        load_board("odd")


class Registered:
    def __init__(self, value: str, outcome: object) -> None:
        self.name, self.value, self._outcome = "odd", value, outcome

    def load(self) -> object:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


@pytest.mark.parametrize(
    "error", [ImportError("no module named x"), ValueError("an image of 300 bytes"), KeyError("x")]
)
def test_a_board_whose_module_does_not_import_is_its_packages_fault(error: Exception) -> None:
    with (
        patch("plx9x5x.board._installed", return_value={"odd": [Registered("somewhere:THING", error)]}),
        pytest.raises(SetupError, match=r"the board 'odd' \(somewhere:THING\) cannot be made: \w+Error: .*") as caught,
    ):
        load_board("odd")
    assert caught.value.hint == "mend the package that registers it"


def test_a_board_whose_module_ends_python_is_its_packages_fault() -> None:
    class Ending(Registered):
        def load(self) -> object:
            raise SystemExit(3)

    with (
        patch("plx9x5x.board._installed", return_value={"odd": [Ending("somewhere:THING", None)]}),
        pytest.raises(SetupError, match="cannot be made: SystemExit: 3"),
    ):
        load_board("odd")


def test_a_board_of_the_wrong_parts_is_refused_in_words(board: Board) -> None:
    with pytest.raises(TypeError, match=r"board rdk-9656-lite: profile='9656' is none of"):
        replace(board, profile="9656")  # type: ignore[arg-type]
    for windows in (None, [], (1,)):
        with pytest.raises(TypeError, match="is no tuple of Window"):
            replace(board, windows=windows)  # type: ignore[arg-type]
    for registers in (None, [], (1,), (Register,)):
        window = replace(board.windows[0], registers=registers)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="is no tuple of registers"):
            replace(board, windows=(window,))


@pytest.mark.parametrize("size", [0, -5])
def test_a_target_without_bytes_is_refused_by_name(board: Board, size: int) -> None:
    class Sized(Sram):
        def __init__(self) -> None:
            super().__init__(16)
            self.size = size  # type: ignore[misc]

    with pytest.raises(SetupError, match=f"local window 'odd' has a size of {size} bytes"):
        Bench(replace(board, windows=(Window("odd", LocalAddr(0), Sized),)))


def test_a_target_that_cannot_be_made_is_named(board: Board) -> None:
    def broken() -> Sram:
        raise RuntimeError("no such file")

    with pytest.raises(SetupError, match="local window 'odd' cannot be made: RuntimeError: no such file"):
        Bench(replace(board, windows=(Window("odd", LocalAddr(0), broken),)))


def test_two_packages_with_one_name_are_told_apart() -> None:
    both = [Registered("one:BOARD", None), Registered("two:BOARD", None)]
    with (
        patch("plx9x5x.board._installed", return_value={"odd": both}),
        pytest.raises(SetupError, match="two packages register a board named 'odd': one:BOARD and two:BOARD"),
    ):
        load_board("odd")


def test_a_target_that_gives_too_few_bytes_is_named(board: Board) -> None:
    class Short(Sram):
        def read(self, offset: int, length: int) -> bytes:
            return bytes(length)[:4]

        def view(self, offset: int, length: int) -> memoryview | None:
            return None

    bench = Bench(replace(board, windows=(Window("fifo", LocalAddr(0), lambda: Short(64)),)))
    bench.channel(0).block(pci=bench.RAM, local=0, length=16, to="pci")
    with pytest.raises(SetupError, match=r"local window 'fifo': read\(0x0, 16\) gave 4 bytes"):
        bench.host.run()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_board_that_names_its_ids_alone_is_a_whole_card(profile: Profile) -> None:
    values = {"ids": 0x1234_10B5, "las0rr": 0xFFFF_0000, "las0ba": 1, "las1rr": 0xFFFF_0000, "las1ba": 0x1000_0001}
    windows = (Window("memory", LocalAddr(0), lambda: Sram(64 * 1024)),)
    board = Board("mine", "mine", profile, Eeprom.loading(profile, EepromPart.C93CS56, values), windows)
    chip = Bench(board).chip
    bare = Bench(replace(board, eeprom=None)).chip
    assert [spec.size for spec in chip.regions[:4]] == [profile.register_window, 0x100, 0x1_0000, 0x1_0000]
    assert chip.config_read(0x3D, 1) == 1
    given = {0x00, 0x18, 0x1C}  # IDs and what the spaces' BARs show
    assert [
        hex(at) for at in range(0, 256, 4) if at not in given and chip.config_read(at, 4) != bare.config_read(at, 4)
    ] == []


def test_an_image_reads_back_as_the_chip_loads_it() -> None:
    values = {"ids": 0x9601_10B5, "lbrd0": 1 << 25, "subsystem": 0x1234_5678, "pm_status": 0x8000}
    image = build_image(PCI9656, values, size=256)
    assert len(image) == 256
    assert image[:4] == bytes([0x01, 0x96, 0xB5, 0x10]), "most significant word first, each low byte first"
    assert image[0x64:] == b"\xff" * (256 - 0x64)
    loaded = {entry.name: value for entry, value in loaded_dwords(PCI9656, image)}
    assert values.items() <= loaded.items()
    assert (loaded["misc"], loaded["hot_swap"], loaded["pm_capability"]) == (0x0030_0500, 0x4C06, 0x4802_4801)


@pytest.mark.parametrize(
    ("key", "lbrd0", "short", "last", "count"),
    [
        ("9656", 0, False, "dmcfga", 17),
        ("9656", 1 << 25, False, "pm_status", 25),
        ("9656", 1 << 25, True, "pm_status", 25),
        ("9054", 1 << 25, False, "hot_swap", 22),
        ("9080", 1 << 25, False, "rom_base", 22),
        ("9080", 0, False, "dmcfga", 17),
        ("9080", 1 << 25, True, "mbox1", 5),
    ],
)
def test_each_load_ends_where_it_should(key: str, lbrd0: int, short: bool, last: str, count: int) -> None:
    profile = PROFILES[key]
    image = build_image(profile, {"ids": 1, "lbrd0": lbrd0}, size=128)
    entries = [entry for entry, _ in loaded_dwords(profile, image, short=short)]
    assert (entries[-1].name, len(entries)) == (last, count)
    assert [entry.at for entry in entries] == list(range(0, 4 * count, 4))


@pytest.mark.parametrize("image", [b"\xff" * 256, b"", b"\0" * 16])
def test_a_blank_or_short_image_loads_nothing(image: bytes) -> None:
    assert list(loaded_dwords(PCI9656, image)) == []


@pytest.mark.parametrize(
    ("values", "size", "words"),
    [
        ({"ids2": 1}, 256, "the PCI 9656 loads no ids2; it loads ids, class_revision"),
        ({"ids": 1 << 32}, 256, "ids: 0x100000000 is no 32-bit value"),
        ({"ids": -1}, 256, "is no 32-bit value"),
        ({"ids": 1}, 64, "64 bytes are too few: the PCI 9656 loads 100"),
    ],
)
def test_a_wrong_image_is_refused_in_words(values: dict[str, int], size: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_image(PCI9656, values, size=size)


def test_an_image_that_does_not_fit_its_part_is_refused() -> None:
    with pytest.raises(ValueError, match="129 bytes does not fit a C93CS46 of 128"):
        Eeprom(EepromPart.C93CS46, bytes(129))


def test_without_an_eeprom_the_chip_has_its_own_defaults(board: Board) -> None:
    chip = Bench(replace(board, eeprom=None)).chip
    assert chip.config_read(0, 4) == 0x9656_10B5
    assert chip.read(0, 0x00, 4) == 0xFFF0_0000
    assert chip.read(0, 0x6C, 4) == 0x000F_767E
    assert chip.regions[2].size == 0


def test_two_chips_share_no_memory(board: Board) -> None:
    one, two = Bench(board), Bench(board)
    one.chip.write(2, 0, 4, 0x1234)
    assert two.chip.read(2, 0, 4) == 0


def test_overlapping_windows_are_refused() -> None:
    windows = (Window("a", LocalAddr(0), lambda: Sram(32)), Window("b", LocalAddr(16), lambda: Sram(16)))
    with pytest.raises(SetupError, match="'a' at 0x0 of 0x20 bytes runs into b at 0x10"):
        LocalBus(windows, lambda a, n: None)


def test_a_local_access_crosses_targets_gaps_and_the_top() -> None:
    undecoded: list[tuple[int, int]] = []
    windows = (
        Window("low", LocalAddr(0), lambda: Sram(4)),
        Window("mid", LocalAddr(8), lambda: Sram(4)),
        Window("top", LocalAddr(0xFFFF_FFFC), lambda: Sram(4)),
    )
    bus = LocalBus(windows, lambda a, n: undecoded.append((a, n)))
    bus.write(0xFFFF_FFFE, bytes(range(1, 15)))
    assert undecoded == [(4, 4)]
    assert bus.read(0xFFFF_FFFC, 18) == b"\0\0\1\2\3\4\5\6\xff\xff\xff\xff\x0b\x0c\x0d\x0e\xff\xff"


@pytest.mark.parametrize("ids", [0x10B5_1307, 0xB510_1307, 0x0061_B510])
def test_ids_that_look_turned_are_a_boards_own_business(ids: int) -> None:
    right = load_board("rdk-9054-lite")
    loading = Eeprom.loading(right.profile, EepromPart.C93CS56, {"ids": ids})
    assert Bench(replace(right, eeprom=loading)).chip.config_read(0, 4) == ids


def test_an_image_that_was_cut_is_refused_and_an_empty_one_is_a_blank_part() -> None:
    right = load_board("rdk-9054-lite")
    assert right.eeprom is not None
    with pytest.raises(ValueError, match="has 64 bytes, and a PCI 9054 loads 88"):
        replace(right, eeprom=Eeprom(right.eeprom.part, right.eeprom.image[:64]))
    assert replace(right, eeprom=Eeprom(right.eeprom.part, b"")).eeprom is not None
