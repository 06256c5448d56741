# SPDX-License-Identifier: Apache-2.0
"""Where two sources say different things of a clause: both, what the model does and why, and the switch if any.

`docs/contract.md` shows the list, and `nthal clauses CB-67` those of a clause. To add one, add a `Difference`.
Source: reference hal-contract 10.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement. `one` and `other` are what two sources say, each with the source named.

    `model` is what the model does, and why; `switch` the field of `platforms.Switches` that chooses, if any.
    """

    clauses: tuple[str, ...]
    subject: str
    one: str
    other: str
    model: str
    switch: str = ""


DIFFERENCES: Final = (
    Difference(
        ("CB-67",),
        "who keeps the processor's caches around a packet transfer where DMA is not coherent (ARM, `_CCA` 0)",
        "DOC:flushing-cached-data, of versions 1 and 2: the driver calls KeFlushIoBuffers before a transfer.",
        "DOC:version-3: MapTransferEx flushes before a write and FlushAdapterBuffersEx invalidates after a read, so the"
        " call is needless. WDF fxdmatransactionpacket.cpp (`_AdapterControl`) dropped it for every version, since"
        " FlushAdapterBuffers does what is necessary; PLX calls none.",
        "By the adapter's version, so that both documents hold: the mapping routines of a version 3 adapter keep the"
        " caches, with version 1 and 2 a driver that does not flush is told of stale data. The framework takes version"
        " 3 on ARM and needs no call. In doubt: the document of version 3 names the Ex routines, and the model lets the"
        " plain ones and the lists of such an adapter do the same.",
        "map_keeps_caches",
    ),
    Difference(
        ("CB-107",),
        "an alignment requirement and a packet profile (AM-12)",
        "S0: WdfDeviceSetAlignmentRequirement aligns the enabler's common buffers.",
        "WDF fxdmaenabler.cpp: only scatter/gather profiles read it; for packet and system profiles the mask is 0.",
        "As the source, which is Windows itself, with a finding that the request had no effect.",
        "alignment_all_profiles",
    ),
    Difference(
        ("CB-163", "CB-60"),
        "CacheEnabled of the allocation (AM-04)",
        "S4: the caller says whether caching is to be enabled; ROS does as it says.",
        "S1: the parameter is ignored, the system decides by processor and bus.",
        "Ignored but kept, since the free repeats it (CB-81): S1 is the newer text of the same routine.",
        "honour_cache_enabled",
    ),
    Difference(
        ("CB-56",),
        "what a buffer for a 16-bit channel must not cross (AM-06)",
        "HW: the page register's lowest bit is not used, so 128 KiB.",
        "ROS: 64 KiB for every channel.",
        "64 KiB: a portable driver may not rely on more. That a transfer has an even length is looked at when the"
        " channel is programmed, not when the buffer is made.",
        "word_channel_boundary",
    ),
    Difference(
        ("CB-06", "CB-46"),
        "how many map registers an adapter comes with (AM-03)",
        "DOC:getting-an-adapter-object: one more than MaximumLength needs, or what the platform can give.",
        "ROS HalGetAdapter: one for slaves with scatter/gather, sixteen at most without; the top bit of MaximumLength"
        " is not looked at.",
        "As the document.",
        "reactos_grant",
    ),
    Difference(
        ("CB-51",),
        "scatter/gather on PCI without an address flag (AM-05)",
        "DDI:_DEVICE_DESCRIPTION: such a device counts as one of 32 bits.",
        "ROS: 24 bits, as for any device without a flag.",
        "As the reference page.",
        "sg_pci_is_32bit",
    ),
    Difference(
        ("CB-41",),
        "a buffer of more pages than the adapter has map registers (AM-02)",
        "S4: the bound must not be exceeded; what happens then is not said.",
        "ROS: the buffer is made.",
        "NULL, with nothing held: the one answer that every driver has to handle anyway.",
        "enforce_map_register_limit",
    ),
    Difference(
        ("CB-81",),
        "a free whose arguments are not those of the allocation (AM-13)",
        "DDI:FreeCommonBuffer: all of them must match; what happens else is not said.",
        "ROS: address, length and the cache flag are used, the rest is not looked at, and nothing is refused.",
        "Refused, and the buffer lives on: nothing is lost, and the mistake has its place.",
        "bad_free_as_reactos",
    ),
    Difference(
        ("CB-29",),
        "where in its page a buffer begins under DMA verification (AM-10)",
        "WDF fxcommonbuffer.cpp asserts page alignment below a page's mask.",
        "The sample output of `!dma` shows buffers at 0x7F8, 0x680 and 0x400, in the middle of their guard bytes.",
        "In the middle, down to a multiple of eight bytes and of the HAL's alignment, for a driver lays words in it;"
        " the framework's own buffers stay aligned.",
        "verifier_offsets",
    ),
    Difference(
        ("CB-59", "CB-51"),
        "an AddressWidthOverride of 25 to 31 bits before Windows 8",
        "WDF fxdmaenabler.cpp clears Dma32BitAddresses and says in its log that it falls back to 24 bits.",
        "DDI:_DEVICE_DESCRIPTION: scatter/gather on PCI counts as 32 bits whatever that flag says, so the HAL would.",
        "24 bits: a buffer that the device cannot drive is worse than one that is not to be had.",
    ),
    Difference(
        ("CB-119",),
        "a NULL EvtProgramDma or MDL for WdfDmaTransactionInitialize",
        "WDF fxdmatransactionapi.cpp: FxPointerNotNull, which stops the machine.",
        "DDI:WdfDmaTransactionInitialize: an invalid parameter is STATUS_INVALID_PARAMETER.",
        "The status: it names the mistake, and a driver that looks at it learns the same.",
    ),
    Difference(
        ("CB-127", "CB-06"),
        "the map registers of a single transfer where the machine needs none",
        "WDF fxdmatransactionbase.cpp: the HAL's GetDmaTransferInfo may say that none is used, whatever was granted.",
        "DDI:DMA_TRANSFER_INFO_V1: the number that the transfer needs; no word of machines that need none.",
        "A page is a register on every machine (AM-17): a driver that passes here passes where they are real.",
    ),
)
"""Every known one; those of a clause by `of`."""


def of(clause: str) -> tuple[Difference, ...]:
    """Differences about a clause."""
    return tuple(one for one in DIFFERENCES if clause in one.clauses)
