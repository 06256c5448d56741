# SPDX-License-Identifier: Apache-2.0
"""What carries the chip: libvfio-user, or an in-process host."""
