# SPDX-License-Identifier: Apache-2.0
"""The joint between the two packages: what the chip sees of the machine, and what the driver gets from the chip."""

import pytest

from nthal.machine import Machine
from nthal.operations import adapter as adapters
from nthal.operations.common_buffer import allocate
from nthal.platforms import FLAT, IOMMU
from nthal.records.request import BufferRequest
from nthal.types import AddressKindError
from nthal.verifier import Misuse
from nthal.windows import DeviceDescription, InterfaceType, Irql
from plx9x5x.boards.pci_9080_401b import BOARD as OLD_BOARD
from plx9x5x.boards.rdk_9656_lite import BOARD
from plx9x5x.errors import MasterAbort, TargetAbort
from plx9x5x.lab.contract.host import DPC_STORM, DpcStorm, InterruptStorm, host_of
from plx9x5x.units import BusAddr
from tests.lab.contract.host.conftest import Faults
from tests.lab.contract.host.wdk_driver import CSR, DAC, INTCSR, MODE

PADR, SIZ = 0x84, 0x8C
D32 = DeviceDescription(
    version=2,
    master=True,
    scatter_gather=True,
    interface_type=InterfaceType.PCI,
    dma_32bit_addresses=True,
    maximum_length=65536,
)


def made(platform=FLAT, length=5000, **options):
    """A host whose driver has an adapter and one common buffer."""
    host = host_of(Machine(platform), BOARD, **options)
    adapter = adapters.create(host.machine, D32, host.pdo)
    return host, allocate(host.machine, adapter, BufferRequest(length))


def test_the_chip_and_the_driver_see_the_same_bytes():
    host, buffer = made(IOMMU)
    host.bus.write_from(BusAddr(int(buffer.la) + 4990), memoryview(b"0123456789"))
    assert host.machine.cpu_read(buffer.va + 4990, 10) == b"0123456789"
    host.machine.cpu_write(buffer.va, b"ring")
    into = bytearray(4)
    host.bus.read_into(BusAddr(int(buffer.la)), memoryview(into))
    assert into == b"ring"


@pytest.mark.parametrize("stop", [True, False], ids=["stop", "report"])
def test_an_address_of_nobody_is_a_master_abort_that_names_the_ranges_around_it(stop):
    host, buffer = made(FLAT.verified(stop=stop), 4096)
    at = int(buffer.la) + 0x3000
    with pytest.raises(MasterAbort) as caught:
        host.bus.read_into(BusAddr(at), memoryview(bytearray(4)))
    assert (caught.value.address, caught.value.moved) == (at, 0)
    assert caught.value.nearest == ((int(buffer.la), 4096),)
    assert "no DMA mapping owns" in str(caught.value)


@pytest.mark.parametrize("stop", [True, False], ids=["stop", "report"])
def test_past_the_length_is_a_target_abort_after_what_fits_has_moved(stop):
    host, buffer = made(FLAT.verified(stop=stop), 4096 + 100)
    at = int(buffer.la) + 4096 + 90
    with pytest.raises(TargetAbort) as caught:
        host.bus.write_from(BusAddr(at), memoryview(b"abcdefghijKLMN"))
    assert (caught.value.address, caught.value.moved) == (at + 10, 10)
    assert host.machine.cpu_read(buffer.va + 4096 + 90, 10) == b"abcdefghij"
    assert "offset 4196" in str(caught.value)
    with pytest.raises(TargetAbort) as caught:
        host.bus.read_into(BusAddr(at), memoryview(bytearray(14)))
    assert caught.value.moved == 10


def test_an_address_wider_than_described_is_refused_and_one_wider_than_the_pins_is_cut():
    host, buffer = made()
    with pytest.raises(TargetAbort, match="cannot drive so wide"):
        host.bus.read_into(BusAddr(0x1_0000_0000), memoryview(bytearray(1)))
    narrow, buffer = made(address_bits=32)
    into = bytearray(1)
    narrow.bus.read_into(BusAddr(0x1_0000_0000 + int(buffer.la)), memoryview(into))
    narrow.bus.write_from(BusAddr(0x1_0000_0000 + int(buffer.la)), memoryview(b"x"))
    assert narrow.machine.cpu_read(buffer.va, 1) == b"x"


def test_both_adapters_of_one_device_share_its_iommu_domain_and_another_device_does_not():
    host, buffer = made(IOMMU)
    adapters.create(host.machine, D32, host.pdo)
    host.bus.read_into(BusAddr(int(buffer.la)), memoryview(bytearray(1)))
    stranger = host_of(host.machine, BOARD)
    adapters.create(host.machine, D32, stranger.pdo)
    with pytest.raises(MasterAbort, match="IOMMU refuses"):
        stranger.bus.read_into(BusAddr(int(buffer.la)), memoryview(bytearray(1)))


def program(host, la):
    """Block transfer of 16 bytes to the card, with the done interrupt on INTA#."""
    registers = host.registers
    registers.write_ulong(MODE[0], registers.read_ulong(MODE[0]) | 1 << 10 | 1 << 17)
    registers.write_ulong(INTCSR, registers.read_ulong(INTCSR) | 1 << 18)
    registers.write_ulong(PADR, la)
    registers.write_ulong(DAC[0], 0)
    registers.write_ulong(SIZ, 16)
    registers.write_uchar(CSR[0], 3)


