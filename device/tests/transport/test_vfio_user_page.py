# SPDX-License-Identifier: Apache-2.0
"""The page about the wire: what it shows is run as it stands."""

import re
import threading
from pathlib import Path

import pytest

from plx9x5x.plane.choice import NAMES, VARIABLE
from plx9x5x.transport.wire.server import WireServer

PAGE = Path(__file__).parents[3] / "docs/vfio-user.md"


@pytest.mark.parametrize("plane", NAMES)
def test_the_server_and_the_client_of_the_page_work(folder: Path, plane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, plane)
    shown: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        exec(compile(code, str(PAGE), "exec"), shown)
    copier, use = shown["Copier"], shown["use"]
    assert callable(copier)
    assert callable(use)
    with WireServer(folder / "s", copier) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            assert use(folder / "s") == 0xCAFE
        finally:
            server.stop()
            thread.join(10)
