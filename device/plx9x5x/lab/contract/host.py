# SPDX-License-Identifier: Apache-2.0
"""An nthal machine as the whole host of a device model in this process: memory, interrupt, IRQL, time.

This is the one place where the two packages meet. The chip masters the machine's memory by logical address, its INTA#
runs the driver's service routine at device IRQL, and its register window is what the driver maps. What nthal refuses
the chip sees as a bus abort, as on a card; the finding in the machine names the driver's line that made it happen.

::

    driver (Python) -- Registers --> device model -- NthalBus --> nthal bus -> windows, common buffers
          ^                               |
          '---- Interrupt (ISR, DPC) -- CountingLine

Units: bytes and nanoseconds.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from nthal.attach import BusRefused, DeviceBus
from nthal.machine import DeviceObject, Machine
from nthal.types import Address, AddressKindError, La
from nthal.verifier import Misuse, driver_place
from nthal.windows import Irql
from plx9x5x.board import Board
from plx9x5x.errors import BusAbort, MasterAbort, TargetAbort
from plx9x5x.model.chip import Chip
from plx9x5x.ports import BusMaster, Clock, IrqLine, PciDevice, TraceSink
from plx9x5x.transport.loopback import CountingLine
from plx9x5x.units import KIB, BusAddr

DeviceT = TypeVar("DeviceT", bound=PciDevice)

Isr = Callable[[], bool]
"""An interrupt service routine; True if the interrupt was its device's."""
Dpc = Callable[[], None]

BARS: Final = 6
BUDGET: Final = 64 * KIB
STORM: Final = 100
"""Calls of the service routine in a row after which a line that stays up is a storm."""
DPC_STORM: Final = 1000
"""Runs of the DPC after which one that queues itself is a storm; between them the device works."""

_COMMAND: Final = 0x04
_COMMAND_ON: Final = 0x7
"""I/O and memory decoding and bus mastering."""
_CAPABILITIES: Final = 0x34
_POWER_MANAGEMENT: Final = 1
_STATE_D3: Final = 3
_REFUSALS: Final = (Misuse.OUTSIDE_BUFFER, Misuse.BEYOND_WIDTH)
"""Somebody decodes the address, and the access is refused."""


class InterruptStorm(RuntimeError):
    """The line stays up though the service routine ran: nobody's interrupt, or a cause that nobody clears."""


class DpcStorm(RuntimeError):
    """The DPC queues itself for ever, though no interrupt comes between."""


class NobodyDecodes(MasterAbort):
    """nthal has nothing at the address; `why` is the finding."""

    why = ""

    def __str__(self) -> str:
        return self.why


class Refused(TargetAbort):
    """nthal refuses the access; `why` is the finding."""

    why = ""

    def __str__(self) -> str:
        return self.why


def _abort(refused: BusRefused) -> BusAbort:
    kind = Refused if refused.misuse in _REFUSALS else NobodyDecodes
    abort = kind(BusAddr(refused.address), moved=refused.moved, nearest=refused.nearest)
    abort.why = str(refused)
    return abort


class NthalBus:
    """A machine's memory as the device of `pdo` masters it; implements `plx9x5x.ports.BusMaster`.

    `address_bits` is what the device's pins drive: the bits above never reach the bus, whatever its registers hold.
    """

    def __init__(self, machine: Machine, pdo: DeviceObject, *, address_bits: int = 64) -> None:
        self._bus = DeviceBus(machine, pdo=pdo)
        self._pins = (1 << address_bits) - 1

    def read_into(self, address: BusAddr, into: memoryview) -> None:
        """Fill `into` from `address` on. Raises: MasterAbort, TargetAbort."""
        try:
            self._bus.read_into(address & self._pins, into)
        except BusRefused as refused:
            raise _abort(refused) from refused

    def write_from(self, address: BusAddr, data: memoryview) -> None:
        """Store `data` from `address` on. Raises: MasterAbort, TargetAbort."""
        try:
            self._bus.write_from(address & self._pins, data)
        except BusRefused as refused:
            raise _abort(refused) from refused


