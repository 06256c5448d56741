# SPDX-License-Identifier: Apache-2.0
"""Linux's own gsc_hpdi streams from the card that it expects, and every word is compared in the guest.

PLX_HPDI_BYTES is how much one stream takes, PLX_HPDI_CYCLES how often a command is started and stopped after it,
PLX_HPDI_RELOADS how often the module is unloaded and loaded before. `--log-cli-level=info` shows what each came to.

Two things here are not the card's, and are told apart from what is:

- QEMU brings INTA# late (tests.boards_of_drivers.late_inta). The program names the command that the driver took to be
  ended by it, and repeats it; no run has to repeat many. One test goes on until some were, and has the card's own trace
  beside them.
- Behind an IOMMU the driver's first buffer ends at 4 GiB, and 32 bits do not hold that end: its last block is always
  taken, full or not. Blocks of 3840 bytes do not reach the end of a buffer.
"""

import logging
import os
import re
from pathlib import Path

import pytest

from plx9x5x.lab.guest.shapes import HIGH, IOMMU, PLAIN, Shape
from plx9x5x.lab.toolchain import build_static
from plx9x5x.lab.trial import TryResult
from plx9x5x.lab.trial_plugin import Try
from tests.boards_of_drivers.late_inta import GOOD, ended_commands, late_interrupts, most_repeated, of_ended, unanswered

pytestmark = [pytest.mark.guest, pytest.mark.timeout(1800)]

BYTES = int(float(os.environ.get("PLX_HPDI_BYTES", "2e6"))) // 4 * 4
CYCLES = int(os.environ.get("PLX_HPDI_CYCLES", "10"))
RELOADS = int(os.environ.get("PLX_HPDI_RELOADS", "2"))
EACH = 65536
BLOCK = 4096
PROVOKED, PROVOKING = 5, 3000
"""Commands that have to be ended by an old interrupt, and the cycles that this may take: on an idle host, fifty."""
TIMEOUT_S = 120 + BYTES / 500_000
INSTEAD_OF_4_GIB = "-k 3840"

LOG = logging.getLogger("hpdi")

RELOAD = "rmmod gsc_hpdi && insmod /lib/modules/gsc_hpdi.ko && /hpdi_stream -b 65536 -c 2 {options} || exit 9; "
TROUBLE = re.compile(r"^(?:WRONG|ERROR|ENDED|SILENT): .*", re.MULTILINE)
ACKNOWLEDGED = re.compile(r"(\d+) interrupts?, (\d+) acknowledged")


@pytest.fixture(scope="module")
def program() -> Path:
    return build_static(Path(__file__).parent / "cards" / "hpdi_stream.c", name="hpdi_stream")


def in_words(result: TryResult) -> str:
    """What went wrong, by whom as far as the card can tell."""
    said = [*TROUBLE.findall(result.output), *result.lines()]
    if "SILENT" in result.output:
        for raised, acknowledged in ACKNOWLEDGED.findall("\n".join(result.transfers)):
            lost = int(raised) > int(acknowledged)
            who = "QEMU or the guest lost it" if lost else "the card was not asked for more, or had no more to say"
            said.append(f"the card interrupted {raised} times, {acknowledged} were acknowledged: {who}")
    return "\n".join(said)


def checked(result: TryResult, *, wanted: int, cycles: int) -> None:
    """Hold the last run of the program to what it was asked for, and all of them to what they may repeat."""
    assert result.exit_code == 0, in_words(result)
    assert (result.problems, result.findings, result.kernel_said) == ((), (), ()), in_words(result)
    assert [text.split()[1] for text in result.bound] == ["gsc_hpdi"]
    assert len(TROUBLE.findall(result.output)) == sum(int(run[2]) for run in GOOD.findall(result.output))
    assert all(int(run[2]) <= most_repeated(int(run[1])) for run in GOOD.findall(result.output)), in_words(result)
    compared, turns, repeated, seconds, interrupts = GOOD.findall(result.output)[-1]
    assert int(compared) == wanted + cycles * EACH + of_ended(result.output)
    assert int(turns) == cycles
    LOG.info("%s bytes, %s cycles, %s repeated, %s interrupts, %s s", compared, turns, repeated, interrupts, seconds)


