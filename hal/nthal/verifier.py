# SPDX-License-Identifier: Apache-2.0
"""Misuse as data: each rule with its 0xE6 subcode, and words that name the driver's mistake and its place.

The core finds every misuse by itself; the verifier decides how loudly it is said. With DMA verification on, a
violation carries the subcode of bug check 0xE6 (DRIVER_VERIFIER_DMA_VIOLATION); off, its code is None, save for the
fault of an IOMMU. In report mode nothing is raised and the call has no effect.

Source: reference hal-contract 0.2 and 6.
"""

import contextlib
import enum
import inspect
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

BUG_CHECK: Final = 0xE6
IOMMU_FAULT: Final = 0x26
TAG: Final = b"DmaVrfy0"
"""Eight bytes that touch a verified buffer on either side."""
PADDING: Final = 0x0F


class Rank(enum.Enum):
    """How bad it is. Advisories are kept by profile `strict` only."""

    VIOLATION = "violation"
    FINDING = "finding"
    WARNING = "warning"
    ADVISORY = "advisory"


@dataclass(frozen=True)
class Rule:
    """One rule: subcode of 0xE6 or None, the clauses it comes from, the mistake in words, what to do instead."""

    code: int | None
    clauses: tuple[str, ...]
    mistake: str
    hint: str


