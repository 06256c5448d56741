# SPDX-License-Identifier: Apache-2.0
"""What the owner of a card has of it (its EEPROM, its configuration space), and the board package made of that."""
