# SPDX-License-Identifier: Apache-2.0
"""What comes before every guest: its server started, its image built meanwhile, both sides on one core; then QEMU.

::

    with prepared(tc, image, backend=backend, logs=logs) as ready:
        with ready.boot(devices=ready.device(), logs=logs) as vm:
            report = vm.run_ktap()
"""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from plx9x5x.lab import defaults
from plx9x5x.lab.guest.image import GuestImage
from plx9x5x.lab.guest.machine import Device, VmSpec, card_address, vfio_user_pci
from plx9x5x.lab.guest.qmp import Qmp
from plx9x5x.lab.guest.shapes import PLAIN, Shape
from plx9x5x.lab.guest.vm import Companion, GuestVm
from plx9x5x.lab.host.placement import CorePicker
from plx9x5x.lab.host.server import Backend, DeviceServer
from plx9x5x.lab.toolchain import Toolchain
from plx9x5x.lab.witness.attach import QemuWitness


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

    def device(self, *, bus: str | None = None) -> tuple[Device, ...]:
        """The server's device for `boot`, behind the bridge `bus` if one is named; nothing without a server."""
        if self.server is None:
            return ()
        address = card_address(0) if bus is None else None
        return (vfio_user_pci(self.server.socket_path, address=address, bus=bus),)

    def trouble(self) -> str | None:
        """End the server; say what went wrong in it (`DeviceServer.trouble`)."""
        return None if self.server is None else self.server.trouble()

    @property
    def authors_error(self) -> str | None:
        """What ended it that is in the device's or the board's own code (`DeviceServer.authors_error`)."""
        return None if self.server is None else self.server.authors_error

    def boot(
        self,
        *,
        devices: tuple[Device, ...],
        logs: Path,
        timeout_s: float = defaults.TIMEOUT_S,
        shape: Shape = PLAIN,
        memory_mib: int | None = None,
        accel: str = "tcg",
        agent: socket.socket | None = None,
        files: socket.socket | None = None,
        qmp: Qmp | None = None,
        may_reboot: bool = False,
        processors: int = 1,
        companions: Sequence[Companion] = (),
        gdb: Path | None = None,
        witness: QemuWitness | None = None,
    ) -> GuestVm:
        """Start QEMU with `devices` in this order; `agent` is the far end of a channel to a program in the guest.

        `files` is that of a channel for files that it sends; `qmp` is connected to QEMU's monitor. The guest lives no
        longer than the server and each of `companions`. At the socket `gdb` a debugger can attach. `witness` is for a
        guest that `accel` "tcg" runs.

        Raises: SetupError, UnwritableWord for what the image cannot tell its kernel, PointlessMemory.
        """
        spec = VmSpec(
            self.tc.qemu.argv,
            self.tc.kernel.vmlinuz,
            self.initrd,
            append=(*shape.words, *self.image.kernel_words()),
            devices=(*shape.devices, *devices),
            memory_mib=shape.memory(memory_mib),
            accel=accel,
            cpus=self.cpus,
            may_reboot=may_reboot,
            processors=processors,
            gdb=gdb,
            plugin=None if witness is None else witness.option(),
            plugin_fds=() if witness is None else witness.fds,
        )
        all_of_them = (*(() if self.server is None else (self.server,)), *companions)
        return GuestVm.boot(
            spec, logs=logs, timeout_s=timeout_s, companions=all_of_them, agent=agent, files=files, qmp=qmp
        )


@contextlib.contextmanager
def prepared(tc: Toolchain, image: GuestImage, *, backend: Backend | None, logs: Path) -> Iterator[Ready]:
    """Have `backend` serve, None for a guest without a device, and make all else ready meanwhile.

    At the end nothing of the server is left. Raises: SetupError, LostVm.
    """
    picker = CorePicker()
    with contextlib.ExitStack() as stack:
        server = None if backend is None else stack.enter_context(DeviceServer.start(backend=backend, logs=logs))
        yield _ready(tc, image, server, picker)


def joined(tc: Toolchain, image: GuestImage, *, server: DeviceServer) -> Ready:
    """Make all else ready for a server that runs already, and stays when the guest is gone. Raises: SetupError, LostVm.

    The cores are watched only while the image is built: where it comes from the cache, any core may be picked.
    """
    return _ready(tc, image, server, CorePicker())


def _ready(tc: Toolchain, image: GuestImage, server: DeviceServer | None, picker: CorePicker) -> Ready:
    initrd = image.build(tc.kernel.modules, tc.cache)
    if server is not None:
        server.wait_ready()
    cpus = picker.pick()
    if server is not None and cpus is not None:
        server.place(cpus)
    return Ready(tc, image, initrd, server, cpus)
