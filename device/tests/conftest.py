# SPDX-License-Identifier: Apache-2.0
"""What every test may count on.

Signals as a terminal leaves them: a CI runner may start us with SIGINT and SIGHUP ignored, and children inherit that.
Properties without a time limit for an example: the machines are shared.
"""

import signal

from hypothesis import settings

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("shared machines", deadline=None)
settings.load_profile("shared machines")
