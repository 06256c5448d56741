# SPDX-License-Identifier: Apache-2.0
"""The common-buffer DMA contract of Windows (AllocateCommonBuffer and its NT and KMDF forms) as an executable model.

Rooms, lowest first; an arrow means "is used by", and none leads back::

    floor           types -> runs, windows -> arguments -> events, platforms, verifier -> policy, routines
    records/        data: backing -> region -> mdl, request -> adapter, with all that it hands out -> waits
    hardware/       parts: memory -> cache, guards, processor, space -> backings -> bus, regions, view -> controller
    machine         one computer made of the parts; what drivers and tests call
    operations/     the HAL's routines, functions over a machine        beside it: attach, contract/, dump
    framework       objects -> enabler -> framework, transaction -> packet_transaction: KMDF above the HAL
    façades         without logic: nt, wdm, kmdf; drivers to copy: scenarios
    views/          pages and pictures for people, which `__main__` writes

A driver's life in it::

    with Machine(platforms.IOMMU):
        adapter = wdm.IoGetDmaAdapter(pdo, description, registers)
        va = adapter.DmaOperations.AllocateCommonBuffer(adapter, 8192, la, False)
"""
