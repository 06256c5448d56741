# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x try`: folders of the host in the guest, the host's own root, files that come back, more cards than one."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from trying import Ear, folder, tried

from plx9x5x.errors import BadRequest
from plx9x5x.lab import trial
from plx9x5x.lab.guest.shapes import HIGH, IOMMU, Shape
from plx9x5x.lab.trial import TrySpec
from plx9x5x.lab.trial.verdict import OUTPUT

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]

BLOCK = bytes(range(256)) * 16_384


@pytest.fixture
def shared(tmp_path: Path) -> tuple[Path, Path]:
    read, write = tmp_path / "to read", tmp_path / "to write"
    for place in (read, write):
        place.mkdir()
    (read / "block").write_bytes(BLOCK)
    return read, write


@pytest.mark.parametrize("shape", [HIGH, IOMMU], ids=lambda shape: shape.name)
def test_folders_are_read_and_written(shared: tuple[Path, Path], shape: Shape, kernel: str) -> None:
    read, write = shared
    block = f"'{read}/block'"
    command = f"pwd; md5sum {block} | cut -c1-32; cat {block} {block} > two; rm {block}"
    result, ear = tried(
        folder("blink"), command=command, folders=trial.folders([read], [write]), guest=shape, kernel=kernel
    )
    assert (result.status, result.exit_code) == (1, 1)
    lines = ear.heard.decode().splitlines()
    assert lines[:2] == [str(write), hashlib.md5(BLOCK, usedforsecurity=False).hexdigest()]
    assert "Read-only file system" in lines[2]
    assert (write / "two").read_bytes() == BLOCK * 2
    assert (write / "two").stat().st_uid == os.geteuid()
    assert (read / "block").read_bytes() == BLOCK
    assert not (result.logs / "folder0.log").read_bytes()


def test_the_hosts_root_is_seen_and_stays_as_it_is(shared: tuple[Path, Path]) -> None:
    _, write = shared
    (write / "hello.c").write_text('#include <stdio.h>\nint main(void) { puts("dynamic"); return 0; }\n', "utf-8")
    subprocess.run(["cc", "-o", write / "hello", write / "hello.c"], check=True)
    mine = Path("/etc/plx9x5x-was-here")
    command = f"./hello; cat /etc/os-release | head -n 1; echo x > {mine} && cat {mine}; /block.sh; exit 6"
    script = write / "block.sh"
    script.write_text("#!/bin/sh\necho copied\n", encoding="utf-8")
    script.chmod(0o755)
    result, ear = tried(
        folder("blink"), command=command, folders=trial.folders([], [write]), host_root=True, files=(script,)
    )
    first = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()[0]
    assert ear.heard.decode().splitlines() == ["dynamic", first, "x", "copied"]
    assert result.exit_code == 6
    assert not mine.exists()
    assert any("the guest's root is this machine's" in text for text in ear.phases)


def test_the_hosts_root_needs_nothing_else() -> None:
    result, ear = tried(folder("blink"), command="pwd; readlink -f /proc/self/exe", host_root=True, get=("/etc/hosts",))
    assert result.exit_code == 0, result.lines()
    assert ear.heard.decode().splitlines()[0] == str(Path.cwd())
    assert result.got["/etc/hosts"].read_bytes() == Path("/etc/hosts").read_bytes()


def test_the_kernels_log_is_whole_whoever_cleared_it_and_a_file_of_that_name_is_another() -> None:
    command = "dmesg > dmesg.log; dmesg -c > /dev/null"
    result, _ = tried(folder("blink"), command=command, get=("dmesg.log",))
    theirs = result.got["dmesg.log"].read_text(encoding="utf-8").splitlines()
    assert "Linux version" in result.dmesg.splitlines()[0]
    assert len(theirs) > 200
    ours = [line.rstrip() for line in result.dmesg.splitlines()]
    assert ours[: len(theirs) - 5] == [line.rstrip() for line in theirs if "plx-init" not in line][: len(theirs) - 5]


def test_a_dynamic_program_that_cannot_start_is_explained(shared: tuple[Path, Path]) -> None:
    _, write = shared
    shutil.copy("/bin/ls", write / "list")
    result, _ = tried(folder("blink"), command="./list", folders=trial.folders([], [write]))
    assert result.exit_code == 127
    assert result.problems[0] == "the command ended with 127"
    assert result.problems[1].startswith("./list is a dynamic program and the guest has no /lib64/")


