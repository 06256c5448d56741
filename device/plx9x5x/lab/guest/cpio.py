# SPDX-License-Identifier: Apache-2.0
"""Write the archive that Linux unpacks as its first root file system: cpio in its `newc` form.

The host needs no `cpio` and no root for it: owner, mode and device numbers are only numbers in the archive.

Source: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
"""

import stat
from typing import Final

_MAGIC: Final = b"070701"
_END: Final = "TRAILER!!!"
_ALIGN: Final = 4


class Archive:
    """Entries in the order in which they are added; folders above an entry are added when they are missing.

    The same entries give the same bytes: no time, no owner, numbers counted from 1.
    """

    def __init__(self) -> None:
        self._out = bytearray()
        self._names: set[str] = set()

    def folder(self, path: str) -> None:
        """Add an empty folder; harmless if it is there."""
        name = _name(path)
        if name and name not in self._names:
            self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        """Add a file. Raises: ValueError if the path is taken."""
        self._entry(_name(path), stat.S_IFREG | mode, data=data)

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._entry(_name(path), stat.S_IFLNK | 0o777, data=target.encode())

    def char_device(self, path: str, *, major: int, minor: int, mode: int = 0o600) -> None:
        """Add a character device node."""
        self._entry(_name(path), stat.S_IFCHR | mode, device=(major, minor))

    def close(self) -> bytes:
        """Give the whole archive."""
        return bytes(self._out) + _record(0, _END, 0, b"", (0, 0))

    def _entry(self, name: str, mode: int, *, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        if not name or name in self._names:
            raise ValueError(f"'{name}' cannot be added to the archive: {'it is there' if name else 'no name'}")
        above, _, _ = name.rpartition("/")
        self.folder(above)
        self._names.add(name)
        self._out += _record(len(self._names), name, mode, data, device)


def _record(number: int, name: str, mode: int, data: bytes, device: tuple[int, int]) -> bytes:
    raw = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(raw), 0)
    return _pad(_MAGIC + b"".join(b"%08X" % value for value in fields) + raw) + _pad(data)


def _pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGN)


def _name(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))
