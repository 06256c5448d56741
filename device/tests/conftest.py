# SPDX-License-Identifier: Apache-2.0
"""Signals as a terminal leaves them: a CI runner may start us with SIGINT and SIGHUP ignored, and children inherit that."""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
