# SPDX-License-Identifier: Apache-2.0
"""INTA# as a level, turned into the edges that vfio-user carries.

The wire has no de-assert: a trigger makes the client raise the guest's pin and, as with every level interrupt of VFIO,
takes the line as masked until the client says UNMASK. QEMU says it at the first access to a BAR after the interrupt,
most often the handler's read of the status and thus *before* the cause is cleared. So the level is looked at again on
each unmask: a line that is still up triggers once more.

    line change   line up and not masked: trigger, masked
    UNMASK        not masked; look again
    MASK          masked, until UNMASK
    RESET, client lost   line down, not masked

The native plane keeps the same line in C (plane/line.h), and there looks again after the messages that are there: one
of them may take the cause back, and an edge sent before it is looked at interrupts the guest for nothing.

Source: reference/qemu-vfio-user.md section 2.
"""

from collections.abc import Callable


class IntxLine:
    """Drives one interrupt; implements `plx9x5x.ports.IrqLine`.

    `trigger` sends one edge and says whether somebody takes it: False means that the client has not set its eventfd
    yet, so the edge stays due until `retry` or the next change delivers it.
    """

    __slots__ = ("_level", "_masked", "_trigger", "sent")

    def __init__(self, trigger: Callable[[], bool]) -> None:
        self._trigger = trigger
        self._level = False
        self.sent = 0
        """Edges that somebody took, since the device last set this to 0."""
        self._masked = False

    @property
    def level(self) -> bool:
        """What the device drives."""
        return self._level

    @property
    def masked(self) -> bool:
        """True from a trigger, or a MASK, until UNMASK."""
        return self._masked

    @property
    def due(self) -> bool:
        """True if the line is up and the client has not been told."""
        return self._level and not self._masked

    def set(self, level: bool) -> None:
        """Drive the line."""
        if level != self._level:
            self._level = level
            self._evaluate()

    def mask(self) -> None:
        """Hold edges back: the client asked for it."""
        self._masked = True

    def unmask(self) -> None:
        """Let edges through again, and send one at once if the line is still up."""
        self._masked = False
        self._evaluate()

    def retry(self) -> None:
        """Try once more to deliver an edge that nobody took."""
        self._evaluate()

    def reset(self) -> None:
        """Line down and not masked: after a device reset, and when the client is gone."""
        self._level = self._masked = False

    def _evaluate(self) -> None:
        if self._level and not self._masked:
            # Masked first: `trigger` may come back to us through the client before it returns.
            self._masked = True
            if self._trigger():
                self.sent += 1
            else:
                self._masked = False
