# SPDX-License-Identifier: Apache-2.0
"""The part `pciutils`: lspci leaves its packages with exactly what it loads."""

from pathlib import Path
from typing import Any

import pytest

from plx9x5x.cli.main import main
from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain import ALL, FOR_A_RUN, doctor, load

NEED = {"pciutils"}
LIB = "usr/lib/x86_64-linux-gnu"
LOADER = f"{LIB}/ld-linux-x86-64.so.2"
# Poses as the dynamic loader: lists the libraries, or runs the program, which is a script.
LOADER_TEXT = """#!/bin/sh
[ "$1" = --library-path ] && libraries=$2
[ "$3" = --list ] || { shift 2; exec sh "$@"; }
echo "	linux-vdso.so.1 (0x00007f0000000000)"
echo "	libpci.so.3 => LIBPCI (0x00007f0000000000)"
echo "	/lib64/ld-linux-x86-64.so.2 => $0 (0x00007f0000000000)"
"""
LSPCI = """#!/bin/sh
case $* in
--version) echo "lspci version 9.9.9" ;;
*-F*) echo "lspci: bad dump"; exit 1 ;;
*) echo "$@"; echo "noise" >&2 ;;
esac
"""
FILES = {
    "usr/bin/lspci": LSPCI,
    "usr/bin/setpci": "not wanted",
    "usr/share/misc/pci.ids": "10b5  PLX\n",
    LOADER: LOADER_TEXT.replace("LIBPCI", "$libraries/libpci.so.3"),
    f"{LIB}/libpci.so.3": "a library",
    f"{LIB}/libother.so.1": "not wanted",
}


def offer(host: Any, **files: str | None) -> None:
    """Have the mirror hold the package, with these files otherwise; None is without."""
    held = {name: text for name, text in {**FILES, **files}.items() if text is not None}
    host.package("pciutils", "1:9.9.9-1", held)


def test_the_part_is_the_program_its_names_and_the_libraries_that_it_loads(host: Any) -> None:
    offer(host)
    tc = load(need=NEED)
    assert tc.pciutils.files().keys() == {"lspci", "pci.ids", "lib/libpci.so.3", "lib/ld-linux-x86-64.so.2"}
    assert sorted(p.name for p in tc.pciutils.folder.iterdir()) == ["lib", "lspci", "part.json", "pci.ids"]
    assert tc.versions()["pciutils"] == tc.pciutils.version == "9.9.9"


def test_lspci_takes_names_from_its_own_list_only_and_says_no_noise(host: Any) -> None:
    offer(host)
    lspci = load(need=NEED).pciutils
    assert lspci.lspci("-vvv") == f"-O hwdb.disable=1 -i {lspci.folder}/pci.ids -vvv\n"


def test_lspci_that_fails_says_why(host: Any) -> None:
    offer(host)
    with pytest.raises(SetupError, match="bad dump"):
        load(need=NEED).pciutils.lspci("-F", "x")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"usr/bin/lspci": None}, "hold no usr/bin/lspci"),
        ({"usr/share/misc/pci.ids": None}, r"hold no usr/share/misc/pci\.ids"),
        ({LOADER: None}, "holds no ld-linux"),
        ({LOADER: LOADER_TEXT.replace("LIBPCI", "not found")}, r"lack libpci\.so\.3"),
        ({LOADER: LOADER_TEXT.replace("LIBPCI", "/usr/lib/libpci.so.3")}, r"lack libpci\.so\.3"),
        ({"usr/bin/lspci": "echo something else\n"}, "does not look like lspci"),
    ],
)
def test_packages_that_will_not_do_are_refused(
    host: Any, cache_root: Path, files: dict[str, str | None], why: str
) -> None:
    offer(host, **files)
    with pytest.raises(SetupError, match=why):
        load(need=NEED)
    assert not (cache_root / "parts").exists()


def test_a_part_that_lost_a_library_is_fetched_again(host: Any) -> None:
    offer(host)
    (load(need=NEED).pciutils.folder / "lib/libpci.so.3").unlink()
    assert (load(need=NEED).pciutils.folder / "lib/libpci.so.3").exists()
    assert host.count("download") == 2


def test_a_run_does_without_it_and_a_whole_fetch_brings_it() -> None:
    assert frozenset(NEED) | {"virtiofsd"} == ALL - FOR_A_RUN


def test_fetch_show_and_doctor_know_it(host: Any, capsys: pytest.CaptureFixture[str]) -> None:
    offer(host)
    (before,) = [line for line in doctor.report(None) if line.what == "pciutils"]
    assert before.mend == "plx9x5x toolchain fetch"
    assert before.warn
    assert main(["toolchain", "fetch", "--need", "pciutils"]) == 0
    assert "pciutils 9.9.9" in capsys.readouterr().out
    assert main(["toolchain", "show"]) == 0
    assert "package=1:9.9.9-1" in capsys.readouterr().out
    (after,) = [line for line in doctor.report(None) if line.what == "pciutils"]
    assert not after.mend
    assert "9.9.9" in after.says
