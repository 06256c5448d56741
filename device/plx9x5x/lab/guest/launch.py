# SPDX-License-Identifier: Apache-2.0
"""What comes before every guest: its image built while the server starts, both sides on one core, QEMU's command line.

::

    with DeviceServer.start(backend=..., logs=logs) as server:          # returns at once
        ready = prepare(tc, image, server)                              # image built, server ready and placed
        with ready.boot(devices=(vfio_user_pci(server.socket_path),), logs=logs) as vm:
            report = vm.run_ktap()
"""

import socket
from dataclasses import dataclass
from pathlib import Path

from plx9x5x.lab import defaults
from plx9x5x.lab.guest.image import GuestImage
from plx9x5x.lab.guest.machine import Device, VmSpec
from plx9x5x.lab.guest.vm import GuestVm
from plx9x5x.lab.host.placement import CorePicker
from plx9x5x.lab.host.server import DeviceServer
from plx9x5x.lab.toolchain import Toolchain


@dataclass(frozen=True, slots=True)
class Ready:
    """A guest that only has to be booted. `server` gives its device, None for a guest without one.

    `cpus` is the core that both shall run on, None for any.
    """

    tc: Toolchain
    image: GuestImage
    initrd: Path
    server: DeviceServer | None
    cpus: frozenset[int] | None

    def boot(
        self,
        *,
        devices: tuple[Device, ...],
        logs: Path,
        timeout_s: float = defaults.TIMEOUT_S,
        memory_mib: int = defaults.MEMORY_MIB,
        accel: str = "tcg",
        agent: socket.socket | None = None,
    ) -> GuestVm:
        """Start QEMU with `devices` in this order; `agent` is the far end of a channel to a program in the guest.

        Raises: SetupError.
        """
        spec = VmSpec(
            self.tc.qemu.argv,
            self.tc.kernel.vmlinuz,
            self.initrd,
            append=self.image.kernel_words(),
            devices=devices,
            memory_mib=memory_mib,
            accel=accel,
            cpus=self.cpus,
        )
        companions = () if self.server is None else (self.server,)
        return GuestVm.boot(spec, logs=logs, timeout_s=timeout_s, companions=companions, agent=agent)


def prepare(tc: Toolchain, image: GuestImage, server: DeviceServer | None) -> Ready:
    """Build `image` while `server` comes up, then have it run where the guest will. Raises: SetupError, LostVm."""
    picker = CorePicker()
    initrd = image.build(tc.kernel.modules, tc.cache)
    if server is not None:
        server.wait_ready()
    cpus = picker.pick()
    if server is not None and cpus is not None:
        server.place(cpus)
    return Ready(tc, image, initrd, server, cpus)
