# SPDX-License-Identifier: Apache-2.0
"""What the five documents behind the contract state, in our words, each statement with the clauses that carry it.

Nothing is left out: a statement of mere context stands here too, with the clause that it belongs to. `place` says where
in the document: a paragraph of the body (counted from the title on), or a heading and its paragraph.
"""

from dataclasses import dataclass
from typing import Final

SEEDS: Final = {
    0: "Using Common Buffers (KMDF)",
    1: "PALLOCATE_COMMON_BUFFER callback function (WDM)",
    2: "Common-buffer DMA? No translation required! (WDM, 2007)",
    3: "Using Common-Buffer System DMA (WDM)",
    4: "Common-Buffer Busmaster DMA (NT DDK 3.3.5.2)",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of seed `seed`; `number` counts within the seed from 1."""

    seed: int
    number: int
    place: str
    text: str
    clauses: tuple[str, ...]


def _seed(seed: int, *rows: tuple[str, str, str]) -> tuple[Statement, ...]:
    return tuple(
        Statement(seed, number, place, text, tuple(f"CB-{clause}" for clause in clauses.split()))
        for number, (place, text, clauses) in enumerate(rows, 1)
    )


_KMDF: Final = _seed(
    0,
    ("scope", "All of it is about framework (KMDF) drivers.", "100 121"),
    ("paragraph 1", "Some DMA devices need memory that device and driver both work in: a common buffer.", "30 38"),
    ("paragraph 1", "The device may leave results there, such as counts, for the driver to read.", "23 38"),
    ("paragraph 2", "Allocation belongs in the add-device callback.", "13"),
    ("example", "The size is what the driver needs: elements times the size of one.", "20 27"),
    ("example", "Creation takes the DMA enabler; it stands in the place of the adapter.", "01 100"),
    ("example", "Attributes may be left out; the buffer's parent is the enabler's affair.", "116"),
    ("example", "The status is tested first, and the error handled, before the handle is used.", "76 124"),
    ("example", "The driver asks for the aligned virtual address, for itself.", "35 100 109"),
    ("example", "It asks for the aligned logical address, for the device.", "35 36 109"),
    ("example", "It zeroes the whole of what it asked for, since nothing else does.", "28"),
    ("alignment", "An alignment set on the device before the enabler is created holds for its buffers.", "102"),
    ("alignment", "Without one, buffers are aligned to words.", "103"),
    ("alignment", "A create with a configuration aligns one buffer by itself.", "105"),
    ("last paragraphs", "The length of a buffer can be asked for.", "117"),
    ("last paragraphs", "A buffer is given back by deleting its object.", "118"),
)

_WDM: Final = _seed(
    1,
    ("summary", "One call allocates and maps memory that CPU and device reach at the same time.", "30 34"),
    ("syntax", "It takes adapter, length, a place for the logical address and a caching wish.", "35 81"),
    ("DmaAdapter", "The adapter is what IoGetDmaAdapter gave.", "01"),
    ("DmaAdapter", "It stands for a bus master or for a channel of the DMA controller.", "02"),
    ("Length", "The length is a number of bytes.", "20 27"),
    ("LogicalAddress", "The logical address comes back through a variable of the caller's.", "35"),
    ("LogicalAddress", "It is the address by which the device reaches the buffer.", "35 36"),
    ("LogicalAddress", "MmGetPhysicalAddress is no substitute: only the system knows its restrictions.", "36 52 150"),
    ("CacheEnabled 1", "There is a parameter that says whether the memory may be cached.", "60"),
    ("CacheEnabled 2", "That parameter changes nothing.", "60 163"),
    ("CacheEnabled 2", "The system decides, by processor architecture and bus.", "60 61 62"),
    ("CacheEnabled 3", "On x86, x64 and Itanium the memory is cached.", "61"),
    ("CacheEnabled 3", "There, DMA is taken to be coherent with the caches.", "61 66"),
    ("CacheEnabled 3", "Who needs uncached memory calls AllocateCommonBufferEx.", "63"),
    ("CacheEnabled 4", "On ARM and ARM64 caching is not the rule for every device.", "62"),
    ("CacheEnabled 4", "There the ACPI _CCA of the device tells whether it is coherent.", "62 64"),
    ("return value", "The function value is the virtual address of the buffer's start.", "35"),
    ("return value", "It is NULL if there is no buffer.", "70"),
    ("remarks 1", "The routine has no name that a driver could link to; it is reached by pointer.", "03"),
    ("remarks 1", "The pointer stands in the operations table of the adapter that IoGetDmaAdapter gave.", "01 03"),
    ("remarks 2", "It is for control structures in which processor and bus master keep talking.", "30 38 39"),
    ("remarks 3", "It is for subordinate devices in auto-initialize mode too.", "02 38 140"),
    ("list 1", "The memory can be reached from both sides.", "23 30"),
    ("list 1", "To the device it is contiguous.", "31"),
    ("list 2", "Map registers are allocated if the system needs them for it.", "33 40"),
    ("list 3", "The translation is set up, map registers loaded, when the call returns.", "34"),
    ("economy", "A device should have few such buffers.", "26"),
    ("economy", "A page is the least that is consumed.", "20 29"),
    ("economy", "Of less than a page only the requested bytes are the caller's.", "21 23"),
    ("economy", "Behind whole pages and a part, the rest of the last page is not the caller's.", "22 23"),
    ("one-page requests", "Pages that need not hang together are asked for one by one.", "25"),
    ("one-page requests", "That saves contiguous memory.", "25 71"),
    ("start-up", "Drivers allocate when the device is started.", "13"),
    ("start-up", "Later, perhaps nothing but single pages can be had, and perhaps not even those.", "71"),
    ("requirements", "The routine exists since Windows 2000.", "04"),
    ("requirements", "It is declared in wdm.h, with the operations table.", "03"),
    ("requirements", "It runs at PASSIVE_LEVEL.", "10"),
    ("requirements", "A compliance rule checks that IRQL.", "10 152"),
    ("see also", "FreeCommonBuffer is its counterpart.", "80 87"),
)

_TIP: Final = _seed(
    2,
    ("lead", "Driver and device share one area of memory.", "23 30 54"),
    ("lead", "To get it takes one call and nothing more.", "37"),
    ("lead", "A driver neither allocates contiguous memory nor translates addresses.", "37 150"),
    ("paragraph 1", "Contiguous memory and translation to physical addresses look reasonable but are not.", "36 150"),
    ("paragraph 1", "Such a translation knows nothing of how machines differ.", "36 53"),
    ("paragraph 1", "A PCI device of 32 bits does not reach memory above 4 GiB.", "50 52"),
    ("paragraph 1", "So the technique fails on some Windows machines.", "52 150"),
    ("paragraph 2", "AllocateCommonBuffer gives the buffer and addresses that suit any hardware.", "35 36"),
    ("paragraph 3", "The memory is meant for DMA from the start.", "30 50"),
    ("paragraph 3", "It gives a virtual base for the driver and a logical base for the device.", "35"),
    ("paragraph 3", "Logical addresses are independent of the hardware and work everywhere.", "36 53"),
    ("paragraph 3", "The HAL translates behind the scenes.", "33 34"),
    ("paragraph 3", "The driver never converts between logical and physical addresses.", "37"),
    ("paragraph 4", "DMA depends on system and bus, so the kernel exports no such routine.", "03"),
    ("paragraph 4", "HAL and bus driver implement it, behind the adapter object.", "01 03"),
    ("paragraph 4", "It is called by the pointer in DMA_OPERATIONS, which DMA_ADAPTER holds.", "03"),
    ("example 1", "The pointers may be saved in the device extension and used from there.", "03 07"),
    ("example 2", "Both addresses are stored for later.", "35 86"),
    ("example 2", "The virtual address is tested for NULL.", "72"),
    ("paragraph 5", "Passing FALSE asks for memory that is not cached.", "60 67"),
    ("paragraph 5", "The logical address is an out parameter, the virtual one the function value.", "35"),
    ("paragraph 5", "Failure is a NULL; the driver tests for it and sets an error status.", "70 72"),
    ("advice 1", "Use AllocateCommonBuffer for both addresses.", "35 37"),
    ("advice 2", "FreeCommonBuffer gives back memory and resources.", "80"),
    ("advice 3", "Leave MmAllocateContiguousMemory and MmGetPhysicalAddress alone.", "150"),
    ("advice 3", "They do not work on all hardware, end portability, and can do serious damage.", "36 150"),
    ("advice 4", "Where a device class has DMA routines of its own, use those.", "151"),
    ("advice 5", "Test with DMA verification, which exists since XP, and with !dma.", "152"),
)

_SYSTEM: Final = _seed(
    3,
    ("paragraph 1", "A driver in auto-initialize mode needs a buffer to transfer from or into.", "140"),
    ("paragraph 1", "It gets it from AllocateCommonBuffer, as a rule when the device starts.", "13 140"),
    ("figure", "The buffer's virtual range is mapped to physical pages.", "32 142"),
    ("allocation 1", "The call takes the adapter and the length in bytes.", "01 146"),
    ("allocation 1", "A page or less, or whole pages, waste nothing.", "24"),
    ("allocation 2", "On NULL the driver frees what it claimed and fails the start: no resources.", "73"),
    ("allocation 2", "Otherwise the memory stands in system virtual space, and two addresses come back.", "32 35"),
    ("allocation 2", "The logical address gets a place, and plays no further part.", "86 141"),
    ("allocation 2", "The virtual address is kept for the MDL.", "141 142"),
    ("allocation 2", "Both are kept in the device extension or other resident memory.", "07"),
    ("allocation 3", "IoAllocateMdl takes the buffer's virtual address and length.", "142"),
    ("allocation 4", "MmBuildMdlForNonPagedPool fills in the physical pages.", "142"),
    ("transfer", "Then requests can be served, by a fixed sequence of routines.", "143"),
    ("transfer 1", "Data may be copied from a locked user buffer into the common buffer first.", "143"),
    ("transfer 2", "AllocateAdapterChannel is called when the driver is ready and needs the controller.", "143 149"),
    ("transfer 3", "MapTransfer with the buffer's MDL sets the controller up.", "143 148"),
    ("transfer 3", "It is called once.", "143"),
    ("transfer 3", "ReadDmaCounter says meanwhile how much is left.", "144"),
    ("transfer 3", "More data may be copied in or out while it runs.", "143 144"),
    ("transfer 4", "FlushAdapterBuffers follows the transfer.", "143"),
    ("transfer 5", "FreeAdapterChannel follows at once, also when the request must fail.", "145"),
    ("last paragraphs", "Each of these routines but the copy takes the adapter.", "146"),
    ("last paragraphs", "Which routine of a driver begins the sequence is the driver's choice.", "147"),
)

_NT: Final = _seed(
    4,
    ("paragraph 1", "DriverEntry allocates, with the adapter that HalGetAdapter gave.", "01 13 160"),
    ("paragraph 1", "A buffer is allocated only for repeated use while the driver is loaded.", "14"),
    ("paragraph 2", "The length determines how many map registers the buffer takes.", "40"),
    ("paragraph 2", "They map the buffer from virtual to logical addresses.", "33 34"),
    ("paragraph 2", "It takes BYTES_TO_PAGES of the length at most.", "40"),
    ("paragraph 2", "That must not be more than HalGetAdapter granted.", "41"),
    ("paragraph 2", "BYTES_TO_PAGES is a macro of the system.", "40"),
    ("list", "The caller says whether caching should be on.", "161 163"),
    ("list", "The caller gives a variable for the logical address.", "161"),
    ("paragraph 4", "On success the function value is the virtual base.", "35 161"),
    ("paragraph 4", "The driver saves it in an extension or in nonpaged pool.", "07 161"),
    ("paragraph 5", "NULL means that there is no memory for it.", "70"),
    ("paragraph 5", "Then the driver does packet DMA only, or fails its initialization.", "74"),
    ("paragraph 6", "Otherwise driver and adapter may use the buffer for transfers.", "162"),
    ("paragraph 7", "A driver that unloads frees each buffer that it allocated.", "84"),
    ("paragraph 8", "What DriverEntry and Unload must do besides stands elsewhere.", "84 160"),
)

STATEMENTS: Final = (*_KMDF, *_WDM, *_TIP, *_SYSTEM, *_NT)
"""Every statement, in the order of the documents."""