class Misuse(enum.Enum):
    """Everything that a driver can do wrong here."""

    # fmt: off
    FLUSH_PAST_FILE = Rule(0x00, (), "the flush runs past the map registers", "flush what was mapped, no more")
    NO_CONTIGUOUS_REGISTERS = Rule(0x00, ("CB-42",), "no run of map registers is left", "free what is not in use")
    COUNTER_BACKWARDS = Rule(0x01, (), "the performance counter went backwards", "suspect the platform's timer")
    COUNTER_JUMPED = Rule(0x02, (), "the performance counter jumped too far", "suspect the platform's timer")
    DOUBLE_FREE = Rule(0x03, ("CB-83",), "this common buffer was freed before", "clear the pointer when you free it")
    CHANNEL_FREED_TWICE = Rule(0x04, ("CB-145",), "no adapter channel is held",
        "call FreeAdapterChannel only after KeepObject, once")
    REGISTERS_OVERFREED = Rule(0x05, ("CB-42",), "more map registers freed than were allocated",
        "give FreeMapRegisters the count of the allocation")
    LIST_OVERFREED = Rule(0x06, (), "this scatter/gather list was put before", "put each list once")
    PUT_WITH_BUFFERS = Rule(0x07, ("CB-08", "CB-85"), "the adapter is released with common buffers alive",
        "free every buffer, then PutDmaAdapter")
    PUT_WITH_CHANNELS = Rule(0x08, ("CB-08",), "the adapter is released with a channel held",
        "FreeAdapterChannel first")
    PUT_WITH_REGISTERS = Rule(0x09, ("CB-08",), "the adapter is released with map registers allocated",
        "FreeMapRegisters with the full count first")
    PUT_WITH_LISTS = Rule(0x0A, ("CB-08",), "the adapter is released with scatter/gather lists out",
        "PutScatterGatherList first")
    SECOND_CHANNEL = Rule(0x0B, (), "a second channel is asked for while one is outstanding",
        "wait for AdapterControl and free the channel")
    TOO_MANY_REGISTERS = Rule(0x0C, ("CB-44",), "more map registers are asked for than NumberOfMapRegisters",
        "split the transfer")
    NOT_FLUSHED = Rule(0x0D, ("CB-143",), "the IRP is completed before its DMA was flushed",
        "FlushAdapterBuffers before IoCompleteRequest")
    NOT_LOCKED = Rule(0x0E, ("CB-142",), "the MDL's pages are not resident",
        "lock the MDL, or build it for nonpaged pool")
    OUTSIDE_BUFFER = Rule(0x0F, ("CB-21", "CB-22", "CB-23"), "an access outside [base, base + Length)",
        "only Length bytes are yours, whatever was rounded up to a page")
    FREED_WHILE_MAPPED = Rule(0x10, (), "map registers are freed while they still map a buffer",
        "FlushAdapterBuffers before freeing")
    TOO_MANY_REFERENCES = Rule(0x11, ("CB-08",), "too many references to the adapter", "put what you get")
    WRONG_IRQL = Rule(0x13, ("CB-10",), "called at the wrong IRQL", "move the call to where the IRQL is right")
    WRONG_IRQL_GENERIC = Rule(0x14, ("CB-10",), "called at the wrong IRQL", "move the call to where the IRQL is right")
    REGISTERS_EXCEEDED = Rule(0x15, ("CB-44",), "too many map registers are allocated",
        "free before you allocate more")
    FLUSH_NOT_MAPPED = Rule(0x16, (), "a buffer is flushed that is not mapped",
        "flush once, with MapTransfer's arguments")
    ADAPTER_GONE = Rule(0x18, ("CB-08",), "the adapter was released before", "PutDmaAdapter is the last call")
    NULL_ADAPTER = Rule(0x19, ("CB-01",), "the adapter is NULL", "check what IoGetDmaAdapter returned")
    OUTSIDE_MDL = Rule(0x1B, (), "the address is not inside the MDL", "start from MmGetMdlVirtualAddress")
    ALREADY_MAPPED = Rule(0x1D, (), "the range is mapped already", "flush before you map it again")
    HAL_GET_ADAPTER = Rule(0x1E, ("CB-153",), "HalGetAdapter is obsolete", "call IoGetDmaAdapter")
    INVALID_BUFFER = Rule(0x1F, (), "the buffer does not fit the MDL", "check address and length against the MDL")
    FLUSH_NEVER_MAPPED = Rule(0x20, (), "a map register is flushed that never mapped anything",
        "MapTransfer comes first")
    ZERO_MAP = Rule(0x21, (), "a transfer of zero bytes is mapped", "complete empty requests without DMA")
    NO_SYSTEM_VA = Rule(0x22, (), "the buffer has no system address", "map the MDL first")
    FLUSH_UNFINISHED = Rule(0x23, (), "the channel is neither completed nor cancelled",
        "stop the transfer, then flush")
    MDL_TOO_SHORT = Rule(0x24, (), "the MDL is shorter than the transfer", "build the MDL for the whole length")
    UNKNOWN_VERSION = Rule(0x25, ("CB-04",), "DEVICE_DESCRIPTION.Version is unknown",
        "zero the structure and set a version that exists")
    DMA_FAULT = Rule(0x26, ("CB-36", "CB-80"), "the IOMMU refuses the device's address: nothing is mapped there",
        "give the device the logical address that the allocation returned, while the buffer lives")
    # Below: misuse that DMA verification has no subcode for.
    BUS_FAULT = Rule(None, ("CB-36",), "nothing answers at the device's address",
        "give the device the logical address, no physical one")
    PHYSICAL_ADDRESS = Rule(None, ("CB-36", "CB-150"),
        "the device is given the physical address of memory that is not mapped for DMA",
        "allocate the buffer by AllocateCommonBuffer and give the device the logical address, or map it by an MDL")
    DEVICE_ASTRAY = Rule(None, ("CB-23", "CB-80"), "the device reaches memory that no DMA mapping owns",
        "keep inside [LA, LA + Length)")
    BEYOND_WIDTH = Rule(None, ("CB-50", "CB-154"), "the device cannot drive so wide an address",
        "describe its address width truthfully")
    USE_AFTER_FREE = Rule(None, ("CB-80",), "the buffer was freed", "stop the device before you free")
    WILD_ADDRESS = Rule(None, (), "no memory is mapped at the virtual address", "check the pointer")
    MISALIGNED = Rule(None, ("CB-64",), "a misaligned access to Device memory",
        "align accesses in uncached buffers on ARM")
    NULL_USED = Rule(None, ("CB-72",), "a NULL address is used",
        "test for NULL what an allocation gives, and fail the start")
    NEVER_WRITTEN = Rule(None, ("CB-28",), "bytes are read that nobody wrote: a new buffer is not zero",
        "RtlZeroMemory the whole Length")
    STALE_DATA = Rule(None, ("CB-66", "CB-67"), "the processor's cache and memory disagree about what a device moves",
        "KeFlushIoBuffers before the transfer")
    NOT_A_MASK = Rule(None, ("CB-101", "CB-112"), "the alignment requirement is no mask",
        "give the boundary less one: 15 for 16")
    FREE_MISMATCH = Rule(None, ("CB-81", "CB-82"), "the arguments of the free are not those of the allocation",
        "keep all five")
    UNKNOWN_FREE = Rule(None, ("CB-81",), "no such buffer was ever allocated",
        "free what AllocateCommonBuffer returned")
    ZERO_LENGTH = Rule(None, ("CB-27",), "a buffer of zero bytes is asked for", "check the length before")
    NOT_A_ULONG = Rule(None, ("CB-27",), "the length does not fit into a ULONG", "refuse such lengths in the driver")
    OVER_REGISTERS = Rule(None, ("CB-41",), "the buffer needs more map registers than the adapter has",
        "ask for less, or raise MaximumLength")
    LEAK = Rule(None, ("CB-84",), "the driver is unloaded with objects alive", "free each common buffer in Unload")
    ONE_COUNT = Rule(None, ("CB-42",), "map registers are freed in part",
        "give FreeMapRegisters the allocation's count")
    MAPPED_TWICE = Rule(None, ("CB-143",), "MapTransfer is called again in one auto-initialize operation",
        "map the buffer once")
    MASTER_COUNTER = Rule(None, ("CB-144",), "ReadDmaCounter on a bus master", "ask the device how far it is")
    FIXED_MDL = Rule(None, ("CB-142",), "an MDL for nonpaged memory is locked or unlocked",
        "build it, use it, free it")
    ABSENT_ROUTINE = Rule(None, ("CB-04",), "the operations table of this version has no such routine",
        "ask for version 3")
    ABSENT_EXPORT = Rule(None, ("CB-01",), "this Windows has no such routine",
        "call HalGetAdapter there, or ask for a newer Windows")
    ENDLESS_WAIT = Rule(None, ("CB-42",), "a request waits for what does not come",
        "free common buffers, put lists and free channels, or ask for less at once")
    CONTEXT_IN_USE = Rule(None, (), "a DMA transfer context serves a request already",
        "give each request a context of its own")
    MAP_BEFORE_FLUSH = Rule(None, (), "MapTransferEx is called again before FlushAdapterBuffersEx",
        "flush what was mapped, then map on")
    NEVER_CALLED = Rule(None, (), "the completion routine never runs",
        "use the device's interrupt, or a timer, to see the end")
    NOT_IN_CALLBACK = Rule(None, (), "called from inside AdapterControl", "ask again after it returned")
    BAD_CHANNEL = Rule(None, (), "the system DMA controller cannot be set up so", "check channel, width and alignment")
    IGNORED_CALL = Rule(None, (), "the framework passes over this call",
        "make it in the state and with the DMA version it is for")
    FRAMEWORK_STATE = Rule(None, (), "the framework's object is in the wrong state",
        "mend the order of the calls; with the framework's verifier (fx_verifier_on) it stops here")
    NO_EFFECT = Rule(None, ("CB-107",), "the request has no effect", "use CreateWithConfig")
    WASTEFUL = Rule(None, ("CB-24",), "the length leaves part of a page unused", "a page or whole pages")
    MANY_SMALL = Rule(None, ("CB-25",), "one large request where pages would do", "several one-page requests")
    # fmt: on


