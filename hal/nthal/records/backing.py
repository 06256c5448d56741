# SPDX-License-Identifier: Apache-2.0
"""Memory of this process that stands for a region's pages, so that native code may use a plain pointer to them."""

import ctypes
import mmap
from typing import Final


class Backing:
    """Contiguous, page-aligned, anonymous memory: the region's `pages`, and a page `before` and `after` them.

    Lives as long as anybody holds a view of it. `address` is where `pages` stands in this process.
    """

    def __init__(self, pages: int, page_size: int) -> None:
        self.size: Final = pages * page_size
        memory = mmap.mmap(-1, self.size + 3 * page_size)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        skip = -start % page_size
        self.address: Final = start + skip + page_size
        whole = memoryview(memory)[skip:]
        self.before: Final = whole[:page_size]
        self.pages: Final = whole[page_size : page_size + self.size]
        self.after: Final = whole[page_size + self.size : 2 * page_size + self.size]
