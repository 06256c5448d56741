# SPDX-License-Identifier: Apache-2.0
"""Who is accused and who is not: the test driver of what it does wrong on purpose, an idle guest of nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from plx9x5x import boards
from plx9x5x.board import load_board
from plx9x5x.findings import kept
from plx9x5x.findings.finding import Finding, Who
from plx9x5x.lab.card import driver
from plx9x5x.lab.card.backend import FINDINGS
from plx9x5x.lab.card.ground import serving
from plx9x5x.lab.card.watching import watching
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestImage
from plx9x5x.lab.guest.launch import prepared
from plx9x5x.lab.guest.qmp import Qmp
from plx9x5x.lab.guest.shapes import IOMMU
from plx9x5x.lab.pytest_plugin import BootGuest
from plx9x5x.lab.session import RunResult
from plx9x5x.lab.toolchain import Toolchain
from plx9x5x.regs import dma

pytestmark = [pytest.mark.guest, pytest.mark.timeout(600)]

ON_PURPOSE = {
    "abort-while-enabled": "abort_with_enable_on_is_ignored",
    "bus-lost-while-busy": "bus_master_off_holds_a_ring",
    "bus-master-cleared": "bus_master_off_holds_a_block",
    "local-address": "local_addresses_without_memory_read_ones",
    "rewritten-while-busy": "a_started_block_keeps_what_it_was_started_with",
    "running-at-reset": "software_reset_spares_configuration_and_runtime",
    "size-zero": "block_of_no_bytes_is_done_at_once",
    "start-in-reset": "software_reset_spares_configuration_and_runtime",
    "start-while-busy": "start_while_running_is_ignored",
    "start-without-enable": "start_needs_enable",
    "unmapped-address": "chain_to_an_unmapped_address_is_a_master_abort",
}
"""By rule, a case of the test driver that breaks it: all other cases do right."""

WITHOUT_ALL_REGISTERS = {"register-missing": "offsets_without_register_read_zero"}
"""There are three registers that a 9080 lacks and every later chip has."""
ABOVE = {"dma-above-mask": "an_upper_half_counts_where_none_is_loaded"}
"""On chips with an upper half."""
WATCHED = {
    "dma-not-allocated": ON_PURPOSE["unmapped-address"],
    "ring-overrun": "ring_of_1000_laps_keeps_the_data_right",
}
"""What is named besides if the driver is watched; the first in place of `unmapped-address`, of which it says more."""
FREED = "cpu_and_device_share_buffers_of_every_length"
"""Behind an IOMMU a freed buffer is out of the device's reach, which the case tries."""

Findings = Callable[[], tuple[Finding, ...]]


def said(findings: tuple[Finding, ...]) -> str:
    return "\n".join(map(str, findings))


def test_the_test_driver_is_accused_of_what_it_does_on_purpose(guest_run: RunResult, board: str) -> None:
    profile = load_board(board).profile
    assert guest_run.facts["witness"] == "QEMU's plugin"
    expected = ON_PURPOSE | WATCHED | (ABOVE if profile.chip in dma.DMAMODE0.dac_chain.chips else {})
    del expected["unmapped-address"]
    expected |= {"dma-freed": FREED} if guest_run.guest is IOMMU else {}
    expected |= WITHOUT_ALL_REGISTERS if board == "9080-401b" else {}
    assert {finding.rule for finding in guest_run.findings} == expected.keys(), said(guest_run.findings)
    assert {finding.who for finding in guest_run.findings} == {Who.DRIVER}


def test_one_case_alone_is_accused_of_its_own(
    plx_toolchain: Toolchain, plx_vm: BootGuest, plx_findings: Findings
) -> None:
    sources = guest_sources.find()
    built = driver.build(plx_toolchain, sources)
    only = ("--only", ON_PURPOSE["start-without-enable"])
    with plx_vm(driver.driver_image(plx_toolchain, sources, built, arguments=only)) as vm:
        assert vm.run_ktap().ok
    assert [finding.rule for finding in plx_findings()] == ["start-without-enable"], said(plx_findings())


def test_a_qemu_that_is_held_before_its_first_instruction_is_accused_of_nothing(
    plx_toolchain: Toolchain, plx_image: GuestImage, tmp_path: Path
) -> None:
    """QEMU itself reads configuration space, maps memory and masks the interrupt meanwhile; the witness looks on."""
    tc = plx_toolchain
    held = replace(tc, qemu=replace(tc.qemu, argv=(*tc.qemu.argv, "-S")))
    with watching(tc, guest_sources.find().witness, cards=1, modules=[(driver.DRIVER, b"")], accelerator="tcg") as eye:
        assert eye.witness is not None, eye.why
        backend = serving(tc, boards.DEFAULT, transport="wire", logs=tmp_path, watched=eye.card(0, tmp_path))
        with prepared(held, plx_image, backend=backend, logs=tmp_path) as ready:
            assert ready.server is not None
            with Qmp() as qmp, ready.boot(devices=ready.device(), logs=tmp_path, qmp=qmp, witness=eye.witness):
                status = qmp.execute("query-status", {})
                assert isinstance(status, dict)
                assert status["status"] == "prelaunch"
            assert "client connected" in ready.server.output()
    dma = [it["dma"] for it in kept.records(tmp_path / FINDINGS) if "dma" in it]
    assert [(it["blind"], it["loads"]) for it in dma if isinstance(it, dict)] == [("", 0)] * len(dma)
    assert dma
    assert kept.read(tmp_path / FINDINGS) == ()
