# SPDX-License-Identifier: Apache-2.0
"""What a run takes unless it is told otherwise, and how it ends. Imports nothing, so that `--help` stays quick."""

from typing import Final

KERNEL_HELP: Final = (
    "the guest's kernel: 6.1, 6.12 (Debian's for clouds); 6.1-full, 6.12-full (with CAN, sound and all else that "
    "Debian builds, 90 and 130 MB that are fetched when first named); or a path; default $PLX9X5X_KERNEL, then 6.1"
)
"""Held to `lab/toolchain/table.py` by test."""

MEMORY_MIB: Final = 256
TIMEOUT_S: Final = 300.0
"""A run takes seconds; on a host whose disk and cores were taken by others, boots of two minutes were seen."""

EXIT_FAILED: Final = 1
EXIT_LOST_VM: Final = 75
"""What a command ends with if something is wrong, and if the guest was lost and nobody knows why."""
EXIT_UNWRITTEN: Final = 74
"""A server's, if what a client came to is not in the file that was to have it: who reads that would find no fault."""
