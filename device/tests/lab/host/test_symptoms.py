# SPDX-License-Identifier: Apache-2.0
"""What counts as a complaint of the guest's kernel or of QEMU, and what does not."""

import tracemalloc

import pytest

from plx9x5x.lab.host.symptoms import SerialLog, scan_oopses, tail_lines, vfio_errors


@pytest.mark.parametrize(
    "line",
    [
        "[    1.2] BUG: kernel NULL pointer dereference, address: 0000000000000000",
        "[    1.2] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580",
        "[    1.2] kernel BUG at mm/slub.c:435!",
        "[    1.2] general protection fault, probably for non-canonical address 0xdead: 0000 [#1] PREEMPT SMP",
        "[    1.2] WARNING: CPU: 0 PID: 1 at kernel/dma/mapping.c:522 dma_alloc_attrs+0x1/0x2",
        "[    1.2] WARNING: possible circular locking dependency detected",
        '[    1.2] irq 22: nobody cared (try booting with the "irqpoll" option)',
        "[    1.2] rcu: INFO: rcu_preempt self-detected stall on CPU",
        "[    1.2] INFO: task plx_test:92 blocked for more than 120 seconds.",
        "[    1.2] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [plx_test:92]",
        "[    1.2] DMAR: [DMA Write NO_PASID] Request device [00:02.0] fault addr 0x1000",
        "[    1.2] plx_test: page allocation failure: order:10, mode:0xcc4",
        "<4>[    1.2][  T92] UBSAN: shift-out-of-bounds in x.c:1:2",
    ],
)
def test_complaint_is_found(line: str) -> None:
    assert len(scan_oopses(["[    1.0] calm", line, "[    1.3] more"])) == 1


@pytest.mark.parametrize(
    "line",
    [
        "[    0.0] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on",
        "[    0.0] RETBleed: WARNING: Spectre v2 mitigation leaves CPU vulnerable",
        "[    0.0] DEBUG: all is well",
        "[    0.0] plx_test: loading out-of-tree module taints kernel.",
        "[    0.0] tsc: Unable to calibrate against PIT",
        "plx-init: plx_test ended with 1",
    ],
)
def test_plain_message_is_none(line: str) -> None:
    assert scan_oopses([line]) == ()


def test_one_oops_is_one_complaint_with_its_trace() -> None:
    lines = ["BUG: x", "Oops: 0002 [#1]", "Call Trace:", " f+0x1", "---[ end trace 00 ]---", "calm", "BUG: y"]
    got = scan_oopses(lines)
    assert [o.title for o in got] == ["BUG: x", "BUG: y"]
    assert got[0].lines == tuple(lines[:5])


def test_a_stack_that_somebody_dumped_is_called_by_what_was_said_before() -> None:
    said = "Unexpected gfp: 0x4 (GFP_DMA32). Fixing up to gfp: 0xcc0 (GFP_KERNEL). Fix your code!"
    stack = ("CPU: 0 PID: 71 Comm: insmod Tainted: G  OE", "Hardware name: QEMU Standard PC", "Call Trace:", " <TASK>")
    (oops,) = scan_oopses((f"[    1.5] {said}", *(f"[    1.5] {line}" for line in stack)))
    assert (oops.title, oops.lines) == (said, ("Call Trace:", " <TASK>"))
    (alone,) = scan_oopses(["Call Trace:"])
    assert alone.title == "Call Trace:"


def test_trace_without_end_does_not_swallow_the_log() -> None:
    lines = ["BUG: x", *("noise" for _ in range(100)), "BUG: y"]
    assert [o.title for o in scan_oopses(lines)] == ["BUG: x", "BUG: y"]


def test_growing_log_is_read_line_by_line() -> None:
    log = SerialLog()
    assert log.poll() == []
    log.feed(b"[ 1.0] one\r\n[ 1.1] Kernel panic - not sync")
    assert log.poll() == ["[ 1.0] one"]
    assert log.panic is None
    log.feed(b"ing: why\n\x1b[2Jrest\x00")
    assert log.panic == "why"
    assert log.poll() == ["[ 1.1] Kernel panic - not syncing: why"]
    assert log.poll(last=True) == ["rest"]


FLOODS = {  # what, and how many times 64 KiB
    "complaints": (b"[    1.0] BUG: kernel NULL pointer dereference, address: 0000000000000000 in a driver\n", 100),
    "empty lines": (b"\n", 2),
    "one line": (b"BUG: without an end ", 1000),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_lines_takes_little_memory_and_a_panic_after_it_is_found(flood: str) -> None:
    what, pieces = FLOODS[flood]
    piece = (what * 70000)[: 64 * 1024]
    log = SerialLog()
    tracemalloc.start()
    try:
        for _ in range(pieces):
            log.feed(piece)
        log.feed(b"\nKernel panic - not syncing: in the end\nlast words\n")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024
    assert log.panic == "in the end"
    assert len(log.oopses) <= 100
    lines = log.poll()
    assert lines[-1] == "last words"
    assert lines[0].endswith("lines are left out)")
    assert sum(map(len, lines)) < 2 * 1024 * 1024


def test_vfio_errors_are_named_once_and_remarks_are_not() -> None:
    said = """qemu: warning: vfio 0000:00:02.0: Could not enable error recovery for the device
qemu: vfio_container_dma_unmap(0x5, 0x0, 0x8) = -2 (No such file or directory)
vfio_user_process: error reply on async request command 3 error No such file or directory
vfio_user_wait_reqs - error reply on async request: command 3 error No such file or directory
qemu: vfio-user: bad header size
qemu: vfio-user: bad header size
qemu: something else
"""
    assert vfio_errors(said.splitlines()) == ("qemu: vfio-user: bad header size",)


def test_tail_has_no_control_characters_and_no_empty_lines() -> None:
    assert tail_lines("a\n\n\x1b[31mb\x07\r\n \nc", 2) == ("b", "c")
