# SPDX-License-Identifier: Apache-2.0
"""Any sequence of accesses from both sides, on any chip of the family, against an oracle of single bytes.

The oracle knows the reference's write masks and reset values (`tests.behaviour.cases_local`), the doorbells' and
mailboxes' rules and the equation of INTA#; it shares nothing with the tables and the kernel under test.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from plx9x5x.ports import ResetKind
from tests.behaviour.cases_local import _cells
from tests.behaviour.driver import FAMILY
from tests.behaviour.in_process import InProcess
from tests.length import tries

INTCSR, CNTRL, P2L, L2P = 0x68, 0x6C, 0x60, 0x64
ALIASES = {0x78: 0x40, 0x7C: 0x44, 0xAC: 0x08}
# What these hold moves or hides other registers, starts something, or resets: they have cases of their own.
LEFT_ALONE = {"CNTRL", "QSR", "QBAR", "MQCR", "LAS0BA", "LAS1BA"}
FORBIDDEN = {
    "DMAMODE0": 1 << 20,  # valid mode moves the registers
    "DMAMODE1": 1 << 20,
    "LMISC1": 0b11,  # BAR1 must stay where it is
    "INTCSR": 1 << 2,  # SERR# reaches configuration space
}


class Registers(RuleBasedStateMachine):
    """One chip, both sides of it, and what each of its bytes should hold."""

    @initialize(chip=st.sampled_from(FAMILY))
    def power_on(self, chip: str) -> None:
        self.driver = InProcess(chip)
        self.cells = {cell.name: cell for cell in _cells(chip)}
        self.since_9056 = chip not in ("9080", "9054")
        self.forget()

    def forget(self) -> None:
        """Take what the chip shows after its EEPROM load as the start; the reset cases have checked it."""
        self.bytes = {
            at: self.driver.read(at, 1)
            for cell in self.cells.values()
            for at in range(cell.offset, cell.offset + cell.width)
        }
        self.pci_bells = self.local_bells = 0
        self.written = 0
        self.linti = False

    def owner(self, at: int) -> tuple[str, int] | None:
        """The cell that has byte `at`, and the bits of it that store."""
        for name, cell in self.cells.items():
            if cell.offset <= at < cell.offset + cell.width:
                shift = 8 * (at - cell.offset)
                forbidden = FORBIDDEN.get(name, 0)
                if name in LEFT_ALONE:
                    return None
                return name, (cell.rw & ~forbidden) >> shift & 0xFF
        return None

    @rule(
        offset=st.one_of(
            st.sampled_from([P2L, L2P, INTCSR, 0x40, 0x44, 0x48, 0x4C, 0x78, 0x0C]), st.integers(0, 0x107)
        ),
        width=st.sampled_from([1, 2, 4, 8]),
        value=st.integers(0, 2**64 - 1),
        port=st.booleans(),
    )
    def host_writes(self, offset: int, width: int, value: int, port: bool) -> None:
        if port and offset + width > 0x100:
            port = False
        raw = bytearray((value & (1 << 8 * width) - 1).to_bytes(width, "little"))
        touched: dict[int, int] = {}
        for n in range(width):
            at = ALIASES.get((offset + n) & ~3, (offset + n) & ~3) | (offset + n) & 3
            owner = self.owner(at)
            if P2L <= at < L2P + 4:
                touched[at] = raw[n]
            elif owner is None:
                raw[n] = 0 if not self.left_alone(at) else self.driver.read(at, 1)
            else:
                raw[n] = raw[n] & owner[1] | self.bytes[at] & ~owner[1]
                touched[at] = raw[n]
        if any(
            self.left_alone(ALIASES.get((offset + n) & ~3, (offset + n) & ~3) | (offset + n) & 3) for n in range(width)
        ):
            return
        self.driver.write(offset, int.from_bytes(raw, "little"), width, bar=1 if port else 0)
        # A dword at a time, low half first: what the mailbox bits see depends on INTCSR bit 3 at that moment.
        for at in sorted(touched, key=lambda where: (offset + width <= where, where)):
            if P2L <= at < P2L + 4:
                self.local_bells |= touched[at] << 8 * (at - P2L)
            elif L2P <= at < L2P + 4:
                self.pci_bells &= ~(touched[at] << 8 * (at - L2P))
            else:
                self.bytes[at] = touched[at]
        for mailbox in {at & ~3 for at in touched if 0x40 <= at < 0x50}:
            if self.mailbox_interrupt:
                self.written |= 1 << 28 + (mailbox - 0x40) // 4

    def left_alone(self, at: int) -> bool:
        cell = next((c for c in self.cells.values() if c.offset <= at < c.offset + c.width), None)
        return at in (0xA8, 0xA9) or (cell is not None and cell.name in LEFT_ALONE)

    @property
    def mailbox_interrupt(self) -> bool:
        return bool(self.bytes[INTCSR] & 8)

    @rule(bells=st.integers(0, 2**32 - 1))
    def board_rings(self, bells: int) -> None:
        self.driver.local.write_register(L2P, bells)
        self.pci_bells |= bells

    @rule(bells=st.integers(0, 2**32 - 1))
    def board_answers(self, bells: int) -> None:
        self.driver.local.write_register(P2L, bells)
        self.local_bells &= ~bells

    @rule(number=st.integers(0, 3))
    def board_reads_a_mailbox(self, number: int) -> None:
        value = self.driver.local.read_register(0x40 + 4 * number)
        assert value == self.dword(0x40 + 4 * number)
        self.written &= ~(1 << 28 + number)

    @rule(number=st.integers(0, 7), value=st.integers(0, 2**32 - 1))
    def board_writes_a_mailbox(self, number: int, value: int) -> None:
        self.driver.local.write_register(0x40 + 4 * number, value)
        for n in range(4):
            self.bytes[0x40 + 4 * number + n] = value >> 8 * n & 0xFF

    @rule(level=st.booleans())
    def board_drives_linti(self, level: bool) -> None:
        self.driver.local.drive_linti(level)
        self.linti = level

    @rule()
    def host_resets(self) -> None:
        self.driver.device.reset(ResetKind.POWER_ON)
        self.driver.config_write(0x04, 7, 2)
        self.forget()

    def dword(self, at: int) -> int:
        return sum(self.bytes.get(at + n, 0) << 8 * n for n in range(4))

    def expected_intcsr(self) -> int:
        live = 1 << 13 if self.pci_bells else 0
        live |= 1 << 15 if self.linti else 0
        live |= 1 << 20 if self.local_bells else 0
        return self.dword(INTCSR) & 0x0F0F_1FFF | live | self.written

    @invariant()
    def everything_reads_as_the_oracle_says(self) -> None:
        if not hasattr(self, "driver"):
            return
        read = self.driver.read
        assert read(P2L) == self.local_bells
        assert read(L2P) == self.pci_bells
        intcsr = self.expected_intcsr()
        assert read(INTCSR) == intcsr
        for name, cell in self.cells.items():
            if name not in ("INTCSR", "CNTRL"):
                expected = self.dword(cell.offset & ~3) >> 8 * (cell.offset & 3) & cell.lanes
                assert read(cell.offset, cell.width) == expected, name
        for alias, first in ALIASES.items():
            assert read(alias) == self.dword(first)

    @invariant()
    def the_pins_follow_their_equations(self) -> None:
        if not hasattr(self, "driver"):
            return
        status = self.expected_intcsr()
        causes = (13, 9), (15, 11)
        host = status >> 8 & 1 and any(status >> active & 1 and status >> enable & 1 for active, enable in causes)
        assert self.driver.inta() is bool(host)
        local = status >> 16 & 1 and ((status >> 20 & 1 and status >> 17 & 1) or (status >> 28 and status >> 3 & 1))
        assert self.driver.local.linto() is bool(local)
        if self.since_9056 and local:
            assert self.driver.read(CNTRL) >> 20 & 1, "CNTRL remembers that LINTo# was driven"


Registers.TestCase.settings = settings(deadline=None, max_examples=tries(10, 25), stateful_step_count=25)
TestRegisters = Registers.TestCase
