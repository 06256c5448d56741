# SPDX-License-Identifier: Apache-2.0
"""Which Python plays a routine: the session's own functions, else the façades, by name and at each call."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nthal import kmdf, nt, wdm
from nthal.native import framework_routines, kernel_routines
from nthal.native.prototypes import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from nthal.native.prototypes import Prototype
    from nthal.native.session import Session

_OWN = (kernel_routines, framework_routines)
_FACADES = (kmdf, wdm, nt)


def played(prototype: Prototype) -> bool:
    """True if there is Python for a routine."""
    if prototype.in_operations:
        return hasattr(wdm.DMA_OPERATIONS, prototype.name.removeprefix(TABLE))
    return any(hasattr(module, prototype.name) for module in (*_OWN, *_FACADES))


def target(session: Session, prototype: Prototype) -> Callable[..., object]:
    """The Python that plays a routine."""
    if prototype.in_operations:
        return partial(_through_table, prototype.name.removeprefix(TABLE))
    for module in _OWN:
        if hasattr(module, prototype.name):
            return partial(getattr(module, prototype.name), session)
    found: Callable[..., object]
    found = next(getattr(module, prototype.name) for module in _FACADES if hasattr(module, prototype.name))
    return found


def _through_table(name: str, adapter: wdm.DMA_ADAPTER, *arguments: object) -> object:
    return getattr(adapter.DmaOperations, name)(adapter, *arguments)
