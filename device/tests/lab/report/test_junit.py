# SPDX-License-Identifier: Apache-2.0
"""JUnit XML: nothing that went wrong may look green in it."""

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.errors import SetupError
from plx9x5x.lab.report import junit, ktap

TEXT = b"""KTAP version 1
1..5
# said \x01\x1b[31m
# time a us=2000000
ok 1 a
# got 1, not 2
not ok 2 b
ok 3 c # SKIP no window
not ok 4 d # TODO later
"""


def suite(report: ktap.Report, **more: object) -> ET.Element:
    return ET.fromstring(junit.to_xml(report, suite="s", **more))[0]  # type: ignore[arg-type]


def test_each_verdict_has_its_element_and_is_counted() -> None:
    got = suite(ktap.parse(TEXT))
    cases = {case.get("name"): case for case in got.findall("testcase")}
    assert cases["b"].find("failure") is not None
    assert cases["b"].find("failure").get("message") == "got 1, not 2"  # type: ignore[union-attr]
    assert cases["c"].find("skipped") is not None
    assert cases["d"].find("skipped") is not None
    assert (got.get("tests"), got.get("failures"), got.get("skipped"), got.get("errors")) == ("5", "1", "2", "1")
    assert cases["a"].get("time") == "2.000"


def test_missing_test_is_an_error_by_name() -> None:
    got = suite(ktap.parse(TEXT), expected=("a", "gone"))
    assert [c.get("name") for c in got.findall("testcase") if c.find("error") is not None] == ["gone", "run problem 1"]


def test_lost_guest_is_an_error() -> None:
    got = suite(ktap.Report(), errors=("VM lost: QEMU ended: SIGKILL\nmore",))
    messages = [e.get("message") for e in got.iter("error")]
    assert messages[-1] == "VM lost: QEMU ended: SIGKILL"


@given(st.text())
def test_any_text_gives_a_document_that_parses(text: str) -> None:
    case = ktap.Case(1, text or "x", ktap.Verdict.FAIL, reason=text, diagnostics=(text,))
    suite(ktap.Report(cases=(case,), planned=1), errors=(text,), properties={text: text})


def test_file_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.xml"
    junit.write(path, b"<a/>")
    junit.write(path, b"<b/>")
    assert path.read_bytes() == b"<b/>"
    assert [p.name for p in path.parent.iterdir()] == ["out.xml"]


def test_a_file_is_written_through_a_link_and_a_device_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real.xml").write_bytes(b"old")
    (tmp_path / "link.xml").symlink_to("real.xml")
    junit.write(tmp_path / "link.xml", b"new")
    assert (tmp_path / "link.xml").is_symlink()
    assert (tmp_path / "real.xml").read_bytes() == b"new"
    junit.write(Path("/dev/null"), b"new")
    assert Path("/dev/null").is_char_device()


def test_a_path_that_cannot_be_written_is_the_hosts_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot write the JUnit file"):
        junit.write(tmp_path / "file" / "below.xml", b"new")
    with pytest.raises(SetupError, match="cannot write the JUnit file"):
        junit.write(tmp_path, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_link_that_is_laid_meanwhile_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "r.json"
    victim.write_bytes(b"mine")
    target = junit.Target(link)
    link.symlink_to(victim)
    target.put(b"new")
    assert (victim.read_bytes(), link.read_bytes(), link.is_symlink()) == (b"mine", b"new", False)


def test_a_pipe_that_is_laid_meanwhile_is_not_waited_for(tmp_path: Path) -> None:
    target = junit.Target(tmp_path / "r.json")
    os.mkfifo(tmp_path / "r.json")
    target.put(b"new")
    assert (tmp_path / "r.json").read_bytes() == b"new"