class MachineClock:
    """The machine's virtual time; implements `plx9x5x.ports.Clock`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def now(self) -> int:
        """Nanoseconds since the machine started."""
        return self._machine.clock

    def expect(self, wait_ns: int | None) -> int | None:
        """Nothing passes unexpectedly here."""
        return wait_ns

    def advance(self, nanoseconds: int) -> None:
        """Let time pass."""
        self._machine.clock += nanoseconds


class Registers:
    """One BAR as the driver maps it: READ_REGISTER_ULONG and its kin. Remembers where the driver wrote last."""

    def __init__(self, device: PciDevice, bar: int) -> None:
        self._device = device
        self._bar = bar
        self.written_at = "the start of the machine"

    @property
    def length(self) -> int:
        """Bytes of the BAR; 0 if the device has none of this number."""
        return self._device.regions[self._bar].size

    @property
    def is_io(self) -> bool:
        """True for ports."""
        return self._device.regions[self._bar].is_io

    def read(self, offset: int, width: int) -> int:
        """`width` bytes at `offset`."""
        return self._device.read(self._bar, offset, width)

    def write(self, offset: int, width: int, value: int) -> None:
        """`width` bytes at `offset`."""
        self._write(offset, width, value)

    def read_ulong(self, offset: int) -> int:
        """READ_REGISTER_ULONG: 32 bits at `offset`."""
        return self._device.read(self._bar, offset, 4)

    def read_uchar(self, offset: int) -> int:
        """READ_REGISTER_UCHAR: 8 bits at `offset`."""
        return self._device.read(self._bar, offset, 1)

    def write_ulong(self, offset: int, value: int | Address) -> None:
        """WRITE_REGISTER_ULONG: 32 bits at `offset`."""
        self._write(offset, 4, value)

    def write_uchar(self, offset: int, value: int | Address) -> None:
        """WRITE_REGISTER_UCHAR: 8 bits at `offset`."""
        self._write(offset, 1, value)

    def _write(self, offset: int, width: int, value: int | Address) -> None:
        if isinstance(value, Address) and not isinstance(value, La):
            raise AddressKindError(f"the device's register {offset:#x} takes a logical address, not {value!r} (CB-35)")
        self.written_at = driver_place("plx9x5x")
        self._device.write(self._bar, offset, width, int(value))


class Interrupt:
    """A connected interrupt. The service routine calls `queue_dpc` for what may wait until DISPATCH_LEVEL.

    `alone` counts the DPC's runs since the service routine's last one.
    """

    def __init__(self, isr: Isr, dpc: Dpc) -> None:
        self.isr = isr
        self._dpc = dpc
        self.queued: deque[Dpc] = deque()
        self.alone = 0

    def queue_dpc(self) -> bool:
        """Ask for the DPC; False if it is queued already, as for KeInsertQueueDpc."""
        if self.queued:
            return False
        self.queued.append(self._dpc)
        return True


class NthalHost(Generic[DeviceT]):
    """A machine with one device in it. `pdo` is the device object that the bus driver made for it."""

    def __init__(
        self,
        machine: Machine,
        make_device: Callable[[BusMaster, IrqLine, Clock], DeviceT],
        *,
        driver: str = "driver",
        address_bits: int = 64,
    ) -> None:
        self.machine: Final = machine
        self.pdo: Final = DeviceObject(driver)
        self.line: Final = CountingLine()
        self.clock: Final = MachineClock(machine)
        self.bus: Final = NthalBus(machine, self.pdo, address_bits=address_bits)
        self.device: Final = make_device(self.bus, self.line, self.clock)
        self.bars: Final = [Registers(self.device, bar) for bar in range(BARS)]
        self.registers: Final = self.bars[0]
        self._interrupt: Interrupt | None = None

    def enter_d0(self) -> None:
        """What the bus driver does before the driver's D0 entry: full power, decoding and bus mastering on."""
        at = self._power_register()
        if at is not None:
            self.device.config_write(at, 2, self.device.config_read(at, 2) & ~_STATE_D3)
        self.device.config_write(_COMMAND, 2, _COMMAND_ON)

    def leave_d0(self) -> None:
        """What the bus driver does after the driver's D0 exit: no bus mastering, no decoding, D3hot."""
        self.device.config_write(_COMMAND, 2, 0)
        at = self._power_register()
        if at is not None:
            self.device.config_write(at, 2, self.device.config_read(at, 2) | _STATE_D3)

    def _power_register(self) -> int | None:
        """Offset of PMCSR; None on a chip without power management."""
        at = self.device.config_read(_CAPABILITIES, 1)
        while at:
            if self.device.config_read(at, 1) == _POWER_MANAGEMENT:
                return at + 4
            at = self.device.config_read(at + 1, 1)
        return None

    def connect(self, isr: Isr, dpc: Dpc) -> Interrupt:
        """IoConnectInterrupt: `isr` runs at device IRQL whenever the line is up, `dpc` at DISPATCH_LEVEL once asked."""
        self._interrupt = Interrupt(isr, dpc)
        return self._interrupt

    def disconnect(self) -> None:
        """IoDisconnectInterrupt."""
        self._interrupt = None

    def step(self) -> None:
        """Let the device work a little while its driver waits; an interrupt that it raises comes with `run`."""
        with self.machine.verifier.on_behalf_of(self.registers.written_at):
            self.device.step(BUDGET)

    def run(self, *, steps: int = 100_000, budget: int = BUDGET) -> int:
        """Let the device work until it has nothing to do, with interrupts between its steps; give the steps used.

        A device that waits is given the time that it waits for, once in a row. Raises: RuntimeError if it still wants
        to go on after `steps`, as a circular chain does; InterruptStorm, DpcStorm.
        """
        waited = False
        for used in range(1, steps + 1):
            with self.machine.verifier.on_behalf_of(self.registers.written_at):
                goes_on = self.device.step(budget)
            if self._interrupts() or goes_on:
                waited = False
                continue
            wait = self.device.wait_ns()
            if wait is None or waited:
                return used
            self.clock.advance(wait)
            waited = True
        raise RuntimeError(f"the device still runs after {steps} steps: a circular chain?")

    def _interrupts(self) -> bool:
        """Run the service routine as long as there is cause, and then the DPC if it is queued; True if any ran."""
        interrupt, machine = self._interrupt, self.machine
        if interrupt is None:
            return False
        ran = 0
        while self.line.level:
            if ran == STORM:
                raise InterruptStorm(f"INTA# is up after {STORM} calls of the service routine")
            with machine.at_irql(Irql.DEVICE_LEVEL):
                mine = interrupt.isr()
            ran += 1
            if not mine and self.line.level:
                raise InterruptStorm("INTA# is up, and the service routine says that it is not its device's")
        if ran or not interrupt.queued:
            interrupt.alone = 0
        if interrupt.queued:
            if interrupt.alone == DPC_STORM:
                raise DpcStorm(f"the DPC queues itself: it ran {DPC_STORM} times in a row, and no interrupt came")
            interrupt.alone += 1
            with machine.at_irql(Irql.DISPATCH_LEVEL):
                interrupt.queued.popleft()()
            ran += 1
        return ran > 0


def host_of(
    machine: Machine,
    board: Board,
    *,
    driver: str = "driver",
    address_bits: int = 64,
    trace: TraceSink | None = None,
) -> NthalHost[Chip]:
    """Put the board into the machine, in D0."""
    host = NthalHost(
        machine,
        lambda bus, irq, clock: Chip(board, bus=bus, irq=irq, clock=clock, trace=trace),
        driver=driver,
        address_bits=address_bits,
    )
    host.enter_d0()
    return host
