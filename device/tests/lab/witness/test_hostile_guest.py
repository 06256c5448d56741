# SPDX-License-Identifier: Apache-2.0
"""Whatever a guest has in its registers and memory, the plugin stays in its bounds: it plays with sanitizers on.

guest-tests/witness_play stands for QEMU: play.c says what it checks after each step, scenes.c has guests whose every
step is known.
"""

import fcntl
import hashlib
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from plx9x5x.lab.witness import facts
from plx9x5x.witness.records import Kind
from tests.lab.witness import test_facts
from tests.lab.witness.made_kernel import TEXT
from tests.length import tries

GUEST = Path(__file__).parents[4] / "guest-tests"
FLAGS = (
    "-g",
    "-O1",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pthread",
)
STEPS = str(tries(300_000, 1_000_000))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Facts of a kernel that exports every function."""
    names = (*facts.CALLS, *facts.HELPERS, *facts.VALUES)
    every = {name: TEXT + 0x100_000 + 0x40 * number for number, name in enumerate(names)}
    path = tmp_path_factory.mktemp("facts") / "facts"
    path.write_text(facts.of_image(test_facts.kernel(**every)).text)
    return path


@pytest.fixture(scope="module")
def play(request: pytest.FixtureRequest) -> Path:
    """The program; it takes seconds to compile, and is kept for as long as what it is made of stays the same."""
    compiler = shutil.which("gcc")
    assert compiler
    sources = [path for folder in ("witness", "witness_play") for path in sorted((GUEST / folder).glob("*.c"))]
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=60).stdout
    digest = hashlib.sha256(b"\0".join([version, *map(str.encode, FLAGS)]))
    for path in (*sources, *sorted(GUEST.glob("witness*/*.h"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    assert request.config.cache
    folder = request.config.cache.mkdir("witness_play")
    made = folder / digest.hexdigest()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            part = folder / "part"
            subprocess.run([compiler, *FLAGS, "-o", part, *sources], check=True, timeout=120)
            for old in folder.iterdir():
                if old.name not in ("lock", "part"):
                    old.unlink()
            part.replace(made)
    return made


def test_no_guest_gets_the_plugin_out_of_its_bounds(play: Path, known: Path) -> None:
    told: Counter[int] = Counter()
    for seed in range(1, 5):
        done = subprocess.run([play, known, str(seed), STEPS], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-300:]
        assert not done.stderr
        for line in done.stdout.splitlines():
            kind, times = map(int, line.split())
            told[kind] += times
    # Each kind was reached: what is checked is all of it.
    assert all(told[kind] for kind in Kind), told


@pytest.mark.parametrize(
    "scene",
    [
        "interrupts",
        "allocation-without-end",
        "kernel-that-moved",
        "two-cards",
        "pages-without-address",
        "memory-that-is-linked",
        "handler",
    ],
)
def test_what_is_made_of_a_guest_whose_steps_are_known(play: Path, known: Path, scene: str) -> None:
    done = subprocess.run([play, known, scene], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("value", facts.VALUES)
def test_facts_without_the_kernels_maps_are_refused(play: Path, known: Path, tmp_path: Path, value: str) -> None:
    path = tmp_path / "facts"
    path.write_text("".join(line for line in known.read_text().splitlines(keepends=True) if value not in line))
    done = subprocess.run([play, path, "1", "1"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (2, "witness: the facts lack 'page_offset_base' or 'vmemmap_base'\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "do not begin with"),
        ("plx9x5x-kernel-facts 2\n", "do not begin with"),
        ("plx9x5x-kernel-facts 1\ncall nobody 1 2\n", "is not understood: 'call nobody 1 2'"),
        ("plx9x5x-kernel-facts 1\noffset module.name 99999999999999999\n", "is not understood"),
        ("plx9x5x-kernel-facts 1\nimage ffffffff81000000 ffffffff82000000\n", "lack 'device.init_name'"),
    ],
)
def test_facts_that_will_not_do_are_said(play: Path, tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "facts"
    path.write_text(text)
    done = subprocess.run([play, path, "1", "1"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("witness: ")
    assert says in done.stderr
