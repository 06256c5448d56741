# SPDX-License-Identifier: Apache-2.0
"""A folder of the host for a guest: virtiofsd as a child process, in a jail that holds this folder and no other."""

import os
import socket
import stat
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from plx9x5x.jail import confined
from plx9x5x.lab.host.process import Child
from plx9x5x.lab.host.socket_place import SocketPlace
from plx9x5x.lab.toolchain.virtiofsd import Virtiofsd

_ALL: Final = Path("/")
_LIMITS: Final = Path("/proc/sys/fs")
"""virtiofsd asks the kernel there how many files it may open."""


class SharedFolder:
    """virtiofsd that runs; a context manager, at whose end nothing of it is left. It serves one guest, once.

    `writable` is false for a folder that the guest can only read. Who runs it is who started us; root serves a folder
    that can only be read as nobody, if nobody may read it. All of `/` root serves as root: what is to be mounted below
    it may lie where only root gets to. Its words go to `tag`.log in `logs`. Raises: SetupError.
    """

    def __init__(self, program: Virtiofsd, folder: Path, *, tag: str, writable: bool, logs: Path) -> None:
        self.tag = tag
        self._place = SocketPlace(logs, f"{tag}.sock")
        self.socket_path = self._place.path
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(self.socket_path))
                listener.listen(1)
                argv = (
                    *program.argv,
                    *("--fd", str(listener.fileno()), "--shared-dir", str(folder), "--tag", tag),
                    *("--sandbox", "none", "--cache", "auto", "--log-level", "error", "--rlimit-nofile", "0"),
                    *(() if writable else ("--readonly",)),
                    # An overlay refuses a layer in which folders turn into mounts as they are entered.
                    *(("--no-announce-submounts",) if folder == _ALL else ()),
                )
                seen = [folder]
                self._child = Child(
                    confined.command(
                        argv,
                        run=[program.folder],
                        read=[_LIMITS, *(() if writable else seen)],
                        write=seen if writable else (),
                        nobody=not writable and os.geteuid() == 0 and folder != _ALL and open_to_all(folder),
                    ),
                    name=f"virtiofsd for {folder}",
                    log=logs / f"{tag}.log",
                    pass_fds=(listener.fileno(),),
                )
        except BaseException:
            self._place.remove()
            raise

    @property
    def name(self) -> str:
        """What it is, for people."""
        return self._child.name

    @property
    def alive(self) -> bool:
        """False once it is gone before its time: with QEMU it ends too, at 0, which may be seen first."""
        return self._child.alive or self._child.poll() == 0

    def how_it_ended(self) -> str:
        """Say it in words."""
        return self._child.how_it_ended()

    def output(self) -> str:
        """The last of what it printed."""
        return self._child.output()

    def end(self) -> None:
        """End it, and remove the socket."""
        self._child.end()
        self._place.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.end()


def open_to_all(folder: Path) -> bool:
    """Whether any user may get to the folder, enter and read it: virtiofsd goes there by its real path."""
    try:
        real = folder.resolve(strict=True)
        return all(above.stat().st_mode & stat.S_IXOTH for above in real.parents) and real.stat().st_mode & 0o5 == 0o5
    except OSError:
        return False
