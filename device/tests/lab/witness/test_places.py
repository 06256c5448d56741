# SPDX-License-Identifier: Apache-2.0
"""Places of kept findings and of a trace get their lines; what else is in the files stays as it is."""

import json
import os
from pathlib import Path

import pytest

from plx9x5x.lab.witness import places
from plx9x5x.lab.witness.codemap import CodeMap, Load
from plx9x5x.lab.witness.lines import Where
from plx9x5x.lab.witness.seen import SeenCode
from tests.lab.witness.made import Made, make

CORE, INIT = 0xFFFF_FFFF_C020_0000, 0xFFFF_FFFF_C030_0000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made"), "-g")


def load(name: str = "drv", came: int = 1, left: int | None = None, *, core: int = CORE, size: int = 0x1000) -> Load:
    return Load(name, came, left, core, size, INIT, 0x1000)


def seen(made: Made, *loads: Load) -> SeenCode:
    return SeenCode(CodeMap(loads or (load(),)), [("drv", made.ko)])


def kept(path: Path, *marks: dict[str, object]) -> Path:
    finding = {"rule": "r", "who": "driver", "places": list(marks), "unknown": [1, None]}
    path.write_text(json.dumps({"client": 1, "findings": [finding]}) + "\n{cut off", encoding="utf-8")
    return path


def told(path: Path) -> list[object]:
    record = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    return [place.get("where") for place in record["findings"][0]["places"]]


