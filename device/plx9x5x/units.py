# SPDX-License-Identifier: Apache-2.0
"""Sizes and address kinds, so that a bus address is never taken for a local one."""

from typing import Final, NewType

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

BusAddr = NewType("BusAddr", int)
"""An address that the device puts on the PCI bus: the guest's logical address (0 to 2**64 - 1)."""

LocalAddr = NewType("LocalAddr", int)
"""An address on the local bus behind the bridge (0 to 2**32 - 1)."""
