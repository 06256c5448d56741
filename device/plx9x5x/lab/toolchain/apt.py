# SPDX-License-Identifier: Apache-2.0
"""The host's apt with all of its state in a folder of ours: no root, nothing of the host's changes.

apt checks every signature and every checksum; this module makes the configuration, plans, fetches and turns what apt
says into errors that say what to do.
"""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain import host
from plx9x5x.lab.toolchain.cache import Cache, Package, size_of
from plx9x5x.lab.toolchain.progress import Progress, Task
from plx9x5x.lab.toolchain.sources import NO_APT_HINT, NO_MIRROR_HINT, Mirror, host_mirrors
from plx9x5x.lab.toolchain.table import Wanted
from plx9x5x.units import KIB

_POLL_S: Final = 0.1
_END_S: Final = 3.0
# Seen on a full disk: apt's `store` method waits for ever. So a disk without room for a while ends the run.
_NO_ROOM: Final = 64 * KIB
_FULL_S: Final = 2.0
_STALL_S: Final = 300.0
# Settings of the host that say how to reach a mirror; the rest says what the host wants from it.
_NOT_COPIED: Final = (
    "IndexTargets",
    "Changelogs",
    "Languages",
    "CompressionTypes",
    "cdrom",
    "GzipIndexes",
    "ForceHash",
)
_KEY_WORDS: Final = ("NO_PUBKEY", "Missing key", "public key is not available", "couldn't be verified")
# apt says "is not signed" also of what a mirror does not have at all.
_LACK_WORDS: Final = ("does not have a Release file", "is not signed")
_NET_WORDS: Final = (
    "Could not resolve",
    "Temporary failure resolving",
    "Could not connect",
    "Cannot initiate the connection",
    "Unable to connect",
    "Network is unreachable",
    "Connection timed out",
    "Connection failed",
    "Connection refused",
)
_TRUST_WORDS: Final = (
    "ertificate verification failed",
    "No system certificates available",
    "certificate is NOT trusted",
)


@dataclass(frozen=True, slots=True)
class Planned:
    """One file that apt would fetch."""

    uri: str
    file: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """Package name."""
        return self.file.partition("_")[0]

    @property
    def version(self) -> str:
        """Package version, as the file name spells it with its epoch restored."""
        version = unquote(self.file).split("_")[1] if "_" in self.file else ""
        return version.partition(".orig.tar")[0]


