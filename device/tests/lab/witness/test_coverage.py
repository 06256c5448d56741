# SPDX-License-Identifier: Apache-2.0
"""Coverage agrees with functions that were counted by hand, and adds up over runs."""

from pathlib import Path

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.lab.witness import coverage, lcov
from plx9x5x.lab.witness.codemap import Block, CodeMap, Load
from plx9x5x.lab.witness.coverage import Coverage
from plx9x5x.lab.witness.covered import CoverageFile
from plx9x5x.lab.witness.lines import Lines
from plx9x5x.lab.witness.seen import SeenCode
from tests.lab.witness.made import Made, make

CORE, INIT = 0xFFFF_FFFF_C020_0000, 0xFFFF_FFFF_C030_0000
LOAD = Load("drv", 1, 90, CORE, 0x1000, INIT, 0x1000)
AGAIN = Load("drv", 100, None, CORE + 0x8000, 0x1000, INIT, 0x1000)


@pytest.fixture(scope="module", params=["-gdwarf-5", "-gdwarf-4"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made"), request.param)


def block(load: Load, low: int, high: int, executed: int, *, init: bool = False) -> Block:
    return Block((load.init if init else load.core) + low, high - low, 1, load, executed)


def counted(made: Made, load: Load = LOAD, *, loops: int = 10) -> list[Block]:
    """Blocks of one call of counted(loops), as its code says."""
    begin, end = made.function("counted")
    loop, odd, after = (made.label(f"{name}_", within="counted") for name in ("loop_begins", "odd_begins", "odd_ends"))
    ends, never = (made.label(f"{name}_", within="counted") for name in ("counted_ends", "never_begins"))
    assert begin < ends < never < end
    return [
        block(load, begin, loop, 1),
        block(load, loop, odd, loops),
        block(load, odd, after, loops // 2),
        block(load, after, after + 1, loops // 2),
        block(load, ends, never, 1),
    ]


def lines_of(made: Made) -> Lines:
    return Lines.of_file("drv", made.ko)


def measured(made: Made, *blocks: Block, loads: tuple[Load, ...] = (LOAD, AGAIN)) -> Coverage:
    return coverage.measure(SeenCode(CodeMap(loads, blocks), [("drv", made.ko)]))


def test_a_function_that_was_counted_by_hand(made: Made) -> None:
    found = measured(made, *counted(made))
    source = found.sources[made.source("sub/help.c")]
    lines = {
        text: source.lines[made.line_of("sub/help.c", text)]
        for text in ("each time", "odd", "odd ends", "ends", "never", "never ends")
    }
    assert lines == {"each time": 10, "odd": 5, "odd ends": 5, "ends": 1, "never": 0, "never ends": 0}
    assert source.functions["counted"] == (made.line_with("sub/help.c", "u32 counted("), 1)
    assert source.functions["helped"] == (made.line_with("sub/help.c", "u32 helped("), 0)
    assert source.lines[made.line_of("sub/help.c", "helped reads")] == 0
    assert found.shown[made.source("sub/help.c")] == "sub/help.c"
    for one in found.sources.values():
        assert {line for line, _ in one.functions.values()} <= one.lines.keys()


def test_a_block_that_an_access_to_a_device_cut_in_two_ran_once(made: Made) -> None:
    begin, end = made.function("by_own_header")
    pieces = [block(LOAD, at, end, 3) for at in range(begin, end - 1)]
    source = measured(made, *pieces).sources[made.source("drv.c")]
    assert source.lines[made.line_of("drv.c", "calls status")] == 3
    assert source.functions["by_own_header"][1] == 3


def test_a_loop_whose_head_is_within_a_block_runs_for_both(made: Made) -> None:
    begin, end = made.function("counted")
    text = lines_of(made).text(init=False)
    jumps = [
        (at + 2, at + 2 + text[at + 1] - 256)
        for at in range(begin, end)
        if (text[at] == 0xEB or 0x70 <= text[at] < 0x80) and text[at + 1] >= 0x80
    ]
    tail, head = next((tail, head) for tail, head in jumps if begin < head < tail)
    found = measured(made, block(LOAD, begin, tail, 1), block(LOAD, head, tail, 9), block(LOAD, head + 1, tail, 2))
    source = found.sources[made.source("sub/help.c")]
    assert source.functions["counted"][1] == 1
    inside = [line for line, count in source.lines.items() if count == 10]
    assert inside
    assert set(source.lines.values()) <= {0, 1, 10}


def test_loads_add_up_and_blocks_that_overlap_too(made: Made) -> None:
    found = measured(made, *counted(made), *counted(made, AGAIN, loops=4), *counted(made, AGAIN, loops=4))
    source = found.sources[made.source("sub/help.c")]
    assert source.functions["counted"][1] == 3
    assert source.lines[made.line_of("sub/help.c", "each time")] == 18


def test_a_line_whose_call_was_inlined_ran_with_what_stands_for_it(made: Made) -> None:
    begin, end = made.function("by_own_header")
    found = measured(made, block(LOAD, begin, end, 6))
    source, header = found.sources[made.source("drv.c")], found.sources[made.source("regs.h")]
    assert source.lines[made.line_of("drv.c", "calls status")] == 6
    assert header.lines[made.line_of("regs.h", "status reads")] == 6
    assert header.functions["status"] == (made.line_with("regs.h", " status("), 6)
    assert source.lines[made.line_of("drv.c", "direct reads")] == 0
    assert not any("include" in path for path in found.sources)


def test_code_of_init_is_told_from_that_of_the_core(made: Made) -> None:
    begin, end = made.function("start", ".init.text")
    source = measured(made, block(LOAD, begin, end, 2, init=True)).sources[made.source("drv.c")]
    assert [source.functions[name][1] for name in ("start", "direct", "by_own_header", "stop")] == [2, 0, 0, 0]


def test_a_module_that_was_never_loaded_has_all_its_lines(made: Made) -> None:
    found = measured(made, loads=())
    assert len(found.sources) == 3
    assert not any(count for source in found.sources.values() for count in source.lines.values())
    assert sum(len(source.functions) for source in found.sources.values()) == 8


def test_without_debug_information_it_is_bytes_of_functions(tmp_path: Path) -> None:
    made = make(tmp_path, "-g", after=("strip", "--strip-debug"))
    begin, end = made.function("counted")
    found = measured(made, block(LOAD, begin, begin + 7, 3))
    assert found.sources == {}
    (one,) = (it for it in found.functions if it.name == "counted")
    assert (one.entered, one.ran, one.size) == (3, 7, end - begin)
    assert {it.name for it in found.functions if not it.entered} == {
        "allocated", "by_own_header", "direct", "helped", "start", "stop",
    }  # fmt: skip
    with CoverageFile(tmp_path / "cov.info") as file:
        covered = file.add(found)
    assert covered.lines()[0].startswith("coverage, by the code of what has no debug information: ")
    assert "1 of 7 functions; never entered: " in covered.lines()[0]
    assert covered.lines()[-1] == f"coverage: nothing was added, for a tracefile is of lines: {tmp_path / 'cov.info'}"
    assert f"counted [drv]:       7 of {end - begin:>7} bytes\n" in covered.table
    assert lcov.parse((tmp_path / "cov.info").read_bytes()) == {}


def test_what_is_not_known_is_said(made: Made, tmp_path: Path) -> None:
    small = Load("drv", 1, None, CORE, 0x10, INIT, 0x1000)
    assert measured(made, loads=(small,)).unknown == (
        "drv: the file that was given is not the module that the guest loaded",
    )
    (tmp_path / "bad.ko").write_bytes(b"none")
    bad = coverage.measure(SeenCode(CodeMap(blocks_left_out=3), [("bad", tmp_path / "bad.ko")]))
    assert bad.unknown == (
        "bad: its file cannot be read: no 64-bit little-endian ELF file",
        "all of it: more code ran than the map has room for",
    )


def test_counts_that_a_hostile_guest_forges_stay_numbers(made: Made) -> None:
    begin, end = made.function("counted")
    found = measured(made, *[block(LOAD, begin, end, (1 << 64) - 1)] * 65536)
    count = found.sources[made.source("sub/help.c")].lines[made.line_of("sub/help.c", "ends")]
    assert count == 65536 << 40


def test_a_block_may_reach_beyond_what_the_file_has(made: Made) -> None:
    size = made.layout.size(init=False)
    found = measured(made, block(LOAD, size - 1, size + 30, 3), block(LOAD, size + 100, size + 130, 3))
    assert sum(count for source in found.sources.values() for count in source.lines.values()) <= 2 * 3


def test_runs_are_added_to_the_file(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "new" / "cov.info"
    with CoverageFile(path) as file:
        assert not path.exists()
        first = file.add(measured(made, *counted(made)))
    assert first.merged is None
    assert first.lines()[0].startswith("coverage: ")
    assert "1 of 8 functions; never entered: " in first.lines()[0]
    begin, end = made.function("helped")
    with CoverageFile(path) as file:
        second = file.add(measured(made, *counted(made), block(LOAD, begin, end, 1)))
    assert second.merged is not None
    assert second.merged.entered == 2
    source = lcov.parse(path.read_bytes())[made.source("sub/help.c")]
    assert source.functions["counted"][1] == 2
    assert source.lines[made.line_of("sub/help.c", "each time")] == 20
    assert any(line.startswith("coverage with the runs before: ") for line in second.lines())
    told = second.json()
    assert told["file"] == str(path)
    assert isinstance(told["merged"], dict)
    assert {it["name"] for it in told["merged"]["never_entered"]} == {
        "allocated", "by_own_header", "direct", "start", "status", "stop",
    }  # fmt: skip
    assert [it.name for it in path.parent.iterdir()] == ["cov.info"]


def test_other_programs_records_stay(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "cov.info"
    path.write_text("TN:x\nSF:/a.c\nFN:3,f\nFNDA:1,f\nBRDA:3,0,0,1\nDA:3,1\nend_of_record\n", encoding="ascii")
    with CoverageFile(path) as file:
        covered = file.add(measured(made, *counted(made)))
    assert covered.merged is None
    kept = lcov.parse(path.read_bytes())["/a.c"]
    assert (kept.lines, kept.functions, kept.others) == ({3: 1}, {"f": (3, 1)}, ["BRDA:3,0,0,1"])


def test_what_cannot_be_written_is_refused_before_a_guest_runs(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("int main;\n", encoding="ascii")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SetupError, match="no tracefile of lcov: line 1"):
        CoverageFile(tmp_path / "text")
    for name in ("folder", "text/below", "loop"):
        with pytest.raises(SetupError, match="coverage file"):
            CoverageFile(tmp_path / name)
    with pytest.raises(SetupError, match="cannot write"):
        CoverageFile(Path("/proc/cov.info"))
    with pytest.raises(SetupError, match="cannot read the coverage file /proc/self/mem: Input/output error"):
        CoverageFile(Path("/proc/self/mem"))
    with pytest.raises(SetupError, match="coverage file / is no file"):
        CoverageFile(Path("/"))
    assert sorted(it.name for it in tmp_path.iterdir()) == ["folder", "loop", "text"]


def test_a_guest_that_changes_the_file_meanwhile_harms_nothing_else(made: Made, tmp_path: Path) -> None:
    with CoverageFile(tmp_path / "cov.info") as file:
        (tmp_path / "other").write_text("mine", encoding="ascii")
        (tmp_path / "cov.info").symlink_to("other")
        with pytest.raises(SetupError, match="cannot write"):
            file.add(measured(made))
    assert (tmp_path / "other").read_text(encoding="ascii") == "mine"


def test_a_file_that_would_be_too_long_to_be_read_again_stays_as_it_was(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cov.info"
    path.write_text("TN:\n", encoding="ascii")
    with CoverageFile(path) as file:
        monkeypatch.setattr(lcov, "MOST", 100)
        with pytest.raises(SetupError, match="stays as it was"):
            file.add(measured(made, *counted(made)))
    assert path.read_text(encoding="ascii") == "TN:\n"
