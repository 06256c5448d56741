# SPDX-License-Identifier: Apache-2.0
"""A guest: what it has in memory, the QEMU that runs it, its life until it has reported."""
