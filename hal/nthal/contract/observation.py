# SPDX-License-Identifier: Apache-2.0
"""What somebody saw of one allocation or free: the unit that a guest, a log or the model itself reports.

The fields of `Observation` are the one list: the reader of records and the JSON Schema are made of their types.
Lengths are bytes, addresses plain numbers as the observer printed them. Source: reference hal-contract 11.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from types import NoneType, UnionType
from typing import Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from nthal.types import PAGE_SIZE

T = TypeVar("T")
Kind = Literal["alloc", "free", "unload"]
Origin = Literal["nthal", "linux", "windows-log"]
NTHAL: Final = "nthal"
LINUX: Final = "linux"
WINDOWS_LOG: Final = "windows-log"

EXPECTED: Final = (
    'a JSON object a line, such as {"order": 1, "origin": "windows-log", "length": 4096, "la": "0x100000"};'
    " `nthal schema observation` has the fields"
)
"""What a file of observations holds, for who brought another."""


class BadObservation(ValueError):
    """A record is no observation; the message names the field."""


@dataclass(frozen=True, slots=True)
class Access:
    """One byte seen from both sides: `cpu` and `device` are what each read at `offset` bytes, without a flush."""

    offset: int
    cpu: int
    device: int


def _told(says: str, default: T, *, least: int = 0) -> T:
    """A field that may be left out: what it means, and the least that a number may be."""
    made: T = field(default=default, metadata={"says": says, "least": least})
    return made


@dataclass(frozen=True, slots=True)
class Observation:
    """One allocation (`kind` "alloc"), free ("free") or end of the driver ("unload"). Unknown fields are None.

    `order` is the sequence number. A clause whose truth hangs on a field that is None says so and is not judged.
    """

    order: int = field(metadata={"says": "sequence number; overlaps, leaks and double frees are seen across records"})
    kind: Kind = field(default="alloc", metadata={"says": "a buffer asked for, one given back, or the driver unloaded"})
    origin: Origin = field(default="nthal", metadata={"says": "who saw it; chooses which clauses apply"})
    routine: str | None = _told("the routine's name, as AllocateCommonBufferEx or WdfCommonBufferCreate", None)
    length: int = _told("bytes that the driver asked for, or named in the free", 0)
    page_size: int = _told("bytes of a page", PAGE_SIZE, least=1)
    null: bool = _told("the allocation failed", default=False)
    irql: int | None = _told("IRQL of the call, 0 for PASSIVE_LEVEL", None)
    adapter: int | None = _told("number or address of the adapter object", None)
    # What the device can do, and what was asked of the allocator.
    limit: int | None = _told("last logical address that the device drives", None)
    boundary: int | None = _told("of a channel of the system DMA controller: bytes not to be crossed", None, least=1)
    channel_bits: int | None = _told("bits of that channel: 8, or 16 for 5 to 7", None)
    minimum: int | None = _told("MinimumAddress of the call", None)
    maximum: int | None = _told("MaximumAddress of the call", None)
    granted: int | None = _told("NumberOfMapRegisters of the adapter", None)
    granularity: int | None = _told("bytes that are allocated at a time: a page, or a large page", None, least=1)
    alignment_mask: int | None = _told("AlignmentRequirement in force, a mask", None)
    cache_enabled: bool | None = _told("CacheEnabled of the call", None)
    cache_type: int | None = _told("CacheType of WithBounds: 0 non-cached, 1 cached", None)
    # What came of it.
    va: int | None = _told("virtual address", None)
    la: int | None = _told("logical address", None)
    usable: int | None = _told("bytes that the allocator says the driver may use", None)
    pages: tuple[int, ...] | None = _told("page frames behind it, in order", None)
    registers: int | None = _told("map registers that it holds", None)
    registers_needed: bool | None = _told("the system translates by map registers", None)
    caching: int | None = _told("how it is mapped: 0 non-cached, 1 cached", None)
    verified: bool | None = _told("DMA verification is on, and puts a buffer between guard bytes in mid-page", None)
    raw_length: int | None = _told("KMDF: bytes that the framework asked the HAL for", None)
    raw_va: int | None = _told("KMDF: virtual address before alignment", None)
    raw_la: int | None = _told("KMDF: logical address before alignment", None)
    old_client: bool | None = _told("KMDF: the client is older than 1.11", None)
    held_after_null: int | None = _told("pages and registers held after a NULL", None)
    held_after_free: int | None = _told("pages and registers held after the free", None)
    access_after_free_ok: bool | None = _told("an access after the free went through", None)
    device_address: int | None = _told("what the device was programmed with", None)
    access: tuple[Access, ...] = _told("bytes that both sides read, without a flush", ())
    # The system.
    translated: bool | None = _told("pages may lie anywhere, since hardware makes them one run for the device", None)
    arch: str | None = _told("processor: x86, x64, ia64, arm or arm64", None)
    cca: bool | None = _told("_CCA of the device, which decides about caches on ARM", None)
    departs: tuple[str, ...] = _told("open questions (AM-07) that this system answers otherwise than the contract", ())


_HINTS: Final = get_type_hints(Observation)


def _number(value: object, name: str) -> int:
    try:
        number = int(value.replace("`", ""), 0) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int) or number < 0 or number >> 64:
        raise BadObservation(f'{name}: {value!r} is no number; 64 and "0x40" are, an address of %p begins with 0x here')
    return number


def _typed(value: object, name: str, *, kind: type, wrong: str) -> object:
    if not isinstance(value, kind):
        raise BadObservation(f"{name}: {value!r} is {wrong}")
    return value


def _choice(value: object, name: str, *, words: tuple[str, ...]) -> str:
    if value not in words:
        raise BadObservation(f"{name} {value!r} is unknown: {', '.join(words)}")
    return str(value)


def _list(value: object, name: str, *, item: "Reader") -> tuple[object, ...]:
    if not isinstance(value, list):
        raise BadObservation(f"{name}: {value!r} is no list")
    return tuple(item(one, name) for one in value)


def _access(value: object, name: str) -> Access:
    if not isinstance(value, dict):
        raise BadObservation(f"{name}: {value!r} is no record")
    wanted = [one.name for one in fields(Access)]
    if set(value) != set(wanted):
        raise BadObservation(f"{name}: {value!r} lacks {', '.join(wanted)}, or has more")
    return Access(*(_number(value[one], f"{name}.{one}") for one in wanted))


Reader = Callable[[object, str], object]
_PLAIN: Final[Mapping[object, tuple[Reader, dict[str, object]]]] = {
    int: (_number, {"type": ["integer", "string"], "minimum": 0, "pattern": "^(0[xX][0-9a-fA-F]+|0|[1-9][0-9]*)$"}),
    bool: (partial(_typed, kind=bool, wrong="neither true nor false"), {"type": "boolean"}),
    str: (partial(_typed, kind=str, wrong="no text"), {"type": "string"}),
}


def _kind(hint: object) -> tuple[Reader, dict[str, object]]:
    """How a value of a field's type is read, and what JSON Schema says of it."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if hint is Access:
        parts = {one.name: _PLAIN[int][1] for one in fields(Access)}
        return _access, {"type": "object", "required": [*parts], "additionalProperties": False, "properties": parts}
    if get_origin(hint) is Literal:
        words = get_args(hint)
        return partial(_choice, words=words), {"enum": list(words)}
    if get_origin(hint) is tuple:
        reader, schema = _kind(get_args(hint)[0])
        return partial(_list, item=reader), {"type": "array", "items": schema}
    assert isinstance(hint, UnionType)
    (inner,) = (one for one in get_args(hint) if one is not NoneType)
    return _kind(inner)


