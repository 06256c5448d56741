# SPDX-License-Identifier: Apache-2.0
"""Options of a board: what a value may be, what is refused and how, and that they reach the board that is served."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import FileIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from plx9x5x import options
from plx9x5x.board import Board, configurable, load_board
from plx9x5x.cli.main import main
from plx9x5x.errors import SetupError
from plx9x5x.lab.card import settings
from plx9x5x.lab.card.backend import board_backend
from plx9x5x.lab.card.pytest_plugin import plx_backend
from plx9x5x.lab.guest.shapes import PLAIN
from plx9x5x.lab.trial_plugin import _fields
from plx9x5x.options import BadOption, Chosen, Option
from plx9x5x.transport.wire.client import VfioUserClient

RATE = options.integer("rate", 500, "words a second", least=1, most=1_000_000_000)
SCALE = options.real("scale", 1.5, "of the input", least=-2, most=2)
LOUD = options.flag("loud", False, "it says what it does")
MODE = options.choice("mode", "slow", "how it goes", ("slow", "fast"))
ROOM = options.size("room", 4096, "its memory", least=16)
LOG = options.file("log", "what it keeps", write=True)
INPUT = options.source("input", "zeros", "what comes in", ("zeros", "ones"))
ALL = (RATE, SCALE, LOUD, MODE, ROOM, LOG, INPUT)


def value(option: Option[Any], text: str) -> Any:
    return options.chosen("b", ALL, [f"{option.name}={text}"])[option]


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        *((RATE, text, 40_000_000) for text in ("40000000", "40_000_000", "40e6", "4e7", "0x2625A00")),
        (RATE, "1", 1),
        *((SCALE, text, 0.5) for text in ("0.5", "5e-1", ".5")),
        (SCALE, "-2", -2.0),
        *((LOUD, text, True) for text in ("yes", "on", "true", "1")),
        *((LOUD, text, False) for text in ("no", "off", "false", "0")),
        (MODE, "fast", "fast"),
        *((ROOM, text, 65536) for text in ("64K", "64k", "65536", "0x10000", "0x40K")),
        (ROOM, "16M", 16 << 20),
        (ROOM, "1G", 1 << 30),
        (INPUT, "ones", "ones"),
    ],
)
def test_a_value_is_read_as_its_type(option: Option[Any], text: str, expected: object) -> None:
    assert value(option, text) == expected
    assert type(value(option, text)) is type(expected)


@pytest.mark.parametrize(
    ("option", "texts"),
    [
        (RATE, ("", "x", "0", "-1", "1.5", "1e10", "inf", "nan", "1e400", "10K")),
        (SCALE, ("", "x", "2.1", "-2.5", "nan", "inf")),
        (LOUD, ("", "maybe", "Yes", "2")),
        (MODE, ("", "medium", "file:x")),
        (ROOM, ("", "K", "8", "1T", "64KB", "1.5")),
        (INPUT, ("", "twos", "zeros ")),
    ],
)
def test_a_value_of_another_kind_is_refused_with_what_there_is(option: Option[Any], texts: tuple[str, ...]) -> None:
    for text in texts:
        with pytest.raises(BadOption, match=re.escape(f"--set {option.name}={text}: b takes {option.takes} there")):
            value(option, text)


@pytest.mark.parametrize("look", [options.chosen, options.checked])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rat=5"], r"--set 'rat=5': b has no option 'rat'; options: rate \(a whole number from 1 to 1_000_000_000\); scale"),
        (["rate"], r"--set 'rate': it takes NAME=VALUE; options of b: rate \("),
        (["rate=1", "rate=2"], "--set 'rate=2': rate is set twice"),
        (["log=/nope/x"], "--set log=.*/nope/x: cannot open it: No such file or directory"),
        ([f"log=/{'x' * 300}"], "cannot open it: File name too long"),
        (["log=/tmp"], "cannot open it: Is a directory"),
        (["2:rate=1"], "b has no option '2:rate'"),
    ],
)  # fmt: skip
def test_a_wrong_name_is_refused_with_the_list(look: Callable[..., object], words: list[str], said: str) -> None:
    with pytest.raises(BadOption, match=said):
        look("b", ALL, words)


def test_a_board_without_options_says_so() -> None:
    with pytest.raises(BadOption, match="rdk-9656-lite has no option 'rate'; options: it has none"):
        load_board("rdk-9656-lite", ["rate=1"])
    assert load_board("rdk-9656-lite").set(()) is load_board("rdk-9656-lite")


def test_what_is_not_set_is_the_default() -> None:
    chosen = options.chosen("b", ALL, ["mode=fast"])
    assert [chosen[option] for option in ALL] == [500, 1.5, False, "fast", 4096, None, "zeros"]


def test_a_file_is_open_to_be_read_or_also_written_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "a=b"
    path.write_bytes(b"12345")
    for text in (str(path), f"file:{path}"):
        log = value(LOG, text)
        assert isinstance(log, FileIO)
        assert (log.read(), log.readable(), log.writable()) == (b"12345", True, True)
        log.close()
    read = value(INPUT, f"file:{path}")
    assert (read.read(), read.writable()) == (b"12345", False)
    read.close()
    made = value(LOG, str(tmp_path / "new"))
    made.write(b"x")
    made.close()
    assert (tmp_path / "new").read_bytes() == b"x"


def test_what_is_no_file_to_be_had_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for look in (options.chosen, options.checked):
        for path, said in (
            (tmp_path / "none", "No such file"),
            (tmp_path / "pipe", "it is no regular file"),
            (tmp_path, ""),
        ):
            with pytest.raises(BadOption, match=f"--set input=file:{path}: cannot open it: .*{said}"):
                look("b", ALL, [f"input=file:{path}"])


def test_what_another_process_takes_is_looked_at_and_has_a_whole_path(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    words = ["input=file:x", "log=new", "rate=40e6"]
    assert options.checked("b", ALL, words, folder=tmp_path) == (
        f"input=file:{tmp_path}/x",
        f"log=file:{tmp_path}/new",
        "rate=40e6",
    )
    assert not (tmp_path / "new").exists()
    assert options.checked("b", ALL, ["input=ones"]) == ("input=ones",)


@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_cannot_be_written_or_made_is_found_when_it_is_looked_at(tmp_path: Path, there: bool) -> None:
    path, look = tmp_path / "x", os.open
    if there:
        path.write_bytes(b"1")

    def refusing(name: str, flags: int, mode: int = 0o777) -> int:  # who runs the tests may be above permissions
        if flags & (os.O_RDWR | os.O_CREAT):
            raise PermissionError(13, "Permission denied")
        return look(name, flags, mode)

    with (
        patch("plx9x5x.options.os.open", refusing),
        patch("plx9x5x.options.os.access", lambda _, mode: not mode & os.W_OK),
        pytest.raises(BadOption, match=rf"--set log=file:{path}: cannot open it: Permission denied"),
    ):
        options.checked("b", ALL, [f"log={path}"])
    assert path.exists() is there


ALSO = options.file("also", "what it keeps beside", write=True)


def test_file_colon_is_taken_off_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_bytes(b"another")
    (tmp_path / "file:x").write_bytes(b"this one")
    for setting, option in (("input=file:file:x", INPUT), ("log=file:file:x", LOG)):
        file = options.chosen("b", ALL, [setting])[option]
        assert isinstance(file, FileIO)
        assert file.read() == b"this one", setting


@pytest.mark.parametrize("wrong", ["rat=1", "rate=0", "input=file:/nope", "also=/nope/x", "rate"])
def test_what_is_refused_leaves_no_file_behind(wrong: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"1")
    for words in ([f"log={tmp_path}/new", wrong], [f"log={kept}", wrong]):
        with pytest.raises(BadOption):
            options.chosen("b", (*ALL, ALSO), words)
    assert [it.name for it in tmp_path.iterdir()] == ["kept"]
    assert kept.read_bytes() == b"1"


def test_a_file_that_cannot_be_opened_after_all_takes_those_before_it_along(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    with pytest.raises(BadOption, match="cannot open it: Is a directory"):
        options.chosen("b", (LOG, ALSO), [f"log={tmp_path}/new", f"also={tmp_path}/new/"])
    assert [it.name for it in tmp_path.iterdir()] == ["there"]


def test_who_only_looks_makes_no_file_and_writes_none(tmp_path: Path) -> None:
    kept, new = tmp_path / "kept", tmp_path / "new"
    kept.write_bytes(b"12345")
    looked = options.chosen("b", (LOG, ALSO), [f"log={kept}", f"also={new}"], look=True)
    log, also = looked[LOG], looked[ALSO]
    assert isinstance(log, FileIO)
    assert isinstance(also, FileIO)
    assert (log.readall(), also.readall()) == (b"12345", b"")
    assert log.write(b"6") == also.write(b"6") == 1
    assert kept.read_bytes() == b"12345"
    assert [it.name for it in tmp_path.iterdir()] == ["kept"]


def test_of_a_long_file_who_looks_has_the_beginning_and_the_length(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"12345")
    with patch("plx9x5x.options.COPIED", 3):
        log = options.chosen("b", ALL, [f"log={tmp_path}/long"], look=True)[LOG]
    assert isinstance(log, FileIO)
    assert log.readall() == b"123\0\0"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="plx-") as name:
        yield Path(name)


# -- declared ----------------------------------------------------------------------------------------


def board_with(build: Callable[[Chosen], Board], *declared: Option[Any]) -> Board:
    return configurable(build, *declared)


def plain(chosen: Chosen) -> Board:
    return replace(load_board("rdk-9656-lite"), name="mine", summary=f"at {chosen[RATE]}")


def test_a_board_is_made_anew_for_what_is_set() -> None:
    board = board_with(plain, RATE)
    assert board.summary == "at 500"
    fast = board.set(["rate=40e6"])
    assert (fast.summary, fast.options, board.summary) == ("at 40000000", (RATE,), "at 500")
    assert fast.set(["rate=7"]).summary == "at 7"


def test_an_option_that_a_board_did_not_declare_is_no_key() -> None:
    with pytest.raises(KeyError):
        Chosen({})[RATE]


def test_what_a_board_refuses_is_the_callers_and_what_goes_wrong_in_it_its_packages() -> None:
    def picky(chosen: Chosen) -> Board:
        if chosen[RATE] == 7:
            raise ValueError("not seven")
        if chosen[RATE] == 8:
            raise KeyError("x")
        return plain(chosen)

    board = board_with(picky, RATE)
    with pytest.raises(BadOption, match="--set rate=7: mine refuses that: not seven"):
        board.set(["rate=7"])
    with pytest.raises(SetupError, match="the board 'mine' cannot be made of rate=8: KeyError"):
        board.set(["rate=8"])


@pytest.mark.parametrize("ends", [ValueError("no"), KeyError("no"), SystemExit(0), KeyboardInterrupt()])
def test_a_board_that_is_not_made_leaves_no_file_behind(ends: BaseException, tmp_path: Path) -> None:
    def build(chosen: Chosen) -> Board:
        if chosen[LOG] is not None:
            raise ends
        return plain(chosen)

    board = board_with(build, RATE, LOG)
    expected = {ValueError: BadOption, KeyboardInterrupt: KeyboardInterrupt}.get(type(ends), SetupError)
    with pytest.raises(expected):
        board.set([f"log={tmp_path}/new"])
    assert not [*tmp_path.iterdir()]


def test_a_build_that_gives_no_board_is_its_packages() -> None:
    board = board_with(lambda chosen: plain(chosen) if chosen[RATE] == 500 else None, RATE)  # type: ignore[arg-type, return-value]
    with pytest.raises(
        SetupError, match=r"the board 'mine' cannot be made of rate=7: .* gave None, which is no plx9x5x"
    ):
        board.set(["rate=7"])
    with pytest.raises(TypeError, match=r"gave None, which is no plx9x5x\.board\.Board"):
        board_with(lambda _: None)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: replace(load_board("rdk-9656-lite"), options=(RATE,)), "options= without build= would change nothing"),
        (lambda: options.integer("Rate", 1, "x"), "option 'Rate': a name is small letters"),
        (lambda: options.integer("rate", 1, ""), "is no line of help"),
        (lambda: options.integer("rate", 1, "a\nb"), "is no line of help"),
        (lambda: options.choice("mode", "c", "x", ("a", "b")), "option mode: its default 'c' is none of a, b"),
        (lambda: options.source("mode", "c", "x", ("a", "b")), "its default 'c' is none of a, b"),
        (lambda: board_with(plain, RATE, RATE), "two of its options have one name: rate, rate"),
        (lambda: board_with(plain, "rate"), "is no tuple of plx9x5x.options"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_declaration_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        make()


# -- on the command line and in tests ----------------------------------------------------------------


def test_boards_lists_the_options_of_one_and_names_those_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards", "hpdi32"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "--set rate=500000" in said[3]
    assert said[5].split(maxsplit=2)[1:] == ["source=counter", "what is on the cable (counter, prbs or file:PATH)"]
    assert main(["boards"]) == 0
    assert "options: rate, line, source" in capsys.readouterr().out
    assert main(["boards", "nope"]) == 2


@pytest.mark.parametrize(
    "verb", [["config"], ["serve", "--socket-path", "x"], ["run"], ["try", "./x"]], ids=lambda it: it[0]
)
@pytest.mark.parametrize("setting", ["rat=1", "rate", "rate=-1", "source=file:/nope"])
def test_each_verb_refuses_a_wrong_setting_before_anything_is_started(
    verb: list[str], setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    board = "hpdi32" if verb != ["run"] else "rdk-9656-lite"
    assert main([verb[0], "--board", board, "--set", setting, *verb[1:]]) == 2
    assert re.match(rf"error: --set '?{re.escape(setting)}", capsys.readouterr().err)


def test_a_board_whose_target_cannot_be_made_is_named_and_hides_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    reference = load_board("rdk-9656-lite")
    wrong = replace(reference, windows=(replace(reference.windows[0], target=lambda: None),))  # type: ignore[arg-type, return-value]
    entries = {
        name: [SimpleNamespace(name=name, value="m:B", load=lambda board=board: board)]
        for name, board in (("wrong", wrong), ("right", reference))
    }
    with patch("plx9x5x.board._installed", return_value=entries):
        assert main(["boards"]) == 69
        said = capsys.readouterr().out
        assert main(["boards", "wrong"]) == 69
    assert "wrong            cannot be used: local window 'SRAM' cannot be made: AttributeError" in said
    assert f"right            {reference.summary}" in said
    assert "error: local window 'SRAM' cannot be made" in capsys.readouterr().err


def test_config_shows_the_board_that_was_set(capsys: pytest.CaptureFixture[str]) -> None:
    reference = plain(options.chosen("b", ALL, ()))
    made = board_with(lambda chosen: replace(reference, summary=f"at {chosen[RATE]}"), RATE)
    entry = SimpleNamespace(name="mine", value="m:B", load=lambda: made)
    with patch("plx9x5x.board._installed", return_value={"mine": [entry]}):
        assert main(["config", "--board", "mine", "--set", "rate=9"]) == 0
    assert capsys.readouterr().out.startswith("board mine: at 9\n")


REFERENCE = load_board("rdk-9656-lite")


def replaying(chosen: Chosen) -> Board:
    if chosen[MODE] == "fast" and chosen[LOG] is None:
        raise ValueError("fast goes with log=")
    if chosen[LOG] is not None:
        chosen[LOG].write(b"head")
    return replace(REFERENCE, name="mine", summary=f"logs to {chosen[LOG] and 'a file'}")


def test_what_a_board_needs_a_file_for_is_served_tried_and_looked_at_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = SimpleNamespace(name="mine", value="m:B", load=lambda: board_with(replaying, MODE, LOG))
    words = ("mode=fast", f"log={tmp_path}/new")
    with patch("plx9x5x.board._installed", return_value={"mine": [entry]}):
        assert main(["config", "--board", "mine", "--set", words[0], "--set", words[1]]) == 0
        assert capsys.readouterr().out.startswith("board mine: logs to a file\n")
        (found,) = settings.of_cards(words, ("mine",))
        assert settings.board_of("mine", found).summary == "logs to a file"
        with pytest.raises(BadOption, match="fast goes with log="):
            settings.board_of("mine", found[:1])
        assert not [*tmp_path.iterdir()]
        load_board("mine", found)
    assert (tmp_path / "new").read_bytes() == b"head"


@pytest.mark.parametrize("name", ["hpdi32", "hpdi32-prbs"])
def test_a_summary_is_of_what_was_set(name: str, tmp_path: Path) -> None:
    (tmp_path / "words").write_bytes(bytes(4))
    for source, told in (("counter", "counting"), ("prbs", "pseudo-random"), (f"file:{tmp_path}/words", "a file's")):
        assert f", {told} words on its cable (" in load_board(name, [f"source={source}"]).summary


def test_a_served_board_reads_the_file_that_was_set_from_within_the_jail(folder: Path) -> None:
    words = folder / "words"
    words.write_bytes(bytes.fromhex("11111111 22222222 33333333 44"))
    argv = [sys.executable, "-m", "plx9x5x", "serve", "--board", "hpdi32", "--transport", "wire"]
    argv += ["--socket-path", str(folder / "s"), "--set", "source=file:words", "--set", "rate=1e6", "--set", "line=1"]
    with subprocess.Popen(argv, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert any(line.startswith("listening on ") for line in server.stdout)
            with VfioUserClient(folder / "s") as client:
                client.write(7, 4, 7, 2)
                client.write(2, 0x04, 0x20)
                while client.read(2, 0x4C) < 5:
                    pass
                assert [client.read(2, 0x18) for _ in range(5)] == [n * 0x1111_1111 for n in (1, 2, 3, 1, 2)]
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=20) == 0
        finally:
            server.kill()


TWO = ("rdk-9656-lite", "hpdi32")


@pytest.mark.parametrize(
    ("words", "boards", "found"),
    [
        ((), TWO, ((), ())),
        (("rate=5",), TWO, ((), ("rate=5",))),
        (("2:rate=5",), TWO, ((), ("rate=5",))),
        (("rate=5",), ("hpdi32", "hpdi32"), (("rate=5",), ("rate=5",))),
        (("rate=5", "2:rate=6"), ("hpdi32", "hpdi32"), (("rate=5",), ("rate=6",))),
        (("02:rate=6", "rate=5"), ("hpdi32", "hpdi32"), (("rate=5",), ("rate=6",))),
        (("1:rate=5", "2:rate=6", "line=1"), ("hpdi32", "hpdi32-prbs"), (("rate=5", "line=1"), ("rate=6", "line=1"))),
    ],
)
def test_a_setting_goes_to_the_cards_that_have_it_or_to_the_one_that_it_names(
    words: tuple[str, ...], boards: tuple[str, ...], found: tuple[tuple[str, ...], ...]
) -> None:
    assert settings.of_cards(words, boards) == found


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("speed=5", "no card has an option 'speed'; rdk-9656-lite: it has none, hpdi32: rate"),
        ("3:rate=5", "there is no card 3; cards are counted from 1 to 2"),
        ("0:rate=5", "there is no card 0"),
        (f"{'9' * 5000}:rate=5", r"^--set '9{80}': there is no card 999999999\.\.\.; cards are counted"),
        ("1000000001:rate=5", r"there is no card 100000000\.\.\.;"),
        ("1:rate=5", "rdk-9656-lite has no option 'rate'"),
    ],
)
def test_a_setting_that_no_card_takes_is_refused(word: str, said: str) -> None:
    with pytest.raises(BadOption, match=said):
        settings.of_cards([word], TWO)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rate=0", "2:rate=2"), "--set rate=0: hpdi32 takes a whole number from 1"),
        (("rate=1", "rate=3", "2:rate=2"), "--set 'rate=3': rate is set twice"),
        (("rate=1", "2:rate=2", "2:rate=3"), "--set 'rate=3': rate is set twice"),
    ],
)
def test_what_another_setting_overrules_has_to_be_right_and_said_once(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadOption, match=said):
        settings.of_cards(words, ("rdk-9656-lite", "hpdi32"))


def test_a_setting_without_a_board_is_refused() -> None:
    with pytest.raises(BadOption, match="options are a board's, and there is none"):
        settings.of_cards(["rate=5"], ())


def test_the_server_of_a_guest_is_given_them(tmp_path: Path) -> None:
    argv = board_backend("hpdi32", libvfio_user=None, settings=("rate=5", "line=1")).argv
    assert [argv[at + 1] for at, word in enumerate(argv) if word == "--set"] == ["rate=5", "line=1"]


@pytest.mark.parametrize("said", [{"rate": 5, "source": "file:words"}, ["rate=5", "source=file:words"]])
def test_the_markers_settings_are_the_servers(tmp_path: Path, said: object) -> None:
    (tmp_path / "words").write_bytes(bytes(4))
    node = SimpleNamespace(
        iter_markers=lambda _: [pytest.mark.plx_board("hpdi32", settings=said).mark],
        get_closest_marker=lambda _: None,
        add_report_section=lambda *_: None,
    )
    request = SimpleNamespace(node=node, path=tmp_path / "test_it.py")
    made = plx_backend.__wrapped__  # type: ignore[attr-defined]
    argv = next(made(request, SimpleNamespace(libvfio_user=tmp_path / "lib.so"), tmp_path)).argv
    assert [argv[at + 1] for at, word in enumerate(argv) if word == "--set"] == [
        "rate=5",
        f"source=file:{tmp_path}/words",
    ]


def test_plx_try_takes_them_too(tmp_path: Path) -> None:
    (tmp_path / "words").write_bytes(bytes(4))
    asked = _fields({"guest": PLAIN, "board": "hpdi32", "settings": {"rate": 5, "source": "file:words"}}, str, tmp_path)
    assert asked["settings"] == ("1:rate=5", f"1:source=file:{tmp_path}/words")


def test_a_yes_or_no_of_a_mapping_is_a_word() -> None:
    assert settings.words_of({"loud": True, "quiet": False, "n": 1.5}) == ("loud=yes", "quiet=no", "n=1.5")
