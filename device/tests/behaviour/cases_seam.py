# SPDX-License-Identifier: Apache-2.0
"""What passes between driver and chip whatever carries it: widths, both register windows, the level of INTA#."""

from tests.behaviour.driver import PORTS, SPACE0, Driver, behaviour


@behaviour("MBOX4.value")
def each_byte_lane_is_written_and_read_by_itself(driver: Driver) -> None:
    driver.write(0x50, 0x1122_3344)
    driver.write(0x51, 0xAA, 1)
    driver.write(0x52, 0xBBCC, 2)
    assert driver.read(0x50) == 0xBBCC_AA44
    assert [driver.read(0x50 + lane, 1) for lane in range(4)] == [0x44, 0xAA, 0xCC, 0xBB]
    assert [driver.read(0x50 + lane, 2) for lane in (0, 2)] == [0xAA44, 0xBBCC]
    assert driver.read(0x54) == 0


@behaviour("LAS0BA.enable")
def each_width_reaches_local_memory(driver: Driver) -> None:
    driver.write(0x40, 0x0403_0201, bar=SPACE0)
    driver.write(0x41, 0x99, 1, bar=SPACE0)
    driver.write(0x42, 0x7788, 2, bar=SPACE0)
    assert driver.read(0x40, bar=SPACE0) == 0x7788_9901
    assert driver.read(0x43, 1, bar=SPACE0) == 0x77


@behaviour("MBOX5.value", "DMACSR0.enable", "LMISC1.io_bar", "PCICR.io")
def the_ports_show_the_same_registers_as_memory(driver: Driver) -> None:
    for offset in (0x00, 0x04, 0x18, 0x50, 0x68, 0x6C, 0x70, 0x80, 0xF0):
        assert driver.read(offset, bar=PORTS) == driver.read(offset), hex(offset)
    driver.write(0x54, 0xCAFE_F00D, bar=PORTS)
    assert driver.read(0x54) == 0xCAFE_F00D
    driver.write(0x54, 0x5A, 1)
    assert driver.read(0x54, 2, bar=PORTS) == 0xF05A
    driver.write(0xA8, 1, 1, bar=PORTS)
    assert driver.read(0xA8, 1) == 0x11


@behaviour(
    "INTCSR.dma0_enable",
    "INTCSR.dma0_active",
    "INTCSR.pci_enable",
    "DMAMODE0.done_intr",
    "DMAMODE0.to_inta",
    "DMACSR0.clear_intr",
)
def inta_follows_latch_enables_and_acknowledge(driver: Driver) -> None:
    buffer = driver.buffer(64)
    driver.write(0x68, 0x0005_0100)
    assert not driver.inta()
    driver.write(0x80, 0x2_0443)
    driver.write(0x84, buffer.bus)
    driver.write(0x88, driver.memory_at)
    driver.write(0x8C, 4)
    driver.write(0x90, 8)
    driver.write(0xA8, 3, 1)
    driver.settle()
    assert driver.inta()
    assert driver.inta(), "a level: looking does not take it away"
    assert driver.read(0x68) == 0x0F25_0100
    assert driver.inta(), "nor does reading the status"
    driver.write(0x68, 0x0001_0100)
    assert not driver.inta(), "the channel may not interrupt"
    driver.write(0x68, 0x0005_0000)
    assert not driver.inta(), "nothing may drive INTA#"
    driver.write(0x68, 0x0005_0100)
    assert driver.inta()
    driver.write(0xA8, 0x09, 1)
    assert not driver.inta()
    assert driver.read(0x68) == 0x0F05_0100


@behaviour("INTCSR.abort_active", "INTCSR.abort_enable", "INTCSR.not_dma0", "PCISR.received_master_abort")
def a_bus_error_interrupts_until_its_status_is_cleared(driver: Driver) -> None:
    driver.write(0x68, 0x0001_0500)
    driver.write(0x84, 0xF800_0000)
    driver.write(0x88, driver.memory_at)
    driver.write(0x8C, 4)
    driver.write(0x90, 8)
    driver.write(0xA8, 3, 1)
    driver.settle()
    assert driver.inta()
    assert driver.read(0x68) == 0x0D01_4500
    assert driver.read(0xA8, 1) == 0x01
    driver.write(0xA8, 4, 1)
    driver.settle()
    assert driver.read(0xA8, 1) == 0x10
    assert driver.inta()
    driver.config_write(6, 0x2000, 2)
    assert not driver.inta(), "cleared in configuration space, with no register access"
    assert driver.read(0x68) == 0x0F01_0500


@behaviour("DMACSR0.done", "PCICR.bus_master")
def a_case_finds_nothing_of_the_one_before(driver: Driver) -> None:
    """Leaves a mess, twice: a guest runs it after, and before, others of its kind."""
    assert driver.read(0x48) == 0
    assert driver.read(0x68) == 0x0F01_0100
    assert driver.read(0x84) == 0
    assert driver.read(0xA8, 1) == 0x10
    assert driver.read(0x200, bar=SPACE0) == 0
    assert not driver.inta()
    buffer = driver.buffer(16)
    assert buffer.read(0, 16) == b"\xa5" * 16
    driver.write(0x48, 0xFFFF_FFFF)
    driver.write(0x200, 0x1234_5678, bar=SPACE0)
    driver.config_write(4, driver.config_read(4, 2) & ~4, 2)
    driver.write(0x84, buffer.bus)
    driver.write(0x8C, 16)
    driver.write(0x90, 8)
    driver.write(0xA8, 3, 1)
    driver.settle()
    assert driver.read(0xA8, 1) == 0x01
