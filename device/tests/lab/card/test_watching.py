# SPDX-License-Identifier: Apache-2.0
"""Whether a guest's driver is watched, and why not; what a card's server is told; when nothing follows from the calls."""

from pathlib import Path

import pytest

from plx9x5x.lab.card.backend import board_backend
from plx9x5x.lab.card.watching import CALLS, blind, watching
from plx9x5x.lab.toolchain import GuestKernel, Qemu, Toolchain
from plx9x5x.lab.witness import attach
from plx9x5x.lab.witness.after import Unseen
from plx9x5x.lab.witness.attach import NoWitness, Prepared
from plx9x5x.lab.witness.facts import KernelFacts
from plx9x5x.lab.witness.seen import SeenCode
from plx9x5x.witness.ring import RingReader

SYNCS = (f"dma_sync_{kind}_for_{whom}" for kind in ("single", "sg") for whom in ("cpu", "device"))
SHOWS = KernelFacts(
    "plx9x5x-kernel-facts 1\n" + "".join(f"call {name} ffffffff81000000 ffffffff81000040\n" for name in SYNCS)
)
DRV = ("drv", b"")
HIDES = KernelFacts("plx9x5x-kernel-facts 1\n")
TC = Toolchain(
    Qemu(("/no/qemu",), "9", "host"),
    GuestKernel("6.1", "6.1.0-x", Path("/no/vmlinuz"), Path("/no"), Path("/no"), ()),
    Path("/no"),
    Path("/no"),
    Path("/no"),
)


@pytest.fixture(autouse=True)
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Has a plugin, and collects which folders it was asked to compile."""
    asked: list[Path] = []

    def prepare(_tc: Toolchain, source: Path) -> Prepared:
        asked.append(source)
        return Prepared(Path("/w.so"), SHOWS)

    monkeypatch.setattr(attach, "prepare", prepare)
    return asked


@pytest.mark.parametrize(
    ("modules", "accelerator", "wanted", "why"),
    [
        ((DRV,), "tcg", False, "it was not wanted (--no-witness)"),
        ((), "tcg", True, "no module is known that could be watched"),
        ((DRV,), "kvm", True, "kvm runs the guest's code where QEMU does not see it (--accel tcg)"),
    ],
)
def test_what_is_in_the_way_is_told_and_nothing_is_compiled_for_it(
    prepared: list[Path], modules: tuple[tuple[str, bytes], ...], accelerator: str, wanted: bool, why: str
) -> None:
    with watching(TC, Path("src"), cards=1, modules=modules, accelerator=accelerator, wanted=wanted) as eye:
        assert (eye.witness, eye.why) == (None, why)
        assert eye.card(0, Path()) is None
        assert eye.seen() == Unseen(why)
    assert prepared == []


def test_a_host_that_gives_no_witness_is_no_error_and_its_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_tc: Toolchain, _source: Path) -> Prepared:
        raise NoWitness("QEMU 9 does not load the plugin", hint="take the QEMU that is fetched")

    monkeypatch.setattr(attach, "prepare", refuse)
    with watching(TC, Path("src"), cards=1, modules=[DRV], accelerator="tcg") as eye:
        assert eye.witness is None
        assert eye.why == "QEMU 9 does not load the plugin (take the QEMU that is fetched)"


def test_each_card_has_a_ring_with_the_name_of_its_slot(prepared: list[Path], tmp_path: Path) -> None:
    with watching(TC, Path("src"), cards=2, modules=[DRV, ("lib", b"")], accelerator="tcg") as eye:
        assert eye.witness is not None
        assert prepared == [Path("src")]
        assert eye.witness.option().endswith(",watch=drv,watch=lib")
        rings = []
        for number, name in enumerate(("0000:00:02.0", "0000:00:03.0")):
            watched = eye.card(number, tmp_path)
            assert watched is not None
            assert watched.calls == tmp_path / CALLS
            assert RingReader(watched.ring).device == name
            rings.append(watched.ring)
        assert len(set(rings)) == 2


@pytest.mark.parametrize(("facts", "sync"), [(SHOWS, True), (HIDES, False)])
def test_a_server_is_told_of_sync_calls_only_where_they_are_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, facts: KernelFacts, sync: bool
) -> None:
    monkeypatch.setattr(attach, "prepare", lambda *_: Prepared(Path("/w.so"), facts))
    with watching(TC, Path("src"), cards=1, modules=[DRV], accelerator="tcg") as eye:
        watched = eye.card(0, tmp_path)
        assert watched is not None
        backend = board_backend("rdk-9656-lite", libvfio_user=None, watched=watched)
        words = backend.argv
        assert words[words.index("--witness-fd") + 1] == str(watched.ring)
        assert watched.ring in backend.pass_fds
        assert words[words.index("--witness-log") + 1] == str(tmp_path / CALLS)
        assert ("--witness-sync" in words) is sync


def test_what_qemu_left_is_read_and_what_it_spoiled_is_said(tmp_path: Path) -> None:
    with watching(TC, Path("src"), cards=1, modules=[DRV], accelerator="tcg") as eye:
        assert eye.witness is not None
        seen = eye.seen()
        assert isinstance(seen, SeenCode)
        assert seen.code.loads == ()
        with open(eye.witness.code, "r+b", closefd=False) as code:
            code.write(b"NOTAMAP!")
        spoiled = eye.seen()
        assert isinstance(spoiled, Unseen)
        assert spoiled.why.startswith("what QEMU's plugin left cannot be read (the code map's header")


def test_a_card_of_which_something_was_lost_is_blind_and_says_why() -> None:
    assert blind([]) == ""
    assert blind([{"dma": {"blind": ""}}, {"board": "b"}, {"dma": None}, {"dma": [1]}]) == ""
    assert blind([{"dma": {"blind": ""}}, {"dma": {"blind": "3 records were lost"}}]) == "3 records were lost"
