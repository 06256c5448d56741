# SPDX-License-Identifier: Apache-2.0
"""Sections of modules lie in a guest where lab.witness.layout says that they do: by /sys/module, for each kernel.

A module made for it has sections of code whose order and alignment matter; some of the kernel's own come along.
"""

from pathlib import Path

import pytest
from trying import tried

from plx9x5x.lab.guest.modules import ModuleTree
from plx9x5x.lab.toolchain import build_folder, load
from plx9x5x.lab.trial import TryResult
from plx9x5x.lab.witness import elf, layout
from plx9x5x.lab.witness.layout import Layout

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]

PAGE = 4096
STOCK = ("uio", "comedi", "scsi_mod")
ODD = """\
#include <linux/module.h>
#define IN(name) __section(name) noinline __used
IN(".text.late") static int late(int n) { return n + 1; }
IN(".text.hot.odd") __aligned(64) static int hot(int n) { return late(n) * 3; }
IN(".init.more") __aligned(32) static int more(int n) { return hot(n) + 5; }
static int __cold rare(int n) { pr_info("%d\\n", n); return n; }
static int __init odd_init(void) { return more(1) == 11 && rare(2) == 2 ? 0 : -EINVAL; }
static void __exit odd_exit(void) { rare(3); }
module_init(odd_init);
module_exit(odd_exit);
MODULE_DESCRIPTION("Sections of code in an order of their own");
MODULE_LICENSE("GPL");
"""
LIST = "cd /sys/module; for f in */sections/.*; do [ -f $f ] && echo $f $(cat $f); done; true"


def sections(result: TryResult) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for line in result.output.splitlines():
        path, _, address = line.partition(" ")
        module, _, name = path.split("/")
        found.setdefault(module, {})[name] = int(address, 16)
    return found


def bases(laid: Layout, there: dict[str, int], *, init: bool) -> set[int]:
    return {there[it.name] - it.offset for it in laid.sections if it.init is init and it.size}


def test_sections_of_code_lie_where_they_are_said_to(kernel: str, tmp_path: Path) -> None:
    source = tmp_path / "odd"
    source.mkdir()
    (source / "odd.c").write_text(ODD, encoding="ascii")
    (source / "Kbuild").write_text("obj-m := odd.o\n", encoding="ascii")
    tc = load(kernel=kernel)
    (odd,) = build_folder(tc, source).modules
    result, _ = tried(*STOCK, str(odd), kernel=kernel, command=LIST)
    assert result.status == 0, result.problems
    tree = ModuleTree(tc.kernel.modules)
    there = sections(result)
    assert {"odd", *STOCK} <= there.keys()
    for name, addresses in there.items():
        module = None if name == "odd" else tree.find(name)
        assert name == "odd" or module is not None
        laid = layout.of(elf.parse(odd.read_bytes() if module is None else module.data))
        for init in (False, True):
            found = bases(laid, addresses, init=init)
            assert len(found) == (1 if laid.size(init=init) else 0), (name, init, found)
            assert all(base % PAGE == 0 for base in found)
    names = {it.name for it in layout.of(elf.parse(odd.read_bytes())).sections}
    assert {".text.late", ".text.hot.odd", ".init.more", ".init.text", ".exit.text"} <= names
