# SPDX-License-Identifier: Apache-2.0
"""The chips and their boards as people look at them: tables, ledger, configuration space; and our own driver."""
