# SPDX-License-Identifier: Apache-2.0
"""The mirror and its keys are what the host's own apt says, in every form that apt reads."""

from pathlib import Path
from typing import Any

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain.sources import Mirror, host_mirrors


@pytest.fixture
def only(host: Any) -> Any:
    """Replaces the fake host's sources by one file, and reads them."""

    def read(name: str, text: str) -> list[Mirror]:
        (host.etc / "sources.list.d/debian.list").unlink(missing_ok=True)
        host.source(name, text)
        return host_mirrors({"Dir": f"{host.top}/", "Dir::Etc": "etc/apt"})

    return read


def test_one_line_source_gives_its_mirror_and_options(only: Any, host: Any, tmp_path: Path) -> None:
    key = tmp_path / "own.gpg"
    key.touch()
    found = only(
        "d.list", f"deb [arch=amd64 signed-by={key} check-valid-until=no] http://a.test/debian/ trixie main # x\n"
    )
    assert found[0].line("deb-src", "bookworm") == (
        f"deb-src [check-valid-until=no signed-by={key},{host.keyring}] http://a.test/debian bookworm main"
    )


def test_deb822_source_gives_its_mirror(only: Any) -> None:
    text = "# note\nTypes: deb\n# another\nURIs: http://a.test/debian\nSuites: bookworm bookworm-updates\nComponents: main\n"
    assert [m.uri for m in only("d.sources", text)] == ["http://a.test/debian"]


def test_deb822_continued_fields_and_several_stanzas(only: Any) -> None:
    text = "Types: deb\nURIs:\n http://a.test/x\n http://b.test/x\nSuites: sid\nComponents: main\n\nTypes: deb\nURIs: http://c.test\nSuites: sid\nComponents: main\n"
    assert [m.uri for m in only("d.sources", text)] == ["http://a.test/x", "http://b.test/x", "http://c.test"]


def test_disabled_stanza_is_left_out(only: Any) -> None:
    with pytest.raises(SetupError, match="no Debian mirror"):
        only("d.sources", "Enabled: no\nTypes: deb\nURIs: http://a.test\nSuites: sid\nComponents: main\n")


def test_mirror_list_is_passed_to_apt_as_it_is(only: Any) -> None:
    found = only("d.list", "deb mirror+file:/etc/apt/mirrors/debian.list bookworm main\n")
    assert found[0].uri == "mirror+file:/etc/apt/mirrors/debian.list"


def test_signed_local_mirror_keeps_its_key_and_gets_the_archives_too(only: Any, host: Any, tmp_path: Path) -> None:
    key = tmp_path / "local.gpg"
    key.touch()
    found = only(
        "d.sources", f"Types: deb\nURIs: file:/srv/debian\nSuites: bookworm\nComponents: main\nSigned-By: {key}\n"
    )
    assert found[0].keys == (str(key), str(host.keyring))


def test_key_inside_the_source_is_kept_whole(only: Any) -> None:
    text = (
        "Types: deb\nURIs: http://a.test\nSuites: bookworm\nComponents: main\nSigned-By:\n"
        " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF==\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )
    lines = only("d.sources", text)[0].inline_key.splitlines()
    assert lines == ["-----BEGIN PGP PUBLIC KEY BLOCK-----", "", "mQINBF==", "-----END PGP PUBLIC KEY BLOCK-----"]


@pytest.mark.parametrize(
    "line",
    [
        "deb http://a.test/ubuntu noble main",
        "deb http://a.test/debian-security bookworm-security main",
        "deb http://a.test/pgdg bookworm-pgdg main",
        "deb http://a.test/docker bookworm stable",
        "# deb http://a.test/debian bookworm main",
        "deb cdrom:[Debian]/ bookworm main",
    ],
)
def test_what_is_not_debians_main_archive_is_not_taken(only: Any, line: str) -> None:
    with pytest.raises(SetupError, match="no Debian mirror") as caught:
        only("d.list", f"{line}\n")
    assert "PLX9X5X_MIRROR" in caught.value.hint
    assert "debian-archive-keyring" in caught.value.hint


def test_the_archives_own_key_goes_before_another_vendors(only: Any, host: Any, tmp_path: Path) -> None:
    key = tmp_path / "vendor.gpg"
    key.touch()
    found = only(
        "d.list",
        f"deb [signed-by={key}] http://vendor.test bookworm main\n"
        f"deb [signed-by={host.keyring}] http://a.test bookworm main\n",
    )
    assert [m.uri for m in found] == ["http://a.test", "http://vendor.test"]


def test_the_environment_names_the_mirror(only: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLX9X5X_MIRROR", "http://mine.test/debian/")
    assert [m.uri for m in only("d.list", "deb http://a.test/ubuntu noble main\n")] == ["http://mine.test/debian"]


def test_without_any_key_the_package_that_brings_it_is_named(only: Any, host: Any) -> None:
    host.keyring.unlink()
    with pytest.raises(SetupError, match="signing keys") as caught:
        only("d.list", "deb http://a.test/debian bookworm main\n")
    assert "debian-archive-keyring" in caught.value.hint


def test_keys_trusted_for_everything_are_enough(only: Any, host: Any) -> None:
    host.keyring.unlink()
    (host.etc / "trusted.gpg.d").mkdir()
    (host.etc / "trusted.gpg.d/debian.asc").touch()
    found = only("d.list", "deb http://a.test/debian bookworm main\n")
    assert found[0].line("deb", "trixie") == "deb http://a.test/debian trixie main"
