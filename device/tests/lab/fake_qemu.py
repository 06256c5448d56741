# SPDX-License-Identifier: Apache-2.0
"""Poses as QEMU: takes its options, and does what its first argument says. Run as a script."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

GOOD = b"KTAP version 1\n1..2\nok 1 a\nok 2 b\n"
OOPS = """[    1.0] BUG: kernel NULL pointer dereference, address: 0
[    1.0] Oops: 0002 [#1] SMP
[    1.0] Call Trace:
[    1.0]  f+0x1/0x2
[    1.0] ---[ end trace 0000000000000000 ]---
"""


def option(name: str, prefix: str) -> str:
    return next(
        value.removeprefix(prefix)
        for key, value in zip(sys.argv, sys.argv[1:], strict=False)
        if key == name and value.startswith(prefix)
    )


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main() -> None:
    behaviour = sys.argv[1]
    if behaviour.startswith("kvm"):
        if behaviour == "kvm-hangs":
            time.sleep(60)
        Path(option("-serial", "file:")).write_text("[    0.1] booting\nplx9x5x-kvm-works\n")
        return
    report = socket.socket(fileno=int(option("-chardev", "socket,id=report,fd=")))
    serial = Path(option("-serial", "file:")).open("w", buffering=1)  # noqa: SIM115
    serial.write("[    0.1] booting\n")
    match behaviour:
        case "good":
            report.sendall(GOOD)
        case "agent":
            agent = next(value for value in sys.argv if value.startswith("socket,id=agent,fd="))
            socket.socket(fileno=int(agent.rpartition("=")[2])).sendall(b"ready\n")
            time.sleep(60)
        case "reboots":
            again = GOOD + b"# Totals: pass:2 fail:0 xfail:0 xpass:0 skip:0 error:0\n"
            for piece in ((again * 3)[:50], (again * 3)[50:-3], (again * 3)[-3:]):
                report.sendall(piece)
                time.sleep(0.05)
            time.sleep(60)
        case "slow":
            for line in GOOD.splitlines(keepends=True):
                report.sendall(line)
                time.sleep(0.02)
        case "oops":
            serial.write(OOPS)
            report.sendall(GOOD)
        case "panic":
            report.sendall(GOOD[:30])
            serial.write(OOPS + "[    2.0] Kernel panic - not syncing: Fatal exception\n[    2.1] Call Trace:\n")
        case "panic-hang":
            serial.write("[    2.0] Kernel panic - not syncing: Attempted to kill init!\n")
            time.sleep(60)
        case "serial-flood":
            report.sendall(GOOD[:19])
            line = "[    1.0] BUG: kernel NULL pointer dereference, address: 0000000000000000 in a driver"
            serial.writelines(f"{line}\n" * 800 for _ in range(260))  # 17 MiB
            serial.write("[    2.0] Kernel panic - not syncing: at last\n")
        case "vfio":
            say("qemu: warning: vfio 0000:00:02.0: Could not enable error recovery for the device")
            say("qemu: vfio_container_dma_unmap(0x0, 0x1000) = -2 (No such file or directory)")
            say("qemu: vfio_container_dma_map(0x1, 0x1000) = -22 (Invalid argument)")
            report.sendall(GOOD)
        case "vfio-then-much":
            say("qemu: vfio_container_dma_map(0x1, 0x1000) = -22 (Invalid argument)")
            for number in range(4000):
                say(f"qemu: remark {number} that pushes the error out of the last 64 KiB")
            report.sendall(GOOD)
        case "terminated":
            report.sendall(GOOD)
            say("qemu-system-x86_64: terminating on signal 15 from pid 1 (kill)")
        case "flood":
            serial.flush()
            report.sendall(GOOD[:19])
            while True:
                report.sendall(b"# " + b"x" * 65000 + b"\n")
        case "early":
            say("qemu: -device vfio-user-pci: no such device")
            sys.exit(1)
        case "silent":
            pass
        case "truncated":
            report.sendall(GOOD[:-3])
        case "killed":
            report.sendall(GOOD[:30])
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            report.sendall(GOOD[:30])
            time.sleep(60)
        case "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(60)
        case "closed":
            report.close()
            time.sleep(0.2)
        case "no-poweroff":
            report.sendall(GOOD)
            time.sleep(60)
        case "child":
            if os.fork() == 0:
                time.sleep(60)
            report.sendall(GOOD)
    serial.write("[    3.0] reboot: Power down\n")


main()
