# SPDX-License-Identifier: Apache-2.0
"""A computer at run time: the parts of `hardware`, put together, and the books on what its adapters hold.

The driver's world is a context: ``with Machine(FLAT): ...`` makes it the machine that the façades talk to, since the
real routines take no machine. It is a context of one thread or asyncio task; ``with machine:`` in another one joins it.
Where no `with` can span the calls, as in the cells of a notebook, ``machine = Machine(FLAT).start()`` makes it the
machine of everybody who is inside no `with`, in every cell and thread, until another starts or it stops.

What drivers and tests do with a computer has its name on `Machine` itself (`cpu_read`, `device_write`, `at_irql`,
`events`); the operations of the model use the parts: `machine.processor`, `machine.regions`, `machine.bus`.
"""

from __future__ import annotations

from collections import defaultdict
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Self

from nthal.hardware.bus import Bus
from nthal.hardware.cache import Cache
from nthal.hardware.controller import ControllerPair
from nthal.hardware.guards import GuardBytes
from nthal.hardware.memory import FrameAllocator, PhysicalMemory
from nthal.hardware.processor import Processor
from nthal.hardware.regions import Regions
from nthal.hardware.space import VirtualSpace
from nthal.hardware.view import ProcessorView
from nthal.platforms import Platform, Translation
from nthal.records.adapter import Adapter, ChannelState, DeviceObject
from nthal.records.waits import tell_unfinished
from nthal.runs import RunSet
from nthal.verifier import Verifier

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from nthal.events import Event, Failure
    from nthal.types import La, Pa, Va
    from nthal.windows import Irql

__all__ = ["DeviceObject", "Machine", "NotRunning", "current_machine"]


class NotRunning(RuntimeError):
    """A façade was used where no machine runs: outside `with Machine(...)`, and none was started."""


_entered: ContextVar[tuple[Machine, ...]] = ContextVar("nthal_machines", default=())
"""Machines of the `with` statements around, innermost last. A value and no token: any context may leave any of them."""

_started: Machine | None = None


def current_machine() -> Machine:
    """Give the machine of the innermost `with`, else the one that was started. Raises: NotRunning without either."""
    entered = _entered.get()
    machine = entered[-1] if entered else _started
    if machine is None:
        raise NotRunning(
            "no machine runs here: put the driver's calls inside `with Machine(platform):`. A new thread begins outside"
            " of it: enter `with machine:` in the thread too, or run the thread's function by"
            " contextvars.copy_context().run. In a notebook, where each cell begins outside of it, call machine.start()"
        )
    return machine


