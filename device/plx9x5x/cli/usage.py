# SPDX-License-Identifier: Apache-2.0
"""What a person typed wrong, beyond what argparse sees."""

from plx9x5x.errors import BadRequest


class UsageError(BadRequest):
    """The options do not go together or say nothing; the message says what would. Exit 2."""
