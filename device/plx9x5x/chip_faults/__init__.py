# SPDX-License-Identifier: Apache-2.0
"""The card's half of `plx9x5x.faults`: its registers by name, what else fails in it, and who is not to blame."""
