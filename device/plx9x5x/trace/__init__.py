# SPDX-License-Identifier: Apache-2.0
"""One writer per trace format."""
