# SPDX-License-Identifier: Apache-2.0
"""A seccomp filter: which system calls are refused, in every thread. Numbers are those of linux/seccomp.h and filter.h.

A list of what is refused, not of what is allowed: Python, libraries and C libraries to come make calls that nobody here
can list, and the kernel's next call must not end a server. What reaches files is Landlock's part, and not here unless
Landlock knows nothing of it: modes, owners, attributes, `truncate` by path before its ABI 3.

Everything refused says EPERM, which Python turns into a PermissionError, but for clone3. That says ENOSYS, so that
the C library makes a thread by clone, whose flags a filter can see.
"""

import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from plx9x5x.jail.kernel import syscall

_AMD64, _ARM64 = "x86_64", "aarch64"

# Name, number on x86_64, number on aarch64; "-" where it has no such call.
_REFUSED: Final = """
execve 59 221          execveat 322 281       fork 57 -              vfork 58 -
ptrace 101 117         process_vm_readv 310 270                      process_vm_writev 311 271
process_madvise 440 440                       pidfd_getfd 438 438    kcmp 312 272
pidfd_send_signal 424 424                     rt_sigqueueinfo 129 138
rt_tgsigqueueinfo 297 240                     tkill 200 130
socket 41 198               io_uring_setup 425 425
io_uring_enter 426 426 io_uring_register 427 427
mount 165 40           umount2 166 39         pivot_root 155 41      chroot 161 51
move_mount 429 429     open_tree 428 428      open_tree_attr 467 467 mount_setattr 442 442
fsopen 430 430         fsmount 432 432        fsconfig 431 431       fspick 433 433
setns 308 268          unshare 272 97         name_to_handle_at 303 264
open_by_handle_at 304 265                     fanotify_init 300 262
chmod 90 -             fchmod 91 52           fchmodat 268 53        fchmodat2 452 452
chown 92 -             fchown 93 55           lchown 94 -            fchownat 260 54
setxattr 188 5         lsetxattr 189 6        fsetxattr 190 7        setxattrat 463 463
removexattr 197 14     lremovexattr 198 15    fremovexattr 199 16    removexattrat 466 466
file_setattr 469 469   truncate 76 45
bpf 321 280            perf_event_open 298 241                       userfaultfd 323 282
init_module 175 105    finit_module 313 273   delete_module 176 106
kexec_load 246 104     kexec_file_load 320 294                       reboot 169 142
swapon 167 224         swapoff 168 225        acct 163 89            quotactl 179 60
quotactl_fd 443 443    settimeofday 164 170   clock_settime 227 112  clock_adjtime 305 266
adjtimex 159 171       sethostname 170 161    setdomainname 171 162  syslog 103 116
vhangup 153 58         iopl 172 -             ioperm 173 -           personality 135 92
keyctl 250 219         add_key 248 217        request_key 249 218
connect 42 203         bind 49 200            inotify_init 253 -     inotify_init1 294 26
utime 132 -            utimes 235 -           futimesat 261 -        utimensat 280 88
shmget 29 194          shmat 30 196           shmctl 31 195          semget 64 190
semop 65 193           semtimedop 220 192     semctl 66 191          msgget 68 186
msgsnd 69 189          msgrcv 70 188          msgctl 71 187          pidfd_open 434 434
setpriority 141 140    ioprio_set 251 30      sched_setparam 142 118 sched_setscheduler 144 119
sched_setattr 314 274  modify_ldt 154 -
"""

_CLONE_THREAD: Final = 0x0001_0000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # the terminal that a server was started in takes them for what a person typed

