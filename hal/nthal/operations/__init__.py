# SPDX-License-Identifier: Apache-2.0
"""What the HAL does for a driver: each routine is a function over a machine, and every façade ends here.

A routine checks its arguments, decides by `policy`, moves what the parts of the machine hold, and keeps the books of
the adapter. One that gives NULL holds nothing.
"""
