# SPDX-License-Identifier: Apache-2.0
"""`python -m nthal clauses | check FILE | vectors | schema | doc`: the contract on the command line.

Exit codes: 0, 1 if a clause is violated or a document is not current, 2 for usage, 141 if nobody reads what it prints.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from nthal.contract import CLAUSES, BadObservation, check, from_json_lines, summary, violations
from nthal.contract.vectors import SCHEMA, export
from nthal.views import page


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _clauses() -> int:
    for clause in CLAUSES.values():
        _say(f"{clause.id:<7} {clause.confidence}  {clause.text}  [{clause.source}]")
    return 0


def _check(path: str) -> int:
    lines = sys.stdin if path == "-" else Path(path).read_text(encoding="utf-8").splitlines()
    seen = from_json_lines(lines)
    judged = check(seen)
    broken = violations(judged)
    for one in broken:
        _say(f"observation {one.order}: {one.clause} {one.verdict}")
    _say(summary(seen, judged))
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
    verbs.add_parser("clauses", help="list every clause")
    judge = verbs.add_parser("check", help="judge observations, a JSON object a line")
    judge.add_argument("file", help="file of observations, - for standard input")
    verbs.add_parser("vectors", help="print the test vectors as JSON")
    verbs.add_parser("schema", help="print the JSON Schema of the vectors")
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
            return _clauses()
        case "check":
            try:
                return _check(chosen.file)
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
            _say(json.dumps(SCHEMA, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
