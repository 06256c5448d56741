// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is let go while the card has it.
 *
 * Most of it is in the order of an error path or of remove: the buffer first, the channel after it.
 */
#include <linux/dmapool.h>
#include <linux/slab.h>

#include "wrong.h"

#define LENGTH	512

static int running_ring(struct wrong *w, bool streaming)
{
	w->ring = wrong_ring_new(w, streaming);
	if (!w->ring)
		return -ENOMEM;
	wrong_ring_start(w, w->ring);
	wrong_ring_let_run(w);
	return 0;
}

static int freed_early(struct wrong *w)
{
	return running_ring(w, false);
}

static void freed_early_remove(struct wrong *w)
{
	struct wrong_ring *ring = w->ring;

	if (!ring)
		return;
	dma_free_coherent(w->dev, RING_BYTES, ring->buf, ring->buf_dma); /* WRONG: freed-early */
	wrong_ring_let_run(w);
	wrong_stop(w, DMACSR0);
	ring->buf = NULL;
	wrong_ring_free(w, ring);
}

static int unmapped_early(struct wrong *w)
{
	return running_ring(w, true);
}

static void unmapped_early_remove(struct wrong *w)
{
	struct wrong_ring *ring = w->ring;

	if (!ring)
		return;
	dma_unmap_single(w->dev, ring->buf_dma, RING_BYTES, DMA_TO_DEVICE); /* WRONG: unmapped-early */
	wrong_ring_let_run(w);
	wrong_stop(w, DMACSR0);
	ring->buf_dma = 0;
	wrong_ring_free(w, ring);
}

/* It waits too short a time, and gives up what the card still reads. */
static int timed_out(struct wrong *w)
{
	struct wrong_ring *ring = wrong_ring_new(w, true);

	if (!ring)
		return -ENOMEM;
	wrong_ring_start(w, ring);
	if (!(readb(w->regs + DMACSR0) & CSR_DONE)) {
		dma_unmap_single(w->dev, ring->buf_dma, RING_BYTES, DMA_TO_DEVICE); /* WRONG: timed-out */
		ring->buf_dma = 0;
	}
	wrong_ring_let_run(w);
	wrong_stop(w, DMACSR0);
	wrong_ring_free(w, ring);
	return -ETIMEDOUT;
}

/* The descriptors go first, and the card is still walking them. */
static int descriptors_freed(struct wrong *w)
{
	return running_ring(w, false);
}

static void descriptors_freed_remove(struct wrong *w)
{
	struct wrong_ring *ring = w->ring;
	const size_t size = RING_BUFFERS * sizeof(*ring->desc);

	if (!ring)
		return;
	dma_free_coherent(w->dev, size, ring->desc, ring->desc_dma); /* WRONG: descriptors-freed */
	wrong_ring_let_run(w);
	wrong_stop(w, DMACSR0);
	ring->desc = NULL;
	wrong_ring_free(w, ring);
}

/* One buffer is freed, another allocated, and the register still has the first one's handle. */
static int stale_handle(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = dma_alloc_coherent(w->dev, LENGTH, &handle, GFP_KERNEL);
	int ret;

	if (!buf)
		return -ENOMEM;
	wrong_block(w, LENGTH, DPR_TO_CARD);
	writel(lower_32_bits(handle), w->regs + DMAPADR0); /* WRONG: stale-handle */
	writeb(CSR_GO, w->regs + DMACSR0);
	ret = wrong_wait(w, DMACSR0);
	dma_free_coherent(w->dev, LENGTH, buf, handle); /* WRONG: stale-handle */
	if (ret)
		return ret;
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: stale-handle */
	ret = wrong_wait(w, DMACSR0);
	wrong_stop(w, DMACSR0);
	return ret;
}

/* A block of a pool goes back before the card has read it. */
static int pool_freed(struct wrong *w)
{
	struct dma_pool *pool = dma_pool_create("wrong", w->dev, LENGTH, 16, 0);
	dma_addr_t handle;
	int ret = -ENOMEM;
	void *buf;

	if (!pool)
		return ret;
	buf = dma_pool_alloc(pool, GFP_KERNEL, &handle);
	if (buf) {
		wrong_block(w, LENGTH, DPR_TO_CARD);
		writel(lower_32_bits(handle), w->regs + DMAPADR0);
		dma_pool_free(pool, buf, handle); /* WRONG: pool-freed */
		writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: pool-freed */
		ret = wrong_wait(w, DMACSR0);
		wrong_stop(w, DMACSR0);
	}
	dma_pool_destroy(pool);
	return ret;
}

/* A block of a pool ends before the page does, and the next one is somebody else's. */
static int pool_overrun(struct wrong *w)
{
	struct dma_pool *pool = dma_pool_create("wrong", w->dev, LENGTH, 16, 0);
	dma_addr_t first, second;
	int ret = -ENOMEM;
	void *buf, *other;

	if (!pool)
		return ret;
	buf = dma_pool_alloc(pool, GFP_KERNEL, &first);
	other = dma_pool_alloc(pool, GFP_KERNEL, &second);
	if (buf && other) {
		wrong_block(w, 0, DPR_TO_CARD);
		writel(lower_32_bits(first), w->regs + DMAPADR0);
		writel(LENGTH + 64, w->regs + DMASIZ0); /* WRONG: pool-overrun */
		writeb(CSR_GO, w->regs + DMACSR0);
		ret = wrong_wait(w, DMACSR0);
		wrong_stop(w, DMACSR0);
	}
	if (other)
		dma_pool_free(pool, other, second);
	if (buf)
		dma_pool_free(pool, buf, first);
	dma_pool_destroy(pool);
	return ret;
}

const struct wrong_case wrong_freed[] = {
	{ "freed-early", freed_early, freed_early_remove },
	{ "unmapped-early", unmapped_early, unmapped_early_remove },
	{ "timed-out", timed_out },
	{ "descriptors-freed", descriptors_freed, descriptors_freed_remove },
	{ "stale-handle", stale_handle },
	{ "pool-freed", pool_freed },
	{ "pool-overrun", pool_overrun },
	{ }
};
