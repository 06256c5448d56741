# SPDX-License-Identifier: Apache-2.0
"""The verb `try`: what it asks for, what it shows, and the files that it writes."""

import json
from pathlib import Path
from typing import Any

import pytest

from plx9x5x.cli import main as cli
from plx9x5x.lab import trial
from plx9x5x.lab.report.ktap import parse
from plx9x5x.lab.trial import TryResult, TrySpec, Wanted, once

REPORT = b"KTAP version 1\n1..3\nok 1 load\n# bound 0000:00:02.0 mine\nok 2 bind\n# status 3\nnot ok 3 command\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[TrySpec]:
    """What was to be tried; the guest says that the command ended with 3."""
    specs: list[TrySpec] = []

    def run(spec: TrySpec, *, listener: trial.Listener, **_: Any) -> TryResult:
        specs.append(spec)
        listener.phase("built mine.ko")
        return TryResult(parse(REPORT), tmp_path, "6.1")

    monkeypatch.setattr(trial, "run", run)
    return specs


def test_what_follows_two_dashes_is_the_command_and_its_status_is_the_trials(
    asked: list[TrySpec], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    assert cli.main(["try", "--json", str(out), "./mine", "a=1", "--", "ls", "--all"]) == 3
    assert (asked[0].modules, asked[0].command) == ((Wanted("./mine", ("a=1",)),), "ls --all")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "built mine.ko"
    assert said[-1] == "bad (exit 3): the command ended with 3"
    assert json.loads(out.read_text())["status"] == 3


def test_a_file_that_cannot_be_written_costs_no_verdict(
    asked: list[TrySpec], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert cli.main(["try", "--json", str(tmp_path), "--junit", str(tmp_path / "file" / "x"), "./mine"]) == 3
    out, err = capsys.readouterr()
    assert "bad (exit 3)" in out
    assert err.count("was not written") == 2


def test_a_device_is_written_to_and_stays_one(asked: list[TrySpec]) -> None:
    assert cli.main(["try", "--json", "/dev/null", "./mine"]) == 3
    assert Path("/dev/null").is_char_device()


def test_coverage_is_asked_for(asked: list[TrySpec], tmp_path: Path) -> None:
    assert cli.main(["try", "--coverage", str(tmp_path / "cov.info"), "./mine"]) == 3
    assert [spec.coverage for spec in asked] == [tmp_path / "cov.info"]


@pytest.mark.parametrize("verb", [("try", "./mine"), ("run",)])
def test_coverage_of_what_is_not_watched_is_refused(
    verb: tuple[str, ...], asked: list[TrySpec], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*verb, "--no-witness", "--coverage", "c"]) == 2
    assert "--coverage is what the witness sees: leave out --no-witness" in capsys.readouterr().err
    assert asked == []


def test_a_driver_is_watched_unless_that_is_not_wanted(asked: list[TrySpec]) -> None:
    for words in ((), ("--no-witness",)):
        cli.main(["try", *words, "./mine"])
    assert [spec.witness for spec in asked] == [True, False]


def test_a_coverage_file_that_is_none_is_refused_before_anything_is_fetched_or_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(once, "lay", lambda **_: begun.append("lay"))
    (tmp_path / "main.c").write_text("int main;\n", encoding="ascii")
    assert cli.main(["try", "--coverage", str(tmp_path / "main.c"), "./mine"]) == 69
    assert "is there, and is no tracefile of lcov: line 1" in capsys.readouterr().err
    assert begun == []
    assert (tmp_path / "main.c").read_text(encoding="ascii") == "int main;\n"


def test_faults_and_their_seed_are_asked_for(asked: list[TrySpec]) -> None:
    assert cli.main(["try", "--fault", "stuck busy", "--fault", "card 2: reset at access 1", "--seed", "5", "./m"]) == 3
    assert (asked[0].faults, asked[0].seed) == (("stuck busy", "card 2: reset at access 1"), 5)


@pytest.mark.parametrize("verb", [["try", "./m"], ["run"], ["serve", "--socket-path", "/tmp/none"]])
@pytest.mark.parametrize("seed", ["x", "-1", "4294967296", "1.5"])
def test_a_seed_is_read_alike_by_all(verb: list[str], seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([*verb, "--seed", seed])
    assert caught.value.code == 2
    assert "to 4294967295" in capsys.readouterr().err


def test_it_is_done_again_until_something_is_wrong(asked: list[TrySpec], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["try", "--repeat", "3", "./mine"]) == 3
    assert len(asked) == 1
    assert "-- 1 of 3" in capsys.readouterr().out


def test_folders_cards_and_files_are_asked_for(
    asked: list[TrySpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)
    options = ["--board", "a", "--board", "b", "--ro", "in", "--rw", ".", "--root", "host", "--get", "x", "--get", "/y"]
    assert cli.main(["try", *options, "./mine"]) == 3
    (spec,) = asked
    assert (spec.boards, spec.host_root, spec.get, spec.get_into) == (("a", "b"), True, ("x", "/y"), tmp_path)
    assert spec.folders == (trial.Folder(tmp_path, writable=True), trial.Folder(tmp_path / "in"))


@pytest.mark.parametrize(
    "wrong",
    [
        ["--timeout", "nan"],
        ["--timeout", "0"],
        ["--memory", "1"],
        ["--smp", "999"],
        ["--repeat", "0"],
        ["--copy"],
        ["--gdb"],
        ["--board", "a"] * 17,
    ],
)
def test_numbers_that_mean_nothing_are_refused(asked: list[TrySpec], wrong: list[str]) -> None:
    try:
        code: object = cli.main(["try", *wrong, "./mine"])
    except SystemExit as exc:
        code = exc.code
    assert code == 2
    assert not asked
