# SPDX-License-Identifier: Apache-2.0
"""How a finding is told to people."""

from dataclasses import replace

from plx9x5x.findings.finding import Finding, Who
from plx9x5x.findings.place import Place

FOUND = Finding("size-zero", Who.DRIVER, True, "a block has size 0", (("DMASIZ0", "0x0"),), "give it one", 1, 0, 0)


def test_without_a_place_it_says_who_and_what() -> None:
    assert str(FOUND) == "driver: a block has size 0 [DMASIZ0 0x0]. give it one (size-zero)"


def test_the_drivers_line_stands_beside_the_driver() -> None:
    written = Place("DMASIZ0 written", 0xFFFF_FFFF_C000_0010, 7, "my_start(), my.c:12")
    started = Place("started", 0xFFFF_FFFF_C000_0020, 8, "my_start(), my.c:13")
    told = replace(FOUND, certain=False, places=(written, started))
    assert (
        str(told) == "driver, likely, in my_start(), my.c:12: a block has size 0 [DMASIZ0 0x0]. give it one (size-zero)"
    )


def test_a_place_that_has_no_line_is_left_out() -> None:
    assert str(replace(FOUND, places=(Place("started", 1, 1),))) == str(FOUND)
