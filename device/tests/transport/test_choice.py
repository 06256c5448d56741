# SPDX-License-Identifier: Apache-2.0
"""Which transport is taken, and why."""

import pytest

from plx9x5x.transport.choice import NAMES, NoSuchTransport, TooManyMappings, Transport, choose


def test_the_library_is_the_default_where_it_is() -> None:
    assert choose("auto", has_library=True).transport is Transport.LIBVFIO
    without = choose("auto", has_library=False)
    assert without.transport is Transport.WIRE
    assert "toolchain fetch" in str(without)


def test_a_guest_that_maps_each_page_gets_the_wire_and_never_the_library() -> None:
    assert choose("auto", has_library=True, many_mappings=True).transport is Transport.WIRE
    assert choose("wire", has_library=True, many_mappings=True).transport is Transport.WIRE
    with pytest.raises(TooManyMappings, match=r"16 mappings.*--transport wire"):
        choose("libvfio", has_library=True, many_mappings=True)


def test_what_was_asked_for_is_taken() -> None:
    assert choose("wire", has_library=True).transport is Transport.WIRE
    assert choose("libvfio", has_library=False).transport is Transport.LIBVFIO, "whoever needs it fetches it"
    with pytest.raises(NoSuchTransport, match=", ".join(NAMES)):
        choose("tcp", has_library=True)
