# SPDX-License-Identifier: Apache-2.0
"""One board a file, registered under the entry-point group `plx9x5x.boards`."""

from typing import Final

DEFAULT: Final = "rdk-9656-lite"
"""The board that is meant where none is named."""
