# SPDX-License-Identifier: Apache-2.0
"""docs/your-card.md with its guest: a real card's dump becomes a board, and the page's driver binds to it."""

from pathlib import Path

import pytest

from tests import card_page, pages

pytestmark = [pytest.mark.guest, pytest.mark.timeout(600)]


def test_the_page_is_followed_to_the_letter(tmp_path: Path) -> None:
    assert card_page.follow(tmp_path, guest=True, pip=True) == len(pages.steps(card_page.PAGE))