_KINDS: Final = {name: _kind(hint) for name, hint in _HINTS.items()}
_LEAST: Final[Mapping[str, int]] = {
    one.name: one.metadata["least"] for one in fields(Observation) if one.metadata.get("least")
}


def schema() -> dict[str, object]:
    """JSON Schema of one record, made of the fields' types and words. What is not known is left out."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Observation of a common buffer",
        "description": "One line of what `nthal check` reads.",
        "type": "object",
        "required": ["order"],
        "additionalProperties": False,
        "properties": {
            one.name: {
                "description": one.metadata["says"],
                **_KINDS[one.name][1],
                **({"minimum": _LEAST[one.name]} if one.name in _LEAST else {}),
            }
            for one in fields(Observation)
        },
    }


def from_record(record: Mapping[str, object]) -> Observation:
    """Read one record, numbers as integers or strings such as "0x1000"; None is not known. Raises: BadObservation."""
    unknown = sorted(set(record) - set(_KINDS))
    if unknown:
        raise BadObservation(f"unknown fields: {', '.join(unknown)}; nthal schema observation has those that there are")
    values = {name: _KINDS[name][0](value, name) for name, value in record.items() if value is not None}
    if "order" not in values:
        raise BadObservation("order is missing")
    for name, least in _LEAST.items():
        if name in values and values[name] == 0:
            raise BadObservation(f"{name}: 0 is less than {least}")
    return Observation(**values)  # type: ignore[arg-type]  # each was read by its field's type


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
        except (BadObservation, ValueError) as error:  # of JSON, or a number of more digits than Python reads
            raise BadObservation(f"line {number}: {error}") from error
        except RecursionError as error:
            raise BadObservation(f"line {number}: lists in lists without end") from error
    return found
