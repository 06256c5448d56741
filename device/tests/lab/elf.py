# SPDX-License-Identifier: Apache-2.0
"""Makes kernel modules that hold a .modinfo section, and a struct module if they are to have a name."""

import struct


def module(this_module: bytes | None = None, **info: str) -> bytes:
    """`this_module` is the name that the kernel would take, None for a file without it."""
    modinfo = b"".join(f"{key}={value}\0".encode() for key, value in info.items())
    whole = b"" if this_module is None else bytes(24) + this_module.ljust(56, b"\0") + bytes(64)
    names = b"\0.modinfo\0.shstrtab\0.gnu.linkonce.this_module\0"
    table = 64 + len(modinfo) + len(names) + len(whole)
    count = 3 if this_module is None else 4
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, table, 0, 64, 0, 0, 64, count, 2)

    def section(name: int, offset: int, size: int) -> bytes:
        return struct.pack("<IIQQQQIIQQ", name, 1, 0, 0, offset, size, 0, 0, 1, 0)

    sections = bytes(64) + section(1, 64, len(modinfo)) + section(10, 64 + len(modinfo), len(names))
    if this_module is not None:
        sections += section(20, 64 + len(modinfo) + len(names), len(whole))
    return header + modinfo + names + whole + sections
