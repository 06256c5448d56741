# SPDX-License-Identifier: Apache-2.0
"""The socket in its folder: private, never another's, gone at the end."""

import os
import socket
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.transport.libvfio_abi import LibVfioUser
from tests.transport.conftest import Served
from tests.transport.support import serves_right


def test_the_socket_is_private_from_its_first_moment(served: Served) -> None:
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600


def test_a_stale_socket_is_replaced(serve: Callable[[Path], AbstractContextManager[Served]], folder: Path) -> None:
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    with serve(path) as served:
        serves_right(served)
    assert not path.exists()


def test_a_live_server_is_left_alone(served: Served, library: LibVfioUser) -> None:
    with pytest.raises(SetupError, match="another server listens"):
        Served(served.path, library)
    serves_right(served)
    with served.client(), pytest.raises(SetupError, match="another server listens"):
        Served(served.path, library)
    assert served.path.exists()


def test_a_file_in_the_way_is_left_alone(library: LibVfioUser, folder: Path) -> None:
    path = folder / "precious"
    path.write_text("data")
    with pytest.raises(SetupError, match="no socket"):
        Served(path, library)
    assert path.read_text() == "data"


def test_a_path_too_long_and_a_missing_folder_are_named(library: LibVfioUser, folder: Path) -> None:
    with pytest.raises(SetupError, match="takes 107"):
        Served(folder / ("s" * 107), library)
    with pytest.raises(SetupError, match="no folder") as caught:
        Served(folder / "absent" / "s", library)
    assert "mkdir" in caught.value.hint


def test_the_longest_path_works(serve: Callable[[Path], AbstractContextManager[Served]], folder: Path) -> None:
    with serve(folder / ("s" * (107 - len(os.fsencode(folder)) - 1))) as served:
        serves_right(served)


def test_another_servers_socket_is_not_removed(
    serve: Callable[[Path], AbstractContextManager[Served]], folder: Path
) -> None:
    path = folder / "s"
    with serve(path):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(os.fspath(path))
    assert path.exists()


def test_a_restart_on_the_same_path_works(
    serve: Callable[[Path], AbstractContextManager[Served]], folder: Path
) -> None:
    for _ in range(3):
        with serve(folder / "s") as served:
            serves_right(served)
