# SPDX-License-Identifier: Apache-2.0
"""docs/blame.md: what is made of verdicts, and that it is of the corpus that there is."""

import re

from plx9x5x.lab.blame import corpus, page
from plx9x5x.lab.blame.corpus import REST
from plx9x5x.lab.blame.judge import Judged, Said, judge
from tests.lab.blame.samples import LEFT, POOL, SMALL, SWAP, finding
from tests.lab.blame.test_corpus import ROOT, WRONG


def judged() -> list[Judged]:
    said = [
        Said(SWAP, "plain", "6.1"),
        Said(SWAP, "high", "6.1", (finding("dma-byte-order", "f(), a.c:7"),)),
        Said(SWAP, "plain", "6.12"),
        Said(SWAP, "high", "6.12", (finding("dma-byte-order", "f(), a.c:7"),)),
        Said(LEFT, "plain", "6.1", (finding("dma-left", "f(), z.c:7"),)),
        Said(LEFT, "plain", "6.12"),
        Said(POOL, "plain", "6.1"),
        Said(POOL, "plain", "6.12", (finding("dma-left"),)),
    ]
    return [judge(it) for it in said]


def test_each_switch_is_a_row_with_a_cell_for_each_shape() -> None:
    rows = [line for line in page.render(SMALL, judged()).splitlines() if line.startswith("| `")]
    rule = "[dma-byte-order](findings.md#dma-byte-order), [local-address](findings.md#local-address)"
    assert rows == [
        f"| `swap` | swaps | many | {rule} | driver | a.c:7 and 1 more | yes | - | 6.1 6.12 |",
        "| `left` | leaves | some | [dma-left](findings.md#dma-left) | driver | b.c:3 | no | 6.1, 6.12 MISSED | not run |",
        "| `pool` | a pool | 6.1 -, 6.12 ACCUSED dma-left | not run |",
    ]


def test_the_page_counts() -> None:
    text = page.render(SMALL, judged())
    assert "**1 of 2** mistakes are told as they should be in every guest, 2 are named in at least one, **1**" in text
    assert "**0 of 1** right ones are accused of nothing" in text


def test_a_page_is_read_back() -> None:
    assert page.rules_on(page.render(SMALL, judged())) == {"swap": "dma-byte-order", "left": "dma-left", "pool": ""}
    text = page.render(SMALL, judged())
    assert page.said_on(text, "plain", "6.1") == {"swap": "-", "left": "named", "pool": "-"}
    assert page.said_on(text, "plain", "6.12") == {"swap": "-", "left": "MISSED", "pool": "ACCUSED dma-left"}
    assert page.said_on(text, "high", "6.12") == {"swap": "named", "left": "not run", "pool": "not run"}
    assert page.said_on(text, "iommu", "6.1") == {}


def test_several_rules_of_one_guest_are_read_back() -> None:
    two = finding("dma-left"), finding("dma-freed")
    said = [Said(POOL, "plain", "6.1", two), Said(POOL, "plain", "6.12", two), Said(POOL, "high", "6.1", two)]
    text = page.render(SMALL, [judge(it) for it in (*said, Said(POOL, "high", "6.12"))])
    guests = [("plain", "6.1"), ("plain", "6.12"), ("high", "6.1")]
    assert [page.said_on(text, *it)["pool"] for it in guests] == ["ACCUSED dma-left+dma-freed"] * 3
    assert page.said_on(text, "high", "6.12")["pool"] == "-"


def test_what_belongs_to_no_switch_stands_on_the_page_if_it_is_wrong() -> None:
    good, bad = Said(REST, "plain", "6.1"), Said(REST, "high", "6.1", trouble="an oops")
    assert "Beside the switches" not in page.render(SMALL, [*judged(), judge(good)])
    text = page.render(SMALL, [*judged(), judge(good), judge(bad)])
    assert text.endswith("## Beside the switches\n\n- LOST (no switch) 6.1 high an oops\n")


def test_the_pages_say_how_many_mistakes_there_are() -> None:
    found = corpus.read(WRONG)
    for name in ("README.md", "CHANGELOG.md"):
        told = re.findall(r"(\d+) mistakes that drivers made", (ROOT / name).read_text(encoding="utf-8"))
        assert told == [str(len(found.bugs))], name
    assert f"and {len(found.rights)} that only" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_page_in_docs_is_of_this_corpus() -> None:
    found = corpus.read(WRONG)
    on_page = page.rules_on((ROOT / "docs" / page.NAME).read_text(encoding="utf-8"))
    assert on_page == {**{it.name: it.rule for it in found.bugs}, **{it.name: "" for it in found.rights}}
