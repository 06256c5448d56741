# SPDX-License-Identifier: Apache-2.0
"""The rules as a page for people: docs/findings.md, and one rule in a terminal."""

from collections.abc import Iterable, Iterator
from typing import Final

from plx9x5x.findings.docket import AGAIN_NS, MOST, MOST_IN_ALL
from plx9x5x.findings.rule import Rule

_NS_PER_S: Final = 1_000_000_000

_HEAD: Final = f"""\
# Findings

A finding says that somebody did something wrong: who, what, what shows it, and what mends it. `plx9x5x serve` prints
one line for each cause, the first time; if it comes again, one line with the count, at most every
{AGAIN_NS // _NS_PER_S} seconds. {MOST} causes of one client are told apart, or of each load of its driver where
the witness sees them ({MOST_IN_ALL} in all). When a client leaves there is a summary of
at most five lines. Legal accesses are never reported: what QEMU reads of configuration space, reserved registers and
bits. Reads are, where they come by the thousand and wait for nothing, or go where a board has nothing.

*certain* means that no correct driver does this; *likely* that one might, and seldom does.

`serve --findings off` says nothing, `cheap` (the default) what costs nothing to see, `all` also what is marked
*thorough* below: then every access and every descriptor is Python's, and data moves at the speed of `--plane python`.
With the witness that is so anyway, and what is thorough is looked for, too.

A wrong address is named by the same rule in a guest without an IOMMU and behind one. The words differ by what became of
it: `nothing stopped it: that memory was read` (or `overwritten`) where the device got at whatever lies there, `the
IOMMU stopped it` or `the bus stopped it, since nothing answers there` where it did not. Without the witness only the
last two are seen, as `unmapped-address` and its like.

`serve --summary FILE` adds a JSON object for each client, on a line of its own:

| name | value |
|---|---|
| `board`, `client`, `ended` | the board's name, the server's clients counted from 1, when this one left (UTC) |
| `channels` | none if the client did nothing, else for each DMA channel: |
| | `transfers`, `chains` of them, `descriptors`, bytes `to_pci`, `to_local` |
| | interrupts `raised` and `acknowledged`, transfers `aborted` and `failed` |
| `inta_asserted` | how often INTA# went up |
| `doorbells`, `mailboxes` | writes of P2LDBELL and of MBOX0 to MBOX3 |
| `findings` | a list: `rule`, `who`, `certain`, `what`, `evidence`, `remedy`, `count`, `first_s`, `last_s` |
| | times are seconds on the device's clock, which `--trace` shows too |
| | `places`: where the driver's code was, the main one first: `role`, `pc`, `seq`, `where` (function, file and line) |
| | `load`: which load of the driver it was, from 1. Both are the witness's, and empty and 0 without it |
| `more` | events of causes beyond those that are told apart |
| `dma` | with the witness: calls of the guest's DMA API (`allocations`, `frees`, `mappings`, `unmappings`, `failed`), |
| | what was `live` at the end, `loads` of watched modules, `accesses` that the device got and how many were `matched` |
| | with the code that made them, why the witness is `blind`, why the log of calls is cut (`calls_cut`); '' if not |
| `faults` | if some were planned: a list, what struck how often ([faults.md](faults.md)) |
| `registers` | the chip's registers as the client left them, by the data book's names; none of one that was there |
| | when the server ended |

`plx9x5x run` counts them, lists them if the run was not good, and keeps them as `findings.jsonl` among its logs and in
its JUnit file; `RunResult.findings` has them too. A pytest suite asks the fixture `plx_findings`, and a test that fails
shows them; `plx9x5x.findings.kept.read` reads the file.

This page is made from the rules: `plx9x5x findings --markdown`.
"""


def markdown(rules: Iterable[Rule]) -> str:
    """The whole page."""
    parts = [_HEAD]
    for rule in rules:
        thorough = ", thorough" if rule.thorough else ""
        parts.append(
            f"\n## {rule.name}\n\n{rule.title[0].upper()}{rule.title[1:]}. *{rule.who.value}, "
            f"{'certain' if rule.certain else 'likely'}{thorough}*\n\n{rule.meaning}\n\n"
            f"Wrong:\n\n```c\n{rule.wrong}\n```\n\nRight:\n\n```c\n{rule.right}\n```\n"
        )
    return "".join(parts)


def explain(rule: Rule) -> Iterator[str]:
    """One rule, as lines for a terminal."""
    yield f"{rule.name}: {rule.title}"
    yield f"who: {rule.who.value}, {'certain' if rule.certain else 'likely'}"
    if rule.thorough:
        yield "needs: serve --findings all"
    yield ""
    yield rule.meaning
    for title, code in (("wrong", rule.wrong), ("right", rule.right)):
        yield ""
        yield f"{title}:"
        for line in code.split("\n"):
            yield f"    {line}"
