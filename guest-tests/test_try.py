# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x try`: drivers that are not ours, good and bad, and what is said of them."""

import os
import re
import shutil
from pathlib import Path

import pytest
from trying import folder, tried

from plx9x5x.lab.guest.shapes import IOMMU, PLAIN, Shape
from plx9x5x.lab.toolchain import build_folder, load

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]

COUNT = "cat /sys/bus/pci/drivers/blink/0*/interrupts"


@pytest.mark.parametrize("shape", [PLAIN, IOMMU], ids=lambda shape: shape.name)
def test_a_driver_is_built_loaded_and_its_interrupt_counted(shape: Shape, kernel: str) -> None:
    result, ear = tried(folder("blink"), command=COUNT, guest=shape, kernel=kernel)
    assert (result.exit_code, result.problems, result.findings) == (0, (), ()), result
    assert ear.heard == b"1\n"
    assert [text.split()[1] for text in result.bound] == ["blink"]
    assert ear.phases[0].startswith("built blink.ko")


def test_who_forgets_bus_mastering_is_told_so() -> None:
    result, _ = tried(folder("blink"), "forget=1")
    assert result.exit_code == 1
    assert [finding.rule for finding in result.findings] == ["bus-master-never"]
    assert "its probe failed" in result.problems[0]
    assert any("failed with error -110" in line for line in result.kernel_said)


def test_a_card_that_a_driver_does_not_want_is_named_by_its_ids() -> None:
    result, _ = tried(folder("blink"), boards=("rdk-9054-lite",))
    assert result.problems == (
        "no driver took the card: it is 10b5:5406 (subsystem 10b5:9054); the module wants 10b5:5601, 10b5:9601",
    )


def test_a_module_of_the_kernels_own_says_what_it_wants() -> None:
    result, _ = tried("gsc_hpdi")
    assert "the module wants 10b5:9080 (subsystem 10b5:2400)" in result.problems[0]
    assert result.exit_code == 1


def test_a_vendors_makefile_that_takes_kdir_builds_and_a_commands_status_is_the_result(tmp_path: Path) -> None:
    given = tmp_path / "words"
    given.write_text("from a file\n")
    command = "dmesg | grep -c 'vendor: 42'; cat; cat /words; exit 3"
    result, ear = tried(folder("vendor"), command=command, input=given, files=(given,))
    assert ear.heard == b"1\nfrom a file\nfrom a file\n"
    assert (result.status, result.exit_code, result.problems) == (3, 3, ("the command ended with 3",))


def test_an_oops_is_the_first_thing_that_is_said() -> None:
    result, _ = tried(folder("crash"))
    assert result.exit_code == 1
    assert "NULL pointer dereference" in result.problems[0]
    assert any("crash_init" in line for line in result.kernel_said)


def test_a_module_that_refuses_is_said_with_the_kernels_reason() -> None:
    result, _ = tried(folder("crash"), "how=refuse")
    assert result.problems == (
        "a module was not loaded: insmod: can't insert '/lib/modules/crash.ko': Invalid cross-device link",
    )


def test_a_module_for_another_kernel_is_refused_by_name() -> None:
    (made,) = build_folder(load(kernel="6.12"), Path(folder("vendor"))).modules
    result, _ = tried(str(made), kernel="6.1")
    assert result.exit_code == 1
    assert "vendor.ko was built for Linux 6.12" in result.problems[0]


def test_a_command_that_hangs_ends_by_the_time_limit() -> None:
    result, ear = tried(folder("blink"), command="echo on; sleep 1000", timeout_s=15)
    assert result.exit_code == 75
    assert "the guest ran longer than 15 s" in result.problems[0]
    assert ear.heard == b"on\n"


def test_a_shell_reads_what_is_typed_and_ends_with_its_status() -> None:
    read, write = os.pipe()
    try:
        os.write(write, b"echo $((6 * 7))\nexit 4\n")
        result, ear = tried(folder("blink"), shell=read)
    finally:
        os.close(read)
        os.close(write)
    assert b"42\n" in ear.heard.replace(b"\r", b"")
    assert (result.status, result.exit_code) == (4, 4)


