// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses of registers and of the card's memory in every manner there is, and
 * the driver's own use of memory that it shares with the card.
 */
#include <linux/dma-mapping.h>
#include <linux/io.h>

#include "watched.h"

#define MAILBOX0 0x40
#define MAILBOX1 0x44
#define WORDS 8

static u32 words[WORDS] = { 1, 2, 3, 4, 5, 6, 7, 8 };

/* Each line says the width, how, the address and, of what is known, the value. */
static noinline void in_memory(u8 __iomem *regs, phys_addr_t at)
{
	told("function in_memory %px", in_memory);
	writel(0x11223344, regs + MAILBOX0);
	told("access 4 w %llx 11223344", at + MAILBOX0);
	told("access 4 r %llx %x", at + MAILBOX0, readl(regs + MAILBOX0));
	writew(0x5566, regs + MAILBOX0);
	told("access 2 w %llx 5566", at + MAILBOX0);
	told("access 2 r %llx %x", at + MAILBOX0 + 2, readw(regs + MAILBOX0 + 2));
	writeb(0x77, regs + MAILBOX0 + 1);
	told("access 1 w %llx 77", at + MAILBOX0 + 1);
	told("access 1 r %llx %x", at + MAILBOX0, readb(regs + MAILBOX0));
}

static noinline void in_helpers(u8 __iomem *dram, phys_addr_t at)
{
	int i;

	told("function in_helpers %px", in_helpers);
	iowrite32(0xcafe0001, dram);
	told("access 4 w %llx cafe0001", at);
	told("access 4 r %llx %x", at, ioread32(dram));
	iowrite16be(0x1234, dram + 4);
	told("access 2 w %llx 3412", at + 4);
	told("access 1 r %llx %x", at + 4, ioread8(dram + 4));
	iowrite32_rep(dram + 8, words, WORDS);
	for (i = 0; i < WORDS; i++)
		told("access 4 w %llx %x", at + 8, words[i]);
	/* How it cuts a copy is the kernel's affair: the test adds up bytes. */
	memcpy_toio(dram + 0x100, words, sizeof(words));
	told("bytes w %llx %lu", at + 0x100, sizeof(words));
	memcpy_fromio(words, dram + 0x100, sizeof(words));
	told("bytes r %llx %lu", at + 0x100, sizeof(words));
}

static noinline void in_ports(unsigned long port)
{
	int i;

	told("function in_ports %px", in_ports);
	outl(0x89abcdef, port + MAILBOX1);
	told("port 4 w %lx 89abcdef", port + MAILBOX1);
	inl(port + MAILBOX1);
	told("port 4 r %lx 0", port + MAILBOX1);
	outw(0x2468, port + MAILBOX1);
	told("port 2 w %lx 2468", port + MAILBOX1);
	outb(0x13, port + MAILBOX1 + 3);
	told("port 1 w %lx 13", port + MAILBOX1 + 3);
	inb(port + MAILBOX1);
	told("port 1 r %lx 0", port + MAILBOX1);
	outsl(port + MAILBOX1, words, WORDS);
	for (i = 0; i < WORDS; i++)
		told("port 4 w %lx %x", port + MAILBOX1, words[i]);
	insl(port + MAILBOX1, words, 2);
	told("port 4 r %lx %x", port + MAILBOX1, words[0]);
	told("port 4 r %lx %x", port + MAILBOX1, words[1]);
}

/* Loads and stores of the driver in memory that the card may use. */
static noinline int in_touches(struct device *dev, u8 __iomem *regs)
{
	dma_addr_t bus;
	u32 *va = dma_alloc_coherent(dev, PAGE_SIZE, &bus, GFP_KERNEL), sum = 0;
	int i;

	told("function in_touches %px", in_touches);
	if (!va)
		return -ENOMEM;
	for (i = 0; i < 16; i++)
		WRITE_ONCE(va[i], i);
	readl(regs + MAILBOX0);
	told("touch %px %px 10 w", va, va + 16);
	for (i = 0; i < 50; i++)
		sum += READ_ONCE(va[20]);
	readl(regs + MAILBOX0);
	told("touch %px %px 32 poll", va + 20, va + 21);
	for (i = 0; i < 50; i++)
		sum += READ_ONCE(va[100]);
	for (i = 101; i < 150; i++)
		sum += READ_ONCE(va[i]);
	readl(regs + MAILBOX0);
	told("touch %px %px 32 poll", va + 100, va + 101);
	told("touch %px %px 31 r", va + 101, va + 150);
	sum += READ_ONCE(va[200]);
	for (i = 201; i < 250; i++)
		sum += READ_ONCE(va[i]);
	readl(regs + MAILBOX0);
	told("touch %px %px 1 r", va + 200, va + 201);
	told("touch %px %px 31 r", va + 201, va + 250);
	sum += READ_ONCE(va[0]) + READ_ONCE(va[40]);
	told("touch %px %px 1 r", va, va + 1);
	told("touch %px %px 1 r", va + 40, va + 41);
	dma_free_coherent(dev, PAGE_SIZE, va, bus);
	told("sum %u", sum);
	return 0;
}

int watched_access(struct pci_dev *pdev)
{
	u8 __iomem *regs = pci_iomap(pdev, REGISTERS, 0);
	u8 __iomem *dram = pci_iomap(pdev, DRAM, PAGE_SIZE);
	int err = -ENOMEM;

	if (regs && dram) {
		in_memory(regs, pci_resource_start(pdev, REGISTERS));
		in_helpers(dram, pci_resource_start(pdev, DRAM));
		in_ports(pci_resource_start(pdev, PORTS));
		err = in_touches(&pdev->dev, regs);
	}
	if (regs)
		pci_iounmap(pdev, regs);
	if (dram)
		pci_iounmap(pdev, dram);
	return err;
}
