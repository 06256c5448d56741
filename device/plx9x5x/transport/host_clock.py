# SPDX-License-Identifier: Apache-2.0
"""The host's time for a model that a guest looks at: there it passes whether anybody looks or not."""

import time


class HostClock:
    """Nanoseconds of the host's monotonic clock."""

    def now(self) -> int:
        """Nanoseconds since an arbitrary start."""
        return time.monotonic_ns()
