# SPDX-License-Identifier: Apache-2.0
"""The part `virtiofsd`: the program and the libraries that it loads, and nothing else of its packages."""

from typing import Any

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain import doctor, load

NEED = {"virtiofsd"}
LIB = "usr/lib/x86_64-linux-gnu"
# Poses as the dynamic loader: runs the program, which is a script.
LOADER_TEXT = '#!/bin/sh\n[ "$1" = --library-path ] || exit 9\nshift 2\nexec sh "$@"\n'
FILES = {
    "usr/libexec/virtiofsd": "#!/bin/sh\necho 'virtiofsd 9.8.7'\n",
    f"{LIB}/ld-linux-x86-64.so.2": LOADER_TEXT,
    f"{LIB}/libseccomp.so.2": "a library",
    f"{LIB}/gconv/it.so": "not wanted",
    "usr/share/doc/virtiofsd/copyright": "not wanted",
}


def test_the_part_is_the_program_and_its_libraries(host: Any) -> None:
    host.package("virtiofsd", "9.8.7-1", FILES)
    tc = load(need=NEED)
    assert tc.versions()["virtiofsd"] == tc.virtiofsd.version == "9.8.7"
    root = tc.virtiofsd.folder / "root"
    held = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert held == {"usr/libexec/virtiofsd", f"{LIB}/ld-linux-x86-64.so.2", f"{LIB}/libseccomp.so.2"}
    assert tc.virtiofsd.argv[-1].endswith("usr/libexec/virtiofsd")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({**FILES, "usr/libexec/virtiofsd": None}, "hold no usr/libexec/virtiofsd"),
        ({**FILES, "usr/libexec/virtiofsd": "echo nothing"}, "does not look like virtiofsd"),
    ],
)
def test_packages_that_will_not_do_are_refused(host: Any, files: dict[str, str | None], says: str) -> None:
    host.package("virtiofsd", "9.8.7-1", {name: text for name, text in files.items() if text is not None})
    with pytest.raises(SetupError, match=says):
        load(need=NEED)


def test_the_doctor_says_whether_it_is_there(host: Any) -> None:
    host.package("virtiofsd", "9.8.7-1", FILES)

    def said() -> str:
        return next(line.says for line in doctor.report(None) if line.what == "virtiofsd")

    assert said() == "not fetched yet, try --ro, --rw and --root host need it"
    load(need=NEED)
    assert said() == "9.8.7, fetched"
