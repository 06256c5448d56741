# SPDX-License-Identifier: Apache-2.0
"""The common-buffer contract held against drivers: Linux guests by what they report, or `nthal` as the whole host."""
