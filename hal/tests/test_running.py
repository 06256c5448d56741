# SPDX-License-Identifier: Apache-2.0
"""Which machine the façades talk to: in a `with`, in threads, in the cells of a notebook, and what is said without one."""

import contextvars
import threading

import pytest

from nthal import wdm
from nthal.machine import DeviceObject, Machine, NotRunning, current_machine
from nthal.platforms import FLAT, IOMMU
from nthal.types import Out
from nthal.windows import DeviceDescription

MASTER = DeviceDescription(version=2, master=True, dma_32bit_addresses=True, maximum_length=65536)


@pytest.fixture
def machine():
    """A machine that no test leaves started."""
    made = Machine(FLAT)
    yield made
    made.stop()


def in_thread(function, *arguments):
    """Run in a real thread; give what it gave or raised."""
    result = []

    def run():
        try:
            result.append(function(*arguments))
        except NotRunning as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return result[0]


def test_a_thread_is_outside_and_is_told_the_three_ways_in(machine):
    with machine:
        refused = in_thread(current_machine)
    assert isinstance(refused, NotRunning)
    for way in ("with machine:", "contextvars.copy_context().run", "machine.start()"):
        assert way in str(refused)


def test_each_of_the_three_ways_works(machine):
    def joins():
        with machine:
            return current_machine()

    with machine:
        assert in_thread(joins) is machine
        assert in_thread(contextvars.copy_context().run, current_machine) is machine
    assert isinstance(in_thread(current_machine), NotRunning)
    assert machine.start() is machine
    assert in_thread(current_machine) is machine


def test_threads_enter_and_leave_one_machine_in_any_order(machine):
    """Entered here, there, left here, left there: what a shared stack of tokens cannot undo."""
    inside, leave = threading.Event(), threading.Event()

    def joins():
        with machine:
            inside.set()
            assert leave.wait(10)
            return current_machine()

    result = []
    thread = threading.Thread(target=lambda: result.append(joins()))
    with machine:
        thread.start()
        assert inside.wait(10)
        with Machine(IOMMU) as inner:
            assert current_machine() is inner
    with pytest.raises(NotRunning):
        current_machine()
    leave.set()
    thread.join()
    assert result == [machine]


def test_a_driver_in_a_thread_allocates_on_the_machine_that_the_thread_joined(machine):
    def driver():
        with machine:
            count = Out()
            return wdm.IoGetDmaAdapter(DeviceObject(), MASTER, count), count.taken

    adapter, granted = in_thread(driver)
    assert machine.adapters == [adapter.core]
    assert granted == 17


CELLS = (
    "from nthal.machine import Machine, current_machine\nfrom nthal.platforms import FLAT, IOMMU",
    "machine = Machine(FLAT).start()",
    "assert current_machine() is machine",
    "with Machine(IOMMU) as other:\n    assert current_machine() is other",
    "assert current_machine() is machine",
    "first, machine = machine, Machine(IOMMU).start()  # the cell is run again",
    "first.stop()\nassert current_machine() is machine",
    "machine.stop()",
)


def test_cells_of_a_notebook_share_the_machine_that_was_started():
    """Each cell runs in a context of its own over one namespace, as IPython's kernel runs them."""
    names = {}
    for cell in CELLS:
        contextvars.Context().run(exec, cell, names)
    with pytest.raises(NotRunning):
        current_machine()


def test_leaving_from_another_context_than_that_of_entering_is_no_error(machine):
    contextvars.Context().run(machine.__enter__)
    machine.__exit__(None, None, None)
    with machine, Machine(IOMMU) as inner:
        machine.__exit__(None, None, None)
        assert current_machine() is inner
