# SPDX-License-Identifier: Apache-2.0
"""What the rooms above keep and hand to each other: data only, no operation on a machine.

A record knows what it is by itself (a region where it ends, an MDL which pages it spans); who owns it, and whether it
may be had at all, is decided above.
"""
