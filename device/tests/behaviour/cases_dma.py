# SPDX-License-Identifier: Apache-2.0
"""Behaviour of the DMA channels (reference section 4)."""

import struct

from tests.behaviour.driver import SINCE_9056, SPACE0, Driver, behaviour


@behaviour("DMACSR0.enable", "DMACSR0.start", "DMACSR0.done", "DMASIZ0.count", "DMAPADR0.address")
def block_to_local_moves_the_bytes(driver: Driver) -> None:
    data = bytes(range(1, 65))
    buffer = driver.buffer(64)
    buffer.write(0, data)
    driver.write(0x84, buffer.bus)
    driver.write(0x88, driver.memory_at)
    driver.write(0x8C, 64)
    driver.write(0x90, 0)
    driver.write(0xA8, 3, 1)
    driver.settle()
    assert driver.read(0xA8, 1) == 0x11
    assert driver.read(0, 4, bar=SPACE0) == int.from_bytes(data[:4], "little")


@behaviour("DMADPR0.to_pci", "DMASIZ0.count", "DMALADR0.address", "DMACSR0.start")
def block_to_pci_moves_the_bytes_and_no_others(driver: Driver) -> None:
    buffer = driver.buffer(4096)
    for at in range(0, 16, 4):
        driver.write(0x100 + at, 0x0302_0100 + 0x0404_0404 * (at // 4), bar=SPACE0)
    driver.write(0x84, buffer.bus + 8)
    driver.write(0x88, driver.memory_at + 0x100)
    driver.write(0x8C, 16)
    driver.write(0x90, 8)
    driver.write(0xA8, 3, 1)
    driver.settle()
    assert driver.read(0xA8, 1) == 0x11
    assert driver.read(0x84) == buffer.bus + 8
    assert driver.read(0x8C) == 16
    assert buffer.read(0, 32) == b"\xa5" * 8 + bytes(range(16)) + b"\xa5" * 8


@behaviour("DMAMODE1.chain", "DMADPR1.in_pci_memory", "DMADPR1.end_of_chain", "DMADPR1.next", "DMACSR1.done")
def a_chain_in_pci_memory_goes_both_ways_and_shows_its_last_descriptor(driver: Driver) -> None:
    data = bytes(range(0x40, 0x60))
    buffer, ring = driver.buffer(256), driver.buffer(64)
    buffer.write(0, data)
    first = (buffer.bus, driver.memory_at + 0x40, 32, ring.bus + 32 | 1)
    last = (buffer.bus + 128, driver.memory_at + 0x48, 16, 8 | 2)
    ring.write(0, struct.pack("<4I", *first))
    ring.write(32, struct.pack("<4I", *last))
    driver.write(0x94, 0x243)
    driver.write(0xA4, ring.bus | 1)
    driver.write(0xA9, 3, 1)
    driver.settle()
    assert driver.read(0xA9, 1) == 0x11
    assert driver.read(0xA8, 1) == 0x10
    assert (driver.read(0x98), driver.read(0x9C), driver.read(0xA0), driver.read(0xA4)) == last
    assert buffer.read(128, 20) == data[8:24] + b"\xa5" * 4


@behaviour(
    "DMAMODE0.valid_mode",
    "DMAMODE0.valid_stop",
    "DMAMODE0.clear_count",
    "DMASIZ0.valid",
    chips=SINCE_9056,
)
def a_valid_ring_stops_at_a_used_descriptor_and_goes_on_once_it_is_valid_again(driver: Driver) -> None:
    buffer, ring = driver.buffer(64), driver.buffer(32)
    buffer.write(0, bytes(range(8)))

    def descriptor(index: int, count: int) -> bytes:
        return struct.pack(
            "<4I", 1 << 31 | count, buffer.bus, driver.memory_at + 16 * index, ring.bus + 16 * (1 - index) | 1
        )

    driver.write(0x8C, 0x8000_0001)
    assert driver.read(0x8C) == 0x8000_0001
    ring.write(0, descriptor(0, 4) + descriptor(1, 8))
    driver.write(0x80, 0x31_0243)
    driver.write(0x90, ring.bus | 1)
    driver.write(0xA8, 3, 1)
    driver.settle()
    assert driver.read(0xA8, 1) == 0x11
    assert driver.read(0x84) == 0, "valid mode shows DMASIZ0 here, and the write-back cleared it in memory"
    assert ring.read(0, 4) + ring.read(16, 4) == bytes(8)
    assert driver.read(16, 4, bar=SPACE0) == 0x0302_0100
    ring.write(0, descriptor(0, 8))
    driver.write(0xA8, 3, 1)
    driver.settle()
    assert driver.read(0xA8, 1) == 0x11
    assert driver.read(4, 4, bar=SPACE0) == 0x0706_0504


@behaviour("PCICR.bus_master", "DMACSR0.done")
def without_bus_mastering_a_transfer_is_held_and_then_goes_on(driver: Driver) -> None:
    buffer = driver.buffer(64)
    command = driver.config_read(4, 2)
    driver.config_write(4, command & ~4, 2)
    driver.write(0x84, buffer.bus)
    driver.write(0x88, driver.memory_at)
    driver.write(0x8C, 8)
    driver.write(0x90, 8)
    driver.write(0xA8, 3, 1)
    driver.settle()
    assert driver.read(0xA8, 1) == 0x01
    assert buffer.read(0, 8) == b"\xa5" * 8
    driver.config_write(4, command | 4, 2)
    driver.settle()
    assert driver.read(0xA8, 1) == 0x11
    assert buffer.read(0, 12) == bytes(8) + b"\xa5" * 4


@behaviour("DMAMODE0.valid_mode", "DMAMODE0.valid_stop", chips=SINCE_9056)
def a_polled_ring_goes_on_by_itself_once_its_descriptor_is_valid(driver: Driver) -> None:
    buffer, ring = driver.buffer(64), driver.buffer(16)
    ring.write(0, struct.pack("<4I", 4, buffer.bus, driver.memory_at, ring.bus | 1))
    buffer.write(0, b"ring")
    driver.write(0x80, 0x11_0243)
    driver.write(0x90, ring.bus | 1)
    driver.write(0xA8, 3, 1)
    driver.settle()
    assert driver.read(0xA8, 1) == 0x01
    assert driver.read(0, bar=SPACE0) == 0
    ring.write(0, struct.pack("<I", 1 << 31 | 4))
    driver.settle()
    assert driver.read(0, bar=SPACE0) == int.from_bytes(b"ring", "little")
    assert ring.read(0, 4) == bytes(4)
    assert driver.read(0xA8, 1) == 0x01
    driver.write(0xA8, 4, 1)
    driver.settle()
    assert driver.read(0xA8, 1) == 0x10
