# SPDX-License-Identifier: Apache-2.0
"""A host with an apt of its own: fakes of the four programs that plx9x5x calls, on PATH before the real ones.

The fake mirror is a folder: `packages/NAME` (JSON: version, files), `say` (what the next runs answer), `log` (calls).
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from plx9x5x.lab.toolchain import apt

# They are started some hundred times: each imports what it uses, when it does.
_COMMON = """#!{python} -S
import os, sys
top = {top!r} + "/"
args = sys.argv[1:]
with open(top + "log", "a") as log:
    log.write(" ".join([os.path.basename(sys.argv[0]), *args]) + "\\n")

def packages():
    import json
    return {{name: json.load(open(top + "packages/" + name)) for name in sorted(os.listdir(top + "packages"))}}

def deb(package):
    import io, tarfile
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in package["files"].items():
            info = tarfile.TarInfo(name); info.size = len(text); info.mode = 0o4755
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()

def rule(verb):
    '''One answer for `verb`: the first line of say/VERB is used up, the last one stays.'''
    path = top + "say/" + verb
    if not os.path.exists(path):
        return
    lines = open(path).read().splitlines()
    if len(lines) > 1:
        open(path, "w").write("\\n".join(lines[1:]) + "\\n")
    if lines[0].startswith("sleep"):
        open(top + "sleeping", "w").close()
        import time
        time.sleep(float(lines[0].split()[1]))
    elif lines[0] != "ok":
        print(lines[0])
        sys.exit(100)
"""
_APT_GET = """
if "update" in args:
    rule("update")
elif "--print-uris" in args:
    import hashlib
    rule("plan")
    for name, package in packages().items():
        if name in args:
            data = deb(package)
            digest = package.get("digest") or hashlib.sha256(data).hexdigest()
            file = name + "_" + package["version"].replace(":", "%3a") + "_amd64.deb"
            print(f"'{package.get('uri', 'http://mirror.test/' + file)}' {file} {len(data)} SHA256:{digest}")
elif "download" in args:
    rule("download")
    for name, package in packages().items():
        if name + "=" + package["version"] in args and "uri" not in package:
            open(name + "_" + package["version"].replace(":", "%3a") + "_amd64.deb", "wb").write(deb(package))
"""
_APT_CACHE = """
for name, package in packages().items():
    if name in args:
        print("Package:", name)
        print("Depends:", package.get("depends", "libc6"))
        print()
"""
_APT_CONFIG = """
section = top + "config/" + args[1]
print(open(section).read() if os.path.exists(section) else "")
"""
_DPKG_DEB = """
import tarfile
rule("unpack")
with tarfile.open(args[1]) as tar:
    tar.extraction_filter = lambda member, path: member
    tar.extractall(args[2])
"""


class FakeHost:
    """The fakes, and what they were asked."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.bin = top / "bin"
        self.etc = top / "etc/apt"
        for folder in ("bin", "packages", "say", "config", "etc/apt/sources.list.d", "usr/share/keyrings"):
            (top / folder).mkdir(parents=True)
        self.keyring = top / "usr/share/keyrings/debian-archive-keyring.gpg"
        self.keyring.write_bytes(b"key")
        common = _COMMON.format(python=sys.executable, top=str(top))
        for name, body in (
            ("apt-get", _APT_GET),
            ("apt-cache", _APT_CACHE),
            ("apt-config", _APT_CONFIG),
            ("dpkg-deb", _DPKG_DEB),
        ):
            self.program(name, common + body)
        (top / "config/Dir").write_text(f'Dir "{top}/";\nDir::Etc "etc/apt";\n')
        self.source("debian.list", "deb http://mirror.test/debian bookworm main\n")
        self.package("busybox-static", "1:1.0-1", {"usr/bin/busybox": "#!/bin/sh\n"})

    def program(self, name: str, text: str) -> Path:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def source(self, name: str, text: str) -> None:
        (self.etc / "sources.list.d" / name).write_text(text)

    def package(self, name: str, version: str, files: dict[str, str], **more: Any) -> None:
        (self.top / "packages" / name).write_text(json.dumps({"version": version, "files": files, **more}))

    def say(self, verb: str, *lines: str) -> None:
        """What the fakes answer: 'ok', 'sleep S', or words that end the program with an error; the last one stays."""
        (self.top / "say" / verb).write_text("\n".join(lines) + "\n")

    def config(self, section: str, text: str) -> None:
        (self.top / "config" / section).write_text(text)

    @property
    def calls(self) -> list[str]:
        log = self.top / "log"
        return log.read_text().splitlines() if log.exists() else []

    def count(self, word: str) -> int:
        return sum(word in call.split() and "--print-uris" not in call for call in self.calls)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fakes are quick: their end is looked for as often."""
    monkeypatch.setattr(apt, "_POLL_S", 0.01)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    fake = FakeHost(tmp_path / "host")
    monkeypatch.setenv("PATH", f"{fake.bin}{os.pathsep}{os.environ['PATH']}")
    return fake


@pytest.fixture(autouse=True)
def cache_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the real cache, nor the overrides of whoever runs it."""
    for name in ("QEMU", "KERNEL", "LIBVFIO_USER", "MIRROR"):
        monkeypatch.delenv(f"PLX9X5X_{name}", raising=False)
    monkeypatch.delenv("CC", raising=False)
    root = tmp_path / "cache"
    monkeypatch.setenv("PLX9X5X_CACHE", str(root))
    return root


class Heard:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.figures: list[tuple[int, int]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def task(self, label: str) -> "Heard":
        self.notes.append(label)
        return self

    def update(self, done: int, total: int) -> None:
        self.figures.append((done, total))

    def __enter__(self) -> "Heard":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def heard() -> Heard:
    return Heard()