class Machine:
    """One computer. Two machines share nothing.

    `registers` are the free map registers and `iova` the free page numbers of an IOMMU. `adapters` are all that were
    made; `system_channels` says who owns each channel of the system DMA controllers.
    """

    def __init__(self, platform: Platform) -> None:
        switches = platform.switches
        self.platform = platform
        self.verifier = Verifier(on=platform.verifier, stop=switches.stop, advisories=switches.advisories)
        self.memory = PhysicalMemory(page_size=platform.page_size, fill=switches.fill)
        self.frames = FrameAllocator(platform.free_frames())
        self.space = VirtualSpace(platform.arch, platform.page_size)
        self.cache = None if platform.coherent else Cache(self.memory)
        self.registers = RunSet([(0, platform.register_pool)])
        first_iova = platform.iova_base // platform.page_size
        iommu = platform.translation is Translation.IOMMU
        self.iova = RunSet([(first_iova, (1 << 64) // platform.page_size - first_iova)] if iommu else [])
        self.processor = Processor(switches, self.verifier)
        self.regions = Regions(self.memory, self.frames, self.space, self.cache, self.processor)
        self.guards = GuardBytes(self.memory)
        self.view = ProcessorView(self.memory, self.space, self.cache, platform, self.processor)
        self.bus = Bus(self.memory, self.space, self.cache, platform, self.processor)
        self.adapters: list[Adapter] = []
        self.system_channels: defaultdict[int, ChannelState] = defaultdict(ChannelState)

    def __enter__(self) -> Self:
        _entered.set((*_entered.get(), self))
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        entered = _entered.get()
        if self in entered:
            last = len(entered) - 1 - entered[::-1].index(self)
            _entered.set(entered[:last] + entered[last + 1 :])
        if failed is None and self not in _entered.get():
            tell_unfinished(self.adapters, self.adapters, self.verifier, "as the machine's `with` ends")

    def start(self) -> Self:
        """Be the machine of every cell and thread that is inside no `with`; one that was started before is no more."""
        global _started
        _started = self
        return self

    def stop(self) -> None:
        """End what `start` began; does nothing if another machine was started since."""
        global _started
        if _started is self:
            _started = None

    @cached_property
    def dma(self) -> ControllerPair:
        """The pair of 8237 controllers, made at first use: most machines have none."""
        return ControllerPair(self.bus, self.processor)

    # --- the processor ---------------------------------------------------------------------------------------------

    @property
    def irql(self) -> Irql:
        """The level that the processor runs at."""
        return self.processor.irql

    def at_irql(self, irql: Irql) -> AbstractContextManager[None]:
        """Run at `irql`, then go back."""
        return self.processor.at_irql(irql)

    @property
    def clock(self) -> int:
        """Virtual time in nanoseconds; who sets it lets time pass."""
        return self.processor.clock

    @clock.setter
    def clock(self, nanoseconds: int) -> None:
        self.processor.clock = nanoseconds

    @property
    def events(self) -> list[Event]:
        """Everything that happened, oldest first."""
        return self.processor.events

    @property
    def recording(self) -> bool:
        """False drops events, for long runs."""
        return self.processor.recording

    @recording.setter
    def recording(self, on: bool) -> None:
        self.processor.recording = on

    @property
    def last_failure(self) -> Failure | None:
        """Why the last routine that gave NULL did so."""
        return self.processor.last_failure

    # --- memory, as driver and device use it -----------------------------------------------------------------------

    def allocate_pool(
        self,
        length: int,
        *,
        pageable: bool = False,
        frame: int | None = None,
        scattered: bool = False,
        highest: Pa | None = None,
    ) -> Va | None:
        """Give memory that is no common buffer; None if there is none. `Regions.allocate_pool` says where it is."""
        return self.regions.allocate_pool(length, pageable=pageable, frame=frame, scattered=scattered, highest=highest)

    def free_pool(self, va: Va) -> None:
        """Give pool memory back."""
        self.regions.free_pool(va)

    def physical_address(self, va: Va) -> Pa:
        """MmGetPhysicalAddress: right for an MDL, wrong for a device (CB-36)."""
        return self.regions.physical_address(va)

    def cpu_read(self, va: Va | None, length: int) -> bytes:
        """Read bytes as driver code does. In report mode a refused access gives the fill byte."""
        return self.view.read(va, length)

    def cpu_write(self, va: Va | None, data: bytes) -> None:
        """Write bytes as driver code does. In report mode a refused access changes nothing."""
        self.view.write(va, data)

    def load(self, va: Va, width: int) -> int:
        """Read one little-endian word of `width` bytes, aligned where ARM's Device memory wants it (CB-64)."""
        return self.view.load(va, width)

    def store(self, va: Va, value: int, width: int) -> None:
        """Write one little-endian word of `width` bytes."""
        self.view.store(va, value, width)

    def flush_io_buffers(self, va: Va, length: int) -> None:
        """KeFlushIoBuffers on a range: does nothing where DMA is coherent (CB-67)."""
        self.view.flush_io_buffers(va, length)

    def device_read(self, la: La, length: int, adapter: Adapter | None = None) -> bytes:
        """Read memory as a device does. Raises: AddressKindError for anything but an La."""
        return self.bus.read(la, length, adapter)

    def device_write(self, la: La, data: bytes, adapter: Adapter | None = None) -> None:
        """Write memory as a device does. Raises: AddressKindError for anything but an La."""
        self.bus.write(la, data, adapter)
