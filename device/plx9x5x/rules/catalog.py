# SPDX-License-Identifier: Apache-2.0
"""All rules of the family, in the order of the page that describes them."""

from typing import Final

from plx9x5x.rules import bus, card, channels

RULES: Final = (*channels.RULES, *bus.RULES, *card.RULES)
