# SPDX-License-Identifier: Apache-2.0
"""Clauses CB-40 to CB-87: map registers, limits and boundaries, caching, failure, freeing."""

from typing import Final

from nthal.contract.clause import Clause, Fact, Facts, driver_flushes, pages


def _limit(f: Facts) -> int:
    if not f.yes("master"):
        return 0xFFFFFF
    if f.n("version") == 3:
        return (1 << f.n("width")) - 1
    if f.yes("dma64"):
        return (1 << 64) - 1
    wide = f.yes("dma32") or (f.yes("scatter_gather") and f.text("bus") == "pci")
    return 0xFFFFFFFF if wide else 0xFFFFFF


def _reactos(f: Facts) -> int:
    needed = pages(f.n("maximum_length") & 0x7FFFFFFF, 4096) + 1
    if f.yes("scatter_gather"):
        if f.text("bus") in ("eisa", "pci"):
            return needed if f.yes("master") else 1
        if not f.yes("master"):
            return 1
    return min(needed, 16)


def _run(f: Facts, boundary: int) -> bool:
    return f.n("la") // boundary == (f.n("la") + f.n("length") - 1) // boundary


ARGUMENTS: Final = ("adapter", "length", "la", "va", "cache_enabled")
"""What a free repeats of its allocation (CB-81)."""

_A32: Final[dict[str, Fact]] = {
    "master": True,
    "version": 2,
    "dma64": False,
    "dma32": True,
    "scatter_gather": True,
    "bus": "pci",
}

