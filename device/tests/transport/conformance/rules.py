# SPDX-License-Identifier: Apache-2.0
"""Rules that a vfio-user server keeps, as tests that say which they are; docs/conformance.md is made from them.

A rule is a test function of this folder under `@rule`, with the fixtures of tests/transport/conftest.py, so it runs
on each transport and each plane. Where one of them falls short, that stands beside the rule: a `Limit` says what the
user meets, and by which error the test has to fail; if it does not fail any more, the limit is out of date, and that
fails. What a transport does not have at all is `Missing`, and not run.
"""

import enum
import importlib
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Final, TypeVar

Test = TypeVar("Test", bound=Callable[..., object])

Said = TypeVar("Said", "Limit", "Missing")

HERE: Final = Path(__file__).parent
PAGE: Final = HERE.parents[3] / "docs/conformance.md"
TRANSPORTS: Final = ("libvfio", "wire")
_MARK: Final = "rule_kept"


class Group(enum.Enum):
    """What a rule is about, in the order of the page."""

    NEGOTIATION = "Negotiation"
    COMMANDS = "Commands and their sizes"
    REGIONS = "Regions and configuration space"
    INTERRUPTS = "INTx: level, mask, unmask"
    RESETS = "Resets"
    MAPS = "Maps and unmaps"
    DMA = "DMA through shared files"
    MESSAGES = "DMA by message"
    CLIENTS = "Clients that come, wait, leave, stall"
    STREAM = "Pieces, pipelines, sizes"
    DESCRIPTORS = "Descriptors"


@dataclass(frozen=True, slots=True)
class Limit:
    """A rule that is not kept. The test fails with `error`, whose text has `match` in it."""

    sees: str
    """What the user meets."""
    instead: str = "`--transport wire`"
    _: KW_ONLY
    error: type[Exception] | tuple[type[Exception], ...] = AssertionError
    match: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """A rule about something that is not there; `why` says so."""

    why: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, and which transport falls short of it."""

    name: str
    group: Group
    short: dict[str, Limit | Missing]

    @property
    def words(self) -> str:
        """The rule as a sentence."""
        return self.name.removeprefix("test_").replace("_", " ")

    def said_of(self, transport: str) -> str:
        """What the table says."""
        match self.short.get(transport):
            case Limit():
                return "limit"
            case Missing():
                return "n.a."
            case _:
                return "pass"


def rule(
    group: Group, *, libvfio: Limit | Missing | None = None, wire: Limit | Missing | None = None
) -> Callable[[Test], Test]:
    """Declare a test to be a rule."""
    short = {name: said for name, said in (("libvfio", libvfio), ("wire", wire)) if said is not None}

    def mark(test: Test) -> Test:
        setattr(test, _MARK, Rule(test.__name__, group, short))
        return test

    return mark


def rule_of(test: object) -> Rule | None:
    """The rule that a test function holds, if it holds one."""
    found = getattr(test, _MARK, None)
    return found if isinstance(found, Rule) else None


def all_rules() -> Iterator[Rule]:
    """Every rule of this folder, in the order of the files and of the page's groups."""
    modules = [importlib.import_module(f"tests.transport.conformance.{path.stem}") for path in HERE.glob("test_*.py")]
    found = [kept for module in modules for test in vars(module).values() if (kept := rule_of(test)) is not None]
    order = list(Group)
    return iter(sorted(found, key=lambda kept: order.index(kept.group)))


_HEAD: Final = """\
# Conformance

What each server does with what a client may send. Every line is a test under `device/tests/transport/conformance/`
that runs on each transport and on both planes, without QEMU; `scripts/conformance.py --write` makes this page, and a
test holds it to the rules. **pass**: the rule is kept. **limit**: it is not, the test knows how it fails, and what
that means stands at the end. **n.a.**: the transport does not have what the rule is about.

`libvfio` is the copy of libvfio-user in Debian's QEMU source, which `make setup` builds. With `PLX9X5X_LIBVFIO_USER`
naming another library the same rules run on that one; of upstream's head a limit may be gone, and both are right then.
"""


def page() -> str:
    """docs/conformance.md."""
    rules = list(all_rules())
    lines = [_HEAD]
    for group in Group:
        lines += [f"## {group.value}", "", f"| rule | {' | '.join(TRANSPORTS)} |", f"|---|{'---|' * len(TRANSPORTS)}"]
        for kept in rules:
            if kept.group is group:
                lines.append(f"| {kept.words} | {' | '.join(kept.said_of(name) for name in TRANSPORTS)} |")
        lines.append("")
    lines += ["## Limits", "", "| transport | what you see | what to use | rules |", "|---|---|---|---|"]
    for name in TRANSPORTS:
        for said, words in _alike(rules, name, Limit):
            lines.append(f"| {name} | {said.sees} | {_instead(said)} | {words} |")
    lines += ["", "## Not applicable", "", "| transport | why | rules |", "|---|---|---|"]
    for name in TRANSPORTS:
        for said, words in _alike(rules, name, Missing):
            lines.append(f"| {name} | {said.why} | {words} |")
    return "\n".join(lines) + "\n"


def _instead(said: Limit) -> str:
    return "-" if said.sees.startswith("nothing") else said.instead


def _alike(rules: list[Rule], transport: str, kind: type[Said]) -> list[tuple[Said, str]]:
    """What is said of rules, and of which: those with the same words together."""
    found: dict[Said, list[str]] = {}
    for kept in rules:
        said = kept.short.get(transport)
        if isinstance(said, kind):
            found.setdefault(said, []).append(kept.words)
    return [(said, "; ".join(words)) for said, words in found.items()]
