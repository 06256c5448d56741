# SPDX-License-Identifier: Apache-2.0
"""Tracefiles are read in all of lcov's forms, written in the one that all of its versions read, and added up."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.lab.witness import lcov
from plx9x5x.lab.witness.lcov import NoTracefile, Source

NAMES = st.builds(
    str.__add__,
    st.sampled_from(string.ascii_lowercase + "_"),
    st.text(string.ascii_lowercase + "0123456789_.", max_size=9),
)
COUNTS = st.integers(0, 1 << 60)
SOURCES = st.dictionaries(
    NAMES.map("/src/{}".format),
    st.builds(
        Source,
        st.dictionaries(st.integers(1, 9999), COUNTS, max_size=9),
        st.dictionaries(NAMES, st.tuples(st.integers(1, 9999), COUNTS), max_size=5),
        st.just([]),
    ),
    max_size=4,
)


def strictly(data: bytes) -> dict[str, tuple[dict[int, int], dict[str, tuple[int, int]]]]:
    """Read what we write as geninfo(1) says that it is, in that order, each sum checked."""
    record = re.compile(
        r"TN:\nSF:(?P<path>[^\n]+)\n"
        r"(?P<fn>(?:FN:[1-9]\d*,[^\n,]+\n)*)(?P<fnda>(?:FNDA:\d+,[^\n,]+\n)*)FNF:(?P<fnf>\d+)\nFNH:(?P<fnh>\d+)\n"
        r"(?P<da>(?:DA:[1-9]\d*,\d+\n)*)LF:(?P<lf>\d+)\nLH:(?P<lh>\d+)\nend_of_record\n"
    )
    text, at, found = data.decode(), 0, {}
    while at < len(text):
        match = record.match(text, at)
        assert match, text[at : at + 200]
        at = match.end()
        starts = {name: int(line) for line, name in re.findall(r"FN:(\d+),(.+)", match["fn"])}
        counts = {name: int(count) for count, name in re.findall(r"FNDA:(\d+),(.+)", match["fnda"])}
        lines = {int(line): int(count) for line, count in re.findall(r"DA:(\d+),(\d+)", match["da"])}
        assert starts.keys() == counts.keys()
        assert (int(match["fnf"]), int(match["fnh"])) == (len(starts), sum(n > 0 for n in counts.values()))
        assert (int(match["lf"]), int(match["lh"])) == (len(lines), sum(n > 0 for n in lines.values()))
        assert list(lines) == sorted(lines)
        found[match["path"]] = (lines, {name: (starts[name], counts[name]) for name in starts})
    return found


@given(SOURCES)
def test_what_is_written_is_read_back(sources: dict[str, Source]) -> None:
    written = lcov.write(sources)
    assert lcov.parse(written) == sources
    assert strictly(written) == {path: (it.lines, it.functions) for path, it in sources.items()}


@given(SOURCES, SOURCES)
def test_counts_of_runs_add(one: dict[str, Source], other: dict[str, Source]) -> None:
    both: dict[str, Source] = {}
    lcov.add(both, one)
    lcov.add(both, other)
    for path in one.keys() | other.keys():
        mine, theirs = (side.get(path, Source()) for side in (one, other))
        assert both[path].lines == {
            line: mine.lines.get(line, 0) + theirs.lines.get(line, 0)
            for line in mine.lines.keys() | theirs.lines.keys()
        }
        for name, (_, count) in both[path].functions.items():
            assert count == sum(side.functions.get(name, (0, 0))[1] for side in (mine, theirs))
    again = lcov.parse(lcov.write(one) + lcov.write(other))
    assert again == both


def test_lcovs_other_forms_are_read() -> None:
    text = b"""\
