# SPDX-License-Identifier: Apache-2.0
"""One trace for several sinks."""

from plx9x5x.trace.tee import Tee


class Sink:
    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self.seen: list[object] = []

    def emit(self, event: object) -> None:
        self.seen.append(event)


def test_every_sink_gets_every_event_in_order() -> None:
    sinks = Sink(enabled=True), Sink(enabled=False)
    tee = Tee(*sinks)
    for event in ("a", "b"):
        tee.emit(event)
    assert [sink.seen for sink in sinks] == [["a", "b"]] * 2


def test_it_asks_for_events_while_one_sink_does() -> None:
    quiet, eager = Sink(enabled=False), Sink(enabled=True)
    tee = Tee(quiet, eager)
    assert tee.enabled
    eager.enabled = False
    assert not tee.enabled
    assert not Tee().enabled
