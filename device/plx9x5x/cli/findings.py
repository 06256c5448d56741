# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x findings`: the rules by which a driver, or what is around it, is told of a mistake."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from plx9x5x.findings.rule import Rule

NAME: Final = "findings"
HELP: Final = "List the rules of findings, or explain one."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--explain", metavar="RULE", help="say what a rule means, with wrong and right code")
    parser.add_argument("--markdown", action="store_true", help="print docs/findings.md")


def run(args: argparse.Namespace) -> int:
    """Print it. Raises: UnknownRule."""
    from plx9x5x.findings.rule import named
    from plx9x5x.rules import page
    from plx9x5x.rules.catalog import RULES

    if args.markdown:
        print(page.markdown(RULES), end="")
    elif args.explain:
        print("\n".join(page.explain(named(args.explain, RULES))))
    else:
        print("\n".join(_list(RULES)))
    return 0


def _list(rules: "tuple[Rule, ...]") -> Iterator[str]:
    widest = max(len(rule.name) for rule in rules)
    for rule in rules:
        yield f"{rule.name:<{widest}}  {rule.who.value}{'' if rule.certain else ', likely'}: {rule.title}"
    yield ""
    yield "plx9x5x findings --explain RULE says more"
