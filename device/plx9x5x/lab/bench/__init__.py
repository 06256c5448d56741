# SPDX-License-Identifier: Apache-2.0
"""How fast the card is, beside peers that are measured in the same run: what `make bench` shows."""
