# SPDX-License-Identifier: Apache-2.0
"""What the C face meets: what can be wrong before the model has a say, and cffi as types, which it has none of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class NativeError(RuntimeError):
    """A driver in C cannot be built, loaded or driven on; the text says why, in the compiler's own words if it does."""


class NoCompiler(NativeError):
    """What compiles C is not there: a compiler, Python's headers or cffi. `hint` says what to install."""

    def __init__(self, lacks: str, hint: str) -> None:
        super().__init__(f"{lacks}; {hint}")
        self.hint = hint


class DoesNotCompile(NativeError):
    """The compiler refuses the driver."""


class DoesNotLoad(NativeError):
    """The driver is compiled, and needs something that is not there."""


class CData(Protocol):
    """A value of C: number, pointer, structure or function."""

    def __getattr__(self, name: str) -> CData: ...
    def __setattr__(self, name: str, value: object) -> None: ...
    def __getitem__(self, index: int) -> CData: ...
    def __setitem__(self, index: int, value: object) -> None: ...
    def __call__(self, *arguments: object) -> CData: ...  # noqa: D102
    def __int__(self) -> int: ...
    def __bool__(self) -> bool: ...


class Ffi(Protocol):
    """The `ffi` object of a compiled module, as far as it is used here."""

    NULL: CData

    def new(self, kind: str, init: object = None) -> CData: ...  # noqa: D102
    def cast(self, kind: str, value: object) -> CData: ...  # noqa: D102
    def string(self, value: CData) -> bytes: ...  # noqa: D102
    def buffer(self, value: CData, size: int) -> memoryview: ...  # noqa: D102
    def sizeof(self, kind: object) -> int: ...  # noqa: D102
    def typeof(self, value: CData) -> CData: ...  # noqa: D102
    def def_extern(  # noqa: D102
        self, *, name: str, onerror: Callable[[object, BaseException, object], None]
    ) -> Callable[[Callable[..., object]], object]: ...


class Compiled(Protocol):
    """A module that cffi made: its types and its functions."""

    ffi: Ffi
    lib: CData