_STREAMS: Final = tuple(
    socket.SOCK_STREAM | more for more in (0, socket.SOCK_CLOEXEC, socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
)
"""Pairs of these can send to each other alone; a datagram could go to any address."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF_LD|W|ABS, BPF_JMP|J*|K, BPF_RET|K
_KILL: Final = 0x8000_0000
_ALLOW: Final = 0x7FFF_0000
_ERRNO: Final = 0x0005_0000
_REFUSE: Final = _ERRNO | errno.EPERM

_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data

_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_ALL_THREADS: Final = 1  # SECCOMP_FILTER_FLAG_TSYNC


@dataclass(frozen=True, slots=True)
class Machine:
    """An architecture: its AUDIT_ARCH, the calls that are more than a line above, the first number of another ABI."""

    audit: int
    seccomp: int
    clone: int
    clone3: int
    kill: int
    tgkill: int
    ioctl: int
    prlimit64: int
    sched_setaffinity: int
    socketpair: int
    foreign: int | None = None


MACHINES: Final = {
    _AMD64: Machine(0xC000_003E, 317, 56, 435, 62, 234, 16, 302, 203, 53, foreign=0x4000_0000),  # x32
    _ARM64: Machine(0xC000_00B7, 277, 220, 435, 129, 131, 29, 261, 122, 199),
}


def refused(machine: str) -> dict[str, int]:
    """The calls of `machine` that are refused whatever their arguments, by name."""
    words = iter(_REFUSED.split())
    rows = zip(words, words, words, strict=True)
    column = (_AMD64, _ARM64).index(machine)
    return {name: int(numbers[column]) for name, *numbers in rows if numbers[column] != "-"}


def lack() -> str:
    """Why there can be no filter here, in words; empty if there can."""
    name = os.uname().machine
    if name not in MACHINES or sys.maxsize < 1 << 32 or sys.byteorder != "little":
        return f"it is not written for this Python on {name}"
    action = ctypes.c_uint32(_ERRNO)
    try:
        syscall("seccomp", MACHINES[name].seccomp, _GET_ACTION_AVAIL, 0, ctypes.addressof(action))
    except OSError as exc:
        return f"the kernel says: {exc.strerror}"
    return ""


def install() -> None:
    """Refuse the calls from now on, in every thread of this process. `no_new_privs` must be on. Raises: OSError."""
    name = os.uname().machine
    program = b"".join(_program(MACHINES[name], refused(name), os.getpid()))
    held = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(held)))
    at = ctypes.addressof(header)
    if syscall("seccomp", MACHINES[name].seccomp, _SET_MODE_FILTER, _ALL_THREADS, at) != 0:
        raise OSError(errno.EBUSY, "another thread has a filter of its own", "seccomp")


def _program(machine: Machine, numbers: dict[str, int], own_pid: int) -> Iterator[bytes]:
    """Give the steps. Calls that are allowed whatever their arguments cost nothing later: the kernel notes them."""
    yield _step(_LOAD, _ARCHITECTURE)
    yield _step(_EQUAL, machine.audit, then=1)
    yield _step(_RETURN, _KILL)  # numbers of another architecture would mean other calls
    yield _step(_LOAD, _NUMBER)
    if machine.foreign is not None:
        yield from _if(_AT_LEAST, machine.foreign, _step(_RETURN, _REFUSE))
    for number in numbers.values():
        yield from _if(_EQUAL, number, _step(_RETURN, _REFUSE))
    yield from _if(_EQUAL, machine.clone3, _step(_RETURN, _ERRNO | errno.ENOSYS))
    yield from _if(_EQUAL, machine.clone, *_only(_ANY_BIT, _CLONE_THREAD, argument=0))
    for number in (machine.kill, machine.tgkill):  # `abort`, and the fault handler's raise
        yield from _if(_EQUAL, number, *_only(_EQUAL, own_pid, argument=0))
    for number in (machine.prlimit64, machine.sched_setaffinity):  # a limit of processor time ends another process
        yield from _if(_EQUAL, number, *_only(_EQUAL, 0, argument=0))
    pair = (
        _step(_LOAD, _ARGUMENTS + 8 * 1),
        *(step for kind in _STREAMS for step in _if(_EQUAL, kind, _step(_RETURN, _ALLOW))),
        _step(_RETURN, _REFUSE),
    )
    yield from _if(_EQUAL, machine.socketpair, *pair)
    terminal = (
        _step(_LOAD, _ARGUMENTS + 8 * 1),
        *_if(_EQUAL, _TIOCSTI, _step(_RETURN, _REFUSE)),
        *_if(_EQUAL, _TIOCLINUX, _step(_RETURN, _REFUSE)),
        _step(_RETURN, _ALLOW),
    )
    yield from _if(_EQUAL, machine.ioctl, *terminal)
    yield _step(_RETURN, _ALLOW)


def _step(code: int, operand: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """A `struct sock_filter`; the last two are how many steps a jump leaves out."""
    return struct.pack("=HBBI", code, then, otherwise, operand)


def _if(test: int, operand: int, *steps: bytes) -> tuple[bytes, ...]:
    """Do `steps` only if the test of what was loaded holds. They must end the filter, or leave it as it was."""
    return (_step(test, operand, otherwise=len(steps)), *steps)


def _only(test: int, operand: int, *, argument: int) -> tuple[bytes, ...]:
    """Allow the call if the test of the low half of an argument holds, else refuse it."""
    load = _step(_LOAD, _ARGUMENTS + 8 * argument)
    return (load, _step(test, operand, otherwise=1), _step(_RETURN, _ALLOW), _step(_RETURN, _REFUSE))
