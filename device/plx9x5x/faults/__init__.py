# SPDX-License-Identifier: Apache-2.0
"""Faults on demand, for any PCI device: a plan in sentences, when each strikes, and the decorators that do it.

::

    plan (text) --grammar--> Planned ... --> Injector, told of all that happens (Occurrence)
                                                |  strikes
                             FaultyBus    FaultyLine    FaultyDevice     around BusMaster, IrqLine, PciDevice

Nothing here knows a chip. Which registers have names, what else can fail (a channel, an EEPROM) and who is to blame is
the card's: `plx9x5x.chip_faults`. docs/faults.md has the sentences.
"""
