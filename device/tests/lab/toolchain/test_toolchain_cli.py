# SPDX-License-Identifier: Apache-2.0
"""The verbs `toolchain` and `doctor`, and what progress looks like."""

import io
import itertools
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from plx9x5x import jail
from plx9x5x.cli.main import main
from plx9x5x.lab.toolchain import KERNELS, doctor, for_stream
from plx9x5x.lab.toolchain.bars import Bars
from plx9x5x.lab.toolchain.progress import Lines

NEED = ["--need", "busybox"]


def test_fetch_says_what_it_brought(host: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["toolchain", "fetch", *NEED]) == 0
    out, err = capsys.readouterr()
    assert "busybox 1:1.0-1" in out
    assert "static busybox: done in" in err


def test_a_failed_fetch_ends_with_69_an_error_and_a_hint(host: Any, capsys: pytest.CaptureFixture[str]) -> None:
    host.say("update", "E: Unable to connect to mirror.test")
    assert main(["toolchain", "fetch", *NEED]) == 69
    err = capsys.readouterr().err
    assert "error: the mirror http://mirror.test/debian cannot be reached" in err
    assert "hint: check the network" in err


def test_show_tells_versions_and_checksums(host: Any, capsys: pytest.CaptureFixture[str]) -> None:
    main(["toolchain", "fetch", *NEED])
    capsys.readouterr()
    assert main(["toolchain", "show", "--checksums"]) == 0
    shown = capsys.readouterr().out
    assert main(["toolchain", "show", "--json"]) == 0
    (package,) = json.loads(capsys.readouterr().out)["parts"]["busybox-r1"]["packages"]
    assert f"{package['sha256']}  busybox-static 1:1.0-1" in shown


def test_show_of_an_empty_cache_says_how_to_fill_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["toolchain", "show"]) == 0
    assert "toolchain fetch" in capsys.readouterr().out


def test_clean_empties_the_cache(host: Any, cache_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["toolchain", "fetch", *NEED])
    assert main(["toolchain", "clean"]) == 0
    assert [p.name for p in cache_root.iterdir()] == ["lock"]


def test_doctor_fetches_nothing_and_every_line_that_fails_says_how_to_mend_it(
    host: Any, cache_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (host.etc / "sources.list.d/debian.list").unlink()
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("PLX9X5X_QEMU", "/nowhere/qemu")
    assert main(["doctor", "--kernel", "5.10"]) == 69
    lines = capsys.readouterr().out.splitlines()
    failed = {line.split()[1]: after for line, after in itertools.pairwise(lines) if line.startswith("FAIL")}
    assert {"compiler", "apt", "qemu", "kernel"} <= failed.keys()
    assert all(after.strip().startswith("-> ") and len(after.strip()) > 5 for after in failed.values())
    assert not cache_root.exists()
    assert host.count("update") == 0


def test_doctor_passes_where_only_the_fetch_is_left_to_do(host: Any, capsys: pytest.CaptureFixture[str]) -> None:
    lines = {line.what: line for line in doctor.report(None)}
    assert lines["busybox"].mend == "plx9x5x toolchain fetch"
    assert lines["busybox"].warn
    assert not lines["guest memory"].mend
    assert lines["apt"].says.startswith("http://mirror.test/debian")


def test_doctor_says_how_the_kernel_that_was_asked_for_is_fetched(host: Any) -> None:
    (line,) = [line for line in doctor.report("6.1-full") if line.what == "kernel"]
    assert (line.mend, line.warn) == ("plx9x5x toolchain fetch --kernel 6.1-full", True)


@pytest.mark.parametrize("verb", [["try"], ["run"], ["doctor"], ["toolchain", "fetch"]], ids=" ".join)
def test_help_names_every_kernel(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*verb, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert all(re.search(rf"[ ;]{re.escape(name)}[ ,;]", said) for name in KERNELS)


def test_doctor_says_which_parts_of_the_jail_this_kernel_offers(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (there,) = [line for line in doctor.report(None) if line.what == "jail"]
    assert (there.says, bool(there.mend)) == (str(jail.offered()), bool(jail.offered().lacks))
    monkeypatch.setattr(jail, "offered", lambda: jail.Jail(seccomp=True, landlock=0, lacks=("no Landlock: why",)))
    (there,) = [line for line in doctor.report(None) if line.what == "jail"]
    assert there.says == "no_new_privs, seccomp; no Landlock: why"
    assert there.warn
    assert "Landlock" in there.mend


def test_doctor_notices_a_cache_that_cannot_be_written(
    host: Any, monkeypatch: pytest.MonkeyPatch, cache_root: Path
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    line = next(line for line in doctor.report(None) if line.what == "cache")
    assert "not writable" in line.says
    assert "PLX9X5X_CACHE" in line.mend


def test_doctor_notices_a_cache_below_a_file(host: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PLX9X5X_CACHE", str(tmp_path / "file/cache"))
    line = next(line for line in doctor.report(None) if line.what == "cache")
    assert f"Not a directory: '{tmp_path}/file'" in line.says
    assert not line.warn
    assert "PLX9X5X_CACHE" in line.mend


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_plain_lines_and_a_terminal_bars() -> None:
    log, screen = io.StringIO(), Terminal()
    for stream in (log, screen):
        progress = for_stream(stream)
        progress.note("a note with [brackets]")
        with progress.task("a step") as task:
            task.update(5_000_000, 10_000_000)
    lines = log.getvalue().splitlines()
    assert lines[:2] == ["a note with [brackets]", "a step ..."]
    assert lines[2].startswith("a step: done in ")
    assert lines[2].endswith("10.0 MB")
    assert "\x1b" not in log.getvalue()
    assert "5.0 of 10.0 MB" in screen.getvalue()
    assert "a note with [brackets]" in screen.getvalue()
    assert isinstance(for_stream(log), Lines)
    assert isinstance(for_stream(screen), Bars)


def test_a_step_that_fails_is_not_called_done() -> None:
    log = io.StringIO()
    with pytest.raises(ValueError, match="x"), for_stream(log).task("a step"):
        raise ValueError("x")
    assert "done" not in log.getvalue()
