# SPDX-License-Identifier: Apache-2.0
"""Test vectors as data: a platform, an adapter, steps and what must come of the last one; exported as JSON.

Alternatives of one vector carry a letter. Expected values are predicates (`last_le`, `la_mod`) where the contract
leaves the address open. Guest vectors are run by a Linux guest. Source: reference hal-contract 9.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Value = int | str | bool | None
"""A JSON scalar."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call with its arguments."""

    call: str
    args: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vector:
    """One vector. `platform` changes: `free` ("first-last,..."), `profile`, `windows`, `verifier`, `page_size`, ..."""

    id: str
    clauses: tuple[str, ...]
    platform: Mapping[str, Value]
    adapter: Mapping[str, Value]
    steps: tuple[Step, ...]
    expect: Mapping[str, Value]
    where: str = "model"


def _acb(length: int) -> Step:
    return Step("allocate_common_buffer", {"length": length})


def _v(
    number: str,
    clauses: str,
    platform: str | Mapping[str, Value],
    adapter: str | Mapping[str, Value],
    steps: int | tuple[Step, ...],
    expect: Mapping[str, Value],
) -> Vector:
    return Vector(
        f"TV-{number}",
        tuple(f"CB-{clause}" for clause in clauses.split()),
        {"name": platform} if isinstance(platform, str) else platform,
        {"name": adapter} if isinstance(adapter, str) else adapter,
        (_acb(steps),) if isinstance(steps, int) else steps,
        expect,
    )


def _guest(number: str, clauses: str, call: str, args: Mapping[str, Value], expect: Mapping[str, Value]) -> Vector:
    names = tuple(f"CB-{clause}" for clause in clauses.split())
    return Vector(f"TV-{number}", names, {"name": "guest"}, {}, (Step(call, args),), expect, "guest")


_NULL: Final[Mapping[str, Value]] = {"null": True, "pages_used": 0}
_V: Final[Mapping[str, Value]] = {"name": "flat", "verifier": True}
_SILENT: Final[Mapping[str, Value]] = {"name": "flat", "verifier": True, "tail": "silent"}
_CALLED: Final = Step("get_adapter")
_FREE: Final = Step("free")
_PUT: Final = Step("put_adapter")


def _cpu(offset: int, *, write: bool = False) -> Step:
    return Step("cpu_write" if write else "cpu_read", {"offset": offset})


def _bounds(length: int, **args: Value) -> Step:
    return Step("allocate_with_bounds", {"length": length, **args})


def _ex(length: int, **args: Value) -> Step:
    return Step("allocate_ex", {"length": length, **args})


