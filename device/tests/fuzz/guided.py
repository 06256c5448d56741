# SPDX-License-Identifier: Apache-2.0
"""Grows a corpus by coverage, with atheris (libFuzzer), in processes of their own: it ends the one that it runs in.

What it finds is merged with what is kept, so that the corpus stays small: an input is kept only for what it alone covers.
"""

import importlib.util
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from tests.fuzz.corpus import Kind

ROOT = Path(__file__).parents[3]
CHILD = Path(__file__).with_name("guided_child.py")


def grow(kind: Kind, seconds: float, *, keep: bool, seed: int) -> int:
    """Fuzz for so long, merge, and keep the result if asked; give the exit code."""
    _install()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grown, merged = folder / "grown", folder / "merged"
        for one in (grown, merged):
            one.mkdir()
        for number, data in enumerate(kind.corpus()):
            (grown / f"{number:04}").write_bytes(data)
        itself = folder / "child"  # libFuzzer starts itself anew to merge
        itself.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{CHILD}" {kind.name} "$0" "$@"\n', encoding="utf-8")
        itself.chmod(0o755)
        child = [str(itself), f"-artifact_prefix={ROOT}/build/fuzz/{kind.name}-"]
        (ROOT / "build/fuzz").mkdir(parents=True, exist_ok=True)
        found = subprocess.run([*child, f"-max_total_time={seconds:.0f}", f"-seed={seed}", str(grown)], check=False)
        if found.returncode:
            return found.returncode
        subprocess.run([*child, "-set_cover_merge=1", "-use_counters=0", str(merged), str(grown)], check=True)
        inputs = [path.read_bytes() for path in merged.iterdir()]
        print(  # noqa: T201 - what the script is run for
            f"{kind.name}: {len(inputs)} inputs of {sum(map(len, inputs))} bytes cover what {len(list(grown.iterdir()))} did"
        )
        if keep:
            kind.keep(inputs)
            print(  # noqa: T201 - what the script is run for
                f"kept: {kind.archive} ({kind.archive.stat().st_size} bytes)"
            )
    return 0


def _install() -> None:
    """Get atheris, as pyproject.toml says which, unless it is there."""
    if importlib.util.find_spec("atheris"):
        return
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"][
        "fuzz"
    ]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--only-binary", ":all:", *wanted], check=True)
