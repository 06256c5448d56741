# SPDX-License-Identifier: Apache-2.0
"""QEMU's command line, with what must be right in it.

Three things go wrong in silence and are not left to the caller: guest memory is always shared (or DMA moves wrong
bytes), the message time-out is long (or one stall loses the device for good), and the report has its own channel.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError
from plx9x5x.lab import defaults

PORT_NAME: Final = "org.plx9x5x.ktap"
AGENT_PORT_NAME: Final = "org.plx9x5x.agent"
FILES_PORT_NAME: Final = "org.plx9x5x.files"
COMMAND_LINE_MAX: Final = 2047
"""What the kernel takes on x86; it cuts the rest in silence."""
MSG_TIMEOUT_MS: Final = 60_000
"""QEMU's default of 5 s loses the device for good at the first stall."""

_FIRST_CARD: Final = 2

# A machine with what a driver's test needs and nothing that takes time to probe.
_MACHINE: Final = "q35,memory-backend=ram,usb=off,sata=off,smbus=off,hpet=off,vmport=off"
# loglevel=5 shows a kernel's warnings; `quiet` would hide every WARN.
_BOOT_WORDS: Final = (
    "console=ttyS0",
    "loglevel=5",
    "panic=-1",
    "tsc=reliable",
    "no_timer_check",
    "random.trust_cpu=on",
    "mitigations=off",
    "nokaslr",
    "cryptomgr.notests",
    "8250.nr_uarts=1",
)


@dataclass(frozen=True, slots=True)
class Device:
    """One -device: the driver and its properties, for QEMU's JSON form (structured properties need it).

    `chardev` is the channel that a property names, as for -chardev.
    """

    driver: str
    properties: Mapping[str, object]
    chardev: str | None = None

    def json(self) -> str:
        """The option's value."""
        return json.dumps({"driver": self.driver, **self.properties})


def vfio_user_pci(socket_path: Path, *, address: str | None = None, bus: str | None = None) -> Device:
    """The device that a vfio-user server gives at `socket_path`; `address` is its slot, as '10.0', `bus` its bridge."""
    where = {key: value for key, value in (("addr", address), ("bus", bus)) if value is not None}
    return Device(
        "vfio-user-pci",
        {"socket": {"type": "unix", "path": str(socket_path)}, "x-msg-timeout": MSG_TIMEOUT_MS, **where},
    )


def card_address(number: int) -> str:
    """The slot of a card on the guest's first bus, counted from 0: the report's ports have the one before them."""
    return f"{_FIRST_CARD + number:x}.0"


def guest_name(address: str) -> str:
    """What the guest's kernel calls a device in a slot of its first bus."""
    slot, _, function = address.partition(".")
    return f"0000:00:{int(slot, 16):02x}.{function}"


def shared_folder(tag: str, socket_path: Path) -> Device:
    """A folder that virtiofsd gives at `socket_path`; the guest mounts it by its `tag`, which no other has."""
    properties = {"id": tag, "chardev": f"{tag}-channel", "tag": tag}
    return Device("vhost-user-fs-pci", properties, chardev=f"socket,id={tag}-channel,path={_value(socket_path)}")


def pci_bridge(name: str) -> Device:
    """A bridge to a conventional PCI bus of its own, with id `name`; what is behind it can be reset alone."""
    return Device("pci-bridge", {"id": name, "chassis_nr": 1, "shpc": False, "msi": "off"})


def pcie_root_port(name: str) -> Device:
    """A slot with id `name` where a device can come and go while the guest runs."""
    return Device("pcie-root-port", {"id": name, "chassis": 1, "slot": 1})


EDU: Final = Device("edu", {})
"""QEMU's own teaching device: the yardstick for register accesses."""


@dataclass(frozen=True, slots=True)
class VmSpec:
    """What to boot. `qemu` is the program with its leading options; `append` goes on the kernel's command line.

    `accel` is what QEMU takes ('tcg' or 'kvm'); `cpus` are the host's cores for it, None for all of ours. A guest that
    reboots ends QEMU, unless `may_reboot`: then the same process starts it again, devices and memory as they are.
    """

    qemu: tuple[str, ...]
    kernel: Path
    initrd: Path
    append: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    memory_mib: int = defaults.MEMORY_MIB
    accel: str = "tcg"
    cpus: frozenset[int] | None = None
    may_reboot: bool = False
    processors: int = 1
    gdb: Path | None = None
    """Where a debugger can attach: a unix socket that QEMU makes."""
    plugin: str | None = None
    """The value of -plugin: the file and its options."""
    plugin_fds: tuple[int, ...] = ()
    """What the plugin's options name; QEMU inherits them."""

    def command_line(
        self,
        *,
        serial: Path,
        report_fd: int | None = None,
        agent_fd: int | None = None,
        files_fd: int | None = None,
        qmp_fd: int | None = None,
    ) -> list[str]:
        """QEMU's whole argument vector; `report_fd` is a connected socket that it inherits, for the report.

        `agent_fd` is another one, for requests to a program in the guest, `files_fd` one for files that it sends,
        `qmp_fd` one for QEMU's own monitor.

        Raises: SetupError if the kernel would cut its command line.
        """
        words = " ".join((*_BOOT_WORDS, *self.append))
        if len(words) > COMMAND_LINE_MAX:
            raise SetupError(
                f"the kernel's command line has {len(words)} characters, it takes {COMMAND_LINE_MAX}",
                hint="pass fewer arguments to the guest",
            )
        channels = (device.chardev for device in self.devices)
        devices = (word for device in self.devices for word in ("-device", device.json()))
        return [
            *self.qemu,
            *("-M", _MACHINE, "-accel", self.accel, "-m", f"{self.memory_mib}M"),
            *("-object", f"memory-backend-memfd,id=ram,size={self.memory_mib}M,share=on"),
            *(() if self.processors == 1 else ("-smp", str(self.processors))),
            *("-nodefaults", "-no-user-config", "-display", "none"),
            *(() if self.may_reboot else ("-no-reboot",)),
            *("-serial", f"file:{serial}"),
            *_ports(
                ("report", PORT_NAME, report_fd),
                ("agent", AGENT_PORT_NAME, agent_fd),
                ("files", FILES_PORT_NAME, files_fd),
            ),
            *(() if self.plugin is None else ("-plugin", self.plugin)),
            *(() if self.gdb is None else ("-gdb", f"unix:{_value(self.gdb)},server=on,wait=off")),
            *(() if qmp_fd is None else ("-chardev", f"socket,id=qmp,fd={qmp_fd}", "-qmp", "chardev:qmp")),
            *(word for chardev in channels if chardev is not None for word in ("-chardev", chardev)),
            *devices,
            *("-kernel", str(self.kernel), "-initrd", str(self.initrd), "-append", words),
        ]


def _value(path: Path) -> str:
    """A path as a value among options that commas separate."""
    return str(path).replace(",", ",,")


def _ports(*wanted: tuple[str, str, int | None]) -> Iterator[str]:
    """A virtio-serial port for each (id, name, socket); a socket of None is none. Port 0 is the console's."""
    given = [(channel, name, fd) for channel, name, fd in wanted if fd is not None]
    if given:
        yield from ("-device", f"virtio-serial-pci,max_ports={len(given) + 1}")
    for channel, name, fd in given:
        yield from ("-chardev", f"socket,id={channel},fd={fd}")
        yield from ("-device", f"virtserialport,chardev={channel},name={name}")
