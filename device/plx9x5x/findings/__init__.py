# SPDX-License-Identifier: Apache-2.0
"""Findings: somebody did something wrong. The machinery, for any device; a device brings its rules."""
