# SPDX-License-Identifier: Apache-2.0
"""docs/your-card.md is followed to the letter, but for the guest (guest-tests/test_your_card_page.py runs that too)."""

import re
from pathlib import Path

from tests import card_page, pages
from tests.lab.dump import real
from tests.length import LONG


def test_every_command_prints_what_the_page_says(tmp_path: Path) -> None:
    assert card_page.follow(tmp_path, guest=False, pip=LONG) == len(pages.steps(card_page.PAGE)) - 1


def test_the_dumps_of_the_page_are_the_real_ones(tmp_path: Path) -> None:
    pages.write_files(card_page.PAGE, tmp_path)
    values = re.findall(r"\b[0-9a-f]{8}\b", (tmp_path / "eeprom.txt").read_text())
    assert [int(value, 16) for value in values[: len(real.DASA_SIM)]] == list(real.DASA_SIM)
    assert real.COMM2_LPCIE_LSPCI.startswith((tmp_path / "lspci.txt").read_text())
