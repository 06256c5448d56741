# SPDX-License-Identifier: Apache-2.0
"""The fixture `plx_try`: somebody's driver in a guest, from a test (docs/testing-your-driver.md)."""

import os
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

    A path is looked for beside the test first. A test that fails shows the verdict of each try, and the server's words.
    """
    from plx9x5x.lab import trial  # noqa: PLC0415
    from plx9x5x.lab.guest.shapes import PLAIN, named  # noqa: PLC0415
    from plx9x5x.lab.host.process import tail_of  # noqa: PLC0415
    from plx9x5x.lab.host.server import SERVER_LOG  # noqa: PLC0415

    verdicts: list[str] = []
    server_said: list[str] = []

    def beside(word: "str | Path") -> str:
        here = request.path.parent / word
        return str(here) if os.sep in str(word) and here.exists() else str(word)

    def attempt(*modules: "str | Path", command: str | None = None, **options: Any) -> "trial.TryResult":
        of_the_marker = {
            "boards": (setting(request, "board", boards.DEFAULT),),
            "kernel": setting(request, "kernel", None),
            "guest": named(setting(request, "guest", PLAIN.name)),
            "memory_mib": setting(request, "memory_mib", None),
            "timeout_s": setting(request, "timeout_s", defaults.TIMEOUT_S),
        }
        spec = trial.TrySpec(trial.parse([beside(word) for word in modules]), command, **{**of_the_marker, **options})
        result = trial.run(spec, listener=trial.Listener())
        verdicts.extend(result.lines())
        server_said.extend(tail_of(log) for log in (result.logs / SERVER_LOG, *result.logs.glob(f"card*/{SERVER_LOG}")))
        return result

    yield attempt
    if verdicts:
        request.node.add_report_section("teardown", "plx9x5x try", "\n".join(verdicts))
        request.node.add_report_section("teardown", "plx9x5x serve", "".join(server_said))