class AptFailed(SetupError):
    """apt ended with an error; `gone` when the mirror no longer has a file that its index named."""

    def __init__(self, message: str, *, hint: str, gone: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.gone = gone


def mirrors() -> list[Mirror]:
    """The mirrors to try, from the host's apt configuration. Raises: SetupError, also when the host has no apt."""
    for program in ("apt-get", "apt-cache", "apt-config", "dpkg-deb"):
        if shutil.which(program) is None:
            raise SetupError(f"this host has no apt: '{program}' is missing", hint=NO_APT_HINT)
    return host_mirrors(_dump("Dir"))


class PrivateApt:
    """One apt for one fetch, below `folder`, which the caller removes."""

    def __init__(self, folder: Path, mirror: Mirror, wanted: Sequence[Wanted], acquire: str, cache: Cache) -> None:
        self._folder = folder
        self._cache = cache
        self._wanted = wanted
        self._mirror = _settle_keys(mirror, folder)
        for name in ("lists/partial", "cache/archives/partial", "lists.d"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").write_bytes(b"")
        (folder / "apt.conf").write_text(_configuration(folder) + acquire, encoding="utf-8")
        self._all = self._list(wanted)

    @classmethod
    def open(cls, folder: Path, wanted: Sequence[Wanted], cache: Cache, progress: Progress) -> "PrivateApt":
        """Read the host's configuration, and fetch the indexes from the first mirror that serves them all.

        Raises: SetupError for the host's part, AptFailed for the mirror's.
        """
        found = mirrors()
        acquire = _copied(_dump_lines("Acquire"))
        failed: list[tuple[Mirror, AptFailed]] = []
        for number, mirror in enumerate(found):
            apt = cls(folder / f"mirror{number}", mirror, wanted, acquire, cache)
            try:
                with progress.task(f"package lists from {mirror.uri}") as task:
                    apt.update(task)
            except AptFailed as exc:
                failed.append((mirror, exc))
                if number + 1 < len(found):
                    progress.note(f"{mirror.uri} does not serve what is needed, trying the next mirror")
            else:
                return apt
        if len(failed) == 1:
            raise failed[0][1]
        said = "\n".join(f"{m.uri} (from {m.origin}): {e}" for m, e in failed)
        raise AptFailed(f"no mirror of the host's apt sources serves what is needed:\n{said}", hint=failed[0][1].hint)

    def update(self, task: Task) -> None:
        """Fetch the indexes. Raises: AptFailed."""
        lists = self._folder / "lists"
        self._run(["apt-get", "-q", "update"], self._all, watch=(lists, 0, task))

    def plan(self, wanted: Wanted) -> list[Planned]:
        """What would be fetched. Raises: AptFailed."""
        return self._plan(wanted, self._names(wanted))

    def fetch(self, wanted: Wanted, into: Path, task: Task) -> list[Package]:
        """Fetch the packages; when the mirror has replaced one meanwhile, read its indexes again, once.

        Raises: AptFailed.
        """
        try:
            return self._fetch(wanted, into, task)
        except AptFailed as exc:
            if not exc.gone:
                raise
        self.update(task)
        return self._fetch(wanted, into, task)

    def _fetch(self, wanted: Wanted, into: Path, task: Task) -> list[Package]:
        into.mkdir(parents=True, exist_ok=True)
        names = self._names(wanted)
        plan = self._plan(wanted, names)
        total = sum(p.size for p in plan)
        task.update(0, total)
        if wanted.source:
            command = ["apt-get", "-q", "source", "--download-only", "--tar-only", *names]
        else:
            command = ["apt-get", "-q", "download", *(f"{p.name}={p.version}" for p in plan)]
        self._run(command, self._list([wanted]), cwd=into, watch=(into, total, task))
        for planned in plan:
            self._take_local(planned, into)
        task.update(total, total)
        return [_package(p, into / p.file) for p in plan]

    def _take_local(self, planned: Planned, into: Path) -> None:
        """A mirror on the host's own disk is not always copied by apt."""
        target = into / planned.file
        if target.exists():
            return
        scheme, _, path = planned.uri.partition(":")
        origin = Path(unquote(path.removeprefix("//")))
        if scheme not in ("file", "copy") or not origin.is_file():
            raise AptFailed(f"apt did not deliver {planned.file}", hint="run the command again", gone=True)
        with self._cache.guard():
            shutil.copyfile(origin, target)

    def _names(self, wanted: Wanted) -> list[str]:
        """The packages to ask for, after following the meta packages."""
        if not wanted.follow:
            return list(wanted.packages)
        found: dict[str, None] = {}
        ask = list(wanted.packages)
        while ask:
            said = self._run(["apt-cache", "show", "--no-all-versions", *ask], self._list([wanted]))
            ask = [n for n in _dependencies(said, wanted.follow) if n not in found]
            found.update(dict.fromkeys(ask))
        if not found:
            raise AptFailed(
                f"{' and '.join(wanted.packages)} of {wanted.suite} name no package that starts with "
                f"{' or '.join(wanted.follow)}",
                hint="look for a newer version of plx9x5x",
            )
        return list(found)

    def _plan(self, wanted: Wanted, names: Sequence[str]) -> list[Planned]:
        if wanted.source:
            command = ["source", "--download-only", "--tar-only"]
        elif wanted.closure:
            command = ["install", "--download-only", "-t", wanted.suite]
        else:
            command = ["download"]
        said = self._run(["apt-get", "-qq", "--print-uris", *command, *names], self._list([wanted]))
        lines = re.findall(r"^'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})", said, re.MULTILINE)
        if not lines:
            raise AptFailed(
                f"apt names no file for {', '.join(names)}:\n{host.tail(said)}", hint="run the command again"
            )
        return [Planned(uri, file, int(size), digest) for uri, file, size, digest in lines]

    def _list(self, wanted: Iterable[Wanted]) -> Path:
        """An apt list with just the suites of `wanted`, so that no other suite can answer."""
        lines = dict.fromkeys(
            self._mirror.line("deb-src" if w.source else "deb", suite) for w in wanted for suite in w.suites
        )
        text = "\n".join(lines) + "\n"
        path = self._folder / "lists.d" / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.list"
        path.write_text(text, encoding="utf-8")
        return path

    def _run(
        self,
        command: Sequence[str],
        sources: Path,
        *,
        cwd: Path | None = None,
        watch: tuple[Path, int, Task] | None = None,
    ) -> str:
        """Run one apt program on `sources`, telling `watch` how far the files in its folder have grown."""
        argv = [host.tool(command[0]), "-o", f"Dir::Etc::sourcelist={sources}", *command[1:]]
        env = host.plain_env(APT_CONFIG=str(self._folder / "apt.conf"), DEBIAN_FRONTEND="noninteractive")
        with tempfile.TemporaryFile("w+", errors="replace", dir=self._folder) as said:
            child = subprocess.Popen(
                argv,
                cwd=cwd or self._folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            try:
                code = self._wait(child, watch)
            finally:
                _end(child)
            said.seek(0)
            output = said.read()
        if code:
            raise self._explain(output, code)
        return output

    def _wait(self, child: subprocess.Popen[bytes], watch: tuple[Path, int, Task] | None) -> int:
        """Wait for apt's end, or for one of the states that it never leaves. Raises: SetupError, AptFailed."""
        moved = room = time.monotonic()
        last = -1
        while (code := child.poll()) is None:
            now = time.monotonic()
            if shutil.disk_usage(self._folder).free >= _NO_ROOM:
                room = now
            elif now - room > _FULL_S:
                raise self._cache.full("apt waits for room")
            if watch:
                folder, total, task = watch
                size = size_of(folder)
                if total:
                    task.update(min(size, total), total)
                if size != last:
                    moved, last = now, size
                if now - moved > _STALL_S:
                    raise AptFailed(
                        f"{self._mirror.uri} has sent nothing for {now - moved:.0f} s",
                        hint="check the network, run again",
                    )
            time.sleep(_POLL_S if watch else _POLL_S / 5)
        return code

    def _explain(self, said: str, code: int) -> SetupError:
        """What apt's words mean for the person who waits for it."""
        errors = [line for line in said.splitlines() if re.match(r"(E|W|Err)[:\d]|  ", line)]
        detail = host.tail("\n".join(errors) or said, 12)
        uri = self._mirror.uri
        if full := self._cache.disk_full(said):
            return full
        if any(word in said for word in _KEY_WORDS):
            return AptFailed(
                f"the host has no key that signs what {uri} serves:\n{detail}",
                hint="sudo apt-get install debian-archive-keyring (upgrade it if it is there: it brings newer keys)",
            )
        if any(word in said for word in _TRUST_WORDS):
            return AptFailed(
                f"the TLS certificate of {uri} is not trusted:\n{detail}", hint=host.install_hint("ca-certificates")
            )
        if re.search(r"is expired|is not valid yet", said):
            return AptFailed(
                f"{uri} has a date that does not fit this host's clock:\n{detail}", hint="set the host's clock"
            )
        if any(word in said for word in _NET_WORDS):
            return AptFailed(
                f"the mirror {uri} cannot be reached:\n{detail}",
                hint="check the network and apt's proxy settings (sudo apt-get update must work), then run this again",
            )
        if any(word in said for word in _LACK_WORDS) or re.search(
            r"The value '\S+' is invalid for APT::Default-Release", said
        ):
            suites = ", ".join(dict.fromkeys(s for w in self._wanted for s in w.suites))
            return AptFailed(f"the mirror {uri} lacks one of the suites {suites}:\n{detail}", hint=NO_MIRROR_HINT)
        gone = bool(
            re.search(r"\b404\b|Unable to locate package|Hash Sum mismatch|File not found|has no installation", said)
        )
        return AptFailed(
            f"apt failed (exit code {code}):\n{detail}",
            hint="run this again; if it stays, look at apt's words above",
            gone=gone,
        )


def _end(child: subprocess.Popen[bytes]) -> None:
    """End apt with the programs that it started, all of them in its own process group."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_END_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _configuration(folder: Path) -> str:
    """Everything of apt that is ours. `status` is empty, so a closure holds the C library too."""
    nothing = {
        f"Dir::Etc::{name}": "/dev/null" for name in ("main", "parts", "sourceparts", "preferences", "preferencesparts")
    }
    settings = nothing | {
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Cache::archives": folder / "cache/archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Dir::Log": folder,
        "APT::Architecture": "amd64",
        "APT::Install-Recommends": "false",
        "APT::Install-Suggests": "false",
        "APT::Sandbox::User": "root",  # root: do not change to _apt, which may not enter the folder
        "APT::Get::List-Cleanup": "false",
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Acquire::ForceHash": "sha256",
        "Acquire::GzipIndexes": "true",
        "Acquire::Retries": "2",
    }
    text = "".join(f'{name} "{value}";\n' for name, value in settings.items())
    return f'#clear APT::Architectures;\nAPT::Architectures {{ "amd64"; }};\n{text}'


def _dump_lines(section: str) -> list[str]:
    return host.run([host.tool("apt-config"), "dump", section], what="reading apt's configuration").splitlines()


def _dump(section: str) -> dict[str, str]:
    return {m[1]: m[2] for line in _dump_lines(section) if (m := re.fullmatch(r'(\S+) "(.*)";', line))}


def _copied(lines: Iterable[str]) -> str:
    """Proxies, certificates, timeouts and validity rules of the host."""
    kept = (line for line in lines if (m := re.match(r"Acquire::([\w-]+)", line)) and m[1] not in _NOT_COPIED)
    return "".join(f"{line}\n" for line in kept if not line.endswith(' "";'))


def _settle_keys(mirror: Mirror, folder: Path) -> Mirror:
    """Give a key that stood inside a source a file of its own."""
    if not mirror.inline_key:
        return mirror
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mirror-key.asc"
    path.write_text(mirror.inline_key, encoding="utf-8")
    return replace(mirror, keys=(str(path), *mirror.keys))


def _dependencies(shown: str, prefixes: tuple[str, ...]) -> list[str]:
    """Names in the Depends fields that start with one of `prefixes`; the first of alternatives."""
    fields = re.findall(r"^Depends: (.*)$", shown, re.MULTILINE)
    first = (clause.partition("|")[0].strip() for field in fields for clause in field.split(","))
    names = (re.split(r"[ (:]", clause)[0] for clause in first)
    return list(dict.fromkeys(n for n in names if n.startswith(prefixes)))


def _package(planned: Planned, path: Path) -> Package:
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    if digest != planned.sha256:
        raise AptFailed(
            f"{planned.file} has the checksum {digest}, the signed index says {planned.sha256}",
            hint="run the command again",
            gone=True,
        )
    return Package(planned.name, planned.version, digest, path.stat().st_size)
