# SPDX-License-Identifier: Apache-2.0
"""Devices of one's own: found by name, looked at, guarded, counted, and judged by the rules that hold for any device.

docs/your-own-device.md is the page for their authors, and says what of the kit is stable.
"""