VECTORS: Final = (
    _v("01", "20 21 29", "flat", "A32", 1, {"null": False, "pages_used": 1, "la_mod": 4096, "va_mod": 4096}),
    _v("01a", "21", "flat", "A32", (_acb(1), _cpu(0)), {"violation": False}),
    _v("01b", "21", "flat", "A32", (_acb(1), _cpu(1)), {"violation": True}),
    _v("02", "20 23", "flat", "A32", (_acb(4096), _cpu(4095)), {"violation": False, "pages_used": 1}),
    _v("02a", "23", "flat", "A32", (_acb(4096), _cpu(4096)), {"violation": True}),
    _v("03", "22", "flat", "A32", (_acb(4097), _cpu(4096)), {"violation": False, "pages_used": 2}),
    _v("03a", "22", "flat", "A32", (_acb(4097), _cpu(4097)), {"violation": True}),
    _v("04", "27", "flat", "A32", 0, _NULL),
    _v("05", "21 23", "flat", "A32", (_acb(100), Step("device_write", {"offset": 99})), {"violation": False}),
    _v("05a", "21 23", "flat", "A32", (_acb(100), Step("device_write", {"offset": 100})), {"violation": True}),
    _v("10", "27 41 52", "flat", "A32", 0xFFFFFFFF, _NULL),
    _v("13", "20", {"name": "flat", "page_size": 8192}, "A32", 1, {"null": False, "pages_used": 1}),
    _v("13a", "20", {"name": "flat", "page_size": 8192}, "A32", 8193, {"null": False, "pages_used": 2}),
    *(
        _v(f"14{letter}", "29", _V, {"name": "A32", "maximum_length": 1 << 20}, length, {"page_offset": offset})
        for letter, length, offset in (
            ("", 0x12010, 0x7F8),
            ("a", 0x4300, 0x680),
            ("b", 0x4800, 0x400),
            ("c", 0x1000, 0),
        )
    ),
    _v("15", "21", _SILENT, "A32", (_acb(100), _cpu(100, write=True), _FREE), {"code": 0x0F, "p2": 2}),
    _v("16", "21", _SILENT, "A32", (_acb(100), _cpu(-1, write=True), _FREE), {"code": 0x0F, "p2": 1}),
    _v("20", "06 46", "flat", "A32", (_CALLED,), {"granted": 17}),
    _v("21", "06 46", "flat", {"name": "A32", "maximum_length": 1 << 20}, (_CALLED,), {"granted": 257}),
    *(
        _v(
            f"22{letter}",
            "46",
            {"name": "flat", "profile": "reactos"},
            {"name": "AP", "maximum_length": maximum},
            (_CALLED,),
            {"granted": granted},
        )
        for letter, maximum, granted in (("", 65536, 16), ("a", 4096, 2), ("b", 61440, 16), ("c", 0, 1))
    ),
    _v("23", "46", {"name": "isa", "profile": "reactos"}, "S1", (_CALLED,), {"granted": 16}),
    _v("28", "05", {"name": "flat", "register_cap": 8}, "A32", (_CALLED,), {"granted": 8}),
    _v("30", "40 41", {"name": "flat", "reactos_grant": True}, "AP", 65536, {"null": False}),
    _v("31", "41", {"name": "flat", "reactos_grant": True}, "AP", 65537, _NULL),
    _v("31a", "41", {"name": "flat", "profile": "reactos"}, "AP", 65537, {"null": False}),
    _v("32", "33 40", "mapreg", "A32", 65536, {"null": False, "registers_free": 48}),
    _v("33", "80", "mapreg", "A32", (_acb(65536), _FREE), {"registers_free": 64, "pages_used": 0}),
    _v("34", "33 42", {"name": "mapreg", "register_pool": 4}, "A32", 4 * 4096, {"null": False}),
    _v("34a", "42 70", {"name": "mapreg", "register_pool": 4}, "A32", (_acb(4 * 4096), _acb(1)), {"null": True}),
    _v("35", "33 40", "flat", "A32", 65536, {"null": False, "registers_held": 0}),
    _v("36", "04", {"name": "flat", "windows": "WINDOWS_7"}, "A32v3", (_CALLED,), {"no_adapter": True}),
    _v("37", "04", {"name": "flat", "windows": "WINDOWS_8"}, "A32v3", (_CALLED,), {"no_adapter": False}),
    _v("40", "52", "high", "A32", 4096, _NULL),
    _v("41", "50 52", "high", "A64", 4096, {"null": False, "first_ge": 0x1_0000_0000, "la_minus_pa": 0}),
    _v("42", "31 36 53", "iommu", "A32", 8192, {"null": False, "last_le": 0xFFFFFFFF, "pa_ge": 0x1_0000_0000}),
    _v("43", "36 150", "iommu", "A32", (_acb(4096), Step("device_read_at_pa")), {"code": 0x26}),
    _v("44", "36", "offset", "A32", 4096, {"null": False, "la_minus_pa": 0x8000_0000}),
    _v("44a", "36", "offset", "A32", (_acb(4096), Step("device_read_at_pa")), {"violation": True}),
    _v("46", "50", "flat", "A24", 4096, {"null": False, "last_le": 0xFFFFFF}),
    _v("46a", "50", "flat", "S1", 4096, {"null": False, "last_le": 0xFFFFFF}),
    _v(
        "48",
        "51",
        {"name": "flat", "free": "0x10000000-0x7fffffff"},
        {"name": "A32", "dma_32bit_addresses": False},
        4096,
        {"null": False},
    ),
    _v("49", "58", {"name": "flat", "free": "0xfffff000-0x100001fff"}, "A64", 8192, {"la": 0x1_0000_0000}),
    _v("50", "55", {"name": "isa", "free": "0x118000-0x127fff"}, "S1", 0x8000, {"null": False, "no_cross": 0x10000}),
    _v("51", "55", {"name": "isa", "free": "0x11c000-0x123fff"}, "S1", 0x8000, _NULL),
    _v("52", "55 57", "isa", "S1", 65536, {"null": False, "la_mod": 65536}),
    _v("52a", "55 57", "isa", "S1", 65537, _NULL),
    _v(
        "53",
        "56",
        {"name": "isa", "word_channel_boundary": 131072},
        {"name": "S5", "maximum_length": 131072},
        131072,
        {"null": False, "la_mod": 131072},
    ),
    _v("53a", "56", "isa", {"name": "S5", "maximum_length": 131072}, 131072, _NULL),
    _v("54", "50", {"name": "isa", "free": "0xfff000-0xffffff"}, "S1", 4096, {"la": 0xFFF000}),
    _v("55", "50", {"name": "isa", "free": "0x1000000-0x1000fff"}, "S1", 4096, _NULL),
    _v("56", "50 59", "high", {"name": "A32v3", "dma_address_width": 36}, 4096, {"last_le": (1 << 36) - 1}),
    *(
        _v(f"57{letter}", "59", "flat", {"name": "A32v3", "dma_address_width": width}, (_CALLED,), {"no_adapter": True})
        for letter, width in (("", 0), ("a", 23), ("b", 65))
    ),
    _v("58", "50", "high", {"name": "A64v3", "dma_address_width": 32}, 4096, _NULL),
    _v("59", "131", "big", "A64v3", (_ex(4096, maximum=0x3FFFFFFF),), {"null": False, "last_le": 0x3FFFFFFF}),
    _v("60", "131", "high", "A32v3", (_ex(4096, maximum=1 << 40),), _NULL),
    _v("61", "132", "big", "A64v3", (_bounds(4096, minimum=0x1_0000_0000),), {"first_ge": 0x1_0000_0000}),
    _v("62", "132", "flat", "A64v3", (_bounds(8192, minimum=0x200000, maximum=0x200FFF),), _NULL),
    _v("64", "63", "flat", "A32v3", (_ex(4096, cache_enabled=True),), {"caching": 1}),
    _v("64a", "63", "flat", "A32v3", (_ex(4096, cache_enabled=False),), {"caching": 0}),
    _v("65", "62 64", "arm0", "A32", 4096, {"caching": 0}),
    _v("66", "60 62", "arm1", "A32", 4096, {"caching": 1}),
    _v("67", "64", "arm0", "A32v3", (_ex(4096, cache_enabled=True),), {"caching": 0}),
    _v("68", "65", "arm0", "A32v3", (_bounds(4096, cache_type=1),), {"caching": 1}),
    _v("69", "65", "flat", "A32v3", (_bounds(4096, cache_type=2),), _NULL),
    _v("70", "71", "frag", "A32", 4096, {"null": False, "pages_used": 1}),
    _v("70a", "71", "frag", "A32", 4097, _NULL),
    _v("71", "25 71", "frag", "A32", (_acb(4096),) * 8, {"null": False, "pages_used": 8}),
    _v("72", "71", "full", "A32", 1, _NULL),
    _v("76", "80", "flat", "A32", (_acb(4096), _FREE), {"pages_used": 0}),
    _v("76a", "80", "flat", "A32", (_acb(4096), _FREE, _cpu(0)), {"violation": True}),
    _v("77", "83", _V, "A32", (_acb(4096), _FREE, _FREE), {"code": 0x03, "p2": 1}),
    _v(
        "78", "81 82", "flat", "A32", (_acb(4096), Step("free", {"length": 4095})), {"violation": True, "pages_used": 1}
    ),
    _v("79", "08 85", _V, "A32", (_acb(4096), _PUT), {"code": 0x07}),
    _v("80", "08", _V, "A32", (_PUT, _acb(4096)), {"code": 0x18}),
    _v("82", "10", _V, "A32", (Step("allocate_common_buffer", {"length": 4096, "irql": 2}),), {"code": 0x13, "p2": 1}),
    _v("85", "87", "flat", "A32v3", (_ex(4096), _FREE), {"violation": False, "pages_used": 0}),
    _guest("140", "50", "dma_alloc_coherent", {"length": 12288, "mask": 32}, {"la_mod": 16384, "last_le": 0xFFFFFFFF}),
    _guest("141", "20", "dma_alloc_coherent_twice", {"length": 1}, {"distinct_pages": True, "la_mod": 4096}),
    _guest("142", "36", "device_dma_at_pfn", {"viommu": True}, {"blocked": True}),
    _guest("143", "66", "device_write_then_cpu_read", {"length": 4096}, {"same_byte": True}),
    _guest("144", "81", "dma_free_coherent", {"length": 4096, "freed_length": 8192}, {"warning": True}),
    _guest("145", "50", "dma_alloc_coherent", {"length": 4096, "mask": 24}, {"last_le": 0xFFFFFF, "or_null": True}),
    _guest("146", "28", "dma_alloc_coherent", {"length": 4096}, {"first_bytes": 0}),
    _guest("147", "55", "dma_alloc_coherent", {"length": 65536, "times": 16}, {"no_cross": 0x10000}),
)
"""The vectors that a call and a predicate can say; flows (KMDF, system DMA) are executable tests only."""


