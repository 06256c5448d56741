# SPDX-License-Identifier: Apache-2.0
"""What the C face meets: errors, cffi as types (it has none), the computer that a driver is loaded into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nthal.machine import DeviceObject, Machine


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
    def sizeof(self, kind: str) -> int: ...  # noqa: D102
    def def_extern(self, *, name: str) -> Callable[[Callable[..., object]], object]: ...  # noqa: D102


class Compiled(Protocol):
    """A module that cffi made: its types and its functions."""

    ffi: Ffi
    lib: CData


class Window(Protocol):
    """A BAR: registers or memory of a device, by offset; `width` is bytes."""

    @property
    def length(self) -> int:
        """Bytes; 0 for a BAR that the device has not."""

    @property
    def is_io(self) -> bool:
        """True for ports."""

    def read(self, offset: int, width: int) -> int:
        """Read one register."""

    def write(self, offset: int, width: int, value: int) -> None:
        """Write one register."""


class InterruptLine(Protocol):
    """A connected interrupt."""

    def queue_dpc(self) -> bool:
        """Ask for the DPC; False if it is queued already."""


class Host(Protocol):
    """A computer with the driver's device in it, as a bus driver knows the two. `bars` are BAR 0 and those after it."""

    @property
    def machine(self) -> Machine: ...  # noqa: D102
    @property
    def pdo(self) -> DeviceObject: ...  # noqa: D102
    @property
    def bars(self) -> Sequence[Window]: ...  # noqa: D102

    def connect(self, isr: Callable[[], bool], dpc: Callable[[], None]) -> InterruptLine:
        """Connect the interrupt; `disconnect` undoes it."""

    def disconnect(self) -> None: ...  # noqa: D102

    def enter_d0(self) -> None:
        """Power up, with bus mastering; `leave_d0` undoes it."""

    def leave_d0(self) -> None: ...  # noqa: D102

    def step(self) -> object:
        """Let the device work a little while the driver waits; no interrupt comes."""

    def run(self) -> object:
        """Let the device work until it has nothing to do, with interrupts."""
