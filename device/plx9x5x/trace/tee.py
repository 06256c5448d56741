# SPDX-License-Identifier: Apache-2.0
"""One trace for several sinks."""

from plx9x5x.ports import TraceSink


class Tee:
    """Gives every event to each of its sinks, in order.

    It asks for all events while one of them does, so a sink that is not enabled may see what it did not ask for.
    """

    def __init__(self, *sinks: TraceSink) -> None:
        self._sinks = sinks

    @property
    def enabled(self) -> bool:
        """True while one of the sinks is."""
        return any(sink.enabled for sink in self._sinks)

    def emit(self, event: object) -> None:
        """Pass the event on."""
        for sink in self._sinks:
            sink.emit(event)
