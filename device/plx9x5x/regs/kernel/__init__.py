# SPDX-License-Identifier: Apache-2.0
"""Registers as data: a class a register, a descriptor a field, and one function that applies the access policy.

A table written with this module is the only place that knows a bit. Reset values, masks, the decoded text of a
trace line and the documentation are loops over `Register.fields`.

Chips of one family share a table: a field or register that only some have names them (`chips`), and a reset value that
differs is a mapping. `Register.on(chip)` gives what holds for one chip. The family is an `enum.Flag` that a base class
is declared with; a device without relatives needs none::

    class CONTROL(Register, offset=0x00, source="data book, 3.1"):
        enable = bit(0, Access.RW, doc="The device runs.")

    registers = RegisterFile([CONTROL], on_write={CONTROL: written})

A wrong table (overlapping fields, a field outside its register, a reset value that does not fit) is refused at import,
with a message that names the field.
"""

from plx9x5x.regs.kernel.file import PlainDword, ReadHook, RegisterFile, UnknownHook, Write, WriteHook, after_write
from plx9x5x.regs.kernel.table import (
    SHADOW,
    Access,
    Field,
    Layout,
    OneDevice,
    Register,
    Reset,
    bit,
    bits,
    everyone,
    is_declared,
)

__all__ = [
    "SHADOW",
    "Access",
    "Field",
    "Layout",
    "OneDevice",
    "PlainDword",
    "ReadHook",
    "Register",
    "RegisterFile",
    "Reset",
    "UnknownHook",
    "Write",
    "WriteHook",
    "after_write",
    "bit",
    "bits",
    "everyone",
    "is_declared",
]
