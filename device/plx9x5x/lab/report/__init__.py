# SPDX-License-Identifier: Apache-2.0
"""What a guest reports, and the forms in which it is passed on."""
