# SPDX-License-Identifier: Apache-2.0
"""docs/conformance.md is what the rules say, and a limit is held to its words."""

import re

from tests.transport.conformance.rules import PAGE, TRANSPORTS, Limit, all_rules, page


def test_the_page_is_what_the_rules_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "scripts/conformance.py --write"


def test_each_rule_is_said_once_and_each_limit_says_what_to_use() -> None:
    rules = list(all_rules())
    assert len({kept.words for kept in rules}) == len(rules) > 100
    for kept in rules:
        assert set(kept.short) <= set(TRANSPORTS)
        for said in kept.short.values():
            assert not isinstance(said, Limit) or (said.sees and said.instead)
        assert re.fullmatch(r"[\w ]+", kept.words)


def test_the_wire_has_no_limit() -> None:
    assert [kept.words for kept in all_rules() if "wire" in kept.short] == []
