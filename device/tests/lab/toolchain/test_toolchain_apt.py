# SPDX-License-Identifier: Apache-2.0
"""apt runs on state of ours, and each way to fail ends in an error that says what to do."""

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain import apt as apt_module
from plx9x5x.lab.toolchain.apt import AptFailed, PrivateApt
from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.toolchain.table import BUSYBOX, Wanted

WANTED = BUSYBOX.wanted[0]


@pytest.fixture
def opened(host: Any, heard: Any, tmp_path: Path) -> Any:
    (tmp_path / "apt").mkdir()
    return lambda: PrivateApt.open(tmp_path / "apt", [WANTED], Cache(tmp_path / "cache"), heard)


def test_a_package_is_fetched_with_its_version_and_checksum(opened: Any, heard: Any, tmp_path: Path) -> None:
    (package,) = opened().fetch(WANTED, tmp_path / "into", heard)
    assert (package.name, package.version) == ("busybox-static", "1:1.0-1")
    assert len(package.sha256) == 64
    assert heard.figures[-1] == (package.size, package.size)


def test_nothing_of_the_hosts_apt_state_is_used(opened: Any, host: Any, tmp_path: Path) -> None:
    opened()
    conf = next((tmp_path / "apt").rglob("apt.conf")).read_text()
    for name in ("Dir::State", "Dir::State::lists", "Dir::State::status", "Dir::Cache", "Dir::Cache::archives"):
        value = next(line.split('"')[1] for line in conf.splitlines() if line.startswith(f"{name} "))
        assert Path(value).is_relative_to(tmp_path / "apt"), name
    for name in ("parts", "main", "sourceparts", "preferences", "preferencesparts"):
        assert f'Dir::Etc::{name} "/dev/null"' in conf
    assert 'APT::Sandbox::User "root"' in conf
    assert not any("sudo" in call for call in host.calls)


def test_proxy_and_certificates_of_the_host_apply_and_its_wishes_do_not(opened: Any, host: Any, tmp_path: Path) -> None:
    host.config(
        "Acquire",
        'Acquire "";\nAcquire::http::Proxy "http://p.test:1";\nAcquire::https::CaInfo "/ca.pem";\n'
        'Acquire::Languages:: "de";\nAcquire::IndexTargets::deb::Packages::MetaKey "x";\n',
    )
    opened()
    conf = next((tmp_path / "apt").rglob("apt.conf")).read_text()
    assert 'Acquire::http::Proxy "http://p.test:1";' in conf
    assert 'Acquire::https::CaInfo "/ca.pem";' in conf
    assert "de" not in [line.split('"')[1] for line in conf.splitlines() if "Languages" in line]
    assert "IndexTargets" not in conf


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("Err:1 Temporary failure resolving 'mirror.test'", "cannot be reached", "network"),
        ("E: Could not connect to mirror.test:80", "cannot be reached", "proxy"),
        ("W: GPG error: NO_PUBKEY 0123", "no key that signs", "debian-archive-keyring"),
        ("Sub-process sqv: Missing key 0123, which is needed to verify signature", "no key that signs", "keyring"),
        ("E: The repository 'x' does not have a Release file.", "lacks one of the suites trixie", "PLX9X5X_MIRROR"),
        ("E: The repository 'x trixie InRelease' is not signed.", "lacks one of the suites trixie", "PLX9X5X_MIRROR"),
        ("E: Release file for x is expired (invalid since 3d)", "clock", "clock"),
        ("E: Certificate verification failed: not trusted", "certificate", "ca-certificates"),
        ("E: write error: No space left on device", "is full", "PLX9X5X_CACHE"),
        ("E: something new", "something new", "again"),
    ],
)
def test_each_failure_of_an_update_says_what_to_do(opened: Any, host: Any, words: str, message: str, hint: str) -> None:
    host.say("update", words)
    with pytest.raises(SetupError, match=message) as caught:
        opened()
    assert hint in caught.value.hint


def test_the_next_mirror_is_tried_when_one_lacks_the_suite(opened: Any, host: Any, heard: Any) -> None:
    host.source("debian.list", "deb http://one.test bookworm main\ndeb http://two.test bookworm main\n")
    host.say("update", "E: The repository 'x' does not have a Release file.", "ok")
    opened()
    assert any("one.test does not serve" in note for note in heard.notes)
    assert heard.notes[-1].endswith("http://two.test")


def test_every_mirror_is_named_when_none_will_do(opened: Any, host: Any) -> None:
    host.source("debian.list", "deb http://one.test bookworm main\ndeb http://two.test bookworm main\n")
    host.say("update", "E: The repository 'x' does not have a Release file.")
    with pytest.raises(AptFailed, match=r"(?s)one\.test.*two\.test"):
        opened()


