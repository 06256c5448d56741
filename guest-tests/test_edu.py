# SPDX-License-Identifier: Apache-2.0
"""QEMU's own `edu` and the one of docs/your-own-device.md in one guest, under one driver: they answer alike."""

from dataclasses import replace

import pytest

from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestFile
from plx9x5x.lab.guest.launch import prepared
from plx9x5x.lab.guest.machine import EDU
from plx9x5x.lab.host.server import device_backend
from plx9x5x.lab.toolchain import build_folder, load
from tests import pages

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]

PAGE = pages.ROOT / "docs" / "your-own-device.md"
DRIVER = pages.ROOT / "guest-tests" / "try" / "edu"

# A card of theirs says `report` where the driver took it.
ASK = """#!/bin/busybox sh
[ "$1" = --output ] && exec >"$2"
bb=/bin/busybox
echo "KTAP version 1"
echo "1..2"
number=0
for card in /sys/bus/pci/drivers/edu_check/0*; do
    number=$((number + 1))
    $bb sed 's/^/# /' $card/report
    echo "ok $number ${card##*/}"
done
"""


@pytest.fixture(scope="module")
def answers(kernel: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What each of the two says, a line each: 'ours' is served by us."""
    folder = tmp_path_factory.mktemp("edu")
    pages.write_files(PAGE, folder)
    (folder / "ask").write_text(ASK, encoding="ascii")
    tc = load(kernel=kernel)
    (module,) = build_folder(tc, DRIVER).modules
    image = guest_sources.base_image(tc, guest_sources.find())
    image = replace(
        image,
        own_modules=(module,),
        files={**image.files, "bin/ask": GuestFile(folder / "ask", 0o755)},
        words=("plx.run=/bin/ask",),
    )
    with (
        prepared(tc, image, backend=device_backend(f"{folder}/edu.py:Edu"), logs=folder) as ready,
        ready.boot(devices=(*ready.device(), replace(EDU, properties={"addr": "9.0"})), logs=folder) as vm,
    ):
        report = vm.run_ktap()
        assert not vm.oopses
        assert not vm.vfio_errors()
        assert ready.trouble() is None
    assert report.ok, report.summary()
    said = {case.name: list(case.diagnostics) for case in report.cases}
    theirs = said.pop("0000:00:09.0")
    (ours,) = said.values()
    return {"ours": ours, "theirs": theirs}


def test_both_give_the_same_answers(answers: dict[str, list[str]]) -> None:
    assert answers["ours"] == answers["theirs"]


def test_they_are_those_of_the_specification(answers: dict[str, list[str]]) -> None:
    told = dict(line.rsplit(" ", 1) for line in answers["theirs"])
    assert told["identification"] == "010000ed"
    assert told["liveness of 12345678"] == "edcba987"
    assert told["factorial of 12"] == f"{479001600:08x}"
    assert told["DMA raises"] == "00000100"
    assert told["raised with 2 and 4"] == "00000006"
    assert told["interrupts left over"] == "0"
    assert len(answers["theirs"]) > 40