def test_service_routine_and_dpc_run_at_their_irql_and_the_dpc_once():
    host, buffer = made()
    seen = []

    def isr():
        seen.append(("isr", host.machine.irql))
        assert interrupt.queue_dpc()
        assert not interrupt.queue_dpc()
        host.registers.write_uchar(CSR[0], 8)
        return True

    interrupt = host.connect(isr, lambda: seen.append(("dpc", host.machine.irql)))
    program(host, int(buffer.la))
    assert seen == [], "nothing runs inside the write that starts it"
    host.run()
    assert seen == [("isr", Irql.DEVICE_LEVEL), ("dpc", Irql.DISPATCH_LEVEL)]
    assert host.machine.irql == Irql.PASSIVE_LEVEL
    assert (host.line.rises, host.line.level) == (1, False)


@pytest.mark.parametrize(("mine", "words"), [(True, "100 calls"), (False, "not its device's")])
def test_a_line_that_nobody_clears_is_a_storm(mine, words):
    host, buffer = made()
    host.connect(lambda: mine, lambda: None)
    program(host, int(buffer.la))
    with pytest.raises(InterruptStorm, match=words):
        host.run()


def test_a_dpc_that_queues_itself_for_ever_is_a_storm_and_one_that_ends_is_none():
    host, _ = made()
    ran = 0

    def dpc():
        nonlocal ran
        ran += 1
        if ran != DPC_STORM:
            line.queue_dpc()

    line = host.connect(lambda: True, dpc)
    line.queue_dpc()
    host.run()
    assert ran == DPC_STORM
    line.queue_dpc()
    with pytest.raises(DpcStorm, match="queues itself: it ran 1000 times"):
        host.run()


def test_without_a_service_routine_the_line_stays_up():
    host, buffer = made()
    host.connect(lambda: True, lambda: None)
    host.disconnect()
    program(host, int(buffer.la))
    host.run()
    assert host.line.level


def test_a_device_out_of_d0_moves_nothing_until_it_is_back():
    faults = Faults()
    host, buffer = made(trace=faults)
    host.machine.cpu_write(buffer.va, bytes(range(16)))
    host.leave_d0()
    assert host.registers.read_ulong(INTCSR) == 0xFFFF_FFFF
    host.enter_d0()
    program(host, int(buffer.la))
    host.run()
    assert host.device.local_bus.read(0, 16) == bytes(range(16))
    assert not faults.seen


def test_a_chip_without_power_management_only_loses_its_command_bits():
    host = host_of(Machine(FLAT), OLD_BOARD)
    host.leave_d0()
    assert host.device.config_read(4, 2) & 7 == 0
    host.enter_d0()
    assert host.device.config_read(4, 2) & 7 == 7


def test_a_circular_chain_ends_the_run_with_a_word():
    host, buffer = made()
    pointer = int(buffer.la) | 1
    host.machine.cpu_write(
        buffer.va, b"".join(word.to_bytes(4, "little") for word in (int(buffer.la) + 64, 0, 4, pointer))
    )
    host.machine.cpu_write(buffer.va + 64, bytes(4))
    host.registers.write_ulong(MODE[0], host.registers.read_ulong(MODE[0]) | 1 << 9)
    host.registers.write_ulong(0x90, pointer)
    host.registers.write_uchar(CSR[0], 3)
    with pytest.raises(RuntimeError, match="circular chain"):
        host.run(steps=50)


def test_a_device_that_waits_is_given_its_time():
    host, buffer = made()
    host.machine.cpu_write(buffer.va, b"".join(word.to_bytes(4, "little") for word in (0, int(buffer.la), 0, 3)))
    host.registers.write_ulong(MODE[0], host.registers.read_ulong(MODE[0]) | 1 << 9 | 1 << 20)
    host.registers.write_ulong(0x90, int(buffer.la) | 1)
    host.registers.write_uchar(CSR[0], 3)
    before = host.clock.now()
    host.run()
    assert host.clock.now() > before
    assert host.registers.read_uchar(CSR[0]) == 1, "it polls an invalid descriptor and never ends"


def test_a_finding_of_the_device_stands_at_the_register_write_that_let_it_run():
    host, _ = made(FLAT.verified())
    program(host, 0x5000)
    host.run()
    finding = host.machine.verifier.of(Misuse.DEVICE_ASTRAY)[0]
    assert finding.place.startswith("test_nthal_host.py:")
    assert finding.place.endswith(" in program")


def test_a_register_of_the_device_takes_a_logical_address_and_no_other():
    """The chip masks what it is given, and a masked address of another kind would be a number like any (CB-35)."""
    host, buffer = made()
    host.registers.write_ulong(PADR, buffer.la)
    assert host.registers.read_ulong(PADR) == int(buffer.la)
    for wrong in (buffer.va, buffer.frames.pa(0)):
        with pytest.raises(AddressKindError, match="CB-35"):
            host.registers.write_ulong(PADR, wrong)
    assert host.registers.read_ulong(PADR) == int(buffer.la)
