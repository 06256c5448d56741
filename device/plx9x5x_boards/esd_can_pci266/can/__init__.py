# SPDX-License-Identifier: Apache-2.0
"""A CAN bus in model time, and the SJA1000 controller.

Each file uses those above it:

::

    registers               offsets and bits
    frame                   a frame, its arbitration field and its length in bits
    fifo   filter   faults  parts of a controller: what it received, what it keeps, its error counters
    bus                     the wire, and what it asks of a node
    controller              the SJA1000, a node
"""
