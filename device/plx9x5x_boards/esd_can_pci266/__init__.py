# SPDX-License-Identifier: Apache-2.0
"""esd CAN-PCI/266: two CAN controllers behind a PCI 9056, as Linux's `plx_pci` expects them."""

from plx9x5x_boards.esd_can_pci266.card import BOARD

__all__ = ["BOARD"]