@pytest.mark.parametrize("shape", [PLAIN, HIGH, IOMMU], ids=lambda shape: shape.name)
def test_every_word_arrives_in_order(shape: Shape, kernel: str, program: Path, plx_try: Try) -> None:
    options = INSTEAD_OF_4_GIB if shape is IOMMU else ""
    command = RELOADS * RELOAD.format(options=options) + f"/hpdi_stream -b {BYTES} -c {CYCLES} -e {EACH} {options}"
    result = plx_try(
        "gsc_hpdi",
        command=command,
        boards=("hpdi32",),
        guest=shape,
        kernel=kernel,
        files=(program,),
        timeout_s=TIMEOUT_S + 3 * RELOADS + CYCLES,
    )
    LOG.info("%s %s: the module was loaded %d times more", kernel, shape.name, RELOADS)
    checked(result, wanted=BYTES, cycles=CYCLES)
    assert len(GOOD.findall(result.output)) == RELOADS + 1


def test_pseudo_random_words_arrive_and_what_is_not_sent_is_noticed(program: Path, plx_try: Try) -> None:
    command = "/hpdi_stream -b 65536 -c 0; [ $? = 1 ] && /hpdi_stream -b 500000 -c 4 -s prbs"
    result = plx_try("gsc_hpdi", command=command, boards=("hpdi32-prbs",), files=(program,))
    assert result.exit_code == 0, in_words(result)
    first, *ended = TROUBLE.findall(result.output)
    assert first.startswith("WRONG: command 1: byte 0 has 0xfffe0004, and 0 was sent")
    (run,) = GOOD.findall(result.output)
    assert (int(run[0]), len(ended)) == (500_000 + 4 * EACH + of_ended(result.output), int(run[2]))
    assert int(run[2]) <= most_repeated(4), in_words(result)


def test_a_command_that_is_ended_by_an_old_interrupt_is_named_and_the_card_had_driven_it(
    program: Path, plx_try: Try, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    command = f"/hpdi_stream -b {BLOCK} -c {PROVOKING} -e {BLOCK} -n {PROVOKED}"
    result = plx_try("gsc_hpdi", command=command, boards=("hpdi32",), files=(program,), trace=trace)
    assert result.exit_code == 0, in_words(result)
    assert (result.findings, result.kernel_said) == ((), ()), in_words(result)
    (run,) = GOOD.findall(result.output)
    assert int(run[2]) <= most_repeated(int(run[1])), in_words(result)
    ended = ended_commands(result.output)
    assert len(ended) == int(run[2]) == PROVOKED, f"{run[1]} cycles, and QEMU brought INTA# late too seldom"
    lines = trace.read_text(encoding="utf-8").splitlines()
    assert lines[-1] != "full"
    late = {one.command: one for one in late_interrupts(lines)}
    assert {one.command for one in ended} <= set(late), "a command was ended early, and not because INTA# came late"
    assert unanswered(lines) is None
    waits = sorted((late[one.command].read - late[one.command].asserted) / 1e6 for one in ended)
    LOG.info("INTA# came %.2f to %.2f ms late, %d times in %s cycles", waits[0], waits[-1], len(waits), run[1])


def test_behind_an_iommu_the_driver_takes_the_block_that_ends_at_4_gib_before_it_is_full(
    program: Path, plx_try: Try
) -> None:
    result = plx_try("gsc_hpdi", command="/hpdi_stream -b 4e6 -c 0", boards=("hpdi32",), guest=IOMMU, files=(program,))
    found = TROUBLE.findall(result.output)
    assert result.status == 1, f"the driver has been mended: {INSTEAD_OF_4_GIB} is not needed any more"
    assert len(found) == 1, in_words(result)
    assert found[0].startswith("WRONG: command 1: "), in_words(result)
    assert found[0].endswith("the driver took a block before the card had filled it"), in_words(result)
    assert result.findings == ()
