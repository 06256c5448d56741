# SPDX-License-Identifier: Apache-2.0
"""What is used of cffi, as types: cffi itself has none."""

from collections.abc import Callable
from typing import Protocol


class CData(Protocol):
    """A value of C: number, pointer, structure or function."""

    def __getattr__(self, name: str) -> "CData": ...
    def __setattr__(self, name: str, value: object) -> None: ...
    def __getitem__(self, index: int) -> "CData": ...
    def __setitem__(self, index: int, value: object) -> None: ...
    def __call__(self, *arguments: object) -> "CData": ...
    def __int__(self) -> int: ...
    def __bool__(self) -> bool: ...


class Ffi(Protocol):
    """The `ffi` object of a compiled module."""

    NULL: CData

    def new(self, kind: str, init: object = None) -> CData:
        """Make a value that lives as long as Python keeps it."""

    def cast(self, kind: str, value: object) -> CData:
        """Read a value as one of another type."""

    def string(self, value: CData) -> bytes:
        """Bytes of a C string."""

    def buffer(self, value: CData, size: int = -1) -> memoryview:
        """The bytes behind a pointer."""

    def sizeof(self, kind: object) -> int:
        """Bytes of a type or a value."""

    def addressof(self, value: object, *fields: str) -> CData:
        """Pointer to a structure, or to what a library has by that name."""

    def def_extern(self, *, name: str) -> Callable[[Callable[..., object]], object]:
        """Bind a Python function to the C function `name`."""


class Compiled(Protocol):
    """A module that cffi made: its types and its functions."""

    ffi: Ffi
    lib: CData
