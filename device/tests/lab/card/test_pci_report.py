# SPDX-License-Identifier: Apache-2.0
"""A guest's report on its PCI device: taken apart, refused when it is not whole, and cleared of what sysfs said."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from plx9x5x.errors import LostVm
from plx9x5x.lab.card import config_space, pci_report
from plx9x5x.lab.card.pci_report import LogLine
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.host.server import DeviceServer
from plx9x5x.lab.report import ktap
from plx9x5x.lab.toolchain import GuestKernel, Pciutils, Qemu, Toolchain
from plx9x5x.lab.toolchain.pciutils import command_line
from tests.lab.fake_server import FakeServer

SLOT = "00:02.0"
BYTES = config_space.lspci_text(bytes(range(256)), slot=SLOT)
WHOLE = f"""{SLOT} Bridge: PLX Technology, Inc. Device 9601 (rev ba)
\tControl: I/O+ Mem+
\tInterrupt: pin A routed to IRQ 22
\tRegion 0: Memory at febe1000 (32-bit, non-prefetchable) [size=512]
\tRegion 2: Memory at febc0000 (32-bit, non-prefetchable) [disabled] [size=128K]
\tCapabilities: [4c] Vital Product Data
\t\tProduct Name: of the EEPROM
\t\tRead-only fields:
\t\t\t[PN] Part number: 1
\tCapabilities: [50] Something
\t\tStatus: D0
\tKernel driver in use: plx_test
"""
LOG = ["<5>[    0.000000] Linux version 6.1", "<6>[    0.3] pci 0000:00:02.0: [10b5:9601] type 00"]


def report(**said: str | list[str]) -> ktap.Report:
    return ktap.parse(ktap_text(**said).encode())


def ktap_text(**said: str | list[str]) -> str:
    """As the guest's script writes it; what is not given is as it should be."""
    cases = {"log_at_boot": LOG, "numbers": BYTES, "whole": WHOLE + BYTES.partition("\n")[2], "log": LOG} | said
    text = f"KTAP version 1\n1..{len(cases)}\n"
    for number, (name, output) in enumerate(cases.items(), 1):
        lines = output.splitlines() if isinstance(output, str) else output
        text += "".join(f"# |{line}\n" for line in lines) + f"ok {number} {name}\n"
    return text


def test_everything_arrives_with_its_indentation() -> None:
    found = pci_report.read(report())
    assert found.slot == SLOT
    assert found.image == found.untouched == bytes(range(256))
    assert found.text == WHOLE.rstrip("\n")
    assert found.numbers == BYTES.splitlines()[0]
    assert found.log[1] == LogLine(6, "pci 0000:00:02.0: [10b5:9601] type 00")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"numbers": ""}, "sees 0 PLX devices"),
        ({"whole": BYTES + config_space.lspci_text(bytes(256), slot="00:03.0")}, "sees 2 PLX devices"),
        ({"whole": config_space.lspci_text(bytes(256), slot="00:03.0")}, "moved in the guest from 00:02.0 to 00:03.0"),
        ({"numbers": config_space.lspci_text(bytes(64), slot=SLOT)}, "64 bytes of configuration space, not 256"),
    ],
)
def test_a_report_not_on_one_device_is_refused(said: dict[str, str], why: str) -> None:
    with pytest.raises(LostVm, match=re.escape(why)):
        pci_report.read(report(**said))


def test_a_command_that_failed_is_refused_with_its_words() -> None:
    text = b"KTAP version 1\n1..1\n# lspci: cannot open\nnot ok 1 whole # exit code 1\n"
    with pytest.raises(LostVm, match=r"(?s)exit code 1.*lspci: cannot open"):
        pci_report.read(ktap.parse(text))


def test_a_report_without_one_of_its_parts_is_refused() -> None:
    with pytest.raises(LostVm, match="has no 'numbers'"):
        pci_report.read(ktap.parse(b"KTAP version 1\n1..1\nok 1 whole\n"))


def test_kernel_levels_are_read_without_the_facility_and_go_on_over_lines() -> None:
    log = pci_report.kernel_log(["lost", "<4>[    1.5] a warning", "its second line", "<30>[   12.0] a daemon's info"])
    assert log == (LogLine(4, "a warning"), LogLine(4, "its second line"), LogLine(6, "a daemon's info"))


@pytest.mark.parametrize(("level", "text", "counts"), [
    (4, "pci 0000:00:02.0: VPD access failed", True),
    (3, "pci 0000:00:02.0: BAR 2: no space", True),
    (5, "pci 0000:00:02.0: a notice", False),
    (3, "pci 0000:00:03.0: BAR 2: no space", False),
])  # fmt: skip
def test_a_complaint_is_a_warning_or_worse_that_names_the_device(level: int, text: str, counts: bool) -> None:
    found = pci_report.read(report())
    assert bool(found.complaints([LogLine(level, text)])) == counts


