# SPDX-License-Identifier: Apache-2.0
"""Before every guest: server, image and core, in this order, and QEMU told of all three."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from plx9x5x.lab.guest import launch
from plx9x5x.lab.guest.image import GuestImage
from plx9x5x.lab.guest.machine import EDU
from plx9x5x.lab.guest.shapes import IOMMU
from plx9x5x.lab.guest.vm import GuestVm
from plx9x5x.lab.host.server import Backend, DeviceServer
from plx9x5x.lab.toolchain import GuestKernel, Qemu, Toolchain

BACKEND = Backend(("server",))


class Stage:
    """Everything around the launch: says in `happened` what was done, in order; its server and image only pose."""

    socket_path = Path("/nowhere/s")

    def __init__(self, folder: Path) -> None:
        kernel = GuestKernel("6.1", "6.1.0", folder / "vmlinuz", folder, folder, ())
        self.tc = Toolchain(Qemu(("qemu",), "11", "test"), kernel, folder / "busybox", folder / "lib.so", folder / "c")
        self.image = cast("GuestImage", self)
        self.happened: list[str] = []
        self.booted: dict[str, Any] = {}

    # as an image
    def build(self, modules: Path, cache: Path) -> Path:
        assert (modules, cache) == (self.tc.kernel.modules, self.tc.cache)
        self.happened.append("built")
        return Path("/initrd")

    def kernel_words(self) -> tuple[str, ...]:
        return ("plx.mode=x",)

    # as a server
    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self.happened.append("ended")

    def wait_ready(self) -> None:
        self.happened.append("ready")

    def place(self, cpus: frozenset[int]) -> None:
        self.happened.append(f"placed {sorted(cpus)}")

    def trouble(self) -> str:
        return "trouble"

    # as the classes that are replaced
    def start(self, *, backend: Backend, logs: Path) -> "Stage":
        assert (backend, logs) == (BACKEND, Path("logs"))
        self.happened.append("started")
        return self

    def boot(self, spec: object, **options: object) -> str:
        self.booted = {"spec": spec, **options}
        return "vm"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    monkeypatch.setattr(DeviceServer, "start", stage.start)
    monkeypatch.setattr(GuestVm, "boot", stage.boot)
    monkeypatch.setattr(launch.CorePicker, "pick", lambda _: frozenset({1}))
    return stage


def test_server_comes_up_while_the_image_is_built_and_ends_with_the_block(stage: Stage) -> None:
    with launch.prepared(stage.tc, stage.image, backend=BACKEND, logs=Path("logs")) as ready:
        assert stage.happened == ["started", "built", "ready", "placed [1]"]
        assert (ready.initrd, ready.cpus, ready.trouble()) == (Path("/initrd"), frozenset({1}), "trouble")
    assert stage.happened[-1] == "ended"


def test_guest_without_a_device_needs_no_server(stage: Stage) -> None:
    with launch.prepared(stage.tc, stage.image, backend=None, logs=Path("logs")) as ready:
        assert (ready.device(), ready.trouble(), ready.cpus) == ((), None, frozenset({1}))
        ready.boot(devices=(), logs=Path("logs"))
    assert stage.happened == ["built"]
    assert stage.booted["companions"] == ()


def test_server_that_runs_already_is_joined_and_left_alone(stage: Stage) -> None:
    ready = launch.joined(stage.tc, stage.image, server=cast("DeviceServer", stage))
    assert stage.happened == ["built", "ready", "placed [1]"]
    assert ready.server is cast("DeviceServer", stage)


def test_host_with_one_core_is_left_alone(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.CorePicker, "pick", lambda _: None)
    assert launch.joined(stage.tc, stage.image, server=cast("DeviceServer", stage)).cpus is None
    assert stage.happened == ["built", "ready"]


def test_a_shapes_device_and_words_come_before_all_others(stage: Stage) -> None:
    ready = launch.joined(stage.tc, stage.image, server=cast("DeviceServer", stage))
    ready.boot(devices=ready.device(), logs=Path("l"), shape=IOMMU, may_reboot=True)
    spec = stage.booted["spec"]
    assert [device.driver for device in spec.devices] == ["intel-iommu", "vfio-user-pci"]
    assert spec.append == ("intel_iommu=on", "plx.mode=x")
    assert (spec.memory_mib, spec.may_reboot) == (256, True)


def test_qemu_is_told_what_was_made_ready(stage: Stage) -> None:
    ready = launch.joined(stage.tc, stage.image, server=cast("DeviceServer", stage))
    near, far = socket.socketpair()
    with near, far:
        devices = (EDU, *ready.device(bus="b"))
        vm = ready.boot(devices=devices, logs=Path("l"), timeout_s=7, memory_mib=512, accel="kvm", agent=far)
        assert cast("str", vm) == "vm"
        spec = stage.booted.pop("spec")
        assert stage.booted == {
            "logs": Path("l"),
            "timeout_s": 7,
            "companions": (stage,),
            "agent": far,
            "files": None,
            "qmp": None,
        }
    assert (spec.qemu, spec.kernel, spec.initrd) == (("qemu",), stage.tc.kernel.vmlinuz, Path("/initrd"))
    assert (spec.append, spec.memory_mib, spec.accel, spec.cpus) == (("plx.mode=x",), 512, "kvm", frozenset({1}))
    assert [device.driver for device in spec.devices] == ["edu", "vfio-user-pci"]
    assert spec.devices[1].properties["bus"] == "b"
    assert os.fspath(stage.socket_path) in spec.devices[1].json()
