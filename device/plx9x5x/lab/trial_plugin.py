# SPDX-License-Identifier: Apache-2.0
"""The fixture `plx_try`: somebody's driver in a guest, from a test (docs/testing-your-driver.md)."""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from plx9x5x import boards
from plx9x5x.lab import defaults
from plx9x5x.lab.pytest_plugin import named_device, setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plx9x5x.lab.trial import TryResult


class Try(Protocol):
    """What the fixture gives: as `plx9x5x try` on the command line, once for each call."""

    def __call__(self, *modules: "str | Path", command: str | None = None, **options: Any) -> "TryResult":
        """Try `modules` and their parameters; `options` are fields of `TrySpec` (lab.trial), or the same in words.

        `board`, `device`, `guest`, `ro` and `rw` are as on the command line. Raises: TypeError for what it does not
        know.
        """
        ...


def _fields(
    options: "dict[str, Any]", beside: "Callable[[str | Path], str]", folder: Path | None = None
) -> "dict[str, Any]":
    """Fields of a TrySpec from what a test wrote, which may be as on the command line. Raises: TypeError."""
    from plx9x5x.faults.plan import listed  # noqa: PLC0415
    from plx9x5x.lab import trial  # noqa: PLC0415
    from plx9x5x.lab.card.settings import of_cards, words_of  # noqa: PLC0415
    from plx9x5x.lab.guest.shapes import named  # noqa: PLC0415

    asked = dict(options)
    if isinstance(asked["guest"], str):
        asked["guest"] = named(asked["guest"])
    if (device := asked.pop("device", None)) is not None:
        asked["devices"] = (device,)
    asked["devices"] = tuple(_device(it, beside) for it in asked.get("devices", ()))
    if (board := asked.pop("board", None)) is not None:
        asked["boards"] = (board,)
    shared = [[Path(beside(path)) for path in asked.pop(name, ())] for name in ("ro", "rw")]
    asked["folders"] = (*asked.get("folders", ()), *trial.folders(*shared))
    asked["files"] = tuple(Path(beside(path)) for path in asked.get("files", ()))
    for name in ("input", "trace", "coverage", "get_into"):
        if isinstance(asked.get(name), str):
            asked[name] = Path(asked[name])
    asked["faults"] = tuple(
        f"@{beside(word[1:])}" if word[:1] == "@" else word for word in listed(asked.get("faults", ()))
    )
    for name in ("append", "boards", "get"):
        value = asked.get(name, ())
        asked[name] = tuple(value.split()) if name == "append" and isinstance(value, str) else tuple(value)
    if not asked["boards"] and not asked["devices"]:
        del asked["boards"]
    cards = of_cards(words_of(asked.get("settings", ())), asked.get("boards", (boards.DEFAULT,)), folder=folder)
    asked["settings"] = tuple(f"{number}:{word}" for number, words in enumerate(cards, 1) for word in words)
    known = [field.name for field in dataclasses.fields(trial.TrySpec)]
    if unknown := [name for name in asked if name not in known]:
        raise TypeError(
            f"plx_try knows no {unknown[0]!r}; it takes {', '.join((*known[1:], 'board', 'device', 'ro', 'rw'))}"
        )
    if wrong := [it for it in asked["folders"] if not isinstance(it, trial.Folder)]:
        raise TypeError(f"folders takes what trial.folders() gives, not {wrong[0]!r}: say ro=[...] or rw=[...]")
    return asked


def _device(factory: str, beside: "Callable[[str | Path], str]") -> str:
    """A device's name with its file, if it is one, looked for beside the test first."""
    path, _, name = factory.rpartition(":")
    return f"{beside(os.path.join('.', path))}:{name}" if path.endswith(".py") else factory  # noqa: PTH118 - a word


def _words(log: "Path") -> str:
    """What a server said of its client: what comes before is how it was started."""
    from plx9x5x.lab.host.process import tail_of  # noqa: PLC0415
    from plx9x5x.lab.host.server import READY  # noqa: PLC0415

    said = tail_of(log)
    return said[max(said.find(f"\n{READY}"), 0) :].lstrip()


@pytest.fixture
def plx_try(request: pytest.FixtureRequest) -> "Iterator[Try]":
    """A function that tries a driver, on the board and in the guest of the marker `plx_board`.

    With the marker `plx_device` it is that device. A path is looked for beside the test first. A test that fails shows
    the verdict of each try, and the server's words.
    """
    from plx9x5x.lab import trial  # noqa: PLC0415
    from plx9x5x.lab.guest.shapes import PLAIN, named  # noqa: PLC0415
    from plx9x5x.lab.host.server import SERVER_LOG  # noqa: PLC0415

    verdicts: list[str] = []
    server_said: list[str] = []

    def beside(word: "str | Path") -> str:
        here = request.path.parent / word
        return str(here) if os.sep in str(word) and here.exists() else str(word)

    def attempt(*modules: "str | Path", command: str | None = None, **options: Any) -> "trial.TryResult":
        device = options.get("device") or options.get("devices") or named_device(request)
        board = setting(request, "board", None if device else boards.DEFAULT)
        of_the_marker = {
            "boards": () if board is None else (board,),
            "devices": (device,) if isinstance(device, str) else device or (),
            "kernel": setting(request, "kernel", None),
            "guest": named(setting(request, "guest", PLAIN.name)),
            "memory_mib": setting(request, "memory_mib", None),
            "timeout_s": setting(request, "timeout_s", defaults.TIMEOUT_S),
            "faults": setting(request, "faults", ()),
            "seed": setting(request, "seed", 0),
            "settings": setting(request, "settings", ()),
        }
        asked = _fields({**of_the_marker, **options}, beside, request.path.parent)
        spec = trial.TrySpec(trial.parse([beside(word) for word in modules]), command, **asked)
        result = trial.run(spec, listener=trial.Listener())
        verdicts.extend(result.lines())
        server_said.extend(_words(log) for log in (result.logs / SERVER_LOG, *result.logs.glob(f"card*/{SERVER_LOG}")))
        return result

    yield attempt
    if verdicts:
        request.node.add_report_section("teardown", "plx9x5x try", "\n".join(verdicts))
        request.node.add_report_section("teardown", "plx9x5x serve", "".join(server_said))
