# SPDX-License-Identifier: Apache-2.0
"""Files of a client: mapped once if they never shrink, called otherwise, and not touched where a call could wait."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from plx9x5x.transport.wire.client import SharedRam
from plx9x5x.transport.wire.codec import Refused
from plx9x5x.transport.wire.files import MAX_FILES, CalledFile, GuestFiles, MappedFile
from plx9x5x.units import KIB
from tests.transport.support import host_mappings, open_descriptors

PAGE = 4 * KIB


@pytest.fixture
def guest() -> Iterator[GuestFiles]:
    made = GuestFiles(logging.getLogger(__name__))
    yield made
    made.clear()


@pytest.fixture
def ram() -> Iterator[SharedRam]:
    with closing(SharedRam(4 * PAGE)) as made:
        yield made


@pytest.fixture
def loose() -> Iterator[int]:
    """Two pages that may shrink."""
    fd = os.memfd_create("loose", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.pwrite(fd, b"a" * PAGE + b"b" * PAGE, 0)
    yield fd
    os.close(fd)


def test_a_sealed_file_is_mapped_once_however_often_it_is_taken(guest: GuestFiles, ram: SharedRam) -> None:
    before = host_mappings(ram.fd)
    again = os.open(f"/proc/self/fd/{ram.fd}", os.O_RDWR)
    taken = {
        id(guest.take(fd, offset=n * PAGE, length=PAGE, writable=True)) for n in range(4) for fd in (ram.fd, again)
    }
    os.close(again)
    assert len(taken) == 1
    assert host_mappings(ram.fd) == before + 1


def test_a_read_only_descriptor_is_another_file(guest: GuestFiles, ram: SharedRam) -> None:
    half = os.open(f"/proc/self/fd/{ram.fd}", os.O_RDONLY)
    whole = guest.take(ram.fd, offset=0, length=PAGE, writable=True)
    reading = guest.take(half, offset=0, length=PAGE, writable=False)
    assert isinstance(whole, MappedFile)
    assert isinstance(reading, MappedFile)
    assert reading is not whole
    assert reading.view(0, PAGE).readonly
    with pytest.raises(Refused) as caught:
        guest.take(half, offset=0, length=PAGE, writable=True)
    assert caught.value.errno == errno.EACCES
    os.close(half)


def test_only_a_regular_file_that_may_be_read_is_one(guest: GuestFiles, folder: Path) -> None:
    (folder / "file").write_bytes(bytes(PAGE))
    ends = os.pipe()
    others = [os.open("/", os.O_RDONLY), os.open("/dev/zero", os.O_RDWR), os.eventfd(0), *ends]
    for fd in others[1:]:
        with pytest.raises(Refused, match=r"is no file's|does not allow reading"):
            guest.take(fd, offset=0, length=PAGE, writable=False)
        os.close(fd)
    for flags in (os.O_PATH, os.O_WRONLY):
        fd = os.open(folder / "file", flags)
        with pytest.raises(Refused, match="does not allow reading"):
            guest.take(fd, offset=0, length=PAGE, writable=False)
        os.close(fd)


@pytest.mark.parametrize("offset", [PAGE, 4 * PAGE, 1 << 62])
def test_a_range_beyond_the_file_is_refused(guest: GuestFiles, ram: SharedRam, loose: int, offset: int) -> None:
    for fd in (ram.fd, loose):
        with pytest.raises(Refused):
            guest.take(fd, offset=offset, length=4 * PAGE, writable=True)


def test_a_file_that_has_grown_is_mapped_anew_and_what_is_used_of_it_stays(guest: GuestFiles) -> None:
    fd = os.memfd_create("growing", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, PAGE)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    small = guest.take(fd, offset=0, length=PAGE, writable=True)
    assert isinstance(small, MappedFile)
    view = small.view(0, PAGE)
    os.ftruncate(fd, 2 * PAGE)
    large = guest.take(fd, offset=PAGE, length=PAGE, writable=True)
    assert isinstance(large, MappedFile)
    view[:4] = b"same"
    assert bytes(large.view(0, 4)) == b"same"
    view.release()
    os.close(fd)


def test_an_unused_file_is_let_go_and_a_used_one_is_not(guest: GuestFiles, ram: SharedRam) -> None:
    before = host_mappings(ram.fd)
    file = guest.take(ram.fd, offset=0, length=PAGE, writable=True)
    assert isinstance(file, MappedFile)
    view = file.view(0, PAGE)
    guest.release_unused()
    assert host_mappings(ram.fd) == before + 1
    view.release()
    guest.release_unused()
    assert host_mappings(ram.fd) == before


def test_a_file_that_may_shrink_is_read_and_written_as_far_as_it_goes(guest: GuestFiles, loose: int) -> None:
    file = guest.take(loose, offset=0, length=2 * PAGE, writable=True)
    assert isinstance(file, CalledFile)
    assert host_mappings(loose) == 0
    into = bytearray(PAGE)
    assert file.read_into(PAGE // 2, memoryview(into)) == PAGE
    assert into == b"a" * (PAGE // 2) + b"b" * (PAGE // 2)
    os.ftruncate(loose, PAGE)
    assert file.read_into(PAGE - 8, memoryview(into)) == 8
    assert file.write_from(PAGE - 8, memoryview(b"0123456789")) == 8
    assert file.write_from(PAGE, memoryview(b"x")) == 0
    assert file.write_from(1 << 40, memoryview(b"x")) == 0
    assert os.fstat(loose).st_size == PAGE
    assert os.pread(loose, 8, PAGE - 8) == b"01234567"


def test_a_file_sealed_against_writes_takes_none(guest: GuestFiles, loose: int) -> None:
    file = guest.take(loose, offset=0, length=PAGE, writable=True)
    assert isinstance(file, CalledFile)
    fcntl.fcntl(loose, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    assert file.write_from(0, memoryview(b"data")) == 0
    assert os.pread(loose, 4, 0) == b"aaaa"


def test_a_file_sealed_against_writes_and_shrinking_cannot_be_mapped_for_writes(guest: GuestFiles, loose: int) -> None:
    fcntl.fcntl(loose, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK)
    with pytest.raises(Refused) as caught:
        guest.take(loose, offset=0, length=PAGE, writable=True)
    assert caught.value.errno == errno.EPERM


def test_a_file_system_that_could_keep_us_waiting_is_not_touched(
    guest: GuestFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is its length asked for, which a daemon may never tell: it is reached by messages."""

    def asked(*_: object) -> int:
        raise AssertionError("it was asked")

    fd = os.open("/proc/version", os.O_RDONLY)
    with monkeypatch.context() as patch:
        for call in ("fstat", "preadv", "pwrite"):
            patch.setattr(os, call, asked)
        assert guest.take(fd, offset=0, length=PAGE, writable=False) is None
    os.close(fd)


def test_so_many_files_and_no_more_and_all_are_let_go(guest: GuestFiles) -> None:
    before = open_descriptors()
    for n in range(MAX_FILES + 1):
        fd = os.memfd_create("one", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, PAGE)
        if n < MAX_FILES:
            guest.take(fd, offset=0, length=PAGE, writable=True)
        else:
            with pytest.raises(Refused) as caught:
                guest.take(fd, offset=0, length=PAGE, writable=True)
            assert caught.value.errno == errno.ENOSPC
        os.close(fd)
    assert open_descriptors() == before + MAX_FILES
    guest.clear()
    assert open_descriptors() == before


def test_memory_that_is_slow_is_told_of_once(guest: GuestFiles, loose: int, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        guest.take(loose, offset=0, length=PAGE, writable=True)
        guest.take(loose, offset=0, length=PAGE, writable=False)
    assert [line for line in caplog.messages if "may be truncated" in line] == caplog.messages
    assert len(caplog.messages) == 1
