# SPDX-License-Identifier: Apache-2.0
"""Cards that drivers of the Linux kernel expect, made of what docs/writing-a-board.md offers a board package.

A folder a card, registered under the entry-point group `plx9x5x.boards`. Nothing of `plx9x5x` imports this package.
"""
