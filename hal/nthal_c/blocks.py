# SPDX-License-Identifier: Apache-2.0
"""What a session remembers of pool; `pool` has the routines."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """A block of pool: `length` in bytes, `tag` as the driver's four characters read in a number."""

    length: int
    tag: int
    made_at: str
    paged: bool = False

    def __str__(self) -> str:
        return f"{self.length} bytes of pool allocated at {self.made_at}"


class Pool:
    """Blocks by address, and those that were freed, each with the place."""

    def __init__(self) -> None:
        self.blocks: dict[int, Block] = {}
        self.freed: dict[int, tuple[Block, str]] = {}
