# SPDX-License-Identifier: Apache-2.0
"""Every source file says its licence, and it is the one that LICENSE gives its folder."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GPL = (
    "guest-tests/cards/",
    "guest-tests/kmod/",
    "guest-tests/try/",
    "guest-tests/user/",
    "guest-tests/watched/",
    "guest-tests/witness/",
    "guest-tests/witness_play/",
    "guest-tests/wrong/",
)
TAGGED = {".py", ".c", ".h", ".sh", ""}


def sources(folder: str) -> list[str]:
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix in TAGGED)
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


@pytest.mark.parametrize("folder", ["device", "hal", "guest-tests", "scripts"])
def test_every_source_file_says_the_licence_of_its_folder(folder: str) -> None:
    assert sources(folder)
    wrong = []
    for name in sources(folder):
        head = "".join((ROOT / name).read_text(encoding="utf-8").splitlines(keepends=True)[:3])
        tag = re.search(r"SPDX-License-Identifier: (\S+)", head)
        if tag is None or tag[1] != ("GPL-2.0-only" if name.startswith(GPL) else "Apache-2.0"):
            wrong.append(name)
    assert wrong == []


def test_the_full_text_of_each_licence_is_there() -> None:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "LICENSES").iterdir()}
    assert set(texts) == {"Apache-2.0", "GPL-2.0-only"}
    assert "Version 2.0, January 2004" in texts["Apache-2.0"]
    assert "Version 2, June 1991" in texts["GPL-2.0-only"]


@pytest.mark.parametrize("page", ["LICENSE", "CONTRIBUTING.md"])
def test_the_pages_name_each_folder_under_the_gpl(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [
        it for it in GPL if not re.search(rf"\b{it.split('/')[1]}\b", text.partition("## Licences")[2] or text)
    ] == []