def test_more_processors_and_a_trace(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    result, ear = tried(folder("blink"), command="nproc", processors=2, trace=trace)
    assert (ear.heard, result.exit_code) == (b"2\n", 0)
    assert "DMACSR0" in trace.read_text()


def test_a_folder_that_does_not_compile_says_so_with_its_own_paths(tmp_path: Path) -> None:
    (tmp_path / "wrong.c").write_text("int wrong(void) { return }\n")
    (tmp_path / "Makefile").write_text("obj-m := wrong.o\n")
    result, _ = tried(str(tmp_path))
    assert (result.exit_code, result.problems) == (1, ("the module was not built",))
    assert f"{tmp_path}/wrong.c:1:" in "\n".join(result.lines())


def test_a_makefile_that_means_the_kernel_that_runs_here_is_built_for_the_guests(tmp_path: Path) -> None:
    shutil.copy(Path(folder("vendor")) / "part.c", tmp_path / "usual.c")
    source = tmp_path / "usual.c"
    head = '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("");\n'
    source.write_text(head + source.read_text())
    (tmp_path / "Makefile").write_text(
        "obj-m := usual.o\nall:\n\tmake -C /lib/modules/$(shell uname -r)/build M=$(PWD) modules\n"
    )
    result, _ = tried(str(tmp_path))
    assert (result.exit_code, result.built) == (0, ("usual.ko",)), result.lines()


def test_a_guest_that_is_switched_off_by_its_command_is_not_good() -> None:
    result, _ = tried(folder("blink"), command="poweroff -f")
    assert result.exit_code == 1
    assert result.problems == ("the guest was switched off before the command had ended",)


def test_a_warning_counts_although_the_console_is_quiet_and_the_log_was_cleared() -> None:
    result, _ = tried(folder("crash"), "how=warn", append=("quiet",), command="dmesg -c >/dev/null")
    assert result.exit_code == 1
    assert "WARNING: " in result.problems[0]
    assert any("crash warns" in line for line in result.kernel_said)


def test_a_folder_uses_what_another_one_exports(tmp_path: Path) -> None:
    texts = {
        "core": "int core_add(int a, int b) { return a + b; }\nEXPORT_SYMBOL_GPL(core_add);\n",
        "user": "int core_add(int a, int b);\nstatic int __init begin(void)\n{\n"
        '\tpr_info("5 it is: %d\\n", core_add(2, 3));\n\treturn 0;\n}\nmodule_init(begin);\n',
    }
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.c").write_text(
            f'#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("");\n{text}', encoding="utf-8"
        )
        (tmp_path / name / "Kbuild").write_text(f"obj-m := {name}.o\n", encoding="utf-8")
    result, ear = tried(str(tmp_path / "core"), str(tmp_path / "user"), command="dmesg | grep -o '5 it is.*'")
    assert (result.exit_code, result.built, ear.heard) == (0, ("core.ko", "user.ko"), b"5 it is: 5\n"), result.lines()


def test_a_build_that_does_not_end_is_ended(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("all:\n\techo begins\n\tsleep 1000\n", encoding="utf-8")
    result, _ = tried(str(tmp_path), timeout_s=1.0)
    assert (result.exit_code, result.problems) == (1, ("the module was not built",))
    assert [line for line in result.lines() if "begins" in line]
    assert "it was ended: it took longer than 1 s (--timeout)" in result.lines()


@pytest.mark.parametrize(("how", "does"), [("loop", "loops"), ("wait", "waits")])
def test_a_module_that_hangs_is_found_where_it_does(how: str, does: str, kernel: str) -> None:
    result, _ = tried(folder("crash"), f"how={how}", timeout_s=12.0, kernel=kernel)
    assert result.exit_code == 1
    assert re.fullmatch(rf"the driver hangs: \w+ {does} in crash_\w+\+0x\w+/0x\w+ \[crash\]", result.problems[0])
    assert result.problems[1] == "VM lost: the guest ran longer than 12 s (--timeout)"


def test_a_command_that_hangs_is_not_the_drivers_fault() -> None:
    result, _ = tried(folder("blink"), command="sleep 1000", timeout_s=12.0)
    assert (result.exit_code, result.stuck) == (75, None)


def test_a_module_that_needs_a_symbol_that_nobody_has_is_said_with_its_name(tmp_path: Path) -> None:
    head = '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("");\n'
    text = "int nobody_has(void);\nint init_module(void) { return nobody_has(); }\n"
    (tmp_path / "needs.c").write_text(head + text, encoding="utf-8")
    (tmp_path / "Kbuild").write_text("obj-m := needs.o\n", encoding="utf-8")
    result, _ = tried(str(tmp_path))
    assert result.problems == ("the module was not built",)
    assert any("nobody_has" in line for line in result.lines())
    (tmp_path / "Makefile").write_text(
        "all:\n\t$(MAKE) -C $(KDIR) M=$(PWD) KBUILD_MODPOST_WARN=1 modules\n", encoding="utf-8"
    )
    result, _ = tried(str(tmp_path))
    assert result.exit_code == 1
    assert "a module was not loaded" in result.problems[0]
    assert any("Unknown symbol nobody_has" in line for line in result.kernel_said)


@pytest.mark.parametrize("lines", [100, 30_000])
def test_a_warning_counts_behind_much_talk_and_on_a_quiet_console(lines: int) -> None:
    result, _ = tried(folder("crash"), f"how={lines}", append=("quiet", "loglevel=1"))
    assert any("WARNING" in text for text in result.problems), (result.lines(), result.kernel_said[-3:])
    assert any("lines more (dmesg.log)" in text for text in result.kernel_said)
    assert "crash talks 0\n" in result.dmesg
    assert f"crash talks {lines - 1}\n" in result.dmesg or "ran over" in result.dmesg
