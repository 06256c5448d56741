# SPDX-License-Identifier: Apache-2.0
"""The parts of a computer: memory, virtual space, cache, processor, guard bytes, the two views of memory, 8237s.

Each part is given the parts that it works with and nothing else; none of them knows the machine that holds it.
"""
