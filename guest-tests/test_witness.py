# SPDX-License-Identifier: Apache-2.0
"""A guest whose driver is watched: all that it does is recorded and matched, and its mistakes have places."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from which_kernel import kernels

from plx9x5x.findings import kept
from plx9x5x.findings.finding import Finding
from plx9x5x.lab.card import driver
from plx9x5x.lab.card.backend import board_backend
from plx9x5x.lab.contract import observed, witnessed
from plx9x5x.lab.contract.guest import ContractVerdict
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.launch import prepared
from plx9x5x.lab.guest.machine import card_address, guest_name
from plx9x5x.lab.guest.shapes import IOMMU, PLAIN, SHAPES, Shape
from plx9x5x.lab.report.ktap import Report
from plx9x5x.lab.toolchain import load
from plx9x5x.lab.witness import attach

pytestmark = [pytest.mark.guest, pytest.mark.timeout(600)]

ADDRESSES = {"dma-not-allocated": "at 0xf80000", "dma-above-mask": "at 0x7fff0000"}
"""What is named for the cases that give the chip an address of nothing on purpose; where: UNMAPPED and FAR_ABOVE."""
FREED = {"dma-freed": "moving data: reads 0x4 bytes"}
"""Behind an IOMMU a case tries whether a buffer is out of the device's reach once it was freed: by a word of it."""


@dataclass(frozen=True)
class Watched:
    """What came of a guest."""

    report: Report
    findings: tuple[Finding, ...]
    dma: dict[str, object]
    calls: witnessed.Calls
    said: str

    @property
    def rules(self) -> set[str]:
        return {it.rule for it in self.findings}


@contextmanager
def watched(shape: Shape, kernel: str, logs: Path, *arguments: str) -> Iterator[Watched]:
    tc = load(kernel=kernel)
    sources = guest_sources.find()
    image = driver.driver_image(tc, sources, driver.build(tc, sources), arguments=arguments)
    summary, log = logs / "findings.jsonl", logs / "calls.jsonl"
    with attach.attached(
        attach.prepare(tc, sources.witness), devices=(guest_name(card_address(0)),), watch=("plx_test",)
    ) as witness:
        (ring,) = witness.rings
        backend = board_backend("rdk-9656-lite", libvfio_user=None, transport="wire", summary=summary)
        sync = ("--witness-sync",) if witness.facts.shows_sync else ()
        argv = (*backend.argv, "--witness-fd", str(ring), "--witness-log", str(log), *sync)
        with prepared(tc, image, backend=dataclasses.replace(backend, argv=argv, pass_fds=(ring,)), logs=logs) as ready:
            with ready.boot(devices=ready.device(), logs=logs, shape=shape, witness=witness) as vm:
                report = vm.run_ktap()
            assert ready.trouble() is None
            assert ready.server is not None
            said = ready.server.output()
    record = next(it for it in kept.records(summary) if it["channels"] or it["findings"])
    dma = record["dma"]
    assert isinstance(dma, dict)
    yield Watched(report, kept.read(summary), dma, witnessed.read(log), said)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=lambda shape: shape.name)
def test_the_test_driver_is_seen_whole(shape: Shape, tmp_path: Path) -> None:
    with watched(shape, kernels()[-1], tmp_path) as seen:
        assert seen.report.ok
        assert seen.dma["blind"] == "", seen.said
        assert seen.dma["accesses"] == seen.dma["matched"]
        assert seen.dma["live"] == 0
        assert seen.dma["loads"] == 1
        expected = ADDRESSES | (FREED if shape is IOMMU else {})
        named = [it for it in seen.findings if it.rule.startswith("dma-")]
        assert {it.rule for it in named} == expected.keys(), seen.said
        assert not [str(it) for it in named if expected[it.rule] not in it.what]
        assert not {"unmapped-address", "address-taken-back"} & seen.rules
        assert all(it.places and it.load == 1 for it in seen.findings), seen.findings
        told = observed.read(seen.report)
        assert witnessed.differences(told, seen.calls) == ()
        verdict = witnessed.judge(seen.calls)
        assert isinstance(verdict, ContractVerdict)
        assert verdict.broken == ()


def test_one_case_names_the_line_that_wrote(tmp_path: Path) -> None:
    with watched(PLAIN, kernels()[0], tmp_path, "--only", "start_needs_enable") as seen:
        (finding,) = seen.findings
        assert finding.rule == "start-without-enable"
        assert [it.role for it in finding.places] == ["access"]