def test_places_of_kept_findings_get_their_lines(made: Made, tmp_path: Path) -> None:
    path = kept(
        tmp_path / "findings.jsonl",
        {"role": "access", "pc": CORE + made.label("readl_", within="direct"), "seq": 7, "where": ""},
        {"role": "allocated", "pc": CORE + made.returns("dma_alloc_attrs"), "seq": 8},
        {"role": "handler", "pc": INIT, "seq": 9, "where": ""},
        {"role": "access", "pc": 0xFFFF_FFFF_8100_0000, "seq": 9, "where": ""},
        {"role": "access", "pc": CORE, "seq": 9, "where": "known already"},
    )
    path.chmod(0o640)
    assert places.fill(path, seen(made).where) == 1
    assert told(path) == [
        f"direct(), drv.c:{made.line_of('drv.c', 'direct reads')}",
        f"allocated(), sub/help.c:{made.line_of('sub/help.c', 'allocates')}",
        f"start(), drv.c:{made.line_with('drv.c', 'u32 start(')}",
        "",
        "known already",
    ]
    assert path.stat().st_mode & 0o777 == 0o640
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n{cut off")
    assert json.loads(text.splitlines()[0])["findings"][0]["unknown"] == [1, None]
    assert list(tmp_path.iterdir()) == [path]


def test_a_handlers_place_is_its_beginning_and_not_what_stands_before_it(made: Made) -> None:
    begin, _ = made.function("allocated")
    where = seen(made).where
    line = made.line_with("sub/help.c", "*allocated(")
    assert str(where(CORE + begin, 1, "handler")) == f"allocated(), sub/help.c:{line}"
    assert "allocated()" not in str(where(CORE + begin, 1, "freed"))


def test_a_module_loaded_twice_is_looked_for_where_it_was(made: Made) -> None:
    where = seen(made, load(came=1, left=50), load(came=60, core=CORE + 0x10000)).where
    at = made.label("readl_", within="direct")
    assert str(where(CORE + at, 40)).startswith("direct()")
    assert where(CORE + at, 70) is None
    assert str(where(CORE + 0x10000 + at, 70)).startswith("direct()")


def test_a_module_whose_file_is_not_known_is_told_by_its_name(made: Made) -> None:
    assert str(seen(made, load("other")).where(CORE + 0x20, 2)) == "other+0x20"
    assert str(seen(made, load("other")).where(INIT + 0x20, 2)) == "other (init)+0x20"


def test_a_file_that_is_not_what_was_loaded_gives_no_lines(made: Made) -> None:
    assert str(seen(made, load(size=0x40)).where(CORE + 0x20, 2)) == "drv+0x20"


def test_a_name_may_be_spelled_with_either_dash(made: Made) -> None:
    given = SeenCode(CodeMap((load("my_drv"),)), [("my-drv", made.ko)])
    assert str(given.where(INIT, 2)).startswith("start()")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]\n",
        b"7\n",
        b'{"findings": 7}\n',
        b'{"findings": [7, {"places": 7}, {"places": [7]}]}\n',
        b'{"findings": [{"places": [{"pc": true, "seq": 1, "role": "access"}, {"pc": 1.5, "seq": 1}]}]}\n',
        b'{"findings": [{"places": [{"pc": 1, "seq": 1, "role": []}]}]}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
    ],
)
def test_what_is_no_kept_finding_stays(made: Made, tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "findings.jsonl"
    path.write_bytes(line)
    assert places.fill(path, seen(made).where) == 0
    assert path.read_bytes() == line


def test_lines_of_a_trace_end_with_the_drivers_line(made: Made, tmp_path: Path) -> None:
    at = CORE + made.label("readl_", within="direct")
    path = tmp_path / "trace"
    lines = [
        "time scale 1, max step 1000000 ns",
        f"0.000000001 W 0 0x0a8 1 0x03 ; DMACSR0=0x3 enable=1 start=1  @{at:#x} #5",
        f"0.000000001 R 2 0x000 4 0x00000003  @{at:#x} #6",
        "0.000000002 start 0",
        "0.000000002 R 2 0x000 4 0x00000003  @0xffffffff81000000 #7",
        "0.000000002 R 2 0x000 4 0x00000003  @nothing #7",
    ]
    path.write_text("\n".join(lines), encoding="ascii")
    assert places.rewrite_trace(path, seen(made).where) == 2
    line = f"direct() drv.c:{made.line_of('drv.c', 'direct reads')}"
    lines[1] = f"0.000000001 W 0 0x0a8 1 0x03 ; DMACSR0=0x3 enable=1 start=1  {line}"
    lines[2] = f"0.000000001 R 2 0x000 4 0x00000003  {line}"
    assert path.read_text(encoding="ascii") == "\n".join(lines)


def test_a_trace_is_rewritten_as_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_bytes(b"0.000000001 R 2 0x000 4 0x00000003  @0x10 #6\n" * 20_000 + b"x" * (40 << 20))
    longest = 0

    def where(pc: int, seq: int, role: str) -> Where:
        assert (pc, seq, role) == (0x10, 6, "access")
        return Where("drv", "f", file="d.c", line=3)

    def watched(line: bytes) -> bytes:
        nonlocal longest
        longest = max(longest, len(line))
        return line

    lines = places._lines
    try:
        places._lines = lambda file: map(watched, lines(file))  # type: ignore[assignment]
        assert places.rewrite_trace(path, where) == 20_000
    finally:
        places._lines = lines
    assert longest == places._LONGEST
    assert path.stat().st_size == 20_000 * len("0.000000001 R 2 0x000 4 0x00000003  f() d.c:3\n") + (40 << 20)


def test_only_a_file_of_its_own_is_replaced(tmp_path: Path) -> None:
    def nowhere(pc: int, seq: int, role: str) -> None:
        raise AssertionError

    assert places.fill(tmp_path / "none", nowhere) == 0
    os.mkfifo(tmp_path / "pipe")
    assert places.rewrite_trace(tmp_path / "pipe", nowhere) == 0
    (tmp_path / "file").write_text("x  @0x10 #6\n", encoding="ascii")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(OSError, match="symbolic links"):
        places.rewrite_trace(tmp_path / "link", nowhere)
    assert (tmp_path / "file").read_text(encoding="ascii") == "x  @0x10 #6\n"
