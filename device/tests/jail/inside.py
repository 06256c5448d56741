# SPDX-License-Identifier: Apache-2.0
"""A process that enters the jail and tries things: `python -m inside OPTION...`, in a folder that test_jail.py made.

Prints what became of each attempt, as JSON: "ok", or the name of the error. What a server has before its first client
is made before.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import pickle
import resource
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plx9x5x import jail
from plx9x5x.errors import SetupError
from plx9x5x.jail import kernel, seccomp

MACHINE = os.uname().machine
NUMBERS = seccomp.refused(MACHINE)
CALLS = {
    "landlock_create_ruleset": 444,
    "landlock_restrict_self": 446,
    "seccomp": seccomp.MACHINES[MACHINE].seccomp,
}
TIOCSTI = 0x5412


def answer(call: str, code: int) -> None:
    """Have the kernel answer `call` with an error from now on, as a kernel without it or a container would."""
    steps = ((0x20, 0, 0, 0), (0x15, 0, 1, CALLS[call]), (6, 0, 0, 0x5_0000 | code), (6, 0, 0, 0x7FFF_0000))
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(program)))
    kernel.no_new_privs()
    kernel.syscall("test", CALLS["seccomp"], 1, 0, ctypes.addressof(header))


def outcome(attempt: Callable[[], Any]) -> str:
    try:
        attempt()
    except OSError as exc:
        return errno.errorcode[exc.errno or 0]
    return "ok"


def raw(name: str, *arguments: int) -> Callable[[], int]:
    return lambda: kernel.syscall(name, NUMBERS[name], *arguments)


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def in_a_thread() -> None:
    done: list[int] = []
    thread = threading.Thread(target=done.append, args=(1,))
    thread.start()
    thread.join()
    assert done


def shared_memory(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        _, (fd,), *_ = socket.recv_fds(connection, 1, 1)
        with mmap.mmap(fd, 4096) as memory:
            memory[0:4] = b"seen"
        assert os.pread(fd, 4, 0) == b"seen"


def shown_traceback() -> None:
    try:
        pickle.loads(b"no pickle")
    except pickle.UnpicklingError:
        said = traceback.format_exc()
    assert 'pickle.loads(b"no pickle")' in said  # the line of the source


def numpy_works() -> None:
    import numpy as np

    assert np.arange(4, dtype="<u4").byteswap()[1] == 1 << 24


def a_package_of_this_folder() -> None:
    from guest_package import late

    assert late.VALUE == 7


def main(options: list[str]) -> dict[str, Any]:
    import guest_package

    assert guest_package.__path__
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("own/socket")
    listening.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect("own/socket")
    shared = os.memfd_create("shared")
    os.ftruncate(shared, 4096)
    socket.send_fds(client, [b"x"], [shared])
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0plx-jail-{os.getpid()}")
    abstract.listen()
    unconnected, tcp, another_tcp = socket.socket(socket.AF_UNIX), socket.socket(), socket.socket()
    trace = os.open("other/open", os.O_WRONLY | os.O_CREAT)
    read_end, _ = os.pipe()
    status = Path("/proc/self/status").open()  # noqa: SIM115 - it stays open
    go, from_before = threading.Event(), []

    def try_later() -> None:
        go.wait()
        from_before.append(outcome(lambda: socket.socket(socket.AF_UNIX)))

    early = threading.Thread(target=try_later, daemon=True)
    if "thread" in options:
        early.start()
    for option in options:
        if "=" in option:
            call, code = option.split("=")
            answer(call, getattr(errno, code))
    try:
        entered = jail.enter(remove_in=[Path("own"), Path("not-there")], read=[Path("more")])
    except SetupError as exc:
        return {"refused": str(exc), "hint": exc.hint}
    attempts: dict[str, Callable[[], Any]] = {
        # Landlock
        "read /etc/passwd": lambda: Path("/etc/passwd").read_text(),
        "list /": lambda: list(Path("/").iterdir()),
        "read a file of the current folder": lambda: Path("secret").read_text(),
        "make a file elsewhere": lambda: Path("other/new").write_text("x"),
        "write a file elsewhere": lambda: os.open("other/file", os.O_WRONLY),
        "make a file beside the socket": lambda: Path("own/new").write_text("x"),
        "write a file beside the socket": lambda: os.open("own/file", os.O_WRONLY),
        "rename beside the socket": lambda: Path("own/file").rename("own/name"),
        "make a folder beside the socket": lambda: Path("own/folder").mkdir(),
        "remove elsewhere": lambda: Path("other/file").unlink(),
        "write to a place to read": lambda: os.open("more/file", os.O_WRONLY),
        "bind TCP": lambda: tcp.bind(("127.0.0.1", 0)),
        "connect by TCP": lambda: another_tcp.connect(("127.0.0.1", 1)),
        "connect to an abstract socket": lambda: unconnected.connect(f"\0plx-jail-{os.getpid()}"),
        # seccomp
        "exec": lambda: os.execv("/nowhere", ["none"]),
        "fork": fork,
        "subprocess": lambda: subprocess.run(["/bin/true"]),
        "posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "clone3": lambda: kernel.syscall("clone3", seccomp.MACHINES[MACHINE].clone3, 0, 0),
        "socket": lambda: socket.socket(socket.AF_UNIX),
        "ptrace": raw("ptrace", 2, 0, 0, 0),
        "mount": raw("mount", 0, 0, 0, 0, 0),
        "a namespace": raw("unshare", 0),
        "io_uring": raw("io_uring_setup", 0, 0),
        "chmod": lambda: Path("own/file").chmod(0o600),
        "truncate by path": lambda: os.truncate("own/file", 0),
        "signal the parent": lambda: os.kill(os.getppid(), 0),
        "signal the group": lambda: os.kill(0, 0),
        "type into a terminal": lambda: fcntl.ioctl(read_end, TIOCSTI, b"x"),
        # what stays
        "signal itself": lambda: os.kill(os.getpid(), 0),
        "another ioctl": lambda: fcntl.ioctl(read_end, 0x541B, b"1234"),  # FIONREAD
        "a thread": in_a_thread,
        "shared memory of a client": lambda: shared_memory(listening),
        "a late import": lambda: __import__("colorsys"),
        "a late import from PYTHONPATH": lambda: __import__("late_module"),
        "a late import of numpy": numpy_works,
        "a late import of a package of this folder": a_package_of_this_folder,
        "a traceback with source": shown_traceback,
        "the null device": lambda: Path(os.devnull).write_text("x"),
        "read where it may": lambda: Path("more/file").read_text(),
        "write an open file": lambda: os.write(trace, b"x"),
        "memory": lambda: os.close(os.memfd_create("more")),
        "remove the socket": lambda: Path("own/socket").unlink(),
    }
    became: dict[str, Any] = {name: outcome(attempt) for name, attempt in attempts.items()}
    if "thread" in options:
        go.set()
        early.join()
        became["socket in a thread from before"] = from_before[0]
    lines = (line.split() for line in status)
    return became | {
        "says": entered.describe(),
        "status": {words[0]: words[1] for words in lines if words[0] in ("NoNewPrivs:", "Seccomp:")},
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1:])))
