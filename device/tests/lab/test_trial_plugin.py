# SPDX-License-Identifier: Apache-2.0
"""What a test may write in a call of `plx_try`: the command line's words, or fields of a TrySpec."""

from pathlib import Path
from typing import Any

import pytest

from plx9x5x.lab.guest.shapes import IOMMU, PLAIN, NoSuchShape
from plx9x5x.lab.trial import Folder
from plx9x5x.lab.trial_plugin import _fields, _words


def fields(**options: Any) -> dict[str, Any]:
    return _fields({"guest": PLAIN, **options}, str)


def test_words_of_the_command_line_become_fields(tmp_path: Path) -> None:
    asked = fields(
        guest="iommu",
        board="b",
        rw=[tmp_path],
        files=["x"],
        append="a b",
        get=["c"],
        trace="t",
        kernel="6.12",
        coverage="c",
    )
    assert (asked["guest"], asked["boards"], asked["folders"]) == (IOMMU, ("b",), (Folder(tmp_path, writable=True),))
    assert (asked["files"], asked["append"], asked["get"]) == ((Path("x"),), ("a", "b"), ("c",))
    assert (asked["trace"], asked["kernel"], asked["coverage"]) == (Path("t"), "6.12", Path("c"))


def test_fields_stay_as_they_are() -> None:
    assert fields(boards=("a", "b"), append=("c",), processors=2)["boards"] == ("a", "b")
    assert "boards" not in fields()


def test_faults_are_sentences_or_files_beside_the_test() -> None:
    asked = _fields({"guest": PLAIN, "faults": ["stuck busy", "@plans/a"]}, lambda path: f"/tests/{path}")
    assert asked["faults"] == ("stuck busy", "@/tests/plans/a")


@pytest.mark.parametrize("wrong", ["lost interrupt", 3])
def test_a_sentence_alone_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match=rf"faults takes a list of sentences.*say faults=\[{wrong!r}\]"):
        fields(faults=wrong)


def test_a_seed_goes_with_faults() -> None:
    assert fields(faults=["stuck busy"], seed=5)["seed"] == 5


def test_what_it_does_not_know_is_refused_with_what_there_is() -> None:
    with pytest.raises(TypeError, match=r"plx_try knows no 'geust'; it takes command, .*board, device, ro, rw"):
        fields(geust="iommu")
    with pytest.raises(NoSuchShape):
        fields(guest="imommu")
    with pytest.raises(TypeError, match=r"folders takes .*say ro="):
        fields(folders=["t"])


def test_the_servers_words_begin_when_it_was_ready(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("add it to a guest\nlistening on x\nclient left\n", encoding="utf-8")
    assert _words(log) == "listening on x\nclient left\n"
    log.write_text("error: no\n", encoding="utf-8")
    assert _words(log) == "error: no\n"
