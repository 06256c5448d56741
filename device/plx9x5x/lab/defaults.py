# SPDX-License-Identifier: Apache-2.0
"""What a run takes unless it is told otherwise. Imports nothing, so that `--help` may show it and stay quick."""

from typing import Final

MEMORY_MIB: Final = 256
TIMEOUT_S: Final = 300.0
"""A run takes seconds; on a host whose disk and cores were taken by others, boots of two minutes were seen."""
