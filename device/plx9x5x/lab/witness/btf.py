# SPDX-License-Identifier: Apache-2.0
"""Where the members of the kernel's structures lie, by name: from BTF, the type information that a kernel carries.

Source: the kernel's Documentation/bpf/btf.rst. The kernel is the user's: what its bytes say is checked.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from plx9x5x.lab.witness.kernel_image import UnreadableKernel

_MAGIC: Final = 0xEB9F
_INT, _ARRAY, _STRUCT, _UNION, _ENUM, _FUNC_PROTO, _VAR, _DATASEC, _DECL_TAG, _ENUM64 = (
    1,
    3,
    4,
    5,
    6,
    13,
    14,
    15,
    17,
    19,
)
_LAST_KIND: Final = 19
_FIXED: Final = {_INT: 4, _ARRAY: 12, _VAR: 4, _DECL_TAG: 4}
_PER_MEMBER: Final = {_STRUCT: 12, _UNION: 12, _ENUM: 8, _FUNC_PROTO: 8, _DATASEC: 12, _ENUM64: 12}
# typedef, volatile, const, restrict, type tag: names or properties of another type
_ALIASES: Final = frozenset((8, 9, 10, 11, 18))
_DEPTH: Final = 16


class _Member(NamedTuple):
    name: str
    kind: int
    offset: int


class Btf:
    """The types of one kernel. Raises: UnreadableKernel if the bytes are no BTF, or damaged."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = bytes(data)
        try:
            magic, _, _, head, types, length, strings, text = struct.unpack_from("<HBBIIIII", self._data)
        except struct.error as exc:
            raise UnreadableKernel("its BTF is cut off") from exc
        if magic != _MAGIC:
            raise UnreadableKernel("its BTF has another magic number")
        self._strings = self._data[head + strings :][:text]
        self._at = [0]  # type 0 is void
        self._structs: dict[str, int] = {}
        self._enums: list[int] = []
        self._index(head + types, min(head + types + length, len(self._data)))

    def _index(self, at: int, end: int) -> None:
        data = self._data
        while at + 12 <= end:
            name, info = struct.unpack_from("<II", data, at)
            kind, count = info >> 24 & 31, info & 0xFFFF
            if kind > _LAST_KIND:
                raise UnreadableKernel(f"its BTF has types of kind {kind}, which is not known")
            if kind == _STRUCT and name:
                self._structs.setdefault(self._text(name), len(self._at))
            elif kind == _ENUM:
                self._enums.append(len(self._at))
            self._at.append(at)
            at += 12 + _FIXED.get(kind, 0) + _PER_MEMBER.get(kind, 0) * count

    def size(self, struct_name: str) -> int | None:
        """Bytes of a structure; None if the kernel has none of that name."""
        found = self._structs.get(struct_name)
        return None if found is None else self._head(found)[3]

    def offset(self, struct_name: str, *path: str) -> int | None:
        """Bytes from the structure's start to a member, or a member of that; None if there is none.

        A number in `path` is an array's element, as in `offset("module", "mem", "4", "base")`.
        """
        at, kind = 0, self._structs.get(struct_name)
        for word in path:
            if kind is None:
                return None
            step = self._element(kind, int(word)) if word.isdigit() else self._find(kind, word, 0)
            if step is None:
                return None
            at, kind = at + step.offset, step.kind
        return None if kind is None else at

    def enumerator(self, name: str) -> int | None:
        """The value of an enumeration's constant; None if there is none."""
        for number in self._enums:
            at, _, count, _ = self._head(number)
            for member in range(count):
                text, value = self._unpack("<Ii", at + 12 + 8 * member)
                if self._text(text) == name:
                    return value
        return None

    def _find(self, kind: int, name: str, depth: int) -> _Member | None:
        for member in self._members(self._plain(kind)):
            if member.name == name:
                return member
            if not member.name and depth < _DEPTH and (inner := self._find(member.kind, name, depth + 1)):
                return inner._replace(offset=inner.offset + member.offset)
        return None

    def _members(self, number: int) -> Iterator[_Member]:
        at, kind, count, _ = self._head(number)
        if kind not in (_STRUCT, _UNION):
            return
        bits_too = self._unpack("<I", at + 4)[0] >> 31
        for member in range(count):
            name, type_, offset = self._unpack("<III", at + 12 + 12 * member)
            yield _Member(self._text(name), type_, (offset & 0xFFFFFF if bits_too else offset) // 8)

    def _element(self, kind: int, index: int) -> _Member | None:
        at, what, _, _ = self._head(self._plain(kind))
        if what != _ARRAY:
            return None
        type_, _, count = self._unpack("<III", at + 12)
        if index >= count:
            return None
        return _Member("", type_, index * self._head(self._plain(type_))[3])

    def _plain(self, number: int) -> int:
        """The type behind typedefs and qualifiers."""
        for _ in range(_DEPTH):
            _, kind, _, other = self._head(number)
            if kind not in _ALIASES:
                break
            number = other
        return number

    def _head(self, number: int) -> tuple[int, int, int, int]:
        """Where a type stands; its kind, its number of members, its size or the type that it refers to."""
        if not 0 < number < len(self._at):
            raise UnreadableKernel(f"its BTF refers to a type {number}, which it does not have")
        at = self._at[number]
        info, size = self._unpack("<II", at + 4)
        return at, info >> 24 & 31, info & 0xFFFF, size

    def _unpack(self, form: str, at: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(form, self._data, at)
        except struct.error as exc:
            raise UnreadableKernel("its BTF is cut off") from exc

    def _text(self, at: int) -> str:
        end = self._strings.find(b"\0", at)
        return self._strings[at : end if end >= 0 else None].decode("ascii", errors="replace")