def test_files_come_back_those_of_proc_too(tmp_path: Path) -> None:
    result, _ = tried(
        folder("blink"),
        command="head -c 3000000 /dev/zero > big; seq 3 > /tmp/few",
        get=("big", "/tmp/few", "/proc/version", "/absent"),
        get_into=tmp_path,
    )
    assert result.got == {name: tmp_path / Path(name).name for name in ("big", "/tmp/few", "/proc/version")}
    assert (tmp_path / "big").read_bytes() == bytes(3_000_000)
    assert (tmp_path / "few").read_text(encoding="utf-8") == "1\n2\n3\n"
    assert "Linux version" in (tmp_path / "version").read_text(encoding="utf-8")
    assert result.problems == ("not got: cat: can't open '/absent': No such file or directory",)
    assert result.exit_code == 1


def test_a_driver_takes_two_cards_and_each_server_says_its_own() -> None:
    boards = ("rdk-9656-lite", "rdk-9056-lite")
    result, ear = tried(folder("blink"), boards=boards, command="cat /sys/bus/pci/drivers/blink/0*/interrupts")
    assert result.exit_code == 0, result.lines()
    assert ear.heard == b"1\n1\n"
    assert [card.board for card in result.cards] == list(boards)
    assert all("1 transfer" in card.transfers[0] for card in result.cards)
    assert len(result.bound) == 2


def test_a_second_board_that_is_not_known_stops_everything() -> None:
    with pytest.raises(BadRequest, match="no board is named 'nothing'"):
        tried(folder("blink"), boards=("rdk-9656-lite", "nothing"))


def test_a_folder_server_that_is_killed_ends_the_guest_and_is_named(shared: tuple[Path, Path]) -> None:
    """It serves a guest that may be hostile: what becomes of it is told."""
    _, write = shared

    class Killer(Ear):
        def output(self, data: bytes) -> None:
            super().output(data)
            (server,) = _servers_of(write)
            os.kill(server, 9)

    spec = TrySpec(trial.parse([folder("blink")]), "echo now; sleep 60", folders=trial.folders([], [write]))
    result = trial.run(spec, listener=Killer())
    assert result.exit_code == 75
    assert f"virtiofsd for {write} ended under the guest: SIGKILL" in result.problems[0]
    assert not _servers_of(write)
    assert (result.logs / OUTPUT).read_bytes() == b"now\n"


def test_nothing_is_left_of_a_folders_server(shared: tuple[Path, Path]) -> None:
    _, write = shared
    before = set(Path("/tmp").glob("plx9x5x-*"))
    tried(folder("blink"), command="true", folders=trial.folders([], [write]))
    assert not _servers_of(write)
    assert set(Path("/tmp").glob("plx9x5x-*")) <= before


def _servers_of(place: Path) -> list[int]:
    """Processes of virtiofsd for a folder."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--shared-dir" in words and os.fsencode(place) in words and b"--" not in words:
            found.append(int(line.parent.name))
    return found


def test_firmware_that_a_module_names_is_there_and_what_is_nowhere_is_said(tmp_path: Path) -> None:
    module = tmp_path / "wants"
    module.mkdir()
    (module / "Kbuild").write_text("obj-m := wants.o\n", encoding="utf-8")
    (module / "wants.c").write_text(
        """#include <linux/firmware.h>
#include <linux/module.h>
#include <linux/platform_device.h>
static int __init begin(void)
{
	struct platform_device *dev = platform_device_register_simple("wants", -1, NULL, 0);
	const struct firmware *fw;
	int ret = request_firmware(&fw, "acme/card.bin", &dev->dev);

	if (!ret)
		pr_info("wants: %zu bytes\\n", fw->size);
	release_firmware(ret ? NULL : fw);
	platform_device_unregister(dev);
	return ret;
}
module_init(begin);
MODULE_FIRMWARE("acme/card.bin");
MODULE_FIRMWARE("acme/other.bin");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("");
""",
        encoding="utf-8",
    )
    (tmp_path / "fw" / "acme").mkdir(parents=True)
    (tmp_path / "fw" / "acme" / "card.bin").write_bytes(bytes(1234))
    result, ear = tried(str(module), firmware=(tmp_path / "fw",), command="dmesg | grep -o 'wants: [0-9].*'")
    assert (result.exit_code, ear.heard) == (0, b"wants: 1234 bytes\n"), result.lines()
    assert [text.split()[6] for text in ear.phases if "may ask" in text] == ["acme/other.bin,"]


def test_files_are_brought_where_they_were_to_go_although_the_guest_moved_it(tmp_path: Path) -> None:
    """The guest may write in what holds the folder."""
    inner, outside = tmp_path / "work" / "inner", tmp_path / "outside"
    inner.mkdir(parents=True)
    outside.mkdir()
    command = f"echo mine > /it; mv inner other && ln -s {outside} inner"
    result, _ = tried(
        folder("blink"), command=command, folders=trial.folders([], [inner.parent]), get=("/it",), get_into=inner
    )
    assert result.exit_code == 0, result.lines()
    assert (inner.parent / "other" / "it").read_bytes() == b"mine\n"
    assert not list(outside.iterdir())
