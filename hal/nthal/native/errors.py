# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a driver in C before the model has a say."""


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
