# SPDX-License-Identifier: Apache-2.0
"""General Standards PCI-HPDI32: a parallel interface of 32 bits behind a PCI 9080, as Linux's `gsc_hpdi` expects it."""

from plx9x5x_boards.hpdi32.card import BOARD

__all__ = ["BOARD"]
