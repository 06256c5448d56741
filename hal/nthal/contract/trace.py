# SPDX-License-Identifier: Apache-2.0
"""Which test proves which clause: by the numbers in the tests' names, read from their source without running them.

`test_tv42_...` is test vector TV-42 and proves the clauses that the vector names; `test_cb36_...` proves CB-36. The one
parametrized test of every clause's own examples stands in for a clause that nothing else names.
Source: reference hal-contract 9.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nthal.contract.judge import CLAUSES
from nthal.contract.vectors import VECTORS

_NUMBER: Final = re.compile(r"(?:^test_|_and_)(tv|cb)(\d+)(?=_|$)")
EXAMPLES: Final = "test_a_clause_holds_for_its_good_example_and_names_what_its_bad_one_breaks"

# fmt: off
_FLOWS: Final = {
    "06": "23 30 54", "07": "23 30", "08": "31", "09": "28", "11": "20 40", "12": "40", "24": "46", "25": "46",
    "26": "46", "27": "46", "29": "46", "38": "04", "39": "04", "45": "35", "47": "44", "63": "60 61", "73": "31 53",
    "74": "73", "75": "74", "81": "01", "83": "153", "84": "84", "90": "113", "91": "115", "92": "116", "93": "76",
    "94": "105 108 117", "95": "102", "96": "102", "97": "108 109 110 111", "98": "107", "99": "105 107",
    "100": "108", "101": "109 110", "102": "101 112", "103": "112", "104": "106 108 117", "105": "108", "106": "114",
    "107": "108", "108": "118", "109": "118", "110": "12", "111": "119", "112": "68 120", "113": "122", "114": "59",
    "115": "59", "116": "122", "117": "45", "127": "144", "129": "149", "130": "145", "131": "142", "132": "143",
}
# fmt: on
"""Clauses of the vectors that are flows, and so not in `VECTORS`."""


@dataclass(frozen=True, slots=True)
class Test:
    """One test function: `path` of its file, `name`, the labels that its name carries and the clauses it proves."""

    path: str
    name: str
    labels: tuple[str, ...]
    clauses: tuple[str, ...]

    @property
    def id(self) -> str:
        """Test id as pytest spells it, without parameters."""
        return f"{self.path}::{self.name}"


def vector_clauses() -> dict[str, tuple[str, ...]]:
    """Clauses by vector number ("TV-06"); alternatives of one vector are taken together."""
    found = {f"TV-{number}": [f"CB-{one}" for one in clauses.split()] for number, clauses in _FLOWS.items()}
    for vector in VECTORS:
        known = found.setdefault(vector.id.rstrip("abcdefgh"), [])
        known.extend(clause for clause in vector.clauses if clause not in known)
    return {number: tuple(clauses) for number, clauses in found.items()}


def find_tests(root: Path, folders: Iterable[str]) -> list[Test]:
    """Read every test file in the folders (relative to `root`) and keep the tests whose names carry numbers."""
    vectors = vector_clauses()
    files = (path for folder in folders for path in sorted((root / folder).glob("test_*.py")))
    return [test for path in files for test in _in_file(root, path, vectors)]


def _in_file(root: Path, path: Path, vectors: dict[str, tuple[str, ...]]) -> Iterator[Test]:
    where = path.relative_to(root).as_posix()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef):
            continue
        if node.name == EXAMPLES:
            yield from (Test(where, f"{node.name}[{clause}]", (), (clause,)) for clause in CLAUSES)
            continue
        labels = [f"{kind.upper()}-{number}" for kind, number in _NUMBER.findall(node.name)]
        if labels:
            named = [vectors.get(label, ()) if label.startswith("TV") else (label,) for label in labels]
            yield Test(where, node.name, tuple(labels), tuple(dict.fromkeys(one for some in named for one in some)))


def proofs(tests: Iterable[Test]) -> dict[str, list[Test]]:
    """Tests by clause. The examples of a clause count only where no other test names it."""
    by_clause: dict[str, list[Test]] = {clause: [] for clause in CLAUSES}
    examples: dict[str, Test] = {}
    for test in tests:
        for clause in test.clauses:
            if test.name.startswith(EXAMPLES):
                examples[clause] = test
            else:
                by_clause.setdefault(clause, []).append(test)
    for clause, found in by_clause.items():
        if not found and clause in examples:
            found.append(examples[clause])
    return by_clause
