# SPDX-License-Identifier: Apache-2.0
"""What a QEMU plugin saw of a driver, said in the driver's own lines. Knows no device."""
