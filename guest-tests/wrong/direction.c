// SPDX-License-Identifier: GPL-2.0-only
/* Data that goes the other way than was said, and memory whose owner was not told. */
#include <linux/slab.h>

#include "wrong.h"

#define LENGTH	2048

/* Mapped for what the card sends; bit 3 of DMADPR0 was forgotten. */
static int direction_bit(struct wrong *w)
{
	void *buf = kzalloc(LENGTH, GFP_KERNEL);
	dma_addr_t handle;
	int ret = -ENOMEM;

	if (!buf)
		return ret;
	handle = dma_map_single(w->dev, buf, LENGTH, DMA_FROM_DEVICE);
	if (!dma_mapping_error(w->dev, handle)) {
		wrong_block(w, LENGTH, DPR_TO_HOST);
		writel(lower_32_bits(handle), w->regs + DMAPADR0);
		writel(DPR_TO_CARD, w->regs + DMADPR0); /* WRONG: direction-bit */
		ret = wrong_go(w);
		dma_unmap_single(w->dev, handle, LENGTH, DMA_FROM_DEVICE);
	}
	kfree(buf);
	return ret;
}

/* The card fills it, and it was mapped as if it read it. */
static int mapped_wrong_way(struct wrong *w)
{
	void *buf = kzalloc(LENGTH, GFP_KERNEL);
	dma_addr_t handle;
	int ret = -ENOMEM;

	if (!buf)
		return ret;
	handle = dma_map_single(w->dev, buf, LENGTH, DMA_TO_DEVICE); /* WRONG: mapped-wrong-way */
	if (!dma_mapping_error(w->dev, handle)) {
		wrong_block(w, LENGTH, DPR_TO_HOST);
		writel(lower_32_bits(handle), w->regs + DMAPADR0);
		ret = wrong_go(w);
		dma_unmap_single(w->dev, handle, LENGTH, DMA_TO_DEVICE);
	}
	kfree(buf);
	return ret;
}

/* What came is looked at between two transfers, and neither side is told. */
static int no_sync(struct wrong *w)
{
	u8 *buf = kzalloc(LENGTH, GFP_KERNEL);
	dma_addr_t handle;
	unsigned int i;
	int ret = -ENOMEM;

	if (!buf)
		return ret;
	handle = dma_map_single(w->dev, buf, LENGTH, DMA_FROM_DEVICE);
	if (dma_mapping_error(w->dev, handle))
		goto free;
	for (i = 0; i < 2; i++) {
		wrong_block(w, LENGTH, DPR_TO_HOST);
		writel(lower_32_bits(handle), w->regs + DMAPADR0); /* WRONG: no-sync */
		ret = wrong_go(w);
		w->others += READ_ONCE(buf[i]); /* WRONG: no-sync */
	}
	dma_unmap_single(w->dev, handle, LENGTH, DMA_FROM_DEVICE);
free:
	kfree(buf);
	return ret;
}

const struct wrong_case wrong_direction[] = {
	{ "direction-bit", direction_bit },
	{ "mapped-wrong-way", mapped_wrong_way },
	{ "no-sync", no_sync },
	{ }
};
