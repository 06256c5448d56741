# SPDX-License-Identifier: Apache-2.0
"""What a client came to, in five lines at most, and for programs."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from plx9x5x.events import ChannelTally, ClientSummary
from plx9x5x.findings.finding import Finding
from plx9x5x.units import KIB, MIB

_SHOWN: Final = 6
"""Findings that the last line names."""


def lines(summary: ClientSummary | None, findings: Sequence[Finding], others: int) -> list[str]:
    """One line for each channel that did something, one for interrupts, one for findings."""
    said: list[str] = []
    if summary is not None:
        said += [f"channel {at}: {_channel(it)}" for at, it in enumerate(summary.channels) if it != ChannelTally()]
        rang = [
            _count(count, what)
            for count, what in ((summary.doorbells, "doorbell"), (summary.mailboxes, "mailbox"))
            if count
        ]
        said.append(", ".join([f"INTA# asserted {_count(summary.lines_raised, 'time')}", *rang]))
    if findings:
        more = f", and {others} events of more causes" if others else ""
        shown = ", ".join(f"{it.rule}{f' {it.count} x' if it.count > 1 else ''}" for it in findings[:_SHOWN])
        rest = f", and {len(findings) - _SHOWN} more" if len(findings) > _SHOWN else ""
        said.append(f"findings: {shown}{rest}{more} (plx9x5x findings --explain RULE)")
    elif summary is not None:
        said.append("findings: none")
    return said


def _channel(tally: ChannelTally) -> str:
    chains = f" ({_count(tally.chains, 'chain')}, {_count(tally.descriptors, 'descriptor')})" if tally.chains else ""
    ended = [f"{count} {what}" for count, what in ((tally.aborted, "aborted"), (tally.failed, "failed")) if count]
    return ", ".join(
        (
            f"{_count(tally.transfers, 'transfer')}{chains}",
            f"{_bytes(tally.to_pci)} to PCI, {_bytes(tally.to_local)} to local",
            f"{_count(tally.raised, 'interrupt')}, {tally.acknowledged} acknowledged",
            *ended,
        )
    )


def _count(count: int, what: str) -> str:
    """With the plural's ending."""
    return f"{count} {what}{'' if count == 1 else 'es' if what.endswith('x') else 's'}"


def _bytes(count: int) -> str:
    if count < 10 * KIB:
        return _count(count, "byte")
    return f"{count / MIB:.1f} MiB" if count >= MIB else f"{count / KIB:.1f} KiB"


def json(
    summary: ClientSummary | None, findings: Sequence[Finding], others: int, registers: Mapping[str, int]
) -> dict[str, object]:
    """The same for programs; docs/findings.md describes it."""
    return {
        "channels": [] if summary is None else [dataclasses.asdict(it) for it in summary.channels],
        "inta_asserted": 0 if summary is None else summary.lines_raised,
        "doorbells": 0 if summary is None else summary.doorbells,
        "mailboxes": 0 if summary is None else summary.mailboxes,
        "findings": [finding.json() for finding in findings],
        "more": others,
        "registers": dict(registers),
    }


def of_record(record: Mapping[str, object]) -> list[str]:
    """The lines about channels and interrupts, of what `json` made; none of what it did not."""
    try:
        channels = tuple(ChannelTally(**it) for it in record["channels"])  # type: ignore[attr-defined]
        counts = [int(str(record[name])) for name in ("inta_asserted", "doorbells", "mailboxes")]
    except (KeyError, TypeError, ValueError):
        return []
    return lines(ClientSummary(0, channels, *counts), (), 0)[:-1] if channels else []
