# SPDX-License-Identifier: Apache-2.0
"""What the allocator of common buffers and its counterpart are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nthal.policy import Routine

if TYPE_CHECKING:
    from nthal.types import La, Va
    from nthal.windows import Caching


@dataclass(frozen=True, slots=True)
class BufferRequest:
    """What an allocator was asked for. `minimum` and `maximum` bound the logical address.

    `page_aligned` keeps a verified buffer at its page's start, as KMDF needs it (AM-10).
    """

    length: int
    cache_enabled: bool = True
    routine: Routine = Routine.ALLOCATE
    minimum: La | None = None
    maximum: La | None = None
    cache_type: Caching | None = None
    large_pages: bool = False
    page_aligned: bool = False

    def window(self, limit: int, *, inclusive: bool) -> tuple[int, int]:
        """Lowest and highest logical address that the buffer may touch (CB-50, CB-131, CB-132)."""
        low = 0 if self.minimum is None else int(self.minimum)
        last = limit
        if self.maximum is not None:
            last = min(last, int(self.maximum) - (0 if inclusive else 1))
        return low, last


@dataclass(frozen=True, slots=True)
class FreeRequest:
    """The four arguments of a free beside the adapter; an address is None where the driver gives NULL."""

    length: int
    la: La | None
    va: Va | None
    cache_enabled: bool
