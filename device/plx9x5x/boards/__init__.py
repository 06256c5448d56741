# SPDX-License-Identifier: Apache-2.0
"""One board a file, registered under the entry-point group `plx9x5x.boards`."""