def export() -> dict[str, object]:
    """Give all vectors as JSON-ready data that `SCHEMA` describes."""
    return {
        "version": 1,
        "vectors": [
            {
                "id": vector.id,
                "clauses": list(vector.clauses),
                "where": vector.where,
                "platform": dict(vector.platform),
                "adapter": dict(vector.adapter),
                "steps": [{"call": step.call, "args": dict(step.args)} for step in vector.steps],
                "expect": dict(vector.expect),
            }
            for vector in VECTORS
        ],
    }


_SCALARS: Final = {"type": "object", "additionalProperties": {"type": ["integer", "string", "boolean", "null"]}}
SCHEMA: Final[dict[str, object]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Common-buffer test vectors",
    "type": "object",
    "required": ["version", "vectors"],
    "additionalProperties": False,
    "properties": {
        "version": {"const": 1},
        "vectors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "clauses", "where", "platform", "adapter", "steps", "expect"],
                "additionalProperties": False,
                "properties": {
                    "id": {"type": "string", "pattern": "^TV-[0-9]+[a-z]?$"},
                    "clauses": {"type": "array", "items": {"type": "string", "pattern": "^CB-[0-9]+$"}},
                    "where": {"enum": ["model", "guest"]},
                    "platform": _SCALARS,
                    "adapter": _SCALARS,
                    "steps": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["call", "args"],
                            "additionalProperties": False,
                            "properties": {"call": {"type": "string"}, "args": _SCALARS},
                        },
                    },
                    "expect": _SCALARS,
                },
            },
        },
    },
}
"""JSON Schema of what `export` gives."""
