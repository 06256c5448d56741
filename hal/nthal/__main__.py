# SPDX-License-Identifier: Apache-2.0
"""`python -m nthal clauses [CB-41] | check FILE | vectors | schema | doc`: the contract on the command line.

Exit codes: 0, 1 if a clause is violated or a document is not current, 2 for usage, 141 if nobody reads what it prints.
"""

import argparse
import functools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from nthal.contract import (
    CLAUSES,
    BadObservation,
    Observation,
    check,
    differences,
    from_json_lines,
    observation,
    summary,
    unjudged,
    violations,
)
from nthal.contract.clause import Clause, told
from nthal.contract.trace import Test, find_tests, proofs
from nthal.contract.vectors import SCHEMA, export
from nthal.views import page

_CHECKOUT = Path(__file__).resolve().parents[2]
_LONGEST_NUMBER = 9
"""Digits of what is still taken for a clause's number."""


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


_CONFIDENCE = {
    "A": "text of a seed or of Microsoft's reference",
    "B": "what Microsoft's published framework does",
    "C": "what another implementation or the hardware does",
    "D": "this model's choice where the sources are silent",
}


def _clauses(numbers: Sequence[str]) -> int:
    """List every clause, or show some of them whole."""
    asked = {given: _spelled(given) for given in numbers}
    for given, number in asked.items():
        if number not in CLAUSES:
            sys.stderr.write(f"error: there is no clause {given}{_near(number)}; `nthal clauses` lists all of them\n")
            return 2
    proven = _proofs() if numbers else {}
    for number in dict.fromkeys(asked.values()):
        _show(CLAUSES[number], proven.get(number, []))
    for clause in () if numbers else CLAUSES.values():
        _say(f"{clause.id:<7} {clause.confidence}  {clause.text}  [{clause.source}]")
    return 0


def _spelled(given: str) -> str:
    """A clause's number as the contract spells it: of "cb41", "41" and "CB-41" the last."""
    digits = given.upper().removeprefix("CB").lstrip("-")
    return f"CB-{int(digits):02}" if digits.isdecimal() and len(digits) < _LONGEST_NUMBER else given


def _near(number: str) -> str:
    """The clauses around a number that is none's."""
    digits = number.removeprefix("CB-")
    if not digits.isdecimal() or len(digits) >= _LONGEST_NUMBER:
        return ", which are numbered CB-01 and so on"
    nearest = sorted(CLAUSES, key=lambda known: abs(int(known.removeprefix("CB-")) - int(digits)))[:3]
    return f"; near it are {', '.join(sorted(nearest))}"


@functools.cache
def _proofs() -> dict[str, list[Test]]:
    """Tests by clause, where nthal runs from a checkout. The tests are read once."""
    return proofs(find_tests(_CHECKOUT, page.TEST_FOLDERS))


def _show(clause: Clause, tests: Sequence[Test]) -> None:
    _say(f"{clause.id}  {clause.text}")
    _say(f"  source       {clause.source}")
    _say(f"  confidence   {clause.confidence}, {_CONFIDENCE[clause.confidence]}")
    _say(f"  holds for    {told(clause.good)}")
    _say(f"  violated by  {told(clause.bad)}")
    if clause.question:
        _say(f"  follows from the default answer to the open question {clause.question}")
    if clause.advisory:
        _say("  advice: a finding in profile `strict` alone")
    _say(f"  binds        {'a Linux guest too' if clause.linux else 'Windows alone'}")
    for one in differences.of(clause.id):
        _say(f"  in doubt     {one.subject}")
        _say(f"    either     {one.one}")
        _say(f"    or         {one.other}")
        _say(f"    the model  {one.model}{f' Switch: {one.switch}.' if one.switch else ''}")
    for test in tests:
        _say(f"  test         {test.id}")


def _read(path: str) -> list[Observation]:
    """Observations of a file. Raises: BadObservation, also if there is none; OSError."""
    try:
        # PowerShell puts a byte order mark before what it writes.
        text = sys.stdin.read().removeprefix("\ufeff") if path == "-" else Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadObservation(
            f"no text: {error.reason} at byte {error.start}; expected is {observation.EXPECTED}"
        ) from error
    seen = from_json_lines(text.splitlines())
    if not seen:
        raise BadObservation(f"holds no observation, so nothing is judged; expected is {observation.EXPECTED}")
    return seen


def _check(path: str, *, everything: bool) -> int:
    seen = _read(path)
    judged = check(seen)
    broken = violations(judged)
    for one in judged if everything else broken:
        _say(f"observation {one.order}: {one.clause} {one.verdict}")
    _say(summary(seen, judged))
    lacking = unjudged(judged)
    if lacking:
        _say(f"not judged, for want of a fact: {', '.join(f'{clause} ({fact})' for clause, fact in lacking.items())}")
    return 1 if broken else 0


def _doc(root: Path, *, write: bool) -> int:
    """Write the contract's page and pictures, or say which of them are not what they would be."""
    stale = 0
    for path, text in page.documents(root).items():
        if write:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            _say(f"{path} is not current")
            stale += 1
    return 1 if stale else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; give the exit code."""
    parser = argparse.ArgumentParser(prog="nthal", description="The common-buffer DMA contract, executable.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    clauses = verbs.add_parser("clauses", help="list every clause, or show some of them whole")
    clauses.add_argument("number", nargs="*", help="a clause's number, such as CB-41")
    judge = verbs.add_parser("check", help="judge observations, a JSON object a line")
    judge.add_argument("file", help="file of observations, - for standard input")
    judge.add_argument("--all", action="store_true", help="show every verdict, not violations alone")
    verbs.add_parser("vectors", help="print the test vectors as JSON")
    schema = verbs.add_parser("schema", help="print the JSON Schema of the vectors or of an observation")
    schema.add_argument(
        "of", nargs="?", choices=("vectors", "observation"), default="vectors", help="(default: vectors)"
    )
    doc = verbs.add_parser("doc", help="write docs/contract.md and its pictures, from a checkout")
    doc.add_argument("--root", type=Path, default=Path.cwd(), help="the checkout (default: here)")
    doc.add_argument("--check", action="store_true", help="write nothing, say what is not current")
    chosen = parser.parse_args(argv)
    try:
        code = _run(chosen)
        sys.stdout.flush()
    except BrokenPipeError:
        # As after `| head`. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _run(chosen: argparse.Namespace) -> int:
    match chosen.verb:
        case "clauses":
            return _clauses(chosen.number)
        case "check":
            try:
                return _check(chosen.file, everything=chosen.all)
            except BadObservation as error:
                sys.stderr.write(f"error: {chosen.file}: {error}\n")
            except BrokenPipeError:
                raise
            except OSError as error:
                sys.stderr.write(f"error: cannot read {chosen.file}: {error.strerror}\n")
            return 2
        case "doc":
            return _doc(chosen.root, write=not chosen.check)
        case "vectors":
            _say(json.dumps(export(), indent=1))
        case _:
            _say(json.dumps(SCHEMA if chosen.of == "vectors" else observation.schema(), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
