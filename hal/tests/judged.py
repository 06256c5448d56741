# SPDX-License-Identifier: Apache-2.0
"""The model judged by its own judge: random drivers on random machines, and whatever they get passes the contract.

A case is a platform with its switches, a device, and the calls of a driver that does nothing wrong: any routine of the
three façades, any length, frees in between. Each allocation, NULL, free and the unload become observations, and no
clause may be violated, nor be unable to judge for want of a fact. The suite runs some hundred cases,
`scripts/judged.py` as many as one likes. Source: reference hal-contract 2 and 11.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any

from hypothesis import strategies as st

from nthal import kmdf, nt, wdm
from nthal.contract import CLAUSES, Fact, Judgement, Kind, Observation, check, violations
from nthal.contract.record import Aligned, holding, observe, observe_free, observe_null, observe_unload
from nthal.framework import CommonBufferConfig, Device, Enabler
from nthal.machine import DeviceObject, Machine
from nthal.platforms import FIXTURES, FRAG, PROFILES, Platform, Span, Switches
from nthal.policy import Routine
from nthal.records.adapter import Adapter, BufferVector, CommonBuffer
from nthal.records.request import BufferRequest
from nthal.types import KIB, MIB, La, Out
from nthal.windows import Caching, DeviceDescription, DmaWidth, InterfaceType, NtStatus, WindowsVersion, nt_success

HAL = "HalAllocateCommonBuffer"
VECTOR = "AllocateCommonBufferVector"
CREATE, CONFIG = "WdfCommonBufferCreate", "WdfCommonBufferCreateWithConfig"
ROUTINES = [HAL, *(routine.value for routine in Routine), VECTOR, CREATE, CONFIG]

NOT_TOLD = {"CB-42", "CB-64", "CB-65"}
"""Clauses that ask what an allocation alone cannot tell: what channels hold of the map registers, whether a misaligned
access faults, and of WithBounds whether no CacheType was given or nobody saw which."""


@dataclass(frozen=True)
class Call:
    """One step of a driver. `free` frees the buffer of that index first, if there are so many."""

    routine: str
    length: int
    cache_enabled: bool = True
    cache_type: Caching | None = None
    minimum: int | None = None
    maximum: int | None = None
    large_pages: bool = False
    count: int = 1
    mask: int = 0
    free: int | None = None


@dataclass(frozen=True)
class Case:
    """A machine, a device and what its driver does. `profile`, `client` and `fdo_mask` are for KMDF."""

    platform: Platform
    device: DeviceDescription
    profile: int
    client: tuple[int, int]
    fdo_mask: int
    calls: tuple[Call, ...]


PLATFORMS = {**FIXTURES, "frag": replace(FRAG, free=(Span(1 * MIB, 2 * MIB - 1),))}
"""As the fixtures; of isolated pages fewer, for they make a machine slow to build."""


def _either(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


_NUMBERS = {"word_channel_boundary": _either(64 * KIB, 128 * KIB), "fill": st.integers(0, 255)}
SWITCHES = st.builds(Switches, **{one.name: _NUMBERS.get(one.name, ...) for one in fields(Switches)})
"""Every switch that there is, in any position; hypothesis knows the positions from its type."""
MASKS = _either(0, 1, 3, 7, 15, 63, 255, 0xFFF, 0x1FFF, 0xFFFF)
LENGTHS = st.one_of(
    st.integers(0, 3 * 4096),
    _either(0, 1, 2, 4095, 4096, 4097, 65535, 65536, 65537, 128 * KIB, 1 * MIB, 0xFFFF_FFFF, 1 << 32),
    st.integers(0, 300_000),
)
ADDRESSES = st.one_of(st.none(), _either(0, 0xFF_FFFF, 0x100_0000, 0xFFFF_FFFF, 1 << 32, (1 << 36) - 1))


@st.composite
def platforms(draw: st.DrawFn) -> Platform:
    """Any fixture with any switches, alignment and verification."""
    base = PLATFORMS[draw(st.sampled_from(sorted(PLATFORMS)))]
    windows = draw(_either(WindowsVersion.WINDOWS_10_1803, WindowsVersion.WINDOWS_10_1803, *WindowsVersion))
    return replace(
        base,
        verifier=windows >= WindowsVersion.WINDOWS_XP and draw(st.booleans()),
        hal_alignment=draw(_either(1, 1, 2, 4, 16, 64, 4096)),
        page_size=draw(_either(4096, 4096, 8192)),
        register_cap=draw(_either(None, None, None, 1, 8)),
        register_pool=base.register_pool and draw(_either(64, 64, 16, 2048)),
        windows=windows,
        switches=draw(st.one_of(SWITCHES, st.sampled_from(sorted(PROFILES)).map(PROFILES.__getitem__))),
    )


@st.composite
def devices(draw: st.DrawFn) -> DeviceDescription:
    """Any bus master or any channel of the system DMA controllers, with each version."""
    channel = draw(_either(0, 1, 2, 3, 5, 6, 7))
    master = draw(_either(True, True, False))
    return DeviceDescription(
        version=draw(_either(0, 1, 2, 2, 3, 3)),
        master=master,
        scatter_gather=draw(st.booleans()),
        auto_initialize=draw(st.booleans()),
        dma_32bit_addresses=draw(st.booleans()),
        dma_64bit_addresses=draw(st.booleans()),
        dma_channel=8 if master else channel,
        interface_type=draw(_either(InterfaceType.PCI, InterfaceType.PCI, InterfaceType.ISA, InterfaceType.EISA)),
        dma_width=DmaWidth.WIDTH_16 if channel > 4 else DmaWidth.WIDTH_8,
        maximum_length=draw(_either(0, 4096, 65536, 128 * KIB, 1 * MIB, 0xFFFF_FFFF)),
        dma_address_width=draw(_either(24, 32, 36, 64)),
    )


CALLS = st.builds(
    Call,
    routine=st.sampled_from(ROUTINES),
    length=LENGTHS,
    cache_enabled=st.booleans(),
    cache_type=_either(None, None, Caching.CACHED, Caching.NON_CACHED, Caching.WRITE_COMBINED),
    minimum=ADDRESSES,
    maximum=ADDRESSES,
    large_pages=_either(False, False, False, True),
    count=st.integers(1, 3),
    mask=MASKS,
    free=st.one_of(st.none(), st.integers(0, 3)),
)
CASES = st.builds(
    Case,
    platform=platforms(),
    device=devices(),
    profile=_either(*(int(one) for one in kmdf.WDF_DMA_PROFILE if "SYSTEM" not in one.name)),
    client=_either((1, 33), (1, 9)),
    fdo_mask=MASKS,
    calls=st.lists(CALLS, min_size=1, max_size=6).map(tuple),
)


@dataclass
class Live:
    """A buffer that is out: what the machine knows of it, what the framework made of it, and how it is given back."""

    buffer: CommonBuffer
    give_back: Any
    aligned: Aligned | None = None


@dataclass
class Driver:
    """Does what a case says, and keeps an observation of everything."""

    case: Case
    machine: Machine
    seen: list[Observation] = field(default_factory=list)
    live: list[Live] = field(default_factory=list)

    def run(self) -> list[Observation]:
        registers: Out[int] = Out()
        # IoGetDmaAdapter came with Windows 2000, and KMDF stands on it.
        exported = self.case.platform.windows >= WindowsVersion.WINDOWS_2000
        self.wdm = wdm.IoGetDmaAdapter(DeviceObject(), self.case.device, registers) if exported else None
        # HalGetAdapter is refused under DMA verification (0xE6/0x1E).
        verifies = self.case.platform.verifier
        self.nt = None if verifies else nt.HalGetAdapter(self.case.device, registers)
        self.enabler = self._enabler() if exported else None
        for adapter in self.machine.adapters:
            judge_adapter(adapter, self.case.platform)
        for call in self.case.calls:
            if call.free is not None and call.free < len(self.live):
                self.free(self.live.pop(call.free))
            self.call(call)
        while self.live:
            self.free(self.live.pop())
        self.seen.append(observe_unload(self.order))
        return self.seen

    @property
    def order(self) -> int:
        return len(self.seen) + 1

    def _enabler(self) -> Enabler | None:
        self.device = Device(self.machine, client=self.case.client)
        kmdf.WdfDeviceSetAlignmentRequirement(self.device, self.case.fdo_mask)
        maximum = max(self.case.device.maximum_length, 1)
        enabler: Out[Enabler] = Out()
        config = kmdf.WDF_DMA_ENABLER_CONFIG(kmdf.WDF_DMA_PROFILE(self.case.profile), maximum)
        return enabler.taken if nt_success(kmdf.WdfDmaEnablerCreate(self.device, config, None, enabler)) else None

    def call(self, call: Call) -> None:
        match call.routine:
            case "HalAllocateCommonBuffer":
                self.hal(call)
            case "AllocateCommonBufferVector":
                self.vector(call)
            case "WdfCommonBufferCreate" | "WdfCommonBufferCreateWithConfig":
                self.framework(call)
            case _:
                self.operations(call)

    def fresh(self) -> list[CommonBuffer]:
        """Buffers that were not observed yet."""
        known = {id(one.buffer) for one in self.live}
        return [buffer for buffer in self.machine.bus.buffers() if id(buffer) not in known]

    def made(
        self, adapter: Adapter, before: int, request: BufferRequest, give_back: Any, routine: str | None = None
    ) -> None:
        """Observe what the last call made, or that it made nothing."""
        found = self.fresh()
        if not found:
            self.seen.append(observe_null(self.machine, adapter, request, self.order, before=before))
        for buffer in found:
            self.live.append(Live(buffer, give_back))
            self.seen.append(observe(self.machine, buffer, self.order, routine=routine))

    def hal(self, call: Call) -> None:
        adapter = self.nt
        if adapter is None:
            return
        before = holding(self.machine)
        nt.HalAllocateCommonBuffer(adapter, call.length, Out(), call.cache_enabled)

        def give_back(one: CommonBuffer) -> None:
            nt.HalFreeCommonBuffer(adapter, one.length, one.la, one.va, call.cache_enabled)

        self.made(adapter, before, BufferRequest(call.length, call.cache_enabled), give_back, HAL)

    def operations(self, call: Call) -> None:
        adapter = self.wdm
        if adapter is None or call.routine not in adapter.DmaOperations:
            return
        operations, core = adapter.DmaOperations, adapter.core
        before = holding(self.machine)
        low, high = (None if at is None else La(at) for at in (call.minimum, call.maximum))
        cache = True
        match Routine(call.routine):
            case Routine.ALLOCATE:
                cache = call.cache_enabled
                operations.AllocateCommonBuffer(adapter, call.length, Out(), cache)
            case Routine.EX:
                cache = call.cache_enabled
                operations.AllocateCommonBufferEx(adapter, high, call.length, Out(), cache, 0)
            case Routine.BOUNDS:
                operations.AllocateCommonBufferWithBounds(
                    adapter, low, high, call.length, int(call.large_pages), call.cache_type, 0, Out()
                )

        def give_back(one: CommonBuffer) -> None:
            operations.FreeCommonBuffer(adapter, one.length, one.la, one.va, cache)

        self.made(core, before, BufferRequest(call.length, routine=Routine(call.routine)), give_back)

    def vector(self, call: Call) -> None:
        adapter = self.wdm
        if adapter is None or VECTOR not in adapter.DmaOperations:
            return
        operations, core = adapter.DmaOperations, adapter.core
        before = holding(self.machine)
        low, high = (None if at is None else La(at) for at in (call.minimum, call.maximum))
        out: Out[BufferVector] = Out()
        operations.AllocateCommonBufferVector(
            adapter, low, high, call.cache_type, 0, int(call.large_pages), call.count, call.length, out
        )

        def give_back(one: CommonBuffer) -> None:
            operations.FreeCommonBufferFromVector(adapter, out.taken, out.taken.elements.index(one))

        self.made(core, before, BufferRequest(call.length, routine=Routine.BOUNDS), give_back)

    def framework(self, call: Call) -> None:
        if self.enabler is None or self.enabler.read_adapter is None:
            return
        core = self.enabler.read_adapter
        before = holding(self.machine)
        out: Out[Any] = Out()
        if call.routine == CREATE:
            mask, status = self.enabler.mask, kmdf.WdfCommonBufferCreate(self.enabler, call.length, None, out)
        else:
            mask, config = call.mask, CommonBufferConfig(call.mask)
            status = kmdf.WdfCommonBufferCreateWithConfig(self.enabler, call.length, config, None, out)
        if status == NtStatus.INSUFFICIENT_RESOURCES:
            null = observe_null(self.machine, core, BufferRequest(call.length), self.order, before=before)
            self.seen.append(null)
        if not nt_success(status):
            return
        handle = out.taken
        va = kmdf.WdfCommonBufferGetAlignedVirtualAddress(handle)
        la = kmdf.WdfCommonBufferGetAlignedLogicalAddress(handle)
        old = not self.device.masks()
        aligned = Aligned(call.routine, kmdf.WdfCommonBufferGetLength(handle), int(va), int(la), mask, old_client=old)
        (buffer,) = self.fresh()
        self.live.append(Live(buffer, lambda _: kmdf.WdfObjectDelete(handle), aligned))
        self.seen.append(observe(self.machine, buffer, self.order, aligned=aligned))

    def free(self, one: Live) -> None:
        one.give_back(one.buffer)
        self.seen.append(observe_free(one.buffer, self.order, after=self.machine, aligned=one.aligned))


def judge_adapter(adapter: Adapter, platform: Platform) -> None:
    """Hold the adapter's limit and its map registers to CB-51, CB-06 and CB-46. Raises: AssertionError."""
    device, switches = adapter.description, platform.switches
    bus = device.interface_type.name.lower()
    facts: dict[str, Fact] = {
        "master": device.master,
        "version": device.version,
        "width": device.dma_address_width,
        "dma32": device.dma_32bit_addresses,
        "dma64": device.dma_64bit_addresses,
        "scatter_gather": device.scatter_gather,
        "bus": bus if switches.sg_pci_is_32bit else f"{bus} as ReactOS has it",
        "limit": adapter.limit,
    }
    verdicts = [CLAUSES["CB-51"].check(facts)]
    caps = [platform.register_cap, platform.register_pool or None]
    cap = min((one for one in caps if one is not None), default=1 << 32)
    grant: dict[str, Fact] = {
        "maximum_length": device.maximum_length,
        "page_size": platform.page_size,
        "granted": adapter.granted,
    }
    if not switches.reactos_grant:
        verdicts.append(CLAUSES["CB-06"].check({**grant, "cap": cap}))
    elif cap == 1 << 32 and platform.page_size == 4096:
        verdicts.append(CLAUSES["CB-46"].check({**facts, **grant, "bus": bus}))
    assert all(verdict.kind is Kind.HOLDS for verdict in verdicts), [str(verdict) for verdict in verdicts]


def judge(case: Case) -> list[Judgement]:
    """Run a case and judge it. Raises: AssertionError if a clause is violated or lacks a fact."""
    with Machine(case.platform) as machine:
        machine.recording = False
        seen = Driver(case, machine).run()
    judged = check(seen)
    for one in violations(judged):
        raise AssertionError(f"{one.clause} {one.verdict}: {seen[one.order - 1]}")
    for one in judged:
        assert one.verdict.kind is not Kind.UNKNOWN or one.clause in NOT_TOLD, f"{one.clause} {one.verdict}"
    return judged
