# SPDX-License-Identifier: Apache-2.0
"""The common-buffer DMA contract of Windows (AllocateCommonBuffer and its NT and KMDF forms) as an executable model.

Layers, lowest first; an arrow means "is used by"::

    types, windows -> runs, memory, space, cache -> platforms, policy -> verifier, events
        -> machine, bus -> adapter -> common_buffer
                                   -> channel, mdl, packet, scatter_gather, system_dma
        -> framework, transaction
    façades without logic: nt, wdm, kmdf        for a device model: attach        the rules: contract
    for people: dump, views

A driver's life in it::

    with Machine(platforms.IOMMU):
        adapter = wdm.IoGetDmaAdapter(pdo, description, registers)
        va = adapter.DmaOperations.AllocateCommonBuffer(adapter, 8192, la, False)
"""
