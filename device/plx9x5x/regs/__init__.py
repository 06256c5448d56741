# SPDX-License-Identifier: Apache-2.0
"""Registers as data: the kernel and the tables of the chip."""
