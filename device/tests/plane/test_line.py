# SPDX-License-Identifier: Apache-2.0
"""INTA# in C does what `IntxLine` does, but for when it looks again after an unmask."""

import ctypes

from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.plane.line import NativeLine
from plx9x5x.transport.intx import IntxLine

SEND = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32)
CONTEXT = 0x1234


class Client:
    """Takes edges of both lines while it listens."""

    def __init__(self) -> None:
        self.listens = True
        self.edges: list[tuple[int, int]] = []
        self.reference_edges = 0
        self.send = SEND(self.take)
        self.line = NativeLine()
        self.line.connect(ctypes.cast(self.send, ctypes.c_void_p).value or 0, CONTEXT)
        self.reference = IntxLine(self.take_reference)

    def take(self, context: int, number: int) -> int:
        if self.listens:
            self.edges.append((context, number))
        return 0 if self.listens else -1

    def take_reference(self) -> bool:
        self.reference_edges += self.listens
        return self.listens

    def do(self, action: str) -> None:
        match action:
            case "up" | "down":
                for line in (self.line, self.reference):
                    line.set(action == "up")
            case "mask":
                self.line.line.masked = True  # as the loop in C does
                self.reference.mask()
            case "unmask":
                self.line.line.masked = False
                self.line.retry()
                self.reference.unmask()
            case "reset" | "retry":
                for line in (self.line, self.reference):
                    getattr(line, action)()
            case _:
                self.listens = action == "hear"


@given(st.lists(st.sampled_from(["up", "down", "mask", "unmask", "reset", "retry", "hear", "deaf"])))
def test_both_lines_send_the_same_edges(actions: list[str]) -> None:
    client = Client()
    for action in actions:
        client.do(action)
        mine, reference = client.line, client.reference
        assert (mine.level, mine.masked, mine.due) == (reference.level, reference.masked, reference.due)
        assert client.edges == [(CONTEXT, 0)] * client.reference_edges


def test_who_unmasks_while_the_edge_is_sent_is_told_of_what_is_due_then() -> None:
    lines = (NativeLine(), IntxLine(lambda: True))
    seen = []
    for line in lines:
        edges: list[int] = []

        def take(line: NativeLine | IntxLine = line, edges: list[int] = edges) -> bool:
            edges.append(1)
            if len(edges) == 1:
                line.set(False)
                if isinstance(line, NativeLine):
                    line.line.masked = False
                else:
                    line.unmask()
            return True

        if isinstance(line, NativeLine):
            send = SEND(lambda _context, _number, take=take: 0 if take() else -1)
            line.connect(ctypes.cast(send, ctypes.c_void_p).value or 0, CONTEXT)
        else:
            line._trigger = take
        line.set(True)
        seen.append((len(edges), line.level, line.masked))
        line.set(True)
        seen.append((len(edges), line.level, line.masked))
    assert seen[:2] == seen[2:] == [(1, False, False), (2, True, True)]


def test_a_line_without_a_client_keeps_its_edge() -> None:
    line = NativeLine()
    line.set(True)
    assert (line.level, line.masked, line.due) == (True, False, True)
    client = Client()
    client.line = line
    line.connect(ctypes.cast(client.send, ctypes.c_void_p).value or 0, CONTEXT)
    line.retry()
    assert client.edges == [(CONTEXT, 0)]
    line.connect(0, 0)
    line.set(False)
    line.line.masked = False
    line.set(True)
    assert line.due
