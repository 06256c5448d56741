# SPDX-License-Identifier: Apache-2.0
"""The card around the chip: boards to serve, our driver for one; tables, ledger, configuration space for people."""
