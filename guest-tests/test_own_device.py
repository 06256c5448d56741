# SPDX-License-Identifier: Apache-2.0
"""A device that is no PLX: the plugin's fixtures serve it and boot a guest with it."""

from dataclasses import replace
from pathlib import Path

import pytest

from plx9x5x.lab.guest.image import GuestFile, GuestImage
from plx9x5x.lab.pytest_plugin import BootGuest

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]

DEVICE = Path(__file__).with_name("own_device.py")

ADD = """#!/bin/busybox sh
[ "$1" = --output ] && exec >"$2"
bb=/bin/busybox
echo "KTAP version 1"
echo "1..2"
device=/nowhere
for each in /sys/bus/pci/devices/*; do
    [ "$($bb cat $each/vendor):$($bb cat $each/device)" = 0x1234:0xadd0 ] && device=$each
done
echo 1 >$device/enable && echo "ok 1 the_device_is_there" || echo "not ok 1 the_device_is_there"
set -- $($bb cat $device/resource)
$bb devmem $1 32 0xfffffff0
$bb devmem $(($1 + 4)) 32 0x12
sum=$($bb devmem $(($1 + 8)) 32)
echo "# sum $sum"
[ "$sum" = 0x00000002 ] && echo "ok 2 it_adds" || echo "not ok 2 it_adds"
"""


@pytest.mark.plx_device(f"{DEVICE}:Adder")
def test_guest_uses_a_device_of_ones_own(plx_image: GuestImage, plx_vm: BootGuest, tmp_path: Path) -> None:
    script = tmp_path / "add"
    script.write_text(ADD, encoding="ascii")
    files = {**plx_image.files, "bin/add": GuestFile(script, 0o755)}
    with plx_vm(replace(plx_image, files=files, words=("plx.run=/bin/add",))) as vm:
        report = vm.run_ktap()
        assert not vm.oopses
        assert not vm.vfio_errors()
    assert report.ok, report.summary()
    assert report.passed == 2
