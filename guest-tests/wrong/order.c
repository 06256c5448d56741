// SPDX-License-Identifier: GPL-2.0-only
/* A channel that is told things in the wrong order, or at the wrong time. */
#include <linux/delay.h>

#include "wrong.h"

#define LENGTH	256
#define POLLS	5000	/* of a loop that would not end: here it does */

static void *ready(struct wrong *w, dma_addr_t *handle)
{
	void *buf = dma_alloc_coherent(w->dev, LENGTH, handle, GFP_KERNEL);

	if (!buf)
		return NULL;
	wrong_block(w, LENGTH, DPR_TO_CARD);
	writel(lower_32_bits(*handle), w->regs + DMAPADR0);
	return buf;
}

static int finish(struct wrong *w, void *buf, dma_addr_t handle)
{
	wrong_stop(w, DMACSR0);
	dma_free_coherent(w->dev, LENGTH, buf, handle);
	return 0;
}

/* pci_set_master() comes after the start, or never. */
static int no_master(struct wrong *w)
{
	dma_addr_t handle;
	void *buf;

	pci_clear_master(w->pdev);
	buf = ready(w, &handle);
	if (!buf)
		return -ENOMEM;
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: no-master */
	wrong_wait(w, DMACSR0);
	return finish(w, buf, handle);
}

static int start_disabled(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = ready(w, &handle);

	if (!buf)
		return -ENOMEM;
	writeb(CSR_ENABLE, w->regs + DMACSR0);
	writeb(CSR_START, w->regs + DMACSR0); /* WRONG: start-disabled */
	wrong_wait(w, DMACSR0);
	return finish(w, buf, handle);
}

/* Bit 0 was to be cleared, and is read back with the rest. */
static int abort_enabled(struct wrong *w)
{
	struct wrong_ring *ring = wrong_ring_new(w, false);
	u8 csr;

	if (!ring)
		return -ENOMEM;
	wrong_ring_start(w, ring);
	csr = readb(w->regs + DMACSR0);
	writeb(csr | CSR_ABORT, w->regs + DMACSR0); /* WRONG: abort-enabled */
	wrong_ring_let_run(w);
	wrong_stop(w, DMACSR0);
	wrong_ring_free(w, ring);
	return 0;
}

/* A second request comes while the first one is served. */
static int start_busy(struct wrong *w)
{
	struct wrong_ring *ring = wrong_ring_new(w, false);

	if (!ring)
		return -ENOMEM;
	wrong_ring_start(w, ring);
	wrong_ring_let_run(w);
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: start-busy */
	wrong_ring_let_run(w);
	wrong_stop(w, DMACSR0);
	wrong_ring_free(w, ring);
	return 0;
}

/* The next list is put into the register before the last one has ended. */
static int rewritten(struct wrong *w)
{
	struct wrong_ring *first = wrong_ring_new(w, false);
	struct wrong_ring *second = wrong_ring_new(w, false);

	if (first && second) {
		wrong_ring_start(w, first);
		wrong_ring_let_run(w);
		writel(lower_32_bits(second->desc_dma) | DPR_PCI, w->regs + DMADPR0); /* WRONG: rewritten */
		wrong_ring_let_run(w);
		wrong_stop(w, DMACSR0);
	}
	if (first)
		wrong_ring_free(w, first);
	if (second)
		wrong_ring_free(w, second);
	return first && second ? 0 : -ENOMEM;
}

/* The other board had a FIFO that drove DREQ#. */
static int demand(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = ready(w, &handle);

	if (!buf)
		return -ENOMEM;
	writel(MODE_BLOCK | MODE_DEMAND, w->regs + DMAMODE0); /* WRONG: demand */
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: demand */
	wrong_wait(w, DMACSR0);
	return finish(w, buf, handle);
}

/* The length was written to the other channel. */
static int size_zero(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = ready(w, &handle);

	if (!buf)
		return -ENOMEM;
	writel(0, w->regs + DMASIZ0); /* WRONG: size-zero */
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: size-zero */
	wrong_wait(w, DMACSR0);
	return finish(w, buf, handle);
}

/* It waits for DONE of a channel that was paused. */
static int endless_wait(struct wrong *w)
{
	struct wrong_ring *ring = wrong_ring_new(w, false);
	unsigned int polls = 0;

	if (!ring)
		return -ENOMEM;
	wrong_ring_start(w, ring);
	writeb(0, w->regs + DMACSR0);
	while (!(readb(w->regs + DMACSR0) & CSR_DONE)) { /* WRONG: endless-wait */
		if (++polls == POLLS)
			break;
		cpu_relax();
	}
	wrong_stop(w, DMACSR0);
	wrong_ring_free(w, ring);
	return -ETIMEDOUT;
}

/* A bus address of the window, as if the card lay there for itself too. */
static int local_address(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = ready(w, &handle);

	if (!buf)
		return -ENOMEM;
	writel(pci_resource_start(w->pdev, 2), w->regs + DMALADR0); /* WRONG: local-address */
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: local-address */
	wrong_wait(w, DMACSR0);
	return finish(w, buf, handle);
}

/* A big-endian write of the length: 256 becomes 64 KiB. */
static int size_swapped(struct wrong *w)
{
	const u32 length = 512;	/* becomes 0x20000 */
	dma_addr_t handle;
	void *buf = dma_alloc_coherent(w->dev, 0x20000, &handle, GFP_KERNEL);

	if (!buf)
		return -ENOMEM;
	wrong_block(w, 0, DPR_TO_CARD);
	writel(lower_32_bits(handle), w->regs + DMAPADR0);
	writel(0x1000, w->regs + DMALADR0);
	iowrite32be(length, w->regs + DMASIZ0); /* WRONG: size-swapped */
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: size-swapped */
	wrong_wait(w, DMACSR0);
	wrong_stop(w, DMACSR0);
	dma_free_coherent(w->dev, 0x20000, buf, handle);
	return 0;
}

const struct wrong_case wrong_order[] = {
	{ "no-master", no_master },
	{ "start-disabled", start_disabled },
	{ "abort-enabled", abort_enabled },
	{ "start-busy", start_busy },
	{ "rewritten", rewritten },
	{ "demand", demand },
	{ "size-zero", size_zero },
	{ "endless-wait", endless_wait },
	{ "local-address", local_address },
	{ "size-swapped", size_swapped },
	{ }
};
