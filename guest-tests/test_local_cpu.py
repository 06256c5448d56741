# SPDX-License-Identifier: Apache-2.0
"""A driver in a guest hears the board whose local side answers, set by `--set`: doorbell, mailbox, LINTi#."""

from pathlib import Path

import pytest
from trying import folder, tried

from plx9x5x.trace.regtrace import Note, parse

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]

HEARD = "cat /sys/bus/pci/drivers/bells/0*/heard"


@pytest.mark.parametrize("chip", ["9656", "9054"])
def test_a_driver_hears_what_the_local_side_was_told_to_do(chip: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    result, ear = tried(
        folder("bells"), command=HEARD, boards=("rdk-local-cpu",), settings=(f"chip={chip}", "latency=200"), trace=trace
    )
    assert (result.exit_code, result.problems, result.findings) == (0, (), ()), result
    assert ear.heard == b"bells 0x5, mail 0xedcba987, kicks 1\n"
    told = [it for it in map(parse, trace.read_text().splitlines()) if isinstance(it, Note)]
    assert Note("local", "W 0x064 0x00000005") in told
    assert [it.text for it in told if it.kind == "linti"] == ["1", "0"]
