# SPDX-License-Identifier: Apache-2.0
"""What is done once a guest has ended: lines, coverage, and what could not be written costs nothing else."""

import json
from pathlib import Path

import pytest

from plx9x5x.lab.witness import after, lcov
from plx9x5x.lab.witness.after import After, Unseen
from plx9x5x.lab.witness.codemap import Block, CodeMap, Load
from plx9x5x.lab.witness.covered import CoverageFile
from plx9x5x.lab.witness.seen import SeenCode
from tests.lab.witness.made import Made, make

CORE, INIT = 0xFFFF_FFFF_C020_0000, 0xFFFF_FFFF_C030_0000
LOAD = Load("drv", 1, None, CORE, 0x1000, INIT, 0x1000)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made"), "-g")


def seen(made: Made) -> SeenCode:
    begin, end = made.function("direct")
    blocks = (Block(CORE + begin, end - begin, 2, LOAD, 4),)
    return SeenCode(CodeMap((LOAD,), blocks), [("drv", made.ko.read_bytes())])


def files(made: Made, folder: Path) -> tuple[Path, Path]:
    place = {"role": "access", "pc": CORE + made.label("readl_", within="direct"), "seq": 3, "where": ""}
    findings, trace = folder / "findings.jsonl", folder / "trace"
    findings.write_text(json.dumps({"findings": [{"places": [place]}]}) + "\n", encoding="ascii")
    trace.write_text(f"0.000000001 R 0 0x000 4 0x00000000  @{place['pc']:#x} #3\n", encoding="ascii")
    return findings, trace


def test_findings_traces_and_coverage_are_written(made: Made, tmp_path: Path) -> None:
    findings, trace = files(made, tmp_path)
    with CoverageFile(tmp_path / "cov.info") as target:
        done = after.finish(seen(made), findings=[findings], traces=[trace], target=target, logs=tmp_path)
    line = made.line_of("drv.c", "direct reads")
    assert f"direct(), drv.c:{line}" in findings.read_text(encoding="ascii")
    assert trace.read_text(encoding="ascii").endswith(f"0x00000000  direct() drv.c:{line}\n")
    assert lcov.parse((tmp_path / "cov.info").read_bytes())[made.source("drv.c")].lines[line] == 4
    assert f"direct (drv.c:{made.line_with('drv.c', 'direct(')}): entered 4 times\n" in (
        tmp_path / "coverage.txt"
    ).read_text(encoding="utf-8")
    assert done.troubles == ()
    assert done.coverage is not None
    assert (done.coverage.run.entered, done.coverage.run.functions) == (1, 8)


def test_of_what_nobody_saw_there_is_the_reason(tmp_path: Path) -> None:
    (tmp_path / "cov.info").write_text("TN:\nSF:/a.c\nDA:3,1\nend_of_record\n", encoding="ascii")
    with CoverageFile(tmp_path / "cov.info") as target:
        done = after.finish(Unseen("KVM has no plugins"), target=target, logs=tmp_path)
    assert done.coverage is not None
    assert done.coverage.lines() == [f"coverage: none, KVM has no plugins; {tmp_path}/cov.info is as it was"]
    assert (tmp_path / "cov.info").read_text(encoding="ascii").startswith("TN:\nSF:/a.c\n")
    assert after.finish(Unseen("KVM has no plugins"), logs=tmp_path) == After()


def test_without_a_file_what_ran_is_said_and_kept_among_the_logs(made: Made, tmp_path: Path) -> None:
    done = after.finish(seen(made), logs=tmp_path)
    assert done.coverage is not None
    assert done.coverage.json()["file"] is None
    (line,) = done.coverage.lines()
    never = ", ".join(str(it) for it in done.coverage.run.never[:3])
    assert line.endswith(f"1 of 8 functions; never entered: {never} and 4 more (coverage.txt)")
    assert [it.name for it in tmp_path.iterdir()] == ["coverage.txt"]


def test_of_modules_that_were_never_loaded_nothing_is_said_unless_asked(made: Made, tmp_path: Path) -> None:
    nothing = SeenCode(CodeMap((), ()), [("drv", made.ko.read_bytes())])
    assert after.finish(nothing, logs=tmp_path) == After()
    with CoverageFile(tmp_path / "cov.info") as target:
        done = after.finish(nothing, target=target, logs=tmp_path)
    assert done.coverage is not None
    assert (done.coverage.run.entered, done.coverage.run.functions) == (0, 8)


def test_what_cannot_be_written_is_told_and_the_rest_is_done(made: Made, tmp_path: Path) -> None:
    findings, trace = files(made, tmp_path)
    trace.unlink()
    trace.symlink_to("findings.jsonl")
    with CoverageFile(tmp_path / "cov.info") as target:
        (tmp_path / "cov.info").mkdir()
        done = after.finish(seen(made), findings=[findings], traces=[trace], target=target, logs=tmp_path / "gone")
    assert "direct()" in findings.read_text(encoding="ascii")
    assert len(done.troubles) == 2
    assert done.troubles[0].startswith(f"{trace} has no lines of the driver: ")
    assert "coverage file" in done.troubles[1]
    assert done.coverage is None
    with CoverageFile(tmp_path / "other.info") as target:
        done = after.finish(seen(made), target=target, logs=tmp_path / "gone")
    assert done.coverage is not None
    assert done.troubles == (f"{tmp_path}/gone/coverage.txt was not written: No such file or directory",)