LISTED_ONLY: Final = {
    Misuse.COUNTER_BACKWARDS: "the virtual clock is the model's own, and only goes forward",
    Misuse.COUNTER_JUMPED: "the virtual clock is the model's own, and only goes forward",
    Misuse.TOO_MANY_REFERENCES: "nobody can take a reference to an adapter here but by asking for it",
    Misuse.WRONG_IRQL_GENERIC: "every routine here knows the level it wants, so 0x13 is said with the two levels",
    Misuse.REGISTERS_EXCEEDED: "requests that fit NumberOfMapRegisters one by one wait for each other instead",
    Misuse.NO_SYSTEM_VA: "the model copies bounce pages by frame, and needs no system address of a buffer",
}
"""Subcodes that are documented but cannot arise in this model, each with the reason."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One misuse that happened. `code` is a subcode of 0xE6 or None; `place` is where the driver made the call.

    `cause` is the driver's mistake where `misuse` is only how the platform took it, as the fault of an IOMMU.
    """

    misuse: Misuse
    rank: Rank
    code: int | None
    parameters: tuple[int, ...]
    detail: str
    place: str
    cause: Misuse | None = None

    @property
    def rule(self) -> Rule:
        """The rule that was broken."""
        return self.misuse.value

    def __str__(self) -> str:
        code = "" if self.code is None else f"0xE6/{self.code:#04x} "
        why = f"{self.cause.value.mistake}: " if self.cause else ""
        hint = (self.cause or self.misuse).value.hint
        return f"{code}{why}{self.rule.mistake}: {self.detail}, at {self.place} ({hint})"


