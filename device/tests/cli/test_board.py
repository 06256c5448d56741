# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x board`: a package of a dump, and a board's EEPROM as a file; what is written, said and refused."""

import errno
from pathlib import Path

import pytest

from plx9x5x.board import load_board
from plx9x5x.cli.main import main
from plx9x5x.lab.dump.orders import ORDERS
from plx9x5x.lab.dump.package import module_of
from tests.lab.dump import real

Output = pytest.CaptureFixture[str]


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    file = tmp_path / "eeprom.bin"
    file.write_bytes(real.part(real.DASA_SIM)[:0x58])
    return file


def refused(capsys: Output, *argv: str | Path) -> str:
    assert main([str(word) for word in argv]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    return said


def test_a_package_of_three_files_is_written_and_each_guessed_line_is_named(
    capsys: Output, dump: Path, tmp_path: Path
) -> None:
    assert main(["board", "new", "my-card", "--from-eeprom", str(dump), "--into", str(tmp_path / "boards")]) == 0
    folder = tmp_path / "boards/my-card"
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"made {folder}: pyproject.toml, my_card_board.py, test_my_card_board.py"
    assert sorted(path.name for path in folder.iterdir()) == sorted(said[0].partition(": ")[2].split(", "))
    assert "chip: PCI 9054" in said
    assert "BAR3  memory, 2 MiB  space 1: local 00000000-001fffff, spaces 0 and 1" in said
    module = (folder / "my_card_board.py").read_text().splitlines()
    guessed = said[said.index("guessed:") + 1 : -1]
    assert len(guessed) == sum("# GUESSED: " in line for line in module) == 2
    for line in guessed:
        place, word, what = line.strip().split(": ", 2)
        number = int(place.partition(":")[2])
        assert module[number - 2].strip() == f"# GUESSED: {what}"
        assert word in module[number - 1]
    assert max(len(line) for line in module) <= 140
    assert said[-1] == f"next: pip install {folder}; plx9x5x try --board my-card YOUR-DRIVER"


def test_a_folder_that_is_there_is_left_alone(capsys: Output, dump: Path, tmp_path: Path) -> None:
    (tmp_path / "my-card").mkdir()
    said = refused(capsys, "board", "new", "my-card", "--from-eeprom", dump, "--into", tmp_path)
    assert "is there already: remove it, or take another name or --into" in said
    assert list((tmp_path / "my-card").iterdir()) == []
    for into, why in ((dump, "it is a file"), (dump / "x", "Not a directory")):
        said = refused(capsys, "board", "new", "x", "--from-eeprom", dump, "--into", into)
        assert f"{into} cannot be the folder that the package goes to: {why}; say another with --into" in said


def test_what_was_begun_is_removed_when_a_later_file_cannot_be_written(
    capsys: Output, dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def full(file: Path, content: str, encoding: str | None = None) -> int:
        if file.name.startswith("test_"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, content, encoding)

    monkeypatch.setattr(Path, "write_text", full)
    said = refused(capsys, "board", "new", "my-card", "--from-eeprom", dump, "--into", tmp_path / "boards")
    assert "cannot be written: No space left on device; nothing of it was kept" in said
    assert list((tmp_path / "boards").iterdir()) == []


def test_no_two_names_make_one_module() -> None:
    names = ["1", "card-1", "c1", "1-board", "board", "card-1-board"]
    assert len({module_of(name) for name in names}) == len(names)
    assert all(module_of(name).isidentifier() for name in names)


@pytest.mark.parametrize("name", ["My-Card", "my_card", "-x", "x-", "a b", "../x", "", "x" * 65, "ä", "x\n"])
def test_a_name_that_cannot_be_one_is_refused_before_anything_is_read(capsys: Output, name: str) -> None:
    if name.startswith("-"):
        with pytest.raises(SystemExit):
            main(["board", "new", name, "--from-eeprom", "/nothing"])
    else:
        assert "cannot name a board" in refused(capsys, "board", "new", name, "--from-eeprom", "/nothing")


def test_the_name_of_a_registered_board_is_refused(capsys: Output) -> None:
    said = refused(capsys, "board", "new", "hpdi32", "--from-eeprom", "/nothing")
    assert "'hpdi32' is registered already (plx9x5x_boards.hpdi32:BOARD)" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--from-eeprom", "/nothing", "--slot", "1"), "--slot goes with --from-lspci"),
        (("--from-lspci", "/nothing", "--order", "word-le"), "--order goes with --from-eeprom"),
        (("--from-eeprom", "DUMP", "--chip", "9050"), "no chip is called '9050'"),
        (("--from-eeprom", "DUMP", "--order", "middle"), "no order is called 'middle'"),
        (("--from-lspci", "DUMP"), "as an EEPROM has (--from-eeprom takes that)"),
    ],
)
def test_options_that_do_not_fit_are_refused(capsys: Output, dump: Path, options: tuple[str, ...], words: str) -> None:
    argv = [str(dump) if word == "DUMP" else word for word in options]
    assert words in refused(capsys, "board", "new", "my-card", *argv)


@pytest.mark.parametrize("key", ORDERS)
def test_a_boards_eeprom_is_written_in_any_order(capsys: Output, tmp_path: Path, key: str) -> None:
    file = tmp_path / "image"
    assert main(["board", "image", "rdk-9656-lite", str(file), "--order", key]) == 0
    board = load_board("rdk-9656-lite")
    assert board.eeprom is not None
    assert ORDERS[key].turn(file.read_bytes()) == board.eeprom.image.ljust(256, b"\xff")
    assert f"256 bytes of a C93CS56, {key}" in capsys.readouterr().err
    assert "is there already" in refused(capsys, "board", "image", "rdk-9656-lite", file)
    assert "no board is named" in refused(capsys, "board", "image", "nothing", tmp_path / "new")
    assert not (tmp_path / "new").exists()
