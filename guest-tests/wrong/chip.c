// SPDX-License-Identifier: GPL-2.0-only
/* What every switch needs of the chip, and gets right: a block set up, a channel awaited, all brought to rest. */
#include <linux/delay.h>
#include <linux/ktime.h>

#include "wrong.h"

#define WAIT_MS		50
#define STOP_MS		1000	/* memory goes after it: a slow bus has time to end what it is at */

/**
 * wrong_block() - set up channel 0 for a block at the card's address 0
 * @w: the card
 * @length: bytes
 * @direction: DPR_TO_HOST or DPR_TO_CARD
 *
 * Its host address and the START are the caller's.
 */
void wrong_block(struct wrong *w, u32 length, u32 direction)
{
	writel(MODE_BLOCK, w->regs + DMAMODE0);
	writel(0, w->regs + DMALADR0);
	writel(length, w->regs + DMASIZ0);
	writel(direction, w->regs + DMADPR0);
}

static int wait_until(struct wrong *w, u32 csr, unsigned int ms)
{
	ktime_t limit = ktime_add_ms(ktime_get(), ms);
	bool late;

	for (;;) {
		late = ktime_after(ktime_get(), limit);
		if (readb(w->regs + csr) & CSR_DONE)
			return 0;
		if (late)
			return -ETIMEDOUT;
		usleep_range(50, 200);
	}
}

/**
 * wrong_wait() - poll a channel until DONE
 * @w: the card
 * @csr: DMACSR0 or DMACSR1
 *
 * Return: 0 or -ETIMEDOUT.
 */
int wrong_wait(struct wrong *w, u32 csr)
{
	return wait_until(w, csr, WAIT_MS);
}

/**
 * wrong_stop() - end what a channel does: pause, abort, wait for DONE
 * @w: the card
 * @csr: DMACSR0 or DMACSR1
 *
 * Return: 0 or -ETIMEDOUT.
 */
int wrong_stop(struct wrong *w, u32 csr)
{
	writeb(0, w->regs + csr);
	writeb(CSR_ABORT, w->regs + csr);
	return wait_until(w, csr, STOP_MS);
}

/**
 * wrong_go() - start channel 0, await it, and bring it to rest, whatever came of the wait
 * @w: the card
 *
 * Return: 0 or -ETIMEDOUT.
 */
int wrong_go(struct wrong *w)
{
	int ret;

	writeb(CSR_GO, w->regs + DMACSR0);
	ret = wrong_wait(w, DMACSR0);
	wrong_stop(w, DMACSR0);
	return ret;
}

static void rest(struct wrong *w, u32 mode, u32 csr)
{
	wrong_stop(w, csr);
	writeb(CSR_CLEAR, w->regs + csr);
	writel(MODE_BLOCK, w->regs + mode);
	writel(0, w->regs + mode + 4);
	writel(0, w->regs + mode + 8);
	writel(0, w->regs + mode + 12);
	writel(0, w->regs + mode + 16);
}

/**
 * wrong_recover() - bring the chip to rest, whatever was done to it
 * @w: the card
 *
 * Decodes and masters the bus afterwards.
 */
void wrong_recover(struct wrong *w)
{
	u16 command, status;
	u32 cntrl;

	pci_read_config_word(w->pdev, PCI_COMMAND, &command);
	if (!(command & PCI_COMMAND_MEMORY))
		pci_write_config_word(w->pdev, PCI_COMMAND, command | PCI_COMMAND_MEMORY);
	writel(0, w->regs + INTCSR);
	cntrl = readl(w->regs + CNTRL) & ~CNTRL_RESET & ~GENMASK(26, 24) & ~BIT(31);
	writel(cntrl, w->regs + CNTRL);
	rest(w, DMAMODE0, DMACSR0);
	rest(w, DMAMODE1, DMACSR1);
	/* The local side as after power-on, its doorbells and windows too. */
	writel(cntrl | CNTRL_RESET, w->regs + CNTRL);
	writel(cntrl, w->regs + CNTRL);
	pci_read_config_word(w->pdev, PCI_STATUS, &status);
	pci_write_config_word(w->pdev, PCI_STATUS, status);
	pci_set_master(w->pdev);
}
