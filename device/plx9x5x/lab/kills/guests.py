# SPDX-License-Identifier: Apache-2.0
"""QEMU killed while its guest boots, and while a ring runs in it: the server is there for the next one."""

import os
import random
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestFile, GuestImage
from plx9x5x.lab.guest.launch import joined
from plx9x5x.lab.host.server import DeviceServer
from plx9x5x.lab.kills.clients import Watch
from plx9x5x.lab.kills.tally import Tally
from plx9x5x.lab.kills.traces import LIMIT_S
from plx9x5x.lab.toolchain import Toolchain

GONE: Final = "the kernel ends it"
"""Until then its connection is open, and nobody can know."""
FIRST_S: Final = 0.1
RINGS_FOR_S: Final = 1.0
"""At most, before the kill."""

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
    """Kill so many, every second one with its ring running, the others while their guest boots.

    Raises: LostVm, SetupError, Wrong, OSError.
    """
    tally = Tally(what)
    watch = Watch(server.pid, server.socket_path, tally)
    ready = joined(tc, ring_image(guest_sources.base_image(tc, guest_sources.find()), logs), server=server)
    lives, boot_s = [], FIRST_S
    for number in range(count):
        draw = random.Random(f"{seed} guest {number}")  # noqa: S311 - the same instants each time
        rings = number % 2 == 0
        with ready.boot(devices=ready.device(), logs=logs) as vm:
            if rings:
                vm.wait_for("ring: csr")
                boot_s = vm.seconds
            time.sleep(draw.uniform(0, RINGS_FOR_S) if rings else draw.uniform(FIRST_S, max(FIRST_S, boot_s)))
            vm.check()
            lives.append(vm.seconds)
            with _end_of(vm.pid) as ended:
                killed = time.monotonic()
                os.kill(vm.pid, signal.SIGKILL)
                watch.next_client(killed, f"guest {number}, {lives[-1]:.2f} s old")
            tally.took(GONE, ended[0] - killed)
        watch.audit()
    watch.conclude()
    tally.notes.append(f"lives of {min(lives):.1f} to {max(lives):.1f} s, every second one with the ring running")
    return tally


@contextmanager
def _end_of(pid: int) -> Iterator[list[float]]:
    """Give a list that has the moment at which a child of ours ended, once the context is left."""
    ended: list[float] = []
    poll, pidfd = select.poll(), os.pidfd_open(pid)

    def wait() -> None:
        poll.poll(LIMIT_S * 1e3)
        ended.append(time.monotonic())

    poll.register(pidfd, select.POLLIN)
    watcher = threading.Thread(target=wait)
    watcher.start()
    try:
        yield ended
    finally:
        watcher.join()
        os.close(pidfd)
