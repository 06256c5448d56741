# SPDX-License-Identifier: Apache-2.0
"""docs/contract.md: every statement of the seeds with its clauses and the tests that prove them, and the pictures.

Everything is generated: statements and clauses from their data, tests from the numbers in their names, pictures from
live machines. `python -m nthal doc` writes it, a test keeps it current.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from nthal.contract.differences import DIFFERENCES
from nthal.contract.judge import CLAUSES
from nthal.contract.seeds import SEEDS, STATEMENTS
from nthal.contract.trace import Test, find_tests, proofs
from nthal.views.picture import lay_out, svg
from nthal.views.scenes import SCENES

TEST_FOLDERS: Final = ("hal/tests", "device/tests/lab/contract/host")
DOCS: Final = "docs"
PAGE: Final = "contract.md"

_CAPTIONS: Final = {
    "contract-map-registers": "Hardware map registers over fragmented memory. A common buffer (A, B) is one run for the"
    " driver and one run for the device, though its pages lie apart; the registers make it so. C is a packet transfer.",
    "contract-iommu": "An IOMMU. All memory is above 4 GiB, out of the reach of this 32-bit device, and its logical"
    " addresses are below. A physical address given to this device means nothing.",
    "contract-bounce": "No translation. Logical and physical addresses have the same numbers, so the common buffers"
    " must lie within the device's reach. The program's buffer does not, so its pages are copied (C, D); a common"
    " buffer never is.",
}


_DIFFER: Final = (
    "Where two sources say different things of one clause. ROS is ReactOS's HAL, WDF the published source of the"
    " framework, PLX its sample driver, S0 to S4 the seeds, DDI and DOC Microsoft's pages, HW the hardware. A switch is"
    " a field of `nthal.platforms.Switches`, and chooses."
)


def _label(test: Test) -> str:
    """Short name of a test in a table: its numbers, or the clause whose own examples it runs."""
    if not test.labels:
        return f"examples of {test.clauses[0]}"
    first, *others = test.labels
    kind = first[:3]
    return "/".join([first, *(label.removeprefix(kind) for label in others)])


def _slug(label: str) -> str:
    return "test-" + label.lower().replace("/", "-").replace(" ", "-")


def _cells(tests: Iterable[Test]) -> str:
    labels = dict.fromkeys(_label(test) for test in tests)
    return ", ".join(f"[{label}](#{_slug(label)})" for label in labels)


def _statements(seed: int, by_clause: dict[str, list[Test]]) -> Iterator[str]:
    mine = [statement for statement in STATEMENTS if statement.seed == seed]
    yield f"### Seed 00{seed}: {SEEDS[seed]}"
    yield ""
    yield "| # | Place | Statement | Clauses | Tests |"
    yield "|---|---|---|---|---|"
    for one in mine:
        tests = [test for clause in one.clauses for test in by_clause[clause]]
        clauses = ", ".join(f"[{clause}](#{clause.lower()})" for clause in one.clauses)
        yield f"| {seed}.{one.number} | {one.place} | {one.text} | {clauses} | {_cells(tests)} |"
    yield ""


def _clauses(by_clause: dict[str, list[Test]]) -> Iterator[str]:
    stated = {clause for statement in STATEMENTS for clause in statement.clauses}
    yield "| Clause | Text | Source | Confidence | In a seed | Tests |"
    yield "|---|---|---|---|---|---|"
    for clause in CLAUSES.values():
        mark = "yes" if clause.id in stated else ""
        anchor = f'<a id="{clause.id.lower()}"></a>{clause.id}'
        tests = _cells(by_clause[clause.id])
        yield f"| {anchor} | {clause.text} | {clause.source} | {clause.confidence} | {mark} | {tests} |"
    yield ""


def _differences() -> Iterator[str]:
    yield "| Clauses | Subject | One source | Another | The model, and why | Switch |"
    yield "|---|---|---|---|---|---|"
    for each in DIFFERENCES:
        clauses = ", ".join(f"[{clause}](#{clause.lower()})" for clause in each.clauses)
        switch = f"`{each.switch}`" if each.switch else ""
        yield f"| {clauses} | {each.subject} | {each.one} | {each.other} | {each.model} | {switch} |"
    yield ""


def _index(tests: Iterable[Test]) -> Iterator[str]:
    """Full test ids by their labels."""
    yield "| Label | Test |"
    yield "|---|---|"
    rows = {(_order(test), test.id): test for test in tests}
    anchored = set()
    for _, test in sorted(rows.items()):
        label = _label(test)
        anchor = "" if label in anchored else f'<a id="{_slug(label)}"></a>'
        anchored.add(label)
        yield f"| {anchor}{label} | `{test.id}` |"
    yield ""


def _order(test: Test) -> tuple[str, int]:
    """Vectors by number, then clauses by number, then examples."""
    if not test.labels:
        return "X", int(test.clauses[0][3:])
    kind, _, number = test.labels[0].partition("-")
    return ("A" if kind == "TV" else "B"), int(number)


def page(tests: list[Test]) -> str:
    """Write the page."""
    by_clause = proofs(tests)
    used = list({test.id: test for found in by_clause.values() for test in found}.values())
    lines = [
        "<!-- SPDX-License-Identifier: Apache-2.0 -->",
        "<!-- Generated by `python -m nthal doc`; change the data or the tests, not this file. -->",
        "# The common-buffer contract, traced",
        "",
        f"Five documents describe the contract. Their {len(STATEMENTS)} statements, in our words, lead to the"
        f" {len(CLAUSES)} clauses that `nthal` executes, and from there to tests. TV-n is a test vector, CB-n a test"
        " that has the clause in its name; where a clause binds people rather than calls (keep it in resident memory,"
        " allocate few), its own good and bad example are the test. `python -m nthal clauses` lists the clauses,"
        " `python -m nthal check FILE` judges observations by them. [contract-tutorial.md](contract-tutorial.md) begins"
        " with four drivers.",
        "",
        "## Three address spaces",
        "",
        "Drawn from live machines after real allocations.",
        "",
    ]
    for name in SCENES:
        lines += [f"![{_CAPTIONS[name]}]({name}.svg)", "", f"*{_CAPTIONS[name]}*", ""]
    lines += ["## The seeds, statement by statement", ""]
    for seed in SEEDS:
        lines += _statements(seed, by_clause)
    lines += ["## The clauses", "", *_clauses(by_clause)]
    lines += ["## Differences", "", _DIFFER, "", *_differences()]
    lines += ["## The tests", "", *_index(used)]
    return "\n".join(lines).rstrip("\n") + "\n"


def documents(root: Path) -> dict[Path, str]:
    """Text of every generated file, by its path in the checkout at `root`."""
    docs = root / DOCS
    made = {docs / f"{name}.svg": svg(lay_out(scene())) for name, scene in SCENES.items()}
    made[docs / PAGE] = page(find_tests(root, TEST_FOLDERS))
    return made
