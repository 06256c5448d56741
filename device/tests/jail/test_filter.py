# SPDX-License-Identifier: Apache-2.0
"""The seccomp filter, step by step as the kernel takes it: which calls it refuses on each machine, and by which number."""

import errno
import re
import struct
import subprocess

import pytest

from plx9x5x.jail import seccomp
from plx9x5x.lab.toolchain import host

PID = 4711
ALLOW, KILL = 0x7FFF_0000, 0x8000_0000
REFUSE, NOT_THERE = 0x5_0000 | errno.EPERM, 0x5_0000 | errno.ENOSYS
THREAD = 0x0001_0000
HIGHEST = 600

# By what a client that has taken the server over would gain.
WANTED = {
    "programs": "execve execveat",
    "processes": "fork vfork ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp",
    "signals": "pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo tkill",
    "sockets, and calls past the filter": "socket io_uring_setup io_uring_enter io_uring_register",
    "mounts": "mount umount2 pivot_root chroot move_mount open_tree open_tree_attr mount_setattr fsopen fsmount fsconfig"
    " fspick setns unshare",
    "files past Landlock": "name_to_handle_at open_by_handle_at fanotify_init chmod fchmod fchmodat fchmodat2 chown"
    " fchown lchown fchownat setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat"
    " file_setattr truncate",
    "the kernel": "bpf perf_event_open userfaultfd init_module finit_module delete_module kexec_load kexec_file_load"
    " reboot swapon swapoff acct quotactl quotactl_fd settimeofday clock_settime clock_adjtime adjtimex sethostname"
    " setdomainname syslog vhangup iopl ioperm personality keyctl add_key request_key",
}
ONLY_X86 = {"fork", "vfork", "chmod", "chown", "lchown", "iopl", "ioperm"}
UNISTD = {
    "x86_64": "#include <asm/unistd_64.h>",
    "aarch64": "#define __BITS_PER_LONG 64\n#define __ARCH_WANT_SYS_CLONE3\n#include <asm-generic/unistd.h>",
}

machines = pytest.mark.parametrize("name", seccomp.MACHINES)


class Filter:
    """The program for a machine, and what it says of a call."""

    def __init__(self, name: str) -> None:
        self.machine = seccomp.MACHINES[name]
        program = b"".join(seccomp._program(self.machine, seccomp.refused(name), PID))
        self._steps = list(struct.iter_unpack("=HBBI", program))

    def says(self, number: int, *arguments: int, audit: int | None = None) -> int:
        arguments += (0,) * (6 - len(arguments))
        data = struct.pack("<IIQ6Q", number, audit or self.machine.audit, 0, *arguments)
        at = word = 0
        while True:
            code, then, otherwise, operand = self._steps[at]
            at += 1
            if code == 0x20:
                (word,) = struct.unpack_from("<I", data, operand)
            elif code == 0x06:
                return int(operand)
            else:
                holds = {0x15: word == operand, 0x35: word >= operand, 0x45: bool(word & operand)}[code]
                at += then if holds else otherwise


@machines
def test_each_call_of_the_list_is_refused_and_no_other(name: str) -> None:
    filtered, refused = Filter(name), set(seccomp.refused(name).values())
    machine = filtered.machine
    special = {machine.clone, machine.clone3, machine.kill, machine.tgkill, machine.socketpair}
    for number in set(range(HIGHEST)) - special:
        assert filtered.says(number) == (REFUSE if number in refused else ALLOW), number


@machines
@pytest.mark.parametrize("gain", WANTED)
def test_what_a_client_would_gain_by_is_on_the_list(name: str, gain: str) -> None:
    there = ONLY_X86 if name == "aarch64" else set()
    assert set(WANTED[gain].split()) - there <= seccomp.refused(name).keys()


@machines
def test_the_numbers_are_those_of_the_kernel_s_headers(name: str) -> None:
    argv = [host.compiler(), "-E", "-dM", "-"]
    done = subprocess.run(argv, input=UNISTD[name], capture_output=True, text=True, check=True)
    theirs = dict(re.findall(r"#define __(?:NR|NR3264)_(\w+) (\d+)", done.stdout))
    machine = seccomp.MACHINES[name]
    ours = seccomp.refused(name) | {
        call: getattr(machine, call)
        for call in (
            "seccomp",
            "clone",
            "clone3",
            "kill",
            "tgkill",
            "ioctl",
            "prlimit64",
            "sched_setaffinity",
            "socketpair",
        )
    }
    newer = {"open_tree_attr", "fchmodat2", "setxattrat", "removexattrat", "file_setattr"}  # than Debian 12's headers
    assert ours.keys() - theirs.keys() <= newer
    assert {call: number for call, number in ours.items() if int(theirs.get(call, number)) != number} == {}


@machines
def test_threads_are_made_and_processes_are_not(name: str) -> None:
    filtered = Filter(name)
    assert filtered.says(filtered.machine.clone, THREAD | 0x3D_0F00) == ALLOW
    for flags in (0, 17, 0x0120_0011, 0x4111, THREAD << 32):
        assert filtered.says(filtered.machine.clone, flags) == REFUSE
    assert filtered.says(filtered.machine.clone3) == NOT_THERE


@machines
@pytest.mark.parametrize("call", ["kill", "tgkill"])
def test_it_signals_itself_alone(name: str, call: str) -> None:
    filtered = Filter(name)
    number = getattr(filtered.machine, call)
    assert filtered.says(number, PID, 6) == ALLOW
    for other in (0, 1, PID + 1, 0xFFFF_FFFF, (1 << 64) - 1):
        assert filtered.says(number, other, 9) == REFUSE


@machines
def test_a_terminal_takes_no_typing_from_it_and_other_ioctls_go_on(name: str) -> None:
    filtered = Filter(name)
    for command in (0x5412, 0x541C, 0x1_0000_5412):
        assert filtered.says(filtered.machine.ioctl, 0, command) == REFUSE
    for command in (0x541B, 0x5401, 0xAE80):
        assert filtered.says(filtered.machine.ioctl, 0, command) == ALLOW


@machines
def test_numbers_of_another_architecture_end_the_process(name: str) -> None:
    for audit in (0x4000_0003, 0x4000_0028, 1):  # i386, arm
        assert Filter(name).says(0, audit=audit) == KILL


def test_calls_by_x32_are_refused() -> None:
    for number in (0x4000_0000, 0x4000_0000 + 520, 0xFFFF_FFFF):
        assert Filter("x86_64").says(number) == REFUSE


@pytest.mark.parametrize(("machine", "bits"), [("riscv64", 64), ("i686", 32), ("x86_64", 32)])
def test_a_machine_that_it_is_not_written_for_goes_without(
    monkeypatch: pytest.MonkeyPatch, machine: str, bits: int
) -> None:
    monkeypatch.setattr(seccomp, "os", type("Os", (), {"uname": lambda: type("Name", (), {"machine": machine})}))
    monkeypatch.setattr(seccomp, "sys", type("Sys", (), {"maxsize": (1 << bits - 1) - 1, "byteorder": "little"}))
    assert seccomp.lack() == f"it is not written for this Python on {machine}"
