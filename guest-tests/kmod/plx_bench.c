// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long accesses take, seen from the CPU that makes them.
 *
 * QEMU's built-in edu device (1234:11e8) gives the yardstick: its registers
 * are answered inside QEMU, without a second process.
 */
#include <linux/ktime.h>

#include "plx_test.h"

#define PLX_BENCH_MAX		1000000

#define EDU_VENDOR		0x1234
#define EDU_DEVICE		0x11e8
#define EDU_LIVENESS		0x04	/* keeps a dword, gives its complement */

static void plx_time_reads(void __iomem *at, struct plx_test_bench *bench)
{
	u64 start = ktime_get_ns();
	u32 i;

	for (i = 0; i < bench->n; i++)
		readl(at);
	bench->issued_ns = ktime_get_ns() - start;
	bench->drained_ns = bench->issued_ns;
}

static void plx_time_writes(void __iomem *at, struct plx_test_bench *bench)
{
	u64 start = ktime_get_ns();
	u32 i;

	for (i = 0; i < bench->n; i++)
		writel(i, at);
	bench->issued_ns = ktime_get_ns() - start;
	readl(at);
	bench->drained_ns = ktime_get_ns() - start;
}

static void plx_time_ports(void __iomem *at, struct plx_test_bench *bench, bool out)
{
	u64 start = ktime_get_ns();
	u32 i;

	for (i = 0; i < bench->n; i++) {
		if (out)
			iowrite32(i, at);
		else
			ioread32(at);
	}
	bench->issued_ns = ktime_get_ns() - start;
	bench->drained_ns = bench->issued_ns;
}

static int plx_bench_edu(struct plx_test_bench *bench)
{
	struct pci_dev *edu = pci_get_device(EDU_VENDOR, EDU_DEVICE, NULL);
	void __iomem *regs;
	int ret;

	if (!edu)
		return -ENODEV;
	ret = pci_enable_device(edu);
	if (ret)
		goto put;
	regs = pci_iomap(edu, 0, 0);
	if (!regs) {
		ret = -ENOMEM;
		goto disable;
	}
	if (bench->kind == PLX_TEST_BENCH_EDU_READ)
		plx_time_reads(regs + EDU_LIVENESS, bench);
	else
		plx_time_writes(regs + EDU_LIVENESS, bench);
	pci_iounmap(edu, regs);
disable:
	pci_disable_device(edu);
put:
	pci_dev_put(edu);
	return ret;
}

/**
 * plx_bench() - time a run of accesses
 * @plx: the bridge, at rest
 * @bench: kind and number in, times out
 *
 * Return: 0, -EINVAL, or -ENODEV if that device or BAR is not there.
 */
int plx_bench(struct plx_test *plx, struct plx_test_bench *bench)
{
	if (!bench->n || bench->n > PLX_BENCH_MAX)
		return -EINVAL;

	switch (bench->kind) {
	case PLX_TEST_BENCH_BAR0_READ:
		plx_time_reads(plx->bar[0] + PLX_MBOX2, bench);
		return 0;
	case PLX_TEST_BENCH_BAR0_WRITE:
		plx_time_writes(plx->bar[0] + PLX_MBOX2, bench);
		return 0;
	case PLX_TEST_BENCH_BAR1_IN:
	case PLX_TEST_BENCH_BAR1_OUT:
		if (!plx->bar[1])
			return -ENODEV;
		plx_time_ports(plx->bar[1] + PLX_MBOX2, bench,
			       bench->kind == PLX_TEST_BENCH_BAR1_OUT);
		return 0;
	case PLX_TEST_BENCH_EDU_READ:
	case PLX_TEST_BENCH_EDU_WRITE:
		return plx_bench_edu(bench);
	default:
		return -EINVAL;
	}
}
