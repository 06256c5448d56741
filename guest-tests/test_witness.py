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
from plx9x5x.findings.place import Place
from plx9x5x.lab.card import driver
from plx9x5x.lab.card.backend import board_backend
from plx9x5x.lab.contract import observed, witnessed
from plx9x5x.lab.contract.guest import ContractVerdict
from plx9x5x.lab.guest import machine
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.launch import prepared
from plx9x5x.lab.guest.machine import card_address, guest_name
from plx9x5x.lab.guest.shapes import IOMMU, PLAIN, SHAPES, Shape
from plx9x5x.lab.report.ktap import Report
from plx9x5x.lab.toolchain import load
from plx9x5x.lab.witness import attach, codemap
from plx9x5x.lab.witness.lines import Frame, Where
from plx9x5x.lab.witness.seen import SeenCode

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
    lines: dict[Place, Where | None]

    @property
    def rules(self) -> set[str]:
        return {it.rule for it in self.findings}


@contextmanager
def watched(shape: Shape, kernel: str, logs: Path, *arguments: str, processors: int = 1) -> Iterator[Watched]:
    tc = load(kernel=kernel)
    sources = guest_sources.find()
    built = driver.build(tc, sources)
    image = driver.driver_image(tc, sources, built, arguments=arguments)
    summary, log = logs / "findings.jsonl", logs / "calls.jsonl"
    with attach.attached(
        attach.prepare(tc, sources.witness), devices=(guest_name(card_address(0)),), watch=("plx_test",)
    ) as witness:
        (ring,) = witness.rings
        backend = board_backend("rdk-9656-lite", libvfio_user=None, transport="wire", summary=summary)
        sync = ("--witness-sync",) if witness.facts.shows_sync else ()
        argv = (*backend.argv, "--witness-fd", str(ring), "--witness-log", str(log), *sync)
        with prepared(tc, image, backend=dataclasses.replace(backend, argv=argv, pass_fds=(ring,)), logs=logs) as ready:
            devices = ready.device()
            with ready.boot(devices=devices, logs=logs, shape=shape, processors=processors, witness=witness) as vm:
                report = vm.run_ktap()
            assert ready.trouble() is None
            assert ready.server is not None
            said = ready.server.output()
        eye = SeenCode(codemap.read(witness.code), [(driver.DRIVER, built.module)])
    record = next(it for it in kept.records(summary) if it["channels"] or it["findings"])
    dma = record["dma"]
    assert isinstance(dma, dict)
    findings = kept.read(summary)
    lines = {it: eye.where(it.pc, it.seq, it.role) for finding in findings for it in finding.places}
    yield Watched(report, findings, dma, witnessed.read(log), said, lines)


@pytest.mark.parametrize(
    ("shape", "processors"),
    [*((shape, 1) for shape in SHAPES.values()), (PLAIN, 2)],
    ids=lambda it: it.name if isinstance(it, Shape) else str(it),
)
def test_the_test_driver_is_seen_whole(shape: Shape, processors: int, tmp_path: Path) -> None:
    with watched(shape, kernels()[-1], tmp_path, processors=processors) as seen:
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


def source_line(where: Where | Frame) -> str:
    """The line of the driver's source that a place is said to be."""
    source = guest_sources.find().root / "kmod" / Path(where.file).name
    return source.read_text(encoding="utf-8").splitlines()[where.line - 1]


def test_one_case_names_the_line_that_wrote(tmp_path: Path) -> None:
    with watched(PLAIN, kernels()[0], tmp_path, "--only", "start_needs_enable") as seen:
        (finding,) = seen.findings
        assert finding.rule == "start-without-enable"
        (place,) = finding.places
        assert place.role == "access"
        where = seen.lines[place]
        assert where is not None
        assert "writeb(value, plx->bar[0] + PLX_DMACSR(ch))" in source_line(where)
        assert where.callers[0].function == "plx_start"
        assert "plx_write_csr(" in source_line(where.callers[0])


def test_a_kernel_that_is_elsewhere_is_said_and_nothing_is_held_against_its_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = tuple(word for word in machine._BOOT_WORDS if word != "nokaslr")
    monkeypatch.setattr(machine, "_BOOT_WORDS", words)
    for turn in range(2):  # one kernel of 500 is where it would be without, by chance
        logs = tmp_path / str(turn)
        logs.mkdir()
        with watched(PLAIN, kernels()[0], logs) as seen:
            assert seen.report.ok
            if seen.dma["blind"]:
                break
    assert seen.dma["blind"] == "the guest's kernel is not where it was expected (nokaslr?)"
    assert "nokaslr" in seen.said
    assert seen.dma["matched"] == seen.dma["loads"] == 0
    assert not {it for it in seen.rules if it.startswith("dma-")}
    assert not any(it.places or it.load for it in seen.findings)
