# SPDX-License-Identifier: Apache-2.0
"""Pages that are followed to the letter: what is fenced in them, commands run as printed, output compared.

A page's `sh` blocks are commands; a `text` block right after one is what it prints.
"""

import itertools
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_VARIES = (
    (re.compile(r"^(built [\w., ]+) \((?:\d+\.\d s|nothing has changed)\)$", re.MULTILINE), r"\1 (TIME)"),
    (re.compile(r"^(bound \S+ to \w+ in) \d+ ms$", re.MULTILINE), r"\1 TIME"),
    (re.compile(r"^logs: .*/runs/\d{8}-\d{6}-\d+(\.\d+)?$", re.MULTILINE), "logs: FOLDER"),
    (re.compile(r"(passed|failed) in \d+\.\d+s( \(.*\))?"), r"\1 in TIME"),
    (re.compile(r"\b(W 0 0x084 4) 0x\w+ ; DMAPADR0=(0x\w+) address=\2(?=  |$)", re.MULTILINE), r"\1 ; DMAPADR0=BUS"),
    (re.compile(r"\b(bytes at|buffer) 0x\w+(?:-0x\w+)?"), r"\1 BUS"),
    (re.compile(r"^\d+ reads? and (\d+) writes? of its BARs", re.MULTILINE), r"N reads and \1 writes of its BARs"),
    (re.compile(r"^(coverage:) \d+ (% of \d+ lines)", re.MULTILINE), r"\1 N \2"),
)


@dataclass(frozen=True)
class Step:
    """Commands, and what they print; None if the page does not say."""

    commands: str
    prints: str | None


def fenced(page: Path, kind: str) -> list[str]:
    """The texts of all blocks of a kind, in order."""
    return [text for found, text in _FENCED.findall(page.read_text(encoding="utf-8")) if found == kind]


def write_files(page: Path, into: Path) -> None:
    """Write each block whose first line names a file; of a program that line too, so that its lines count as copied."""
    for kind, text in _FENCED.findall(page.read_text(encoding="utf-8")):
        first, _, rest = text.partition("\n")
        if named := re.fullmatch(r"(?:#|//) file: (\S+)", first):
            path = into / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text if kind in {"python", "c"} else rest, encoding="utf-8")


def steps(page: Path) -> list[Step]:
    """The commands of a page, a block at a time."""
    blocks = _FENCED.findall(page.read_text(encoding="utf-8"))
    return [
        Step(text, said if after == "text" else None)
        for (kind, text), (after, said) in itertools.pairwise([*blocks, ("", "")])
        if kind == "sh"
    ]


def shell(commands: str, folder: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run commands as a script that ends at the first failure."""
    return subprocess.run(
        ["sh", "-e", "-c", commands],
        cwd=folder,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def lasting(text: str) -> str:
    """What is the same in each run: without times, folders, bus addresses."""
    for pattern, word in _VARIES:
        text = pattern.sub(word, text)
    return text


def driver_of_the_tutorial(into: Path) -> None:
    """Write mydrv/ and its tests as docs/tutorial.md has them."""
    page = ROOT / "docs" / "tutorial.md"
    write_files(page, into)
    (into / "mydrv").mkdir()
    (into / "mydrv" / "mydrv.c").write_text("\n".join(fenced(page, "c")), encoding="utf-8")
    (makefile,) = re.findall(r"^echo '(.*)' > mydrv/Makefile$", page.read_text(encoding="utf-8"), re.MULTILINE)
    (into / "mydrv" / "Makefile").write_text(f"{makefile}\n", encoding="utf-8")