class DmaViolation(Exception):
    """A driver broke a rule of the contract. `finding` says which, `code` is the subcode of 0xE6 or None."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding

    @property
    def code(self) -> int | None:
        """Subcode of bug check 0xE6, None where verification is off or has none."""
        return self.finding.code

    @property
    def misuse(self) -> Misuse:
        """The rule's name."""
        return self.finding.misuse

    @property
    def parameters(self) -> tuple[int, ...]:
        """Parameters 2, 3 and 4 of the bug check, as far as they are defined."""
        return self.finding.parameters


class BugCheck(Exception):
    """The framework or the kernel stops the machine for `reason`, as for a handle that is none."""

    def __init__(self, reason: str, code: int = 0x10D, parameter: int = 0) -> None:
        super().__init__(f"{reason}, at {driver_place()}")
        self.code = code
        self.parameter = parameter


_native_place: ContextVar[str | None] = ContextVar("nthal_native_place", default=None)


@contextlib.contextmanager
def called_from(place: str) -> Iterator[None]:
    """Name `place` as the driver's own: its code is native, and no frame of Python shows it."""
    token = _native_place.set(place)
    try:
        yield
    finally:
        _native_place.reset(token)


def driver_place(*also: str) -> str:
    """File, line and function of the innermost caller outside of this package and of the packages `also`."""
    native = _native_place.get()
    if native is not None:
        return native
    packages = ("nthal", *also)
    frame = inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__", "")).split(".")[0] in packages:
        frame = frame.f_back
    if frame is None:
        return "the model itself"
    file = frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
    return f"{file}:{frame.f_lineno} in {frame.f_code.co_name}"


class Verifier:
    """Collects findings. `on` is Driver Verifier's DMA verification; `stop` raises at violations."""

    def __init__(self, *, on: bool = False, stop: bool = True, advisories: bool = False) -> None:
        self.on = on
        self.stop = stop
        self.advisories = advisories
        self.findings: list[Finding] = []
        self._acting: str | None = None

    @contextlib.contextmanager
    def on_behalf_of(self, place: str) -> Iterator[None]:
        """Name `place` in findings: what happens now happens because of what the driver did there."""
        before, self._acting = self._acting, place
        try:
            yield
        finally:
            self._acting = before

    def note(self, misuse: Misuse, detail: str, *parameters: int, rank: Rank = Rank.FINDING) -> None:
        """Record something without stopping the call."""
        if rank is Rank.ADVISORY:
            if not self.advisories:
                return
            rank = Rank.FINDING
        self._record(misuse, rank, parameters, detail)

    def violate(self, misuse: Misuse, detail: str, *parameters: int, cause: Misuse | None = None) -> None:
        """Record a violation. Raises: DmaViolation unless in report mode; the caller then leaves without effect."""
        finding = self._record(misuse, Rank.VIOLATION, parameters, detail, cause)
        if self.stop:
            raise DmaViolation(finding)

    def _record(
        self, misuse: Misuse, rank: Rank, parameters: tuple[int, ...], detail: str, cause: Misuse | None = None
    ) -> Finding:
        code = misuse.value.code
        shown = code if self.on or code == IOMMU_FAULT else None
        finding = Finding(misuse, rank, shown, parameters, detail, self._acting or driver_place(), cause)
        self.findings.append(finding)
        return finding

    def of(self, misuse: Misuse) -> list[Finding]:
        """Findings of one rule, oldest first, those that it is the cause of among them."""
        return [finding for finding in self.findings if misuse in (finding.misuse, finding.cause)]
