# SPDX-License-Identifier: Apache-2.0
"""The native plane's part of the kit: which plane moves data, and guest memory as a table that C can walk.

Two planes do the same, and tests prove that: `python` is the reference, `native` is C where nothing has a say. What C
cannot do whole it leaves to Python. The modules are compiled when the package is installed (hatch_build.py).
"""
