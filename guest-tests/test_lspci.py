# SPDX-License-Identifier: Apache-2.0
"""Every board, as a guest's own lspci and kernel see it: real tools that know nothing of our register tables.

No driver is loaded. One guest is booted per board, when its first test runs; a new board is covered by registering it.
"""

import functools
from pathlib import Path

import pytest

from plx9x5x.board import board_names, load_board
from plx9x5x.errors import LostVm, SetupError
from plx9x5x.lab.card import config_space, pci_report
from plx9x5x.lab.card.pci_report import PciReport
from plx9x5x.lab.dump import against, bars, config_file, draft
from plx9x5x.lab.host import runs
from plx9x5x.lab.toolchain import ALL, Toolchain, load
from plx9x5x.model.chip import Chip
from plx9x5x.transport.loopback import Loopback

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]

# Reference 1.1 and 1.3. The 9080 is the one chip without a capability list.
CAPABILITIES = ("[40] Power Management version ", "[48] CompactPCI hot-swap", "[4c] Vital Product Data")
WITHOUT_CAPABILITIES = "9080"

# Offsets at which QEMU's vfio-pci shows the guest a byte of its own, each with the reason. It emulates the BARs, the
# interrupt pin and line and the list pointers, and comes to the same bytes as the chip: measured, nothing differs.
QEMU_CHANGES: dict[int, str] = {}


@functools.cache
def toolchain() -> Toolchain:
    return load(need=ALL)


@functools.cache
def _take(board: str) -> PciReport | str:
    """One guest per board, whatever the number of tests; what went wrong is kept for each of them as well."""
    logs: Path | None = None
    try:
        tc = toolchain()
        logs = runs.make(tc.cache)
        return pci_report.take(board, tc, logs=logs)
    except SetupError as exc:
        return f"{exc}\nhint: {exc.hint}"
    except LostVm as exc:
        return f"{exc}\nlogs: {logs}"


@pytest.fixture(params=board_names())
def board(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def seen(board: str) -> PciReport:
    """What the guest said of the board."""
    report = _take(board)
    if isinstance(report, str):
        pytest.fail(report, pytrace=False)
    return report


def bare_chip(board: str) -> Chip:
    """The board's chip after power-on."""
    return Loopback(lambda bus, irq: Chip(load_board(board), bus=bus, irq=irq), enabled=False).device


def test_guest_and_server_had_no_trouble(seen: PciReport) -> None:
    assert seen.oopses == ()
    assert seen.trouble == ()


def test_host_lspci_decodes_the_guests_bytes_to_the_guests_words(seen: PciReport, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    dump.write_text(config_space.lspci_text(seen.image, slot=seen.slot))
    ours = pci_report.decoded(toolchain().pciutils.lspci("-vvv", "-F", dump).splitlines())
    assert pci_report.from_config_space(ours) == pci_report.from_config_space(seen.text)
    numbers = pci_report.decoded(toolchain().pciutils.lspci("-n", "-F", dump).splitlines())
    assert numbers == seen.numbers


def test_capabilities_are_the_chips(board: str, seen: PciReport) -> None:
    listed = [line.partition("Capabilities: ")[2] for line in seen.text.splitlines() if "Capabilities: " in line]
    if load_board(board).profile.key == WITHOUT_CAPABILITIES:
        assert listed == []
        assert "Status: Cap-" in seen.text
        return
    assert len(listed) == len(CAPABILITIES), listed
    for found, wanted in zip(listed, CAPABILITIES, strict=True):
        assert found.startswith(wanted)
    assert "Status: Cap+" in seen.text


def test_models_own_dump_is_what_the_guest_sees(board: str, seen: PciReport) -> None:
    chip = bare_chip(board)
    config_space.give(chip, seen.untouched)
    ours = bytearray(config_space.dump(chip))
    for offset in QEMU_CHANGES:
        ours[offset] = seen.untouched[offset]
    differing = pci_report.differing(bytes(ours), seen.untouched)
    assert differing == (), "offset: the model's byte, the guest's"


def test_kernel_has_nothing_to_warn_of(seen: PciReport) -> None:
    """At enumeration and, in the second log, once the windows were enabled and the VPD was read."""
    assert [line for line in seen.log_at_boot if seen.slot in line.text], "the log does not know the device at all"
    assert seen.complaints(seen.log_at_boot) == ()
    assert seen.complaints(seen.log) == ()


@pytest.mark.parametrize("form", ["-xxxvv", "-vv"])
def test_what_the_guests_lspci_prints_becomes_the_same_board_again(
    board: str, seen: PciReport, tmp_path: Path, form: str
) -> None:
    hexes = config_space.hex_lines(seen.image) if form == "-xxxvv" else ""
    first, _, rest = seen.text.partition("\n")
    numbers = seen.numbers.partition("\n")[0] if not hexes else first
    dump = tmp_path / "dump"
    dump.write_text(f"{numbers}\n{rest}\n{hexes}")
    card = config_file.read(dump)
    made, meant = draft.from_card(card, load_board(board).profile.key).board("again", ""), load_board(board)
    assert [bar.size for bar in bars.of(against.powered(made))] == [bar.size for bar in bars.of(against.powered(meant))]
    assert against.compare(meant, card).differs == ()
    differs = against.compare(made, card).differs
    # Without hex lines the subsystem is a name, if lspci knows one.
    assert [line for line in differs if not line.startswith((" ", "0x2c", "0x2e"))] == []
    assert not (differs and hexes)
