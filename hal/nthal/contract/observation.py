# SPDX-License-Identifier: Apache-2.0
"""What somebody saw of one allocation or free: the unit that a guest, a log or the model itself reports.

Lengths are bytes, addresses plain numbers as the observer printed them. Source: reference hal-contract 11.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Final

from nthal.types import PAGE_SIZE

NTHAL: Final = "nthal"
LINUX: Final = "linux"
WINDOWS_LOG: Final = "windows-log"
_ORIGINS: Final = (NTHAL, LINUX, WINDOWS_LOG)


class BadObservation(ValueError):
    """A record is no observation; the message names the field."""


@dataclass(frozen=True, slots=True)
class Access:
    """One byte seen from both sides: `cpu` and `device` are what each read at `offset` bytes, without a flush."""

    offset: int
    cpu: int
    device: int


@dataclass(frozen=True, slots=True)
class Observation:
    """One allocation (`kind` "alloc"), free ("free") or end of the driver ("unload"). Unknown fields are None.

    `order` is the sequence number. `limit` is the last address that the device drives. `usable` is the length that the
    allocator reported, `pages` the page frames behind the buffer, `device_address` what the device was programmed with.
    `translated` is True behind an IOMMU, False without; `boundary` is a distance that must not be crossed.
    """

    order: int
    kind: str = "alloc"
    origin: str = NTHAL
    length: int = 0
    page_size: int = PAGE_SIZE
    limit: int | None = None
    boundary: int | None = None
    null: bool = False
    va: int | None = None
    la: int | None = None
    usable: int | None = None
    pages: tuple[int, ...] | None = None
    translated: bool | None = None
    device_address: int | None = None
    held_after_null: int | None = None
    access: tuple[Access, ...] = ()
    access_after_free_ok: bool | None = None
    alignment_mask: int | None = None
    irql: int | None = None
    cache_enabled: bool | None = None


_FIELDS: Final = frozenset(field.name for field in fields(Observation))
_NUMBERS: Final = (
    "order",
    "length",
    "page_size",
    "limit",
    "boundary",
    "va",
    "la",
    "usable",
    "device_address",
    "held_after_null",
    "alignment_mask",
    "irql",
)
_FLAGS: Final = ("null", "translated", "access_after_free_ok", "cache_enabled")


def _number(record: Mapping[str, object], name: str) -> int | None:
    value = record.get(name)
    if value is None:
        return None
    try:
        number = int(value, 0) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise BadObservation(f"{name}: {value!r} is no number")
    return number


def _list(record: Mapping[str, object], name: str) -> list[object]:
    value = record.get(name, [])
    if not isinstance(value, list):
        raise BadObservation(f"{name}: {value!r} is no list")
    return value


def _access(item: object) -> Access:
    if not isinstance(item, dict):
        raise BadObservation(f"access: {item!r} is no record")
    values = [_number(item, name) for name in ("offset", "cpu", "device")]
    if None in values:
        raise BadObservation(f"access: {item!r} lacks offset, cpu or device")
    offset, cpu, device = (value or 0 for value in values)
    return Access(offset, cpu, device)


def from_record(record: Mapping[str, object]) -> Observation:
    """Read one record, numbers as integers or strings such as "0x1000". Raises: BadObservation."""
    unknown = sorted(set(record) - _FIELDS)
    if unknown:
        raise BadObservation(f"unknown fields: {', '.join(unknown)}")
    numbers = {name: _number(record, name) for name in _NUMBERS}
    flags: dict[str, bool | None] = {}
    for name in _FLAGS:
        value = record.get(name)
        if value is not None and not isinstance(value, bool):
            raise BadObservation(f"{name}: {value!r} is neither true nor false")
        flags[name] = value
    if numbers["order"] is None:
        raise BadObservation("order is missing")
    kind, origin = str(record.get("kind", "alloc")), str(record.get("origin", NTHAL))
    if kind not in ("alloc", "free", "unload") or origin not in _ORIGINS:
        raise BadObservation(f"kind {kind!r} or origin {origin!r} is unknown")
    pages = [_number({"pages": item}, "pages") or 0 for item in _list(record, "pages")]
    return Observation(
        order=numbers["order"],
        kind=kind,
        origin=origin,
        length=numbers["length"] or 0,
        page_size=numbers["page_size"] or PAGE_SIZE,
        limit=numbers["limit"],
        boundary=numbers["boundary"],
        null=bool(flags["null"]),
        va=numbers["va"],
        la=numbers["la"],
        usable=numbers["usable"],
        pages=tuple(pages) if record.get("pages") is not None else None,
        translated=flags["translated"],
        device_address=numbers["device_address"],
        held_after_null=numbers["held_after_null"],
        access=tuple(_access(item) for item in _list(record, "access")),
        access_after_free_ok=flags["access_after_free_ok"],
        alignment_mask=numbers["alignment_mask"],
        irql=numbers["irql"],
        cache_enabled=flags["cache_enabled"],
    )


def _from_json(line: str) -> Observation:
    record = json.loads(line)
    if not isinstance(record, dict):
        raise BadObservation("no JSON object")
    return from_record(record)


def from_json_lines(lines: Iterable[str]) -> list[Observation]:
    """Read observations, a JSON object a line; skips empty lines. Raises: BadObservation with the line's number."""
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(_from_json(line))
        except (BadObservation, json.JSONDecodeError) as error:
            raise BadObservation(f"line {number}: {error}") from error
    return found
