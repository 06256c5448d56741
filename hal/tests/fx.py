# SPDX-License-Identifier: Apache-2.0
"""A framework device with an enabler, and transactions over pool memory, for the tests of KMDF."""

import itertools
from dataclasses import replace

from nthal import kmdf, wdm
from nthal.framework import Device
from nthal.machine import Machine
from nthal.platforms import FLAT, ISA
from nthal.types import La, Out
from nthal.verifier import Misuse
from nthal.windows import WindowsVersion

P = kmdf.WDF_DMA_PROFILE
READ, WRITE = kmdf.WDF_DMA_DIRECTION.READ_FROM_DEVICE, kmdf.WDF_DMA_DIRECTION.WRITE_TO_DEVICE
PAGE = 4096
SINGLE = kmdf.WDF_DMA_ENABLER_CONFIG_FLAGS.REQUIRE_SINGLE_TRANSFER
WINDOWS_7 = replace(FLAT, windows=WindowsVersion.WINDOWS_7)
PATTERN = bytes(index % 251 for index in range(16 * PAGE))


def enable(device, profile=P.SCATTER_GATHER, maximum=65536, attributes=None, **config):
    handle = Out("untouched")
    made = kmdf.WDF_DMA_ENABLER_CONFIG(profile, maximum, **config)
    return kmdf.WdfDmaEnablerCreate(device, made, attributes, handle), handle.value


class Fx:
    """A device with an enabler, and transactions over pool memory that play back what they were given."""

    def __init__(self, platform=FLAT, profile=P.SCATTER_GATHER, *, maximum=65536, elements=None, device=(), **config):
        self.machine = Machine(platform)
        self.device = Device(self.machine, **dict(device))
        self.status, self.enabler = enable(self.device, profile, maximum, **config)
        assert self.status == 0, str(self.machine.last_failure)
        if elements is not None:
            kmdf.WdfDmaEnablerSetMaximumScatterGatherElements(self.enabler, elements)
        self.lists = []
        self.out = Out()

    def transaction(self):
        handle = Out()
        assert kmdf.WdfDmaTransactionCreate(self.enabler, None, handle) == 0
        return handle.taken

    def mdl(self, length, *, offset=0, **where):
        """A locked buffer of `length` bytes that starts `offset` bytes into a page."""
        va = self.machine.allocate_pool(length + offset, **where) + offset
        with self.machine:
            made = wdm.IoAllocateMdl(va, length, False, False)
            wdm.MmProbeAndLockPages(made)
        self.machine.cpu_write(va, PATTERN[:length])
        return made

    def chain(self, *lengths, **where):
        mdls = [self.mdl(length, **where) for length in lengths]
        for one, two in itertools.pairwise(mdls):
            one.next = two
        return mdls[0]

    def program(self, transaction, device, context, direction, made):
        self.lists.append([(int(element.address), element.length) for element in made.elements])
        return True

    def initialize(self, transaction, mdl, length=None, *, direction=WRITE, va=None, function=...):
        return kmdf.WdfDmaTransactionInitialize(
            transaction,
            self.program if function is ... else function,
            direction,
            mdl,
            mdl.va if va is None else va,
            mdl.byte_count if length is None else length,
        )

    def ready(self, length, *, execute=True, **where):
        """A transaction over a buffer of its own, initialized and, unless told otherwise, under way."""
        made = self.transaction()
        assert self.initialize(made, self.mdl(length, **where)) == 0, str(self.machine.last_failure)
        if execute:
            assert kmdf.WdfDmaTransactionExecute(made, None) == 0, str(self.machine.last_failure)
        return made

    def completed(self, transaction, moved):
        done = kmdf.WdfDmaTransactionDmaCompletedWithLength(transaction, moved, self.out)
        return done, self.out.taken

    @property
    def ignored(self):
        return self.machine.verifier.of(Misuse.IGNORED_CALL)

    def moved(self):
        return b"".join(self.machine.device_read(La(la), size) for made in self.lists for la, size in made)


RESOURCE = kmdf.DmaResource(1)


def system(profile=P.SYSTEM, **config):
    fx = Fx(ISA, profile, **config)
    return fx, kmdf.WDF_DMA_SYSTEM_PROFILE_CONFIG(RESOURCE, looped_transfer=True)


def running_system():
    fx, config = system(maximum=65536)
    kmdf.WdfDmaEnablerConfigureSystemProfile(fx.enabler, replace(config, looped_transfer=False), READ)
    made, told = fx.transaction(), []
    kmdf.WdfDmaTransactionSetTransferCompleteCallback(made, lambda *given: told.append(given[-1]), None)
    assert fx.initialize(made, fx.mdl(PAGE)) == 0
    kmdf.WdfDmaTransactionSetDeviceAddressOffset(made, 4)
    return fx, made, told