def test_a_version_that_the_mirror_dropped_is_looked_up_again_once(
    opened: Any, host: Any, heard: Any, tmp_path: Path
) -> None:
    host.say("download", "E: Failed to fetch x  404  Not Found", "ok")
    assert opened().fetch(WANTED, tmp_path / "into", heard)
    assert host.count("update") == 2


def test_a_mirror_that_keeps_dropping_it_is_an_error_after_one_more_look(
    opened: Any, host: Any, heard: Any, tmp_path: Path
) -> None:
    host.say("download", "E: Failed to fetch x  404  Not Found")
    with pytest.raises(AptFailed, match="404"):
        opened().fetch(WANTED, tmp_path / "into", heard)
    assert host.count("update") == 2


def test_a_network_that_fails_in_a_download_is_not_tried_again(
    opened: Any, host: Any, heard: Any, tmp_path: Path
) -> None:
    host.say("download", "E: Unable to connect to mirror.test:80")
    with pytest.raises(AptFailed, match="cannot be reached"):
        opened().fetch(WANTED, tmp_path / "into", heard)
    assert host.count("update") == 1


def test_a_file_that_is_not_what_the_index_says_is_refused(opened: Any, host: Any, heard: Any, tmp_path: Path) -> None:
    host.package("busybox-static", "1", {"usr/bin/busybox": ""}, digest="0" * 64)
    with pytest.raises(AptFailed, match="checksum"):
        opened().fetch(WANTED, tmp_path / "into", heard)


def test_a_mirror_on_the_hosts_disk_is_copied_and_checked(opened: Any, host: Any, heard: Any, tmp_path: Path) -> None:
    (tmp_path / "local.deb").write_bytes(b"not what the index says")
    host.package("busybox-static", "1", {"usr/bin/busybox": ""}, uri=f"file:{tmp_path}/local.deb")
    with pytest.raises(AptFailed, match="checksum"):
        opened().fetch(WANTED, tmp_path / "into", heard)


def test_meta_packages_are_followed_to_the_real_ones_only(opened: Any, host: Any, heard: Any, tmp_path: Path) -> None:
    host.package("meta", "1", {}, depends="k-image-9 (= 1)")
    host.package("k-image-9", "9", {"boot/vmlinuz-9": ""}, depends="kmod, k-tools-9 | other, libc6")
    host.package("k-tools-9", "9", {})
    host.package("kmod", "1", {})
    wanted = Wanted("trixie", ("meta",), follow=("k-",))
    assert [p.name for p in opened().fetch(wanted, tmp_path / "into", heard)] == ["k-image-9", "k-tools-9"]


@pytest.mark.parametrize("program", ["apt-get", "apt-config", "dpkg-deb"])
def test_a_host_without_apt_is_told_what_would_do(host: Any, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setenv("PATH", str(host.bin))
    (host.bin / program).unlink()
    with pytest.raises(SetupError, match=program) as caught:
        apt_module.mirrors()
    assert "PLX9X5X_QEMU" in caught.value.hint


def test_a_key_inside_the_source_reaches_apt_as_a_file(opened: Any, host: Any, tmp_path: Path) -> None:
    (host.etc / "sources.list.d/debian.list").unlink()
    host.source(
        "d.sources",
        "Types: deb\nURIs: http://a.test\nSuites: sid\nComponents: main\nSigned-By:\n"
        " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n key\n -----END PGP PUBLIC KEY BLOCK-----\n",
    )
    opened()
    line = next((tmp_path / "apt").rglob("*.list")).read_text()
    key = Path(line.split("signed-by=")[1].split("]")[0].split(",")[0])
    assert key.read_text().splitlines()[2] == "key"


def test_each_part_sees_its_own_suites_only(opened: Any, host: Any, heard: Any, tmp_path: Path) -> None:
    apt = opened()
    apt.fetch(WANTED, tmp_path / "into", heard)
    argument = next(word for word in host.calls[-1].split() if word.startswith("Dir::Etc::sourcelist="))
    lines = Path(argument.partition("=")[2]).read_text().splitlines()
    assert [line.split()[-2] for line in lines] == ["trixie"]


def test_an_apt_that_waits_on_a_full_disk_is_ended(opened: Any, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host.say("update", "sleep 60")
    monkeypatch.setattr(apt_module, "_FULL_S", 0.2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    started = time.monotonic()
    with pytest.raises(SetupError, match="is full"):
        opened()
    assert time.monotonic() - started < 20


def test_an_apt_that_gets_nothing_for_long_is_ended(opened: Any, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host.say("update", "sleep 60")
    monkeypatch.setattr(apt_module, "_STALL_S", 0.2)
    started = time.monotonic()
    with pytest.raises(AptFailed, match="sent nothing"):
        opened()
    assert time.monotonic() - started < 20
