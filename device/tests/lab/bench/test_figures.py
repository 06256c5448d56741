# SPDX-License-Identifier: Apache-2.0
"""Figures: medians, spread, ratios by round, and JSON and back."""

import json
from dataclasses import replace

import pytest

from plx9x5x.lab.bench.figures import Figure, Part, Results
from tests.lab.bench.samples import ALONE, LEVEL, RESULTS, ROW, STEEP


def test_the_spread_is_the_middle_half_as_a_part_of_the_median() -> None:
    figure = Figure((1.0, 2.0, 3.0, 4.0, 100.0))
    assert figure.median == 3.0
    assert figure.quartiles == (2.0, 4.0)
    assert figure.spread == pytest.approx(2 / 3)


def test_one_round_has_no_spread_and_none_is_refused() -> None:
    assert Figure((5.0,)).spread == 0
    with pytest.raises(ValueError, match="without a round"):
        Figure(())


def test_what_slows_both_sides_of_a_round_cancels() -> None:
    assert ROW.ratio is not None
    assert ROW.ratio.values == (2.0, 2.2, 2.0)


def test_rounds_of_another_number_are_compared_with_the_median() -> None:
    assert Figure((10.0, 30.0)).over(Figure((5.0, 10.0, 20.0))).values == (1.0, 3.0)


def test_there_is_no_ratio_without_a_peer_or_with_one_that_is_nothing() -> None:
    assert ALONE.ratio is None
    assert type(ROW)("idle", "%", Figure((0.1,)), Figure((0.0,)), "C peer").ratio is None


def test_growth_is_the_last_point_over_the_first() -> None:
    assert LEVEL.growth == 1.25
    assert STEEP.growth == 50


def test_json_and_back_is_the_same() -> None:
    assert Results.from_json(json.loads(json.dumps(RESULTS.to_json()))) == RESULTS


def test_figures_of_another_schema_are_refused() -> None:
    with pytest.raises(ValueError, match="schema 99"):
        Results.from_json({**RESULTS.to_json(), "schema": 99})


def test_groups_that_were_not_measured_again_keep_their_figures_if_the_machine_is_the_same() -> None:
    again = Results(
        RESULTS.machine, {"rounds": "9"}, (Part("growth", "Growth", curves=(STEEP,)), Part("nthal", "nthal"))
    )
    joined = again.beside(RESULTS)
    assert joined.parts == (RESULTS.parts[0], *again.parts)
    assert joined.options == RESULTS.options
    assert RESULTS.beside(RESULTS) == RESULTS
    other = replace(again, machine={"processor": "another"})
    assert other.beside(RESULTS) == other
