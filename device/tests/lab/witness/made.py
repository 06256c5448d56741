# SPDX-License-Identifier: Apache-2.0
"""A module made by hand: two files of a driver and a header of its own, beside a kernel's headers, by the host's gcc.

Labels in the code (`at`) say where places are that a test asks for; `line_of` finds lines by what stands in them.
"""

import subprocess
from pathlib import Path

from plx9x5x.lab.witness import elf, layout

KERNEL = {
    "include/linux/types.h": "typedef unsigned int u32;\n",
    "include/asm/io.h": """\
#include <linux/types.h>
#define AT(name) asm volatile(#name "_%=:" ::)
static inline __attribute__((always_inline)) u32 readl(volatile u32 *at)
{
	u32 value;
	asm volatile("readl_%=: movl %1, %0" : "=r"(value) : "m"(*at));
	return value;
}
extern u32 ioread32(volatile void *);
extern void *dma_alloc_attrs(void *, unsigned long, unsigned long *, u32, unsigned long);
extern void mutex_lock(void *);
""",
}
DRIVER = {
    "regs.h": """\
#include <asm/io.h>
static inline __attribute__((always_inline)) u32 status(volatile u32 *bar)
{
	return readl(bar + 1); /* status reads */
}
""",
    "drv.c": """\
#include "regs.h"
extern u32 helped(volatile u32 *bar);
__attribute__((noinline)) static u32 direct(volatile u32 *bar)
{
	return readl(bar); /* direct reads */
}
__attribute__((noinline)) static u32 by_own_header(volatile u32 *bar)
{
	return status(bar) + 1; /* calls status */
}
__attribute__((section(".init.text"))) u32 start(volatile u32 *bar, void *lock)
{
	u32 sum = direct(bar);
	sum += by_own_header(bar);
	mutex_lock(lock);
	AT(after_lock);
	sum += *bar; /* after the lock */
	return sum + helped(bar); /* calls helped */
}
__attribute__((section(".exit.text"))) void stop(volatile u32 *bar)
{
	*bar = 0; /* stops */
}
""",
    "sub/help.c": """\
#include "../regs.h"
u32 helped(volatile u32 *bar)
{
	u32 value = ioread32(bar); /* helped reads */
	return value + 1;
}
void *allocated(void *device, unsigned long *handle)
{
	void *memory = dma_alloc_attrs(device, 4096, handle, 0, 0); /* allocates */
	return (char *)memory + 16;
}
__attribute__((noinline, optimize("Og"))) u32 counted(u32 n)
{
	u32 sum = n;
	AT(counted_begins); /* begins */
	for (u32 i = 0; i < n; i++) {
		AT(loop_begins); asm volatile("nop"); /* each time */
		if (i & 1) {
			AT(odd_begins); asm volatile("nop"); asm volatile("nop"); /* odd */
			AT(odd_ends); asm volatile("nop"); /* odd ends */
		}
	}
	AT(counted_ends); asm volatile("nop"); /* ends */
	if (sum == 77) { /* asks */
		AT(never_begins); asm volatile("nop"); /* never */
		AT(never_ends); asm volatile("nop"); /* never ends */
	}
	return sum;
}
""",
}


class Made:
    """The module's file, and its sources in `root`/drv."""

    def __init__(self, root: Path, ko: Path) -> None:
        self.root, self.ko = root, ko
        self.elf = elf.parse(ko.read_bytes())
        self.layout = layout.of(self.elf)

    def source(self, name: str) -> str:
        return str(self.root / "drv" / name)

    def line_of(self, name: str, text: str) -> int:
        lines = DRIVER[name].splitlines()
        (found,) = (number for number, line in enumerate(lines, 1) if f"/* {text} */" in line)
        return found

    def line_with(self, name: str, text: str) -> int:
        return next(number for number, line in enumerate(DRIVER[name].splitlines(), 1) if text in line)

    def label(self, start: str, *, section: str = ".text", within: str | None = None) -> int:
        """The offset in the text of a label or a function; of several the one within a function."""
        placed = self.layout.named(section)
        assert placed is not None
        low, high = 0, placed.size
        if within is not None:
            low, size, _ = next(it for it in elf.code_symbols(self.elf, placed.index) if it[2] == within)
            high = low + size
        values = [
            int(symbol["value"])
            for number, symbol in enumerate(self.elf.symbols)
            if int(symbol["section"]) == placed.index
            and self.elf.name_of(number).startswith(start)
            and low <= int(symbol["value"]) < high
        ]
        assert len(values) == 1, (start, values)
        return placed.offset + values[0]

    def function(self, name: str, section: str = ".text") -> tuple[int, int]:
        """Where a function begins and ends in its text."""
        placed = self.layout.named(section)
        assert placed is not None
        start, size, _ = next(it for it in elf.code_symbols(self.elf, placed.index) if it[2] == name)
        return placed.offset + start, placed.offset + start + size

    def returns(self, called: str, *, section: str = ".text") -> int:
        """Where the one call of a function returns to."""
        placed = self.layout.named(section)
        assert placed is not None
        found = [
            int(it["at"]) + 4
            for it in self.elf.relocations(placed.index)
            if self.elf.name_of(int(it["symbol"])) == called
        ]
        assert len(found) == 1, (called, found)
        return placed.offset + found[0]


def make(root: Path, *options: str, after: tuple[str, ...] = ()) -> Made:
    """Compile it with options of gcc's; `after` is a command that is run with the module's path."""
    for folder, files in (("kernel", KERNEL), ("drv", DRIVER)):
        for name, text in files.items():
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="ascii")
    flags = ("-O2", "-fno-pic", "-mcmodel=kernel", "-fno-stack-protector", "-fcf-protection=none", "-Iinclude")
    objects = []
    for name in ("drv.c", "sub/help.c"):
        objects.append(str(root / Path(name).with_suffix(".o").name))
        command = ["gcc", "-c", *flags, *options, "-o", objects[-1], str(root / "drv" / name)]
        subprocess.run(command, cwd=root / "kernel", check=True)
    ko = root / "drv.ko"
    subprocess.run(["ld", "-r", "-o", str(ko), *objects], check=True)
    if after:
        subprocess.run([*after, str(ko)], check=True)
    return Made(root, ko)