def test_what_sysfs_said_is_dropped_and_nothing_else() -> None:
    assert pci_report.from_config_space(WHOLE) == (
        f"{SLOT} Bridge: PLX Technology, Inc. Device 9601 (rev ba)",
        "\tControl: I/O+ Mem+",
        "\tRegion 0: Memory at febe1000 (32-bit, non-prefetchable)",
        "\tRegion 2: Memory at febc0000 (32-bit, non-prefetchable) [disabled]",
        "\tCapabilities: [4c] Vital Product Data",
        "\tCapabilities: [50] Something",
        "\t\tStatus: D0",
    )


def test_differing_bytes_are_named_by_their_offset() -> None:
    assert pci_report.differing(b"\x01\x02\x03", b"\x01\x12\x03") == ("0x01: 02, 12",)
    assert pci_report.differing(b"\x01", b"\x01") == ()


@pytest.fixture
def toolchain(tmp_path: Path) -> Toolchain:
    folder = tmp_path / "part"
    (folder / "lib").mkdir(parents=True)
    for name in ("lspci", "pci.ids", "part.json", "lib/libpci.so.3", "lib/ld-linux-x86-64.so.2"):
        (folder / name).touch()
    kernel = GuestKernel("6.1", "6.1.0", tmp_path, tmp_path, tmp_path, ())
    return Toolchain(
        Qemu((), "", ""), kernel, tmp_path / "busybox", tmp_path, tmp_path, pciutils=Pciutils(folder, "3.13.0")
    )


def test_the_guest_has_lspci_with_its_libraries_and_runs_the_script(toolchain: Toolchain) -> None:
    image = pci_report.image(toolchain, guest_sources.find())
    ours = {path for path in image.files if path.startswith("pciutils/")}
    assert ours == {
        "pciutils/lspci",
        "pciutils/pci.ids",
        "pciutils/lib/libpci.so.3",
        "pciutils/lib/ld-linux-x86-64.so.2",
    }
    assert image.kernel_words()[-1] == "plx.run=/bin/pci-report"
    assert image.own_modules == ()
    assert all(image.files[path].mode == 0o755 for path in ("bin/lspci", "bin/pci-report", "init"))


def test_the_guests_lspci_is_called_as_the_hosts() -> None:
    script = (guest_sources.find().init.parent / "lspci").read_text().replace("\\\n", " ")
    words = script.partition("\nexec ")[2].split()
    assert tuple(words) == (*command_line("/pciutils"), '"$@"')


# Poses as QEMU in a guest's stead: sends the report that stands beside it, and says what is in `complaint`.
QEMU = """
import pathlib, socket, sys
here = pathlib.Path(__file__).parent
chardev = next(a for a in sys.argv if a.startswith("socket,id=report,fd="))
socket.socket(fileno=int(chardev.rpartition("=")[2])).sendall((here / "report").read_bytes())
sys.stderr.write((here / "complaint").read_text())
"""


@pytest.mark.parametrize("trouble", [None, "it ended with exit code 70"])
@pytest.mark.parametrize("complaint", ["", "qemu: vfio_container_dma_map(0x1, 0x1000) = -22"])
def test_trouble_beside_the_report_is_kept(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str | None, complaint: str
) -> None:
    for name in ("busybox", "vmlinuz"):
        (tmp_path / name).touch()
    (tmp_path / "modules.builtin").write_text("kernel/virtio_pci.ko kernel/virtio_console.ko\n")
    (tmp_path / "qemu.py").write_text(QEMU)
    (tmp_path / "complaint").write_text(complaint)
    (tmp_path / "report").write_text(ktap_text())
    logs = tmp_path / "logs"
    logs.mkdir()
    monkeypatch.setattr(DeviceServer, "start", lambda **_: FakeServer(trouble))
    qemu = Qemu((sys.executable, "-I", "-S", str(tmp_path / "qemu.py")), "11.1.3", "test")
    kernel = replace(toolchain.kernel, vmlinuz=tmp_path / "vmlinuz")
    found = pci_report.take("any", replace(toolchain, qemu=qemu, kernel=kernel), logs=logs, timeout_s=30)
    assert found.slot == SLOT
    assert found.trouble == tuple(text for text in (complaint, trouble) if text)
    assert "plx.run=/bin/pci-report" in (logs / "qemu.cmd").read_text()
