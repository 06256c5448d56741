# SPDX-License-Identifier: Apache-2.0
"""Fetch, build, boot, read results."""
