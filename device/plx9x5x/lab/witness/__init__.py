# SPDX-License-Identifier: Apache-2.0
"""The witness: what an unmodified driver did, seen from outside by a plugin of QEMU's (TCG)."""
