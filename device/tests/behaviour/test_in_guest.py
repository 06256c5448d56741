# SPDX-License-Identifier: Apache-2.0
"""How the guest's trace is compared with the model's own."""

import pytest

from plx9x5x.trace.regtrace import Access
from tests.behaviour import in_guest
from tests.behaviour.collect import all_cases
from tests.behaviour.in_guest import model_trace, trace_difference

READ = Access(False, 0, 0x08, 4, 0x0921_0007)


def test_the_model_is_given_the_guests_addresses() -> None:
    case = all_cases()["block_to_local_moves_the_bytes"]
    trace = model_trace("9656", case, (0x0555_A000,))
    assert Access(True, 0, 0x84, 4, 0x0555_A000) in trace
    assert trace_difference(trace, trace) is None
    other = trace_difference(trace, model_trace("9656", case, (0x0555_B000,)))
    assert other is not None
    assert "-W 0 0x084 4 0x0555a000\n+W 0 0x084 4 0x0555b000" in other


def test_nothing_is_masked_without_a_reason() -> None:
    assert all(mask and reason for mask, reason in in_guest.MASKED.values())
    assert all(in_guest.SAME_FOR_A_REASON.values())


@pytest.mark.parametrize(
    ("access", "shown"),
    [
        (READ, 0x0921_0000),
        (Access(False, 1, 0x08, 2, 0x0007), 0),
        (Access(False, 0, 0x09, 1, 0xFF), 0xFF),
        (Access(False, 0, 0x06, 4, 0xFFFF_FFFF), 0xFF00_FFFF),
        (Access(False, 2, 0x08, 4, 7), 7),
        (Access(True, 0, 0x08, 4, 7), 7),
    ],
)
def test_a_masked_bit_is_hidden_where_it_is_read(monkeypatch: pytest.MonkeyPatch, access: Access, shown: int) -> None:
    monkeypatch.setitem(in_guest.MASKED, 0x08, (0xFF, "a live counter"))
    assert in_guest._masked(access).value == shown
