# SPDX-License-Identifier: Apache-2.0
"""QEMU killed at any instant of a guest's life, in the end with a ring running: the server is there for the next."""

import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestFile, GuestImage
from plx9x5x.lab.guest.launch import joined
from plx9x5x.lab.host.server import DeviceServer
from plx9x5x.lab.kills.clients import Watch
from plx9x5x.lab.kills.tally import Tally
from plx9x5x.lab.toolchain import Toolchain

FIRST_S: Final = 0.1
RINGS_FOR_S: Final = 1.0
"""How long the ring runs at most before the kill."""

# A circular chain of one descriptor in the board's SRAM, to guest memory that the guest's kernel was told not to use.
# No driver: it shall run when QEMU dies, and nobody must stop it. Registers: reference, sections 1 and 4.
RING_FOREVER: Final = """#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev
for dev in /sys/bus/pci/devices/*; do
    [ "$($bb cat $dev/vendor)" = 0x10b5 ] && break
done
$bb printf '\\006' | $bb dd of=$dev/config bs=1 seek=4 conv=notrunc 2>/dev/null
set -- $($bb cut -d' ' -f1 $dev/resource)
bar0=$1 sram=$3
$bb devmem $((sram + 0x100)) 32 0x0e000000
$bb devmem $((sram + 0x104)) 32 0x1000
$bb devmem $((sram + 0x108)) 32 0x4000
$bb devmem $((sram + 0x10c)) 32 0x108
$bb devmem $((bar0 + 0x80)) 32 0x243
$bb devmem $((bar0 + 0x90)) 32 0x108
$bb devmem $((bar0 + 0xa8)) 8 0x03
$bb usleep 200000
echo "ring: csr $($bb devmem $((bar0 + 0xa8)) 8) pci $($bb devmem $((bar0 + 0x84)) 32)"
while :; do $bb sleep 60; done
"""


def ring_image(base: GuestImage, folder: Path) -> GuestImage:
    """A guest that starts a ring, says `ring: csr ...` on its console, and never ends; its script goes to `folder`."""
    script = folder / "ring-init"
    script.write_text(RING_FOREVER, encoding="ascii")
    return replace(base, files={**base.files, "init": GuestFile(script, 0o755)}, words=("mem=192M",))


def kill_guests(tc: Toolchain, server: DeviceServer, count: int, *, seed: int, logs: Path, what: str = "QEMU") -> Tally:
    """Kill so many, each with a guest that boots or runs its ring. Raises: LostVm, SetupError, Wrong, OSError."""
    tally = Tally(what)
    watch = Watch(server.pid, server.socket_path, tally)
    ready = joined(tc, ring_image(guest_sources.base_image(tc, guest_sources.find()), logs), server=server)
    lives, ringing_s = [], 0.0
    for number in range(-1, count):
        draw = random.Random(f"{seed} guest {number}")  # noqa: S311 - the same instants each time
        with ready.boot(devices=ready.device(), logs=logs) as vm:
            if number < 0:  # how long such a life is
                vm.wait_for("ring: csr")
                ringing_s = vm.seconds
            else:
                time.sleep(draw.uniform(FIRST_S, ringing_s + RINGS_FOR_S))
            vm.check()
            lives.append(vm.seconds)
            killed = time.monotonic()
            os.kill(vm.pid, signal.SIGKILL)
            watch.next_client(killed, f"guest {number}, {lives[-1]:.2f} s old")
        watch.audit()
    ringing = sum(life >= ringing_s for life in lives)
    tally.notes.append(f"lives of {min(lives):.1f} to {max(lives):.1f} s, {ringing} of them with the ring running")
    return tally
