# SPDX-License-Identifier: Apache-2.0
"""A chip under QEMU, driven from out here through a guest, call by call."""
