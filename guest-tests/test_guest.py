# SPDX-License-Identifier: Apache-2.0
"""Each case of the guest's driver is a case here."""

from typing import Final

import pytest

from plx9x5x.board import load_board
from plx9x5x.lab.card import driver
from plx9x5x.lab.contract import observed
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.pytest_plugin import BootGuest
from plx9x5x.lab.report.ktap import Verdict
from plx9x5x.lab.session import RunResult
from plx9x5x.lab.toolchain import Toolchain
from plx9x5x.regs import config, dma
from plx9x5x.regs.profile import Profile

pytestmark = [pytest.mark.guest, pytest.mark.timeout(600)]

WITHOUT_CAPABILITIES: Final = {"config_capabilities_are_pm_hotswap_vpd"}
WITHOUT_COUNTS_TO_PCI: Final = {"clear_count_is_written_before_the_interrupt", "windows_sample_reads"}
WITHOUT_UPPER_HALF: Final = {"long_descriptors_bring_their_upper_half", "an_upper_half_counts_where_none_is_loaded"}
WITHOUT_VALID_BITS: Final = {
    "an_invalid_descriptor_is_waited_for",
    "an_invalid_descriptor_ends_the_run_where_it_shall",
    "valid_mode_moves_the_registers",
}


def cannot_be_done(profile: Profile) -> set[str]:
    """Cases that ask for what this chip has not, by the tables that it is modelled from."""
    return {
        *(() if profile.chip in config.PMC.chips else WITHOUT_CAPABILITIES),
        *(() if profile.count_to_pci else WITHOUT_COUNTS_TO_PCI),
        *(() if profile.chip in dma.DMAMODE0.dac_chain.chips else WITHOUT_UPPER_HALF),
        *(() if profile.chip in dma.DMAMODE0.valid_mode.chips else WITHOUT_VALID_BITS),
    }


def test_guest(guest_run: RunResult, guest_case: str) -> None:
    case = guest_run.report.find(guest_case)
    if case is None:
        pytest.fail(f"no result. {'; '.join(guest_run.problems)}\nlogs: {guest_run.logs}", pytrace=False)
    if case.verdict in (Verdict.SKIP, Verdict.XFAIL):
        pytest.skip(case.reason)
    if not case.verdict.good:
        pytest.fail("\n".join((case.reason, *case.diagnostics, f"logs: {guest_run.logs}")).strip(), pytrace=False)


def test_run_has_no_fault_beside_its_cases(guest_run: RunResult) -> None:
    assert not guest_run.problems, f"{guest_run.problems}\n{guest_run.lost or ''}\nlogs: {guest_run.logs}"


def test_at_least_25_cases_pass(guest_run: RunResult) -> None:
    assert guest_run.passed >= 25


def test_skipped_is_what_the_chip_cannot_do_and_nothing_else(guest_run: RunResult, board: str) -> None:
    """A case may skip in a guest of somebody's own; in ours no shape makes one meaningless."""
    profile = load_board(board).profile
    skipped = {case.name: case.reason for case in guest_run.report.cases if case.verdict is Verdict.SKIP}
    assert skipped.keys() == cannot_be_done(profile)
    assert all(reason.startswith(f"the {profile.name} has no ") for reason in skipped.values())
    assert guest_run.passed == len(guest_run.expected) - len(skipped)


def test_first_case_is_the_self_test(guest_run: RunResult) -> None:
    """Memory that is not shared makes DMA move wrong bytes in silence: nothing counts before this is excluded."""
    assert guest_run.report.cases[0].name == "selftest_dma_pattern"
    assert guest_run.report.cases[0].verdict is Verdict.PASS


@pytest.mark.plx_board(guest="iommu")
def test_a_marker_gives_the_fixtures_guest_its_shape_and_a_server_that_serves_it(
    plx_toolchain: Toolchain, plx_vm: BootGuest
) -> None:
    sources = guest_sources.find()
    built = driver.build(plx_toolchain, sources)
    case = "cpu_and_device_share_buffers_of_every_length"
    with plx_vm(driver.driver_image(plx_toolchain, sources, built, arguments=("--only", case))) as vm:
        report = vm.run_ktap()
        assert not vm.vfio_errors()
    assert report.ok, report.summary()
    assert observed.read(report).translated
