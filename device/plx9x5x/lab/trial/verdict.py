# SPDX-License-Identifier: Apache-2.0
"""What came of a trial: the guest's report, the server's findings, and what they mean, for people and programs."""

import contextlib
import fnmatch
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from plx9x5x.errors import LostVm
from plx9x5x.faults.record import Struck, never
from plx9x5x.findings import kept
from plx9x5x.findings.finding import Finding
from plx9x5x.lab import defaults
from plx9x5x.lab.card.backend import FINDINGS
from plx9x5x.lab.card.ground import OWN_CODE
from plx9x5x.lab.contract.guest import ContractVerdict
from plx9x5x.lab.host.symptoms import Oops, scan_oopses
from plx9x5x.lab.report import junit
from plx9x5x.lab.report.ktap import Report
from plx9x5x.lab.trial.stuck import Stuck, frame_in
from plx9x5x.lab.witness.covered import Covered

LOAD, BIND, COMMAND = "load", "bind", "command"
OUTPUT: Final = "output.log"
"""What the command wrote, among the logs."""
DMESG: Final = "dmesg.log"
"""What the guest's kernel said, from the first line to the command's end, whoever cleared its log."""

_BUILD_LINES: Final = 30
_NONE: Final = "findings: none"
_NONE_SEEN: Final = f"{_NONE}; a wrong address within this guest's memory shows with --guest iommu"
_OTHER_CARD: Final = (
    "hint: add the card's IDs to the driver's table, take the board that it wants (plx9x5x boards), or make your card "
    "a board (docs/writing-a-board.md)"
)
_OOPS_LINES: Final = 24
_KERNEL_LINES: Final = 12
"""As many are shown: the first ones of an oops decide."""
_MODALIAS: Final = re.compile(r"pci:v(\w+|\*)d(\w+|\*)sv(\w+|\*)sd(\w+?|\*)bc")
_BOUND, _UNBOUND, _TOOK, _STATUS, _KERNEL, _NOT_GOT = "bound ", "unbound ", "took ", "status ", "kernel: ", "not got "
_STATUS_IS: Final = re.compile(r"1?\d?\d|2[0-4]\d|25[0-5]", re.ASCII)
_ENDED_WITH: Final = "the command ended with"
_CANNOT_START: Final = (126, 127)
"""A shell's status for a program that it cannot start."""


@dataclass(frozen=True, slots=True)
class Card:
    """What the server of one card says."""

    board: str
    findings: tuple[Finding, ...] = ()
    transfers: tuple[str, ...] = ()
    """What it did for the guest, a line a channel, and its interrupts."""
    registers: Mapping[str, int] = field(default_factory=dict)
    """The chip's as the guest left them, by their names."""
    buffers: ContractVerdict | None = None
    """nthal's on the driver's common buffers; None if it was not watched, or asked for none."""
    unjudged: str = ""
    """Why there is none of what may have been there."""
    unwatched: str = ""
    """Why it is not known, or not any more, which memory the driver gave the card."""
    faults: tuple[Struck, ...] = ()
    """What was planned to fail, and how often it did."""


