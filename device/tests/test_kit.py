# SPDX-License-Identifier: Apache-2.0
"""The kit serves a device that is no PLX, and brings nothing of the card along. A guest uses it in guest-tests."""

import runpy
import subprocess
import sys
from pathlib import Path

from plx9x5x.transport.loopback import Loopback

DEVICE = Path(__file__).parents[2] / "guest-tests/own_device.py"

# What the fixtures and a launcher of one's own import, beside the device's own imports.
KIT = "lab.guest.launch lab.guest.sources lab.host.runs lab.report.junit lab.pytest_plugin transport.loopback faults.grammar faults.device own.client_record own.config own.factory"
CARD = "peripheral events board boards chip_faults model trace cli lab.card lab.contract lab.agent lab.session"
TABLES = "regs.family regs.profile regs.catalog regs.config regs.local regs.intr regs.dma regs.eeprom_map"

LOADED = """
import importlib, runpy, sys
runpy.run_path(sys.argv[1])
for name in sys.argv[2].split():
    importlib.import_module(f"plx9x5x.{name}")
print(*(name for name in sys.modules if name.startswith("plx9x5x.")))
"""


def loaded(modules: str) -> set[str]:
    argv = [sys.executable, "-c", LOADED, DEVICE, modules]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return {name.removeprefix("plx9x5x.") for name in done.stdout.split()}


def test_device_of_ones_own_runs_on_the_kit() -> None:
    host = Loopback(runpy.run_path(str(DEVICE))["Adder"])
    host.device.write(0, 0, 4, 0xFFFF_FFF0)
    host.device.write(0, 4, 2, 0x12)
    assert host.device.read(0, 8, 4) == 2
    assert host.device.config_read(0, 4) == 0xADD0_1234


def test_the_kit_brings_nothing_of_the_card_along() -> None:
    assert set(KIT.split()) <= (there := loaded(KIT))
    assert there & set((CARD + " " + TABLES).split()) == set()


def test_what_belongs_to_the_card_is_noticed() -> None:
    assert {"events", "regs.profile"} <= loaded(KIT + " board trace.regtrace")