# a remark
TN:my_test
SF:/a.c
VER:2
FN:3,9,f
FN:12,g
FN:20,22,h(int, int)
FNDA:4,f
FNDA:0,g
FNL:0,30,33
FNA:0,7,alias
FNL:1,40
FNA:1,2,old
FNF:5
FNH:4
BRDA:3,0,0,-
DA:3,4,checksum
DA:3,1
LF:1
LH:1
end_of_record
"""
    (source,) = lcov.parse(text).values()
    assert source.lines == {3: 5}
    assert source.functions == {
        "f": (3, 4), "g": (12, 0), "h(int, int)": (20, 0), "alias": (30, 7), "old": (40, 2),
    }  # fmt: skip
    assert source.others == ["BRDA:3,0,0,-"]
    assert lcov.parse(b"") == lcov.parse(b"TN:\n") == {}


ODD_NAMES = st.text(st.sampled_from("a1,\u0663 \t\n\r\x0b\x1c\u2028\u00a0#:\ud800"), max_size=4) | NAMES
ODD_NUMBERS = st.sampled_from([-(1 << 70), -1, 0, 1, 7, (1 << 63) - 1, 1 << 63, 1 << 64]) | COUNTS


@given(
    st.lists(
        st.dictionaries(
            ODD_NAMES,
            st.builds(
                Source,
                st.dictionaries(ODD_NUMBERS, ODD_NUMBERS, max_size=5),
                st.dictionaries(ODD_NAMES, st.tuples(ODD_NUMBERS, ODD_NUMBERS), max_size=5),
                st.just([]),
            ),
            max_size=4,
        ),
        max_size=4,
    )
)
def test_whatever_debug_information_says_what_is_written_can_be_read(runs: list[dict[str, Source]]) -> None:
    both: dict[str, Source] = {}
    for run in runs:
        lcov.add(both, run)
        data = lcov.write(both)
        both = lcov.parse(data)
        assert lcov.write(both) == data


def test_what_a_tracefile_cannot_say_is_left_out_and_no_more() -> None:
    lines = {-3: 1, 0: 1, 5: 1, 6: (1 << 63) - 1, 1 << 63: 1}
    functions = {"34,foo": (5, 1), "foo": (5, 2), "op(int, int)": (6, 3), "late ": (6, 1), "": (6, 1), "neg": (-1, 1)}
    source = Source(lines, functions)
    written = lcov.write({"/a.c": source, " ": source, "/b.c ": source, "/c\nd.c": source, "": source})
    kept = {"/a.c": Source({5: 1, 6: (1 << 63) - 1}, {"foo": (5, 2), "op(int, int)": (6, 3)})}
    assert lcov.parse(written) == kept
    lcov.add(kept, lcov.parse(written))
    assert kept["/a.c"].lines == {5: 2, 6: (1 << 63) - 1}
    assert lcov.parse(written + written) == kept


def test_a_function_of_no_line_is_not_written() -> None:
    assert b"FN:" not in lcov.write({"/a.c": Source({}, {"f": (0, 3)})})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"int main(void)\n", "line 1"),
        (b"TN:a b\n", "line 1"),
        (b"SF:\n", "line 1"),
        (b"TN:\nSF:/a.c\nDA:1,2\n", "no end"),
        (b"SF:/a.c\nDA:1\nend_of_record\n", "line 2"),
        (b"SF:/a.c\nDA:1,-2\nend_of_record\n", "line 2"),
        (b"SF:/a.c\nDA:1,99999999999999999999\nend_of_record\n", "line 2"),
        (b"SF:/a.c\nDA:1,\xd9\xa3\nend_of_record\n", "line 2"),
        (b"SF:/a.c\nFN:1\nend_of_record\n", "line 2"),
        (b"SF:/a.c\nFNA:0,1,f\nend_of_record\n", "line 2"),
        (b"SF:/a.c\nfree text\nend_of_record\n", "line 2"),
        (b"\xff\n", "no text"),
        (b"\n" * (lcov.MOST + 1), "more than"),
    ],
)
def test_what_is_no_tracefile_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(NoTracefile, match=why):
        lcov.parse(text)


@given(
    st.lists(
        st.sampled_from(["TN:", "SF:/a", "DA:1,2", "FN:1,f", "FNDA:", "end_of_record", "X:", ",", "é"]) | st.text()
    )
)
def test_no_text_raises_anything_else(lines: list[str]) -> None:
    try:
        found = lcov.parse("\n".join(lines).encode("utf-8", "surrogatepass"))
    except NoTracefile:
        return
    assert lcov.parse(lcov.write(found)).keys() == found.keys()
