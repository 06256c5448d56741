# SPDX-License-Identifier: Apache-2.0
"""An emulated PLX 9x5x bus-master PCI bridge, served to QEMU over vfio-user."""

__version__ = "0.1.0"
