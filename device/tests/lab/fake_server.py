# SPDX-License-Identifier: Apache-2.0
"""Poses as the device's server beside a guest that needs none."""

from pathlib import Path
from typing import Self


class FakeServer:
    """Ready at once, alive until told otherwise; `trouble` is what it says at its end."""

    name, pid, socket_path = "the server", 1, Path("/nowhere")

    def __init__(self, trouble: str | None) -> None:
        self.alive = True
        self._trouble = trouble

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def wait_ready(self) -> Self:
        return self

    def place(self, _: object) -> None:
        return None

    authors_error = None

    def trouble(self) -> str | None:
        return self._trouble
