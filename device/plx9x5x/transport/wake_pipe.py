# SPDX-License-Identifier: Apache-2.0
"""How another thread or a signal ends a wait for messages: a pipe that becomes readable."""

import contextlib
import os
import signal
from collections.abc import Iterator


class WakePipe:
    """Both ends never block. `fd` is readable from `wake` on until `drain`."""

    def __init__(self) -> None:
        self.fd, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wake(self) -> None:
        """End the wait; may be called from a signal handler or another thread."""
        with contextlib.suppress(OSError):  # a full pipe wakes as well
            os.write(self._write, b"\0")

    def drain(self) -> None:
        """Wait again from now on."""
        with contextlib.suppress(OSError):  # nothing there
            os.read(self.fd, 4096)

    @contextlib.contextmanager
    def by_signals(self) -> Iterator[None]:
        """Have any signal wake as well: its handler runs once C returns, and else only a message might see to that."""
        try:
            before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        except ValueError:  # another thread than the main one hears of no signals
            yield
            return
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            self.drain()

    def close(self) -> None:
        """May be called twice."""
        for fd in (self.fd, self._write):
            if fd >= 0:
                os.close(fd)
        self.fd = self._write = -1
