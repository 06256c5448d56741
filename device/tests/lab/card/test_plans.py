# SPDX-License-Identifier: Apache-2.0
"""Whose a sentence is, where a guest has several cards; and what a server is started with."""

import pytest

from plx9x5x.faults.plan import FaultPlan
from plx9x5x.lab.card.backend import board_backend
from plx9x5x.lab.card.plans import of_cards

TWO = ("rdk-9054-lite", "rdk-9656-lite")


def test_a_sentence_is_the_first_cards_or_of_that_which_it_names() -> None:
    plan = ["stuck busy", "Card 2 : channel 1: no grant", "bad read of INTCSR # why"]
    assert of_cards(plan, TWO) == (("stuck busy", "bad read of INTCSR"), ("Card 2 : channel 1: no grant",))


@pytest.mark.parametrize("said", ["card 0x2: stuck busy", "channel 0: CARD 2: stuck busy # as on card 1:"])
def test_a_card_is_named_as_the_sentence_is_read(said: str) -> None:
    assert [len(card) for card in of_cards([said], TWO)] == [0, 1]


@pytest.mark.parametrize("said", ["stuck busy # as on card 2: there", "stuck busy"])
def test_what_a_comment_names_is_no_card(said: str) -> None:
    assert of_cards([said], TWO) == (("stuck busy",), ())


def test_a_number_of_a_card_that_is_none_is_refused() -> None:
    with pytest.raises(FaultPlan, match="--fault 'card x: stuck busy': 'x' stands where the card's number"):
        of_cards(["card x: stuck busy"], TWO)


def test_registers_are_those_of_the_card() -> None:
    assert of_cards(["card 2: bad read of PCIARB"], TWO)[1]
    with pytest.raises(FaultPlan, match="PCIARB"):
        of_cards(["bad read of PCIARB"], TWO)


@pytest.mark.parametrize("card", [0, 3])
def test_a_card_that_is_not_there_is_refused(card: int) -> None:
    with pytest.raises(FaultPlan, match=f"there is no card {card}; cards are counted from 1"):
        of_cards([f"card {card}: stuck busy"], TWO)


def test_a_server_is_given_the_sentences_and_the_seed() -> None:
    words = board_backend("b", libvfio_user=None, faults=("stuck busy", "no grant"), seed=4).argv
    at = words.index("--fault")
    assert words[at : at + 6] == ("--fault", "stuck busy", "--fault", "no grant", "--seed", "4")
    assert not {"--fault", "--seed"} & set(board_backend("b", libvfio_user=None).argv)
