# SPDX-License-Identifier: Apache-2.0
"""Programs of the host: run them, and say which package brings one that is missing."""

import contextlib
import os
import platform
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError

PACKAGE_OF: Final[Mapping[str, str]] = {
    "gcc": "gcc libc6-dev",
    "make": "make",
    "ld": "binutils",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
    "apt-config": "apt",
    "apt-cache": "apt",
}
"""The Debian package for each program that this package calls."""

TAIL_LINES: Final = 40


def install_hint(*programs: str) -> str:
    """One line to paste that brings `programs`."""
    packages = dict.fromkeys(word for p in programs for word in PACKAGE_OF.get(p, p).split())
    return f"sudo apt-get install --no-install-recommends {' '.join(packages)}"


def tool(name: str) -> str:
    """The path of a host program. Raises: SetupError with the package to install."""
    if found := shutil.which(name):
        return found
    raise SetupError(f"the program '{name}' is missing", hint=install_hint(name))


def compiler() -> str:
    """The host's C compiler: $CC, else gcc. Raises: SetupError."""
    if named := os.environ.get("CC"):
        if found := shutil.which(named):
            return found
        raise SetupError(f"CC names '{named}', which is not a program", hint="unset CC, or name a C compiler in it")
    return tool("gcc")


@cache
def compiler_version(path: str) -> tuple[int, str]:
    """Major version and full version of the compiler at `path`. Raises: SetupError."""
    full = run([path, "-dumpfullversion", "-dumpversion"], what=f"asking {path} for its version").strip()
    major = full.partition(".")[0]
    if not major.isdigit():
        raise SetupError(f"'{path}' does not tell its version: {full!r}", hint=install_hint("gcc"))
    return int(major), full


def libc() -> str:
    """The C library, as a part of cache keys: what is linked against a newer one does not load on an older one."""
    name, version = platform.libc_ver()
    return f"{name or 'libc'}{version}"


def plain_env(**more: str) -> dict[str, str]:
    """The environment with untranslated messages, so that they can be recognised."""
    return {**os.environ, "LC_ALL": "C", "LANGUAGE": "C", **more}


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a program's output."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


def _kill(group: int) -> None:
    """What it started goes too: a make has its shells, and those their compilers."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def run(
    argv: Sequence[str | Path],
    *,
    what: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    limit_s: float | None = None,
) -> str:
    """Run a program to its end and give its output. Raises: SetupError with what it said, also after `limit_s`."""
    command = [str(a) for a in argv]
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env) if env is not None else plain_env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError as exc:
        raise SetupError(
            f"{what}: '{command[0]}' cannot be run: {exc.strerror}", hint=install_hint(command[0])
        ) from exc
    with process:
        try:
            said, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired as exc:
            _kill(process.pid)
            said, _ = process.communicate()
            too_long = f"{said}\nit was ended: it took longer than {limit_s:g} s (--timeout)"
            raise ProgramFailed(what, command, -signal.SIGKILL, too_long) from exc
        except BaseException:
            _kill(process.pid)
            raise
    if process.returncode:
        raise ProgramFailed(what, command, process.returncode, said)
    return said


class ProgramFailed(SetupError):
    """A host program ended with an error; `output` is what it said."""

    def __init__(self, what: str, command: Sequence[str], code: int, output: str) -> None:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        super().__init__(f"{what} failed ({how}):\n{tail(output)}", hint=f"the command was: {' '.join(command)}")
        self.output = output
