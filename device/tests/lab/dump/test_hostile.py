# SPDX-License-Identifier: Apache-2.0
"""Whatever is in a file: a board, or a refusal in words. Never another exception, and a board that can be powered."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x.board import EepromPart, load_board
from plx9x5x.errors import BadRequest
from plx9x5x.lab.dump import against, config_file, draft, eeprom_file, package
from plx9x5x.lab.dump.draft import Draft
from plx9x5x.lab.dump.orders import ORDERS
from plx9x5x.regs.profile import PROFILES
from tests.lab.dump import real
from tests.lab.dump.boards import config, written
from tests.lab.dump.test_config_file import HEX, REGIONS
from tests.length import tries

CHIPS = st.sampled_from([None, *PROFILES])
KEYS = st.sampled_from([None, *ORDERS])
SIZES = st.sampled_from([64, 88, 100, *(part.size for part in EepromPart), 4096])
SEEDS = (
    real.part(real.DASA_SIM),
    config(load_board("rdk-9056-lite"), assigned=True),
    f"02:05.0 Bridge: x (rev 0b)\n{REGIONS}{HEX}".encode(),
    real.COMM2_LPCIE_LSPCI.encode(),
    real.USB_ON_5406.encode(),
    "".join(f"{4 * at:02x}: {value:08x}\n" for at, value in enumerate((*real.DASA_SIM, 0, 0, 0))).encode(),
)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A right dump with some of its bytes changed, cut, doubled or put elsewhere."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        piece = draw(
            st.one_of(st.binary(max_size=8), st.sampled_from([b"\n", b"[size=99999999T]", b"ffffffff", b"10: "]))
        )
        until = at + draw(st.integers(0, 12))
        data[at:until] = piece
    return bytes(data)


FILES = st.one_of(
    st.binary(max_size=600),
    SIZES.flatmap(lambda size: st.binary(min_size=size, max_size=size)),
    st.text(max_size=600).map(lambda text: text.encode("utf-8", "replace")),
    spoiled(),
)


def ends_well(make: Callable[[Path], Draft], data: bytes) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "dump"
        file.write_bytes(data)
        try:
            made = make(file)
        except BadRequest:
            return
        board = written("hostile", made, Path(folder))
        assert board.eeprom is not None
        assert board.eeprom.image.ljust(board.eeprom.part.size, b"\xff") == made.image
        assert config(board, assigned=True)


@given(FILES, CHIPS, KEYS)
@settings(max_examples=tries(60, 400), deadline=None)
def test_any_file_as_an_eeprom(data: bytes, chip: str | None, order: str | None) -> None:
    ends_well(lambda file: draft.from_eeprom(eeprom_file.read(file, order), chip), data)


@given(FILES, CHIPS, st.sampled_from([None, "02:05.0", "0"]))
@settings(max_examples=tries(60, 400), deadline=None)
def test_any_file_as_configuration_space(data: bytes, chip: str | None, slot: str | None) -> None:
    ends_well(lambda file: draft.from_card(config_file.read(file, slot), chip), data)


@given(FILES)
@settings(max_examples=tries(40, 200), deadline=None)
def test_any_file_beside_a_board(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "dump"
        file.write_bytes(data)
        try:
            found = against.compare(load_board("rdk-9054-lite"), config_file.read(file))
        except BadRequest:
            return
        assert all("\n" not in line for line in found.differs)


@given(st.binary(min_size=0x64, max_size=0x64), CHIPS.filter(bool))
@settings(max_examples=tries(40, 200), deadline=None)
def test_any_content_of_an_eeprom_is_a_board_that_holds_it(data: bytes, chip: str) -> None:
    image = data.ljust(256, b"\xff")
    if len(set(image)) == 1:
        return
    ends_well(lambda file: draft.from_eeprom(eeprom_file.read(file, "word-le"), chip), image)


@given(st.text(max_size=80))
@settings(max_examples=tries(60, 300), deadline=None)
def test_a_name_is_one_that_pip_python_and_the_registry_take_or_is_refused(name: str) -> None:
    try:
        package.check_name(name)
    except BadRequest:
        return
    assert package.module_of(name).isidentifier()
    assert name == name.lower().strip("-")


def test_any_resource_file_beside_config_is_survived(tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(config(load_board("rdk-9054-lite"), assigned=True))
    for text in ("", "x y z\n", "0x0 0x0\n", f"0x10 0x5 0x0\n{'0xffffffffffffffff ' * 3}\n", "0x0 0xff 0x0\n" * 20):
        (tmp_path / "resource").write_text(text)
        assert draft.from_card(config_file.read(tmp_path / "config")).ids == "10b5:5406"
