# SPDX-License-Identifier: Apache-2.0
"""What a run takes unless it is told otherwise, and how it ends. Imports nothing, so that `--help` stays quick."""

from typing import Final

MEMORY_MIB: Final = 256
TIMEOUT_S: Final = 300.0
"""A run takes seconds; on a host whose disk and cores were taken by others, boots of two minutes were seen."""

EXIT_FAILED: Final = 1
EXIT_LOST_VM: Final = 75
"""What a command ends with if something is wrong, and if the guest was lost and nobody knows why."""
