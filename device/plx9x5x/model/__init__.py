# SPDX-License-Identifier: Apache-2.0
"""The chip's behaviour: no I/O, no threads, no wall clock."""
