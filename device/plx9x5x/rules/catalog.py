# SPDX-License-Identifier: Apache-2.0
"""All rules of the family and of the witness, in the order of the page that describes them."""

from typing import Final

from plx9x5x.rules import bus, card, channels
from plx9x5x.witness import rules as witness

RULES: Final = (*channels.RULES, *bus.RULES, *card.RULES, *witness.RULES)