# fmt: off
LIMIT_CLAUSES: Final = (
    Clause("CB-40", "A buffer uses at most one map register a page.", "S4", "A",
        lambda f: f.n("registers") <= max(1, pages(f.n("length"), f.n("page_size"))),
        {"length": 65536, "page_size": 4096, "registers": 16}, {"length": 65536, "page_size": 4096, "registers": 17}),
    Clause("CB-41", "A buffer whose pages outnumber the granted registers is a driver error and gives NULL.", "S4",
        "A", lambda f: f.yes("null") or pages(f.n("length"), f.n("page_size")) <= f.n("granted"),
        {"length": 65536, "page_size": 4096, "granted": 16, "null": False},
        {"length": 65537, "page_size": 4096, "granted": 16, "null": False}, question="AM-02"),
    Clause("CB-42",
        "Registers held by buffers and channels of an adapter never exceed its grant, and a channel waits for them.",
        "DOC:using-common-buffer-bus-master-dma", "A",
        lambda f: f.n("held_by_buffers") <= f.n("granted")
        and f.n("held_by_buffers") + f.n("held_by_channels") <= f.n("granted"),
        {"held_by_buffers": 16, "held_by_channels": 1, "granted": 17},
        {"held_by_buffers": 16, "held_by_channels": 2, "granted": 17}),
    Clause("CB-43", "A map register maps at least a byte and at most a page.", "DOC:map-registers", "A",
        lambda f: 1 <= f.n("mapped_bytes") <= f.n("page_size"), {"mapped_bytes": 4096, "page_size": 4096},
        {"mapped_bytes": 4097, "page_size": 4096}),
    Clause("CB-44", "Asking for more registers than granted fails and the callback never runs.",
        "DDI:AllocateAdapterChannel", "A",
        lambda f: f.n("asked") <= f.n("granted") or (f.n("status") == 0xC000009A and not f.yes("callback_ran")),
        {"asked": 18, "granted": 17, "status": 0xC000009A, "callback_ran": False},
        {"asked": 18, "granted": 17, "status": 0, "callback_ran": True}),
    Clause("CB-45", "A KMDF fragment leaves one register over.", "WDF:fxdmaenabler.cpp", "B",
        lambda f: f.n("fragment") == min(f.n("maximum_length"), (f.n("granted") - 1) * f.n("page_size")),
        {"maximum_length": 65536, "granted": 16, "page_size": 4096, "fragment": 61440},
        {"maximum_length": 65536, "granted": 16, "page_size": 4096, "fragment": 65536}),
    Clause("CB-46", "ReactOS grants by scatter/gather, bus and mastership, with a cap of sixteen.",
        "ROS HalGetAdapter", "C", lambda f: f.n("granted") == _reactos(f),
        {"master": True, "scatter_gather": False, "bus": "pci", "maximum_length": 65536, "granted": 16},
        {"master": True, "scatter_gather": False, "bus": "pci", "maximum_length": 65536, "granted": 17}),
    Clause("CB-47", "On classic systems a device without scatter/gather keeps MaximumLength below 64 KiB.",
        "DDI:WDF_DMA_ENABLER_CONFIG ROS", "A", lambda f: f.yes("scatter_gather") or f.n("maximum_length") < 65536,
        {"scatter_gather": False, "maximum_length": 61440}, {"scatter_gather": False, "maximum_length": 65536},
        advisory=True),
    Clause("CB-50", "Every byte of the buffer is within the device's address limit.", "DDI:_DEVICE_DESCRIPTION", "A",
        lambda f: f.n("la") + f.n("length") - 1 <= f.n("limit"), {"la": 0xFFF000, "length": 4096, "limit": 0xFFFFFF},
        {"la": 0x1000000, "length": 4096, "limit": 0xFFFFFF}, linux=True),
    Clause("CB-51", "Scatter/gather on PCI makes a device 32-bit; Dma64BitAddresses overrides Dma32BitAddresses.",
        "DDI:_DEVICE_DESCRIPTION", "A", lambda f: f.n("limit") == _limit(f),
        {**_A32, "dma32": False, "limit": 0xFFFFFFFF}, {**_A32, "dma32": False, "limit": 0xFFFFFF}),
    Clause("CB-52", "Without translation the pages are below the limit too; no run there gives NULL.", "S2 S1", "A",
        lambda f: f.yes("translated") or f.yes("null") or f.n("last_pa") <= f.n("limit"),
        {"translated": False, "null": False, "last_pa": 0xFFFFFFFF, "limit": 0xFFFFFFFF},
        {"translated": False, "null": False, "last_pa": 0x100000FFF, "limit": 0xFFFFFFFF}),
    Clause("CB-53", "With translation only the logical address obeys the limit.", "S2 DOC:map-registers", "A",
        lambda f: f.n("la") + f.n("length") - 1 <= f.n("limit"),
        {"la": 0x10000000, "length": 8192, "limit": 0xFFFFFFFF},
        {"la": 0xFFFFF000, "length": 8192, "limit": 0xFFFFFFFF}, linux=True),
    Clause("CB-54", "A common buffer is never bounced: both sides use the same page.", "S2", "A",
        lambda f: not f.yes("bounced"), {"bounced": False}, {"bounced": True}),
    Clause("CB-55", "A buffer for an 8-bit channel crosses no 64 KiB boundary.", "HW ROS", "C",
        lambda f: _run(f, 0x10000), {"la": 0x118000, "length": 0x8000}, {"la": 0x11C000, "length": 0x8000}),
    Clause("CB-56", "A buffer for a 16-bit channel crosses no word-channel boundary and begins at an even address.",
        "HW ROS", "C", lambda f: _run(f, f.n("boundary")) and f.n("la") % 2 == 0,
        {"la": 0x20000, "length": 0x20000, "boundary": 0x20000},
        {"la": 0x30000, "length": 0x20000, "boundary": 0x20000}),
    Clause("CB-57", "A buffer for an 8-bit channel is at most 64 KiB.", "HW ROS", "C",
        lambda f: f.yes("null") or f.n("length") <= 0x10000, {"length": 65537, "null": True},
        {"length": 65537, "null": False}),
    Clause("CB-58", "A bus master's buffer crosses no 4 GiB boundary.", "ROS", "C", lambda f: _run(f, 1 << 32),
        {"la": 0x100000000, "length": 8192}, {"la": 0xFFFFF000, "length": 8192}, question="AM-07"),
    Clause("CB-59", "A version 3 master has 24 to 64 address bits, anything else gives no adapter.", "DDI WDF", "A",
        lambda f: f.yes("null") != (24 <= f.n("width") <= 64), {"width": 36, "null": False},
        {"width": 65, "null": False}),
    Clause("CB-60", "CacheEnabled of AllocateCommonBuffer changes nothing.", "S1", "A",
        lambda f: f.n("caching_if_true") == f.n("caching_if_false"), {"caching_if_true": 1, "caching_if_false": 1},
        {"caching_if_true": 1, "caching_if_false": 0}),
    Clause("CB-61", "On x86, x64 and Itanium the buffer is cached and DMA is coherent.", "S1", "A",
        lambda f: f.text("arch") not in ("x86", "x64", "ia64") or (f.n("caching") == 1 and f.yes("coherent")),
        {"arch": "x64", "caching": 1, "coherent": True}, {"arch": "x64", "caching": 0, "coherent": True},
        question="AM-04"),
    Clause("CB-62", "On ARM the device's _CCA decides: coherent and cached, or neither.", "S1", "A",
        lambda f: f.n("caching") == (1 if f.yes("cca") else 0), {"cca": False, "caching": 0},
        {"cca": False, "caching": 1}, question="AM-04"),
    Clause("CB-63", "AllocateCommonBufferEx with CacheEnabled FALSE gives uncached memory.", "S1", "A",
        lambda f: f.yes("cache_enabled") or f.n("caching") == 0, {"cache_enabled": False, "caching": 0},
        {"cache_enabled": False, "caching": 1}),
    Clause("CB-64", "On ARM _CCA 0 beats Ex's wish, and misaligned accesses to that memory fault.",
        "DDI:AllocateCommonBufferEx", "A",
        lambda f: f.yes("cca") or (f.n("caching") == 0 and f.yes("misaligned_faults")),
        {"cca": False, "caching": 0, "misaligned_faults": True},
        {"cca": False, "caching": 1, "misaligned_faults": False}),
    Clause("CB-65", "WithBounds obeys cached and non-cached, and refuses other types.", "DDI:WithBounds", "A",
        lambda f: f.yes("null") if f.n("asked") == 2 else f.n("caching") == f.n("asked"),
        {"asked": 1, "null": False, "caching": 1}, {"asked": 1, "null": False, "caching": 0}),
    Clause("CB-66", "Stores and device accesses are coherent without flush calls.", "S1", "A",
        lambda f: f.n("flushes") == 0 and f.n("cpu_byte") == f.n("device_byte"),
        {"flushes": 0, "cpu_byte": 7, "device_byte": 7, "driver_flushes": False},
        {"flushes": 0, "cpu_byte": 7, "device_byte": 0xA5, "driver_flushes": False}, linux=True,
        exempt=driver_flushes),
    Clause("CB-67",
        "Where DMA is not coherent, KeFlushIoBuffers before a packet transfer with an adapter of version 1 or 2; with 3"
        " mapping and flushing do it (the framework's source holds it needless with any version).",
        "DOC:flushing-cached-data DOC:version-3 WDF:fxdmatransactionpacket.cpp S2", "A",
        lambda f: f.yes("coherent") or f.n("version") >= 3 or f.yes("flushed"),
        {"coherent": False, "version": 2, "flushed": True}, {"coherent": False, "version": 2, "flushed": False},
        advisory=True),
    Clause("CB-68", "KMDF passes CacheEnabled TRUE.", "WDF:fxdmaenabler.cpp", "B", lambda f: f.yes("cache_enabled"),
        {"cache_enabled": True}, {"cache_enabled": False}),
    Clause("CB-70", "Failure is NULL, and nothing is held afterwards.", "S1 S2 S4", "A",
        lambda f: not f.yes("null") or f.n("held") == 0, {"null": True, "held": 0}, {"null": True, "held": 1},
        linux=True),
    Clause("CB-71",
        "After start-up only one-page requests may succeed, if any: NULL for more is no error of the system.", "S1",
        "A", lambda f: f.yes("null") or f.n("pages") <= f.n("longest_free_run"),
        {"pages": 2, "longest_free_run": 1, "null": True}, {"pages": 2, "longest_free_run": 1, "null": False}),
    Clause("CB-72", "The driver tests for NULL and reports an error status.", "S2", "A",
        lambda f: not f.yes("null") or f.n("status") != 0, {"null": True, "status": 0xC000009A},
        {"null": True, "status": 0}),
    Clause("CB-73",
        "On NULL a starting WDM driver frees its claims and fails START_DEVICE with insufficient resources.", "S3",
        "A", lambda f: f.n("status") == 0xC000009A and f.n("claims_held") == 0,
        {"status": 0xC000009A, "claims_held": 0}, {"status": 0xC000009A, "claims_held": 2}),
    Clause("CB-74", "On NULL an NT driver does packet DMA only or fails DriverEntry.", "S4", "A",
        lambda f: f.yes("packet_only") or f.n("status") == 0xC000009A, {"packet_only": False, "status": 0xC000009A},
        {"packet_only": False, "status": 0}),
    Clause("CB-75", "On NULL a WDM bus-master driver does packet DMA only or fails START_DEVICE.",
        "DOC:using-common-buffer-bus-master-dma", "A", lambda f: f.yes("packet_only") or f.n("status") == 0xC000009A,
        {"packet_only": True, "status": 0}, {"packet_only": False, "status": 0}),
    Clause("CB-76", "On NULL a KMDF create fails with insufficient resources and gives no handle.", "DDI WDF", "A",
        lambda f: f.n("status") == 0xC000009A and not f.yes("handle"), {"status": 0xC000009A, "handle": False},
        {"status": 0xC000009A, "handle": True}),
    Clause("CB-80", "A free gives back the memory and every resource; accesses afterwards are refused.",
        "S2 DDI:FreeCommonBuffer", "A", lambda f: f.n("held_after_free") == 0 and not f.yes("access_after_free_ok"),
        {"held_after_free": 0, "access_after_free_ok": False}, {"held_after_free": 0, "access_after_free_ok": True},
        linux=True),
    Clause("CB-81", "All arguments of the free equal those of the allocation.", "DDI:FreeCommonBuffer", "A",
        lambda f: f.yes("known") and all(f.yes(f"same_{name}") for name in ARGUMENTS),
        {"known": True, **dict.fromkeys((f"same_{name}" for name in ARGUMENTS), True)},
        {"known": True, **dict.fromkeys((f"same_{name}" for name in ARGUMENTS), True), "same_la": False}, linux=True),
    Clause("CB-82", "A buffer is freed whole.", "DDI:FreeCommonBuffer", "A",
        lambda f: f.n("freed_length") >= f.n("length"), {"freed_length": 4096, "length": 4096},
        {"freed_length": 4095, "length": 4096}, linux=True),
    Clause("CB-83", "A buffer is freed once.", "DOC:0xE6", "A", lambda f: f.n("frees") == 1, {"frees": 1},
        {"frees": 2}, linux=True),
    Clause("CB-84", "An unloading driver frees each of its buffers.", "S4", "A", lambda f: f.n("live_at_unload") == 0,
        {"live_at_unload": 0}, {"live_at_unload": 1}, linux=True),
    Clause("CB-85", "WDM frees on stop or removal, before PutDmaAdapter.", "DOC DDI:PutDmaAdapter", "A",
        lambda f: f.n("free_order") < f.n("put_order"), {"free_order": 1, "put_order": 2},
        {"free_order": 2, "put_order": 1}),
    Clause("CB-86", "Both addresses are kept for the free, even if unused otherwise.", "S3", "A",
        lambda f: f.yes("kept_la") and f.yes("kept_va"), {"kept_la": True, "kept_va": True},
        {"kept_la": False, "kept_va": True}),
    Clause("CB-87", "FreeCommonBuffer frees what the extended allocators made.", "DMA_OPERATIONS", "A",
        lambda f: f.text("freed_by") == "FreeCommonBuffer", {"freed_by": "FreeCommonBuffer"},
        {"freed_by": "FreeCommonBufferEx"}),
)
# fmt: on