@dataclass(frozen=True, slots=True, repr=False)
class TryResult:
    """What came of it.

    `wants` are the modalias patterns of the modules that were tried, `foreign` says which another kernel was meant for.
    """

    report: Report
    logs: Path
    kernel: str
    built: tuple[str, ...] = ()
    seconds: float = 0.0
    wants: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    unbuilt: str | None = None
    """What make and the compiler said of a folder that could not be built; there was no guest then."""
    lost: LostVm | None = None
    stuck: Stuck | None = None
    """Where a guest hung that was given no more time, if that was in the modules that were tried."""
    oopses: tuple[Oops, ...] = ()
    vfio_errors: tuple[str, ...] = ()
    server_trouble: str | None = None
    authors_error: str | None = None
    """What went wrong in a device's or a board's own code, which ended its server, and with it the guest."""
    cards: tuple[Card, ...] = ()
    """In the order of `TrySpec.boards`."""
    tried: tuple[str, ...] = ()
    """Names of the modules."""
    all_mapped: bool = False
    """The card could get to all of the guest's memory: nothing stands between."""
    undynamic: tuple[str, ...] = ()
    """Which programs of the command cannot start."""
    got: Mapping[str, Path] = field(default_factory=dict)
    """Files of the guest, by the name asked for, and where they lie now."""
    ungot: tuple[str, ...] = ()
    """What could not be written of them."""
    coverage: Covered | None = None
    """Which of the driver's code ran, if it was watched or that was asked for."""
    unwritten: tuple[str, ...] = ()
    """What else could not be written."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all cards."""
        return tuple(finding for card in self.cards for finding in card.findings)

    @property
    def faults(self) -> tuple[Struck, ...]:
        """What was planned to fail, of all cards, and how often it did."""
        return tuple(it for card in self.cards for it in card.faults)

    @property
    def transfers(self) -> tuple[str, ...]:
        """What the cards did for the guest, a line a channel, and their interrupts."""
        return tuple(line for lines in self._by_card(lambda card: card.transfers) for line in lines)

    @property
    def not_there(self) -> frozenset[int]:
        """Which of the files asked for the guest says that it has not, by their places."""
        numbers = (line.partition(":")[0] for line in self._said(COMMAND, _NOT_GOT))
        return frozenset(int(number) for number in numbers if number.isdecimal())

    @property
    def _hangs(self) -> bool:
        """A module that did not come back from being loaded: then whoever stands in it is at fault for certain."""
        return self.stuck is not None and self.report.find(LOAD) is None

    @property
    def registers(self) -> Mapping[str, int]:
        """Of the first card, as the guest left them: values by the data book's names."""
        return self.cards[0].registers if self.cards else {}

    @property
    def dmesg(self) -> str:
        """All that the guest's kernel said; of a guest that was lost, what its console has of it."""
        for name in (DMESG, "serial.log"):
            with contextlib.suppress(FileNotFoundError):
                return (self.logs / name).read_text(encoding="utf-8", errors="replace")
        return ""

    @property
    def bound(self) -> tuple[str, ...]:
        """'ADDRESS DRIVER' of each card that a driver took."""
        return tuple(self._said(BIND, _BOUND))

    @property
    def unbound(self) -> tuple[str, ...]:
        """'ADDRESS MODALIAS' of each card that none took."""
        return tuple(self._said(BIND, _UNBOUND))

    @property
    def refused(self) -> tuple[str, ...]:
        """Why modules could not be loaded."""
        case = self.report.find(LOAD)
        lines = () if case is None or case.verdict.good else case.diagnostics
        return tuple(line for line in lines if not line.startswith(_KERNEL))

    @property
    def kernel_said(self) -> tuple[str, ...]:
        """The kernel's words at warning level or worse, since it booted."""
        return tuple(line for name in (LOAD, BIND, COMMAND) for line in self._said(name, _KERNEL))

    @property
    def status(self) -> int | None:
        """The command's exit status; None if it did not run to its end."""
        texts = (text for text in self._said(COMMAND, _STATUS) if _STATUS_IS.fullmatch(text))
        return next((int(text) for text in texts), None)

    @property
    def mismatch(self) -> str | None:
        """Why no driver took the card, if the modules tell: they want others."""
        wanted = sorted(alias for alias in self.wants if alias.startswith("pci:"))
        cards = [text.partition(" ")[2] for text in self.unbound]
        if not cards or any(fnmatch.fnmatchcase(card, alias) for card in cards for alias in wanted):
            return None
        wants = ", ".join(map(_pci_ids, wanted))
        return f"it is {', '.join(map(_pci_ids, cards))}; the module wants {wants}"

    @property
    def complaints(self) -> tuple[str, ...]:
        """Oopses, warnings and the like, by their titles: of the console, and of the kernel's log if that is quiet."""
        return tuple(dict.fromkeys(oops.title for oops in (*self.oopses, *scan_oopses(self.kernel_said))))

    def _where(self, title: str) -> str:
        """In which of the modules that were tried, if the kernel said so."""
        frames = (frame_in(oops.lines, self.tried) for oops in self.oopses if oops.title == title)
        return next((f", in {frame}" for frame in frames if frame), "")

    @property
    def _unfinished(self) -> tuple[str, ...]:
        """What the guest had to report and did not, although it switched itself off in order."""
        missing = {LOAD, BIND, COMMAND} - {case.name for case in self.report.cases}
        if self.report.planned == len(self.report.cases):
            return ()
        if COMMAND in missing and len(missing) == 1:
            return ("the guest was switched off before the command had ended",)
        return tuple(f"report: {text}" for text in self.report.problems) or ("the guest's report is cut off",)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a line each, the most important first."""
        if self.unbuilt is not None:
            return ("the module was not built",)
        if self.authors_error:
            return (OWN_CODE.format(self.authors_error),)  # all else that went wrong came of it
        found = [f"the guest's kernel complained: {title}{self._where(title)}" for title in self.complaints]
        found += [f"the driver hangs: {self.stuck}"] if self._hangs else ()
        found += [f"VM lost: {str(self.lost).partition(chr(10))[0]}"] if self.lost else []
        found += [f"at that time {self.stuck}"] if self.stuck and not self._hangs else ()
        found += self.foreign if self.refused else ()
        found += [f"a module was not loaded: {line}" for line in self.refused]
        wants_a_card = any(alias.startswith("pci:") for alias in self.wants)
        if self.unbound and not self.bound and wants_a_card and not self.refused:
            why = self.mismatch or "its probe failed: the kernel's words say why"
            found.append(f"no driver took the card: {why}")
        elif self.report.find(BIND) is not None and not self.bound and not self.unbound:
            found.append("the guest sees no card")
        if self.bound and not self.refused:
            found += [
                f"no driver took the card at {address}, though the module wants it: the kernel's words say why"
                for address, _, card in (text.partition(" ") for text in self.unbound)
                if any(fnmatch.fnmatchcase(card, alias) for alias in self.wants)
            ]
        guests = (line.partition(": ")[2] for line in self._said(COMMAND, _NOT_GOT))
        found += [f"not got: {line}" for line in (*guests, *self.ungot)]
        found += [text for card in self.cards if card.buffers is not None for text in card.buffers.problems]
        found += self.unwritten
        if self.status is None and self.report.find(COMMAND) is not None:
            found.append("the guest's report is broken: it has no exit status of the command")
        if self.status:
            found.append(f"{_ENDED_WITH} {self.status}")
            found += self.undynamic if self.status in _CANNOT_START else ()
        if self.lost is None:
            found += self._unfinished
        found += [f"QEMU: {line}" for line in self.vfio_errors]
        if self.server_trouble:
            found.append(f"the device server had trouble: {self.server_trouble} (server.log)")
        return tuple(found)

    @property
    def exit_code(self) -> int:
        """0; 1 if something is wrong or it is known whose fault it is; 75 if the guest was just lost.

        The command's own status, if that is all that is wrong; but 1 for 75, which would say that the guest was lost.
        """
        if self.authors_error or self.complaints or self._hangs or any(finding.certain for finding in self.findings):
            return defaults.EXIT_FAILED
        if self.lost is not None:
            return defaults.EXIT_LOST_VM
        of_the_command = (f"{_ENDED_WITH} {self.status}", *self.undynamic)
        if all(problem in of_the_command for problem in self.problems):
            status = self.status or 0
            return defaults.EXIT_FAILED if status == defaults.EXIT_LOST_VM else status
        return defaults.EXIT_FAILED

    @property
    def output(self) -> str:
        """What the command wrote."""
        return (self.logs / OUTPUT).read_text(encoding="utf-8", errors="replace")

    def lines(self) -> list[str]:
        """The verdict, for people."""
        words = self.kernel_said
        took = next((f" in {text} ms" for text in self._said(BIND, _TOOK)), "")
        said = [f"bound {text.replace(' ', ' to ')}{took}" for text in self.bound]
        said += [f"kernel: {text}" for text in words[:_KERNEL_LINES]]
        if len(words) > _KERNEL_LINES:
            said.append(f"kernel: ... and {len(words) - _KERNEL_LINES} lines more (serial.log)")
        if self.unbuilt is not None:
            said += self.unbuilt.rstrip().splitlines()[-_BUILD_LINES:]
        said += [f"PROBLEM: {text}" for text in self.problems]
        said += [_OTHER_CARD] if self.mismatch and any(self.mismatch in text for text in self.problems) else ()
        if self.stuck is not None:
            said += [f"  {line}" for line in self.stuck.stack]
        elif self.authors_error:
            pass  # how the guest met its end says nothing
        elif self.lost is not None and self.oopses:
            said += [f"  {line.strip()}" for line in self.oopses[0].lines[:_OOPS_LINES]]
        elif self.lost is not None and not self.kernel_said:
            said += str(self.lost).splitlines()[1:]
        said += self.transfers
        said += [line for lines in self._by_card(_buffers) for line in lines]
        blind = self._by_card(lambda card: (f"not watched: {card.unwatched}",) if card.unwatched else ())
        said += [line for lines in blind for line in lines]
        said += [line for lines in self._by_card(_faults) for line in lines]
        found = self._by_card(lambda card: kept.lines(card.findings, FINDINGS))
        unwatched = any(card.unwatched for card in self.cards)
        none = "findings: not known" if self.server_trouble else _NONE_SEEN if self.all_mapped and unwatched else _NONE
        said += [line for lines in found for line in lines] or [none]
        said += [] if self.coverage is None else self.coverage.lines()
        said += [f"got {path}" for path in self.got.values()]
        return [*said, f"logs: {self.logs}", self.verdict]

    @property
    def verdict(self) -> str:
        """The last line."""
        certain = [finding for finding in self.findings if finding.certain]
        suspicions = len(self.findings) - len(certain)
        if self.exit_code == 0:
            buts = [f"{suspicions} likely finding{'s' if suspicions > 1 else ''}"] if suspicions else []
            buts += (
                [f"{vain} planned fault{'s' if vain > 1 else ''} never struck"] if (vain := never(self.faults)) else []
            )
            return f"good, but {' and '.join(buts)}" if buts else "good"
        found = () if self.authors_error else certain or self.findings
        more = f", and {len(found) - 1} finding{'s' if len(found) > 2 else ''} more" if len(found) > 1 else ""
        why = [f"{it.who.value}{'' if certain else ', likely'}: {it.rule}{more}" for it in found[:1]]
        why = [*why, *self.problems[:1]] if certain else [*self.problems[:1], *why]
        return f"bad (exit {self.exit_code}): {'; '.join(why)}"

    def __repr__(self) -> str:
        return f"<TryResult {self.verdict}>"

    def json(self) -> dict[str, object]:
        """The same for a program."""
        return {
            "exit_code": self.exit_code,
            "kernel": self.kernel,
            "built": list(self.built),
            "bound": list(self.bound),
            "status": self.status,
            "problems": list(self.problems),
            "boards": [card.board for card in self.cards],
            "transfers": list(self.transfers),
            "got": {name: str(path) for name, path in self.got.items()},
            "kernel_said": list(self.kernel_said),
            "findings": [
                {"card": number, **finding.json()}
                for number, card in enumerate(self.cards, 1)
                for finding in card.findings
            ],
            "coverage": None if self.coverage is None else self.coverage.json(),
            **self._faults_told(),
            "seconds": self.seconds,
            "logs": str(self.logs),
        }

    def _faults_told(self) -> dict[str, object]:
        told = [{"card": number, **it.json()} for number, card in enumerate(self.cards, 1) for it in card.faults]
        return {"faults": told} if told else {}

    def junit(self) -> bytes:
        """The same as JUnit XML: what is wrong is its errors, findings are properties."""
        return junit.to_xml(
            self.report,
            suite=f"plx9x5x.try.{self.kernel}",
            errors=self.problems,
            properties={
                **{f"finding {number}": str(it) for number, it in enumerate(self.findings, 1)},
                **{f"fault {number}": str(it) for number, it in enumerate(self.faults, 1)},
            },
        )

    def _by_card(self, lines_of: Callable[[Card], tuple[str, ...]]) -> Iterator[list[str]]:
        """Lines of each card, which say of which one if there are several."""
        for number, card in enumerate(self.cards, 1):
            which = f"card {number} ({card.board}): " if len(self.cards) > 1 else ""
            yield [f"{which}{line}" for line in lines_of(card)]

    def _said(self, name: str, start: str) -> Iterator[str]:
        case = self.report.find(name)
        for line in () if case is None else case.diagnostics:
            if line.startswith(start):
                yield line.removeprefix(start)


def _faults(card: Card) -> tuple[str, ...]:
    return tuple(f"fault: {it}" for it in card.faults)


def _buffers(card: Card) -> tuple[str, ...]:
    if card.unjudged:
        return (f"common buffers: not judged, {card.unjudged}",)
    return () if card.buffers is None else (card.buffers.line,)


def _pci_ids(alias: str) -> str:
    """A modalias or a pattern of one, as `lspci -nn` writes IDs; what is left open is not shown."""
    found = _MODALIAS.match(alias)
    if found is None:
        return alias
    vendor, device, *subsystem = (
        part.lstrip("0").lower().rjust(4, "0") if part != "*" else "*" for part in found.groups()
    )
    shown = "" if subsystem == ["*", "*"] else f" (subsystem {':'.join(subsystem)})"
    return f"{vendor}:{device}{shown}"
