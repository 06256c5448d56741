# SPDX-License-Identifier: Apache-2.0
"""Figures of a run that never was, with one of each kind."""

from plx9x5x.lab.bench.figures import Curve, Figure, Part, Point, Results, Row

ROW = Row("read <8> & more", "us", Figure((20.0, 22.0, 40.0)), Figure((10.0, 10.0, 20.0)), "C peer", "a note", "python")
ALONE = Row("a warm run", "s", Figure((9.0,)))
LEVEL = Curve(
    "chain", "chain", "descriptors", "descriptor", "us", (Point(10, Figure((2.0,))), Point(1000, Figure((2.0, 3.0))))
)
STEEP = Curve("map", "mappings", "mappings", "mapping", "us", (Point(10, Figure((1.0,))), Point(100, Figure((50.0,)))))
RESULTS = Results(
    {"processor": "one of ours"},
    {"rounds": "3"},
    (
        Part("socket", "Over the socket", (ROW, ALONE)),
        Part("growth", "Growth", curves=(LEVEL, STEEP), left_out=("devices: no compiler",)),
    ),
)
