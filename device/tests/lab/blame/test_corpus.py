# SPDX-License-Identifier: Apache-2.0
"""The table of the corpus and its sources say the same."""

import re
from pathlib import Path

import pytest

from plx9x5x.lab.blame import corpus
from plx9x5x.lab.blame.corpus import CorpusWrong
from plx9x5x.lab.guest.shapes import SHAPES
from plx9x5x.lab.toolchain import KERNEL_SERIES
from plx9x5x.rules.catalog import RULES

ROOT = Path(__file__).parents[4]
WRONG = ROOT / "guest-tests" / "wrong"

SOURCE = """\
\twritel(swab32(h), regs); /* WRONG: swap */
\tgo();
\tstart(); /* WRONG: swap */
\t{ "swap", swap },
"""
RIGHT = '\t{ "pool", pool },\n'
TABLE = """\
[[bug]]
name = "swap"
what = "swaps"
had = "many"
rule = "byte-order"
in.plain = ""
in.high = "other"
unseen = ["6.12"]
also = ["third"]
[[right]]
name = "pool"
what = "a pool"
"""


def written(folder: Path, table: str = TABLE, source: str = SOURCE, right: str = RIGHT) -> Path:
    for name, text in {"corpus.toml": table, "a.c": source, "right_b.c": right}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_switch_has_what_the_table_and_the_marks_say(tmp_path: Path) -> None:
    swap, pool = corpus.read(written(tmp_path)).switches
    assert (swap.parameter, pool.parameter) == ("bug=swap", "right=pool")
    assert swap.lines == ("a.c:1", "a.c:3")
    assert [swap.rule_in(name, "6.1") for name in ("plain", "high", "iommu")] == ["", "other", "byte-order"]
    assert swap.rule_in("high", "6.12") == ""
    assert (pool.rule_in("plain", "6.1"), pool.also, swap.also) == ("", frozenset(), {"third"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": SOURCE.replace('"swap"', '"swop"')}, "'swap' stands 1 times in corpus.toml, 0 in the sources"),
        ({"source": SOURCE + '\t{ "more", more },\n'}, "the sources have a switch 'more'"),
        ({"source": SOURCE.replace("/* WRONG: swap */", "")}, "swap: no line of the sources ends in"),
        ({"source": SOURCE + "\tx(); /* WRONG: swup */\n"}, "a line is marked as that of 'swup'"),
        ({"table": TABLE.replace('had = "many"\n', "")}, "swap lacks 'had'"),
        ({"table": TABLE.replace("also", "alos")}, "swap has 'alos', which means nothing"),
        ({"table": TABLE.replace("in.high", "in.low")}, "swap: there is no guest shape 'low'"),
        ({"table": TABLE.replace("6.12", "2.4")}, "swap: there is no kernel '2.4'"),
        ({"table": TABLE.replace("[[right]]", "[[wight]]")}, "has a table 'wight'"),
        ({"right": ""}, "'pool' stands 1 times in corpus.toml, 0 in the sources"),
    ],
)
def test_what_does_not_agree_is_refused(tmp_path: Path, change: dict[str, str], said: str) -> None:
    with pytest.raises(CorpusWrong, match=re.escape(said)):
        corpus.read(written(tmp_path, **change))


def test_switches_are_chosen_by_name(tmp_path: Path) -> None:
    found = corpus.read(written(tmp_path))
    assert [it.name for it in found.select(())] == ["swap", "pool"]
    assert [it.name for it in found.select(("pool",))] == ["pool"]
    with pytest.raises(CorpusWrong, match="no switch 'pol'"):
        found.select(("pol",))


def test_the_corpus_has_as_many_as_were_promised() -> None:
    found = corpus.read(WRONG)
    assert len(found.bugs) >= 40
    assert len(found.rights) >= 10
    for bug in found.bugs:
        assert any(bug.rule_in(shape, kernel) for shape in SHAPES for kernel in KERNEL_SERIES), (
            f"{bug.name} is seen nowhere"
        )


def test_each_rule_of_the_corpus_is_a_rule() -> None:
    rules = {rule.name for rule in RULES}
    for bug in corpus.read(WRONG).bugs:
        assert {bug.rule, *bug.also, *bug.in_shapes.values()} - {""} <= rules, bug.name


def test_forty_mistakes_and_more_have_a_source() -> None:
    """A commit of Linux, or an issue or pull request of GitHub, in which somebody made that mistake."""
    source = re.compile(r"[\w.-]+/[\w.-]+#\d+\b|\b[0-9a-f]{12}\b")
    assert sum(source.search(bug.had) is not None for bug in corpus.read(WRONG).bugs) >= 40


def test_the_table_says_which_keys_it_has() -> None:
    head = (WRONG / corpus.TABLE).read_text(encoding="utf-8").partition("\n\n")[0]
    told = {name.partition(".")[0] for name in re.findall(r"^#   (\w[\w.]*) ", head, re.MULTILINE)}
    assert told == corpus.KEYS


def test_no_source_of_the_corpus_is_too_long() -> None:
    assert [path.name for path in WRONG.iterdir() if len(path.read_text(encoding="utf-8").splitlines()) > 800] == []
    assert [path.name for path in WRONG.glob("*.[ch]") if len(path.read_text("utf-8").splitlines()) >= 500] == []
