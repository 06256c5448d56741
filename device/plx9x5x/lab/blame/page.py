# SPDX-License-Identifier: Apache-2.0
"""docs/blame.md, made of the corpus and of what guests said of it, and of nothing else."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from plx9x5x.lab.blame.corpus import REST, Corpus, Switch
from plx9x5x.lab.blame.judge import Judged, Line, Verdict

NAME: Final = "blame.md"

_HEAD: Final = """\
# Who is at fault: the corpus

Made by `make blame`; do not edit. `guest-tests/wrong` is a driver that makes one mistake at a time, each of them one
that drivers made (its parameter `bug`), or does something that is right and does not look so (`right`). It is loaded
once for each, in guests of every shape and with every kernel, and each time this page says whom plx9x5x named.

One of them by hand: `plx9x5x try guest-tests/wrong bug=NAME`.
"""
_LEGEND: Final = """\
Of a guest the table has the kernels with which the rule was named, and nothing else but what it does as well. `-`:
nothing was said, and nothing was to be, for there the mistake does no harm that anybody could see (an address that is
right by luck, lists that are not merged). Not as it should be: {bad}. *Line* says whether
the first place that the finding names is the wrong line of the sources (`yes`), or another of its places is (`beside`).
"""
_STRANGE: Final = "+"
"""Between rules of one cell; a comma is between kernels."""
_RULE: Final = re.compile(r"\[([\w-]+)\]")
_RULE_CELL: Final = 3
"""Of a bug's row; that of a right one has a guest's cell there, or nothing."""


def render(corpus: Corpus, judged: Sequence[Judged]) -> str:
    """The page."""
    shapes = tuple(dict.fromkeys(it.said.shape for it in judged))
    kernels = tuple(dict.fromkeys(it.said.kernel for it in judged))
    by_switch: dict[str, list[Judged]] = {}
    for it in judged:
        by_switch.setdefault(it.said.switch.parameter, []).append(it)
    bad = ", ".join(f"`{it.value}`" for it in Verdict if not it.good)
    head = ("bug", "what it does", "drivers that did", "rule", "who", "wrong line", "line", *shapes)
    lines = [_HEAD, _tally(corpus, by_switch), "", "## Wrong", "", _LEGEND.format(bad=bad)]
    lines += [_row(head), _row("---" for _ in head)]
    lines += [_row(_bug(it, by_switch.get(it.parameter, ()), shapes, kernels)) for it in corpus.bugs]
    head = ("right", "what it does", *shapes)
    lines += ["", "## Right, although it does not look so", "", "Nothing may be said of these."]
    lines += ["", _row(head), _row("---" for _ in head)]
    lines += [_row(_right(it, by_switch.get(it.parameter, ()), shapes, kernels)) for it in corpus.rights]
    if beside := [it for it in by_switch.get(REST.parameter, ()) if not it.verdict.good]:
        lines += ["", "## Beside the switches", "", *(f"- {' '.join(str(it).split())}" for it in beside)]
    return "\n".join(lines) + "\n"


def _bug(switch: Switch, judged: Sequence[Judged], shapes: Sequence[str], kernels: Sequence[str]) -> tuple[str, ...]:
    others = sorted({rule for rule in switch.in_shapes.values() if rule} - {switch.rule})
    rules = ", ".join(f"[{rule}](findings.md#{rule})" for rule in (switch.rule, *others))
    who = ", ".join(sorted({it.who for it in judged if it.who}))
    told = sorted({it.line for it in judged if it.line is not Line.NONE}, key=list(Line).index)
    places = f"{switch.lines[0]}" + (f" and {len(switch.lines) - 1} more" if len(switch.lines) > 1 else "")
    return (
        f"`{switch.name}`",
        switch.what + (f" (on {switch.board})" if switch.board else ""),
        switch.had,
        rules,
        who,
        places,
        ", ".join(it.value for it in told),
        *(_cell(judged, shape, kernels) for shape in shapes),
    )


def _right(switch: Switch, judged: Sequence[Judged], shapes: Sequence[str], kernels: Sequence[str]) -> tuple[str, ...]:
    return (f"`{switch.name}`", switch.what, *(_cell(judged, shape, kernels) for shape in shapes))


def _cell(judged: Iterable[Judged], shape: str, kernels: Sequence[str]) -> str:
    """What came of a switch in the guests of a shape, for each kernel; in one word where they agree."""
    found: Mapping[str, Judged] = {it.said.kernel: it for it in judged if it.said.shape == shape}
    words = [(kernel, _word(found.get(kernel))) for kernel in kernels]
    if all(word == Verdict.NAMED.value for _, word in words):
        return " ".join(kernels)
    different = dict.fromkeys(word for _, word in words)
    if len(different) == 1:
        return next(iter(different))
    return ", ".join(kernel if word == Verdict.NAMED.value else f"{kernel} {word}" for kernel, word in words)


def _word(judged: Judged | None) -> str:
    if judged is None:
        return "not run"
    more = f" {_STRANGE.join(judged.strange)}" if judged.strange else ""
    return judged.verdict.value + more


def _tally(corpus: Corpus, by_switch: Mapping[str, Sequence[Judged]]) -> str:
    def count(switches: Iterable[Switch], good: Callable[[Judged], bool], *, once: bool) -> int:
        verdicts = ([good(it) for it in by_switch.get(one.parameter, ())] for one in switches)
        return sum(bool(it) and (any(it) if once else all(it)) for it in verdicts)

    right = count(corpus.bugs, lambda it: it.verdict.good, once=False)
    seen = count(corpus.bugs, lambda it: it.verdict is Verdict.NAMED, once=True)
    lines = count(corpus.bugs, lambda it: it.line is Line.RIGHT, once=True)
    quiet = count(corpus.rights, lambda it: it.verdict.good, once=False)
    return (
        f"**{right} of {len(corpus.bugs)}** mistakes are told as they should be in every guest, {seen} are named in at "
        f"least one, **{lines}** with the very line; **{quiet} of {len(corpus.rights)}** right ones are accused of "
        "nothing."
    )


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def rules_on(page: str) -> dict[str, str]:
    """The rule that a page names for each bug; empty for a right one."""
    rows = (line.removeprefix("| ").split(" | ") for line in page.splitlines() if line.startswith("| `"))
    rules = ((cells[0].strip("`"), _RULE.match(" ".join(cells[_RULE_CELL:]))) for cells in rows)
    return {name: "" if rule is None else rule[1] for name, rule in rules}


def said_on(page: str, shape: str, kernel: str) -> dict[str, str]:
    """What a page says of each switch in such a guest, in `Verdict`'s words; nothing of a guest that it has not."""
    found: dict[str, str] = {}
    column = -1
    for line in page.splitlines():
        cells = line.removeprefix("| ").removesuffix(" |").split(" | ")
        if line.startswith(("| bug |", "| right |")):
            column = cells.index(shape) if shape in cells else -1
        elif line.startswith("| `") and column >= 0:
            found |= {cells[0].strip("`"): word for word in _words_of(cells[column], kernel)}
    return found


def _words_of(cell: str, kernel: str) -> Iterable[str]:
    """The word for a kernel, of what `_cell` made."""
    for part in cell.split(", "):
        kernels: list[str] = []
        words: list[str] = []
        for word in part.split(" "):
            (kernels if word[:1].isdigit() and not words else words).append(word)
        if kernel in kernels or not kernels:
            yield " ".join(words) or Verdict.NAMED.value
