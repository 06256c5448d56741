# SPDX-License-Identifier: Apache-2.0
"""The SJA1000's error counters, and what follows from them: warning, error passive, bus-off.

Source: CAN specification 2.0 (Bosch, 1991), fault confinement; SJA1000 data sheet (Philips, 2000 Jan 04), 6.4.5 notes
1 and 2, 6.4.10 to 6.4.12. UNVERIFIED: what a successful reception leaves of a receive counter above 127.
"""

from collections.abc import Callable
from typing import Final

from plx9x5x_boards.esd_can_pci266.can.registers import BUS_OFF_LIMIT, PASSIVE_LIMIT, WARNING_LIMIT, Ir

_SENDER_STEP: Final = 8
_MOST: Final = 255


class Faults:
    """Counters and their states; `raised` is told the interrupts.

    The states follow the counters while the controller operates; in reset mode the counters can be written, and
    `judge` looks at them when it is left.
    """

    def __init__(self, raised: Callable[[int], None]) -> None:
        self._raised: Final = raised
        self.sending = self.receiving = 0
        """The counters."""
        self.limit = WARNING_LIMIT
        self.bus_off = self.warning = self.passive = False

    def judge(self) -> bool:
        """Work out the states; True if this is the bus-off, upon which the controller goes into reset mode."""
        gone = self.sending > BUS_OFF_LIMIT
        if gone:
            self.sending, self.receiving = PASSIVE_LIMIT, 0
        warning = gone or max(self.sending, self.receiving) >= self.limit
        if (warning, gone) != (self.warning, self.bus_off):
            self.warning, self.bus_off = warning, gone
            self._raised(Ir.ERROR_WARNING)
        passive = max(self.sending, self.receiving) > PASSIVE_LIMIT
        if passive is not self.passive:
            self.passive = passive
            self._raised(Ir.ERROR_PASSIVE)
        return gone

    def write_sending(self, value: int) -> None:
        """Write the transmit counter, in reset mode: 255 asks for bus-off, anything else ends one."""
        self.sending = BUS_OFF_LIMIT + 1 if value == BUS_OFF_LIMIT else value

    def sent(self) -> bool:
        """A frame went out well."""
        self.sending = max(0, self.sending - 1)
        return self.judge()

    def not_sent(self, *, only_acknowledge: bool) -> bool:
        """One ended with an error; a lack of an acknowledge counts no more once the node is error passive."""
        if not (only_acknowledge and self.passive):
            self.sending += _SENDER_STEP
        return self.judge()

    def received(self) -> bool:
        """A frame came well."""
        self.receiving = max(0, self.receiving - 1) if self.receiving <= PASSIVE_LIMIT else PASSIVE_LIMIT
        return self.judge()

    def not_received(self) -> bool:
        """One that came ended with an error."""
        self.receiving = min(_MOST, self.receiving + 1)
        return self.judge()

    def recovered(self) -> None:
        """The bus-off is over."""
        self.sending = self.receiving = 0
        self.judge()
