# SPDX-License-Identifier: Apache-2.0
"""The fixture `plx_try`: somebody's driver in a guest, from a test (docs/testing-your-driver.md)."""

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from plx9x5x import boards
from plx9x5x.lab import defaults
from plx9x5x.lab.pytest_plugin import setting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from plx9x5x.lab.trial import TryResult


class Try(Protocol):
    """What the fixture gives: as `plx9x5x try` on the command line, once for each call."""

    def __call__(self, *modules: "str | Path", command: str | None = None, **options: Any) -> "TryResult":
        """Try `modules` and their parameters; `options` are fields of `plx9x5x.lab.trial.TrySpec`."""
        ...


@pytest.fixture
def plx_try(request: pytest.FixtureRequest) -> "Iterator[Try]":
    """A function that tries a driver, on the board and in the guest of the marker `plx_board`.

    A test that fails shows the verdict of each try.
    """
    from plx9x5x.lab import trial  # noqa: PLC0415
    from plx9x5x.lab.guest.shapes import PLAIN, named  # noqa: PLC0415

    verdicts: list[str] = []

    def attempt(*modules: "str | Path", command: str | None = None, **options: Any) -> "trial.TryResult":
        of_the_marker = {
            "boards": (setting(request, "board", boards.DEFAULT),),
            "kernel": setting(request, "kernel", None),
            "guest": named(setting(request, "guest", PLAIN.name)),
            "memory_mib": setting(request, "memory_mib", None),
            "timeout_s": setting(request, "timeout_s", defaults.TIMEOUT_S),
        }
        spec = trial.TrySpec(trial.parse([str(word) for word in modules]), command, **{**of_the_marker, **options})
        result = trial.run(spec, listener=trial.Listener())
        verdicts.extend(result.lines())
        return result

    yield attempt
    if verdicts:
        request.node.add_report_section("teardown", "plx9x5x try", "\n".join(verdicts))
