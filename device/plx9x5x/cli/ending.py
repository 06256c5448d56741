# SPDX-License-Identifier: Apache-2.0
"""How a signal ends the command line at any moment, its own start included.

`unwind` is the handler: it raises, so that whatever was started is tidied up. Python drops what is raised in some
places (the callbacks of weak references, of which an import has many), so the signal is noted as well, and `check`
raises anew. What this module imports is small: it is the first to be loaded.
"""

import contextlib
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ENDING: Final = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
_SERVE: Final = "serve"
"""The verb that SIGTERM ends rightly, as vfio-user backends have it."""

_noted: list[int] = []


class Ended(BaseException):
    """Signal `number` asked us to end. No `Exception`, so that nobody takes it for an error and goes on."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def unwind(number: int, _frame: FrameType | None) -> None:
    """Handle a signal. Raises: Ended.

    For SIGINT too: if a KeyboardInterrupt passes an `exec` of text, as dataclasses have it, the interpreter kills
    itself at its exit although somebody caught it.
    """
    _noted.append(number)
    raise Ended(number)


def check() -> None:
    """Raise what `unwind` raised and nobody got. Raises: Ended."""
    if _noted:
        raise Ended(_noted[-1]) from None


@contextlib.contextmanager
def told() -> "Iterator[None]":
    """Within, whatever comes after a signal is `Ended`: Python 3.11 has a RuntimeError instead in `__set_name__`."""
    try:
        yield
    except Exception:
        check()
        raise


def forget() -> None:
    """Start anew: what was noted has been dealt with."""
    _noted.clear()


def exit_code(number: int, verb: str) -> int:
    """What a verb ends with when the signal `number` ended it."""
    return 0 if verb == _SERVE and number == signal.SIGTERM else 128 + number


def take(numbers: "Iterable[signal.Signals]" = ENDING) -> None:
    """Have `unwind` handle those that nobody else handles or ignores; say nothing of what Python drops."""
    default = (signal.SIG_DFL, signal.default_int_handler)
    for number in numbers:
        if signal.getsignal(number) in default:
            signal.signal(number, unwind)
    before = sys.unraisablehook

    def tell(dropped: "sys.UnraisableHookArgs") -> None:
        if not isinstance(dropped.exc_value, Ended):
            before(dropped)

    sys.unraisablehook = tell
