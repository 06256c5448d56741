# SPDX-License-Identifier: Apache-2.0
"""The process that atheris runs in: what is instrumented has to be imported here first, so it is no part of `guided`."""

import random
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2])]

import atheris  # noqa: E402

with atheris.instrument_imports(include=["plx9x5x"]):
    from tests.fuzz import target as limits
    from tests.fuzz.corpus import KINDS

LONGEST = {"wire": 4096, "chip": 2048}
"""Bytes of an input at most: the kept ones are to be small."""
WORLDS = {"wire": ("rdk-9656-lite/python",), "chip": ("rdk-9656-lite+port/python", "9080-401b/python")}
"""Coverage is Python's, so what counts is the plane that has everything in Python."""


def main(name: str, options: list[str]) -> None:
    """Fuzz one target with libFuzzer's options, the first of which is what starts this; does not return."""
    limits.LIMIT_NS = 10**10  # what is instrumented takes longer
    kind = KINDS[name]
    corpus = kind.corpus()
    targets = [kind.make(world) for world in WORLDS[name]]

    def play(data: bytes) -> None:
        for target in targets:
            target.settle()  # libFuzzer's own files come and go
            target.play(data)

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.3:
            return atheris.Mutate(data, longest)
        return kind.mutate(rng, data, rng.choice(corpus))[:longest]

    atheris.Setup([*options, f"-max_len={LONGEST[name]}"], play, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
