# SPDX-License-Identifier: Apache-2.0
"""What carries a device: libvfio-user, or an in-process host."""
