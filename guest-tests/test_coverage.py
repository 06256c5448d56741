# SPDX-License-Identifier: Apache-2.0
"""What of a driver ran, and which line made each access: of a driver that is short enough to be counted by hand."""

import re
from pathlib import Path

import pytest
from trying import folder, tried

from plx9x5x.lab.witness import lcov

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]

COMMAND = "cat /sys/bus/pci/drivers/blink/0*/interrupts"
SOURCE = Path(folder("blink")) / "blink.c"
TEXT = SOURCE.read_text(encoding="ascii").splitlines()


def line_of(text: str) -> int:
    (found,) = (number for number, line in enumerate(TEXT, 1) if line.strip() == text)
    return found


def body(function: str) -> range:
    """Lines of a function, from its name to its closing brace."""
    start = next(number for number, line in enumerate(TEXT, 1) if re.match(rf"static .*\b{function}\(", line))
    return range(start, next(number for number, line in enumerate(TEXT, 1) if number > start and line == "}") + 1)


def test_lines_and_functions_that_ran_are_those_that_must(kernel: str, tmp_path: Path) -> None:
    path, trace = tmp_path / "cov.info", tmp_path / "trace"
    first, _ = tried(folder("blink"), command=COMMAND, kernel=kernel, coverage=path, trace=trace)
    assert first.exit_code == 0, first.problems
    source = lcov.parse(path.read_bytes())[str(SOURCE)]
    lines, functions = source.lines, {name: count for name, (_, count) in source.functions.items()}
    assert {functions[name] for name in ("blink_probe", "blink_transfer", "interrupts_show")} == {1}
    assert functions["blink_handler"] >= 1
    assert functions["blink_remove"] == 0
    # The transfer ends well: from "no interrupt" on nothing ran, before it all did, once.
    failed = line_of('dev_err(&pdev->dev, "no interrupt\\n");')
    assert {lines[number] for number in body("blink_transfer") if number in lines and number >= failed} - {1} == {0}
    assert lines[line_of("return -ETIMEDOUT;")] == 0
    for text in TEXT[body("blink_transfer").start : failed - 1]:
        if re.match(r"\s+write[lb]\(", text):
            assert lines[line_of(text.strip())] == 1
    assert not any(lines[number] for number in body("blink_remove") if number in lines)
    assert first.coverage is not None
    assert {it.name for it in first.coverage.run.never} >= {"blink_remove"}

    accesses = [line for line in trace.read_text(encoding="ascii").splitlines() if re.match(r"\S+ [RW] ", line)]
    assert accesses
    for line in accesses:
        match = re.search(r"  (\w+)\(\) blink\.c:(\d+)(?: < blink_probe\(\) blink\.c:\d+)?$", line)
        assert match, line
        assert int(match[2]) in body(match[1])
        assert re.search(r"\bread[lb]\(" if " R " in line else r"\bwrite[lb]\(", TEXT[int(match[2]) - 1])

    second, _ = tried(folder("blink"), command=f"{COMMAND}; rmmod blink", kernel=kernel, coverage=path)
    assert second.coverage is not None
    assert second.coverage.merged is not None
    assert second.coverage.merged.never == ()
    source = lcov.parse(path.read_bytes())[str(SOURCE)]
    assert source.functions["blink_probe"][1] == 2
    assert source.functions["blink_remove"][1] == 1


def test_a_module_of_the_kernels_own_is_told_by_its_bytes(full_kernel: str, tmp_path: Path) -> None:
    result, _ = tried("gsc_hpdi", kernel=full_kernel, boards=("hpdi32",), coverage=tmp_path / "cov.info")
    assert result.coverage is not None
    assert result.coverage.run.lines == 0
    assert 0 < result.coverage.code.lines_ran < result.coverage.code.lines
    assert "hpdi_auto_attach [gsc_hpdi]: " in (result.logs / "coverage.txt").read_text(encoding="utf-8")
    assert lcov.parse((tmp_path / "cov.info").read_bytes()) == {}
