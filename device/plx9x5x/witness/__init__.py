# SPDX-License-Identifier: Apache-2.0
"""What the driver believed, beside what the device saw: the guest's DMA calls and accesses, as QEMU recorded them."""
