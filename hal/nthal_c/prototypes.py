# SPDX-License-Identifier: Apache-2.0
"""The table of routines, read from `include/nthal/routines.h`, and the C that is made of it.

For each routine the driver sees a function of its name, and a macro around it that notes file, line and function of the
call. The function calls Python (`nthal_py_...`, an `extern "Python"` of cffi), and returns to the driver unless Python
stopped the machine.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

INCLUDE: Final = Path(__file__).parent / "include"
PYTHON: Final = "nthal_py_"
TABLE: Final = "nthal_"
"""What stands before the name of a routine that is reached through a DMA_OPERATIONS table, and before our own."""

_IN_C: Final = {"nthal_complete": "WdfRequestComplete", "nthal_request": "WdfRequestRetrieveInputBuffer or its kin"}
"""Routines that the headers have as C over one of ours."""
_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_PROTOTYPE: Final = re.compile(r"^(?P<type>\w+) (?P<name>\w+)\((?P<parameters>[^)]*)\);$", re.MULTILINE)
_PARAMETER: Final = re.compile(r"^(?P<type>.*?)(?P<name>\w+)$")
_UNPLACED: Final = "WdfObjectGetTypedContextWorker"
"""A driver calls it through its context's accessor, which is no place that helps."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, its type as the header spells it."""

    type: str
    name: str


@dataclass(frozen=True, slots=True)
class Prototype:
    """One routine: `type` is what it returns."""

    type: str
    name: str
    parameters: tuple[Parameter, ...]

    @property
    def called(self) -> str:
        """The routine's name as a driver has it."""
        return _IN_C.get(self.name, self.name.removeprefix(TABLE))

    @property
    def in_table(self) -> bool:
        """True for a routine that is no function of its own name for a driver."""
        return self.name.startswith(TABLE)

    @property
    def in_operations(self) -> bool:
        """True for a member of DMA_OPERATIONS, whose first parameter is the adapter."""
        return self.in_table and self.parameters[0].type == "PDMA_ADAPTER"

    def declared(self, prefix: str = "") -> str:
        """The prototype in C."""
        inside = ", ".join(f"{one.type} {one.name}" for one in self.parameters) or "void"
        return f"{self.type} {prefix}{self.name}({inside})"

    def defined(self) -> str:
        """The function that the driver calls."""
        call = f"{PYTHON}{self.name}({', '.join(one.name for one in self.parameters)})"
        if self.type == "void":
            return f"{self.declared()} {{ nthal_leave(); {call}; nthal_return(); }}"
        return f"{self.declared()} {{ nthal_leave(); {self.type} r = {call}; nthal_return(); return r; }}"


@cache
def prototypes() -> tuple[Prototype, ...]:
    """Every routine of the table."""
    text = _COMMENT.sub("", (INCLUDE / "nthal" / "routines.h").read_text(encoding="utf-8"))
    made = []
    for found in _PROTOTYPE.finditer(text):
        inside = "" if found["parameters"] == "void" else found["parameters"]
        parameters = [_PARAMETER.match(one.strip()) for one in inside.split(",") if one.strip()]
        named = tuple(Parameter(one["type"].strip(), one["name"]) for one in parameters if one is not None)
        made.append(Prototype(found["type"], found["name"], named))
    return tuple(made)


def operations() -> str:
    """DMA_OPERATIONS in C: a member for each routine of the table, in its order."""
    members = (
        f"    {one.type} (*{one.name.removeprefix(TABLE)})({', '.join(each.type for each in one.parameters)});"
        for one in prototypes()
        if one.in_operations
    )
    return "\n".join(("struct _DMA_OPERATIONS {", "    ULONG Size;", *members, "};"))


def _plain(name: str) -> str:
    """A header as cffi reads it: without comments and the preprocessor's lines."""
    text = _COMMENT.sub("", (INCLUDE / "nthal" / name).read_text(encoding="utf-8"))
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def for_cffi(routines: Iterable[Prototype]) -> str:
    """What cffi is told: all types, what Python calls and reads, what C calls of Python."""
    callbacks = "\n".join(f"{one.declared(PYTHON)};" for one in routines)
    return f"""{_plain("types.h")}
{operations()}
{_plain("wdf_types.h")}
extern const char *nthal_file, *nthal_function;
extern int nthal_line;
extern volatile int nthal_stopped;
extern int nthal_signal, nthal_signal_code;
extern uint64_t nthal_fault_address;
extern DMA_OPERATIONS nthal_operations;
uint64_t nthal_enter(void *function, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);
int nthal_reach(uint64_t address, uint64_t length, int how);
void *nthal_driver_entry(void);
extern "Python+C" {{
{callbacks}
}}
"""


def glue(routines: Iterable[Prototype]) -> str:
    """The C that stands before what cffi makes: how Python enters a driver, and the routines that lead to Python."""
    routines = tuple(routines)
    table = ", ".join(f".{one.name.removeprefix(TABLE)} = {one.name}" for one in routines if one.in_operations)
    return "\n".join(
        (
            '#include "nthal/glue.h"',
            operations(),
            *(f"{one.declared(PYTHON)};" for one in routines),
            *(one.defined() for one in routines),
            f"DMA_OPERATIONS nthal_operations = {{ .Size = sizeof(DMA_OPERATIONS), {table} }};",
        )
    )


def for_drivers(routines: Iterable[Prototype]) -> str:
    """`nthal_routines.h`: what a driver may call, each call with its place."""
    lines = ["#ifndef NTHAL_ROUTINES_H", "#define NTHAL_ROUTINES_H", operations()]
    placed = [one for one in routines if not one.in_table]
    lines += [f"extern {one.declared()};" for one in placed]
    for one in placed:
        if one.name != _UNPLACED:
            call = f"{one.name}(__VA_ARGS__)"
            lines.append(f"#define {one.name}(...) (nthal_place(__FILE__, __LINE__, __func__), {call})")
    return "\n".join([*lines, "#endif", ""])
