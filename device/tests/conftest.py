# SPDX-License-Identifier: Apache-2.0
"""What every test may count on.

Signals as a terminal leaves them: a CI runner may start us with SIGINT and SIGHUP ignored, and children inherit that.
Properties without a time limit for an example: the machines are shared.
"""

import gc
import signal

from hypothesis import settings

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("shared machines", deadline=None)
settings.load_profile("shared machines")


def pytest_collection_finish() -> None:
    """The tests themselves live to the end: whoever looks for garbage, 0.1 s at a time, need not look at them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(
        50_000, 20, 100
    )  # the usual 700 has a test of 2 ms looked through three times: a tenth of all time
