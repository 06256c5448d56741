# SPDX-License-Identifier: Apache-2.0
"""What every test may count on.

Signals as a terminal leaves them: a CI runner may start us with SIGINT and SIGHUP ignored, and children inherit that.
Properties without a time limit for an example: the machines are shared.
Byte code is kept, whatever the environment says: each of hundreds of processes would compile all of it again.
"""

import functools
import gc
import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from plx9x5x import board
from tests.length import tries

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("shared machines", deadline=None, max_examples=tries(40, 100))
settings.load_profile("shared machines")

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.fixture(scope="session", autouse=True)
def installed_boards() -> Iterator[None]:
    """What is installed is looked up once a process: it takes 2 ms, of thousands of machines each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(board, "_installed", functools.cache(board._installed))
        yield


def pytest_collection_finish() -> None:
    """The tests themselves live to the end: whoever looks for garbage, 0.1 s at a time, need not look at them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(
        50_000, 20, 100
    )  # the usual 700 has a test of 2 ms looked through three times: a tenth of all time
