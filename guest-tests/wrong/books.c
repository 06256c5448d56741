// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is given back otherwise than it was taken.
 *
 * Sizes stay within a page, so that the kernel itself comes to no harm.
 */
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "wrong.h"

#define LENGTH	3000

/* The size of what a descriptor has, not of the array. */
static int free_size(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = dma_alloc_coherent(w->dev, 100 * sizeof(struct descriptor), &handle, GFP_KERNEL);

	if (!buf)
		return -ENOMEM;
	dma_free_coherent(w->dev, sizeof(struct descriptor), buf, handle); /* WRONG: free-size */
	return 0;
}

/* Two buffers, and each is freed with the other's handle. */
static int free_handle(struct wrong *w)
{
	dma_addr_t rx_dma, tx_dma;
	void *rx = dma_alloc_coherent(w->dev, LENGTH, &rx_dma, GFP_KERNEL);
	void *tx = dma_alloc_coherent(w->dev, LENGTH, &tx_dma, GFP_KERNEL);

	if (rx && tx) {
		dma_free_coherent(w->dev, LENGTH, rx, tx_dma); /* WRONG: free-handle */
		dma_free_coherent(w->dev, LENGTH, tx, rx_dma); /* WRONG: free-handle */
		return 0;
	}
	if (rx)
		dma_free_coherent(w->dev, LENGTH, rx, rx_dma);
	if (tx)
		dma_free_coherent(w->dev, LENGTH, tx, tx_dma);
	return -ENOMEM;
}

static void *map(struct wrong *w, dma_addr_t *handle, enum dma_data_direction direction)
{
	void *buf = kzalloc(LENGTH, GFP_KERNEL);

	if (!buf)
		return NULL;
	*handle = dma_map_single(w->dev, buf, LENGTH, direction);
	if (!dma_mapping_error(w->dev, *handle))
		return buf;
	kfree(buf);
	return NULL;
}

/* What was received, not what was mapped. */
static int unmap_size(struct wrong *w)
{
	const size_t received = 60;
	dma_addr_t handle;
	void *buf = map(w, &handle, DMA_FROM_DEVICE);

	if (!buf)
		return -ENOMEM;
	dma_unmap_single(w->dev, handle, received, DMA_FROM_DEVICE); /* WRONG: unmap-size */
	kfree(buf);
	return 0;
}

static int unmap_direction(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = map(w, &handle, DMA_TO_DEVICE);

	if (!buf)
		return -ENOMEM;
	dma_unmap_single(w->dev, handle, LENGTH, DMA_FROM_DEVICE); /* WRONG: unmap-direction */
	kfree(buf);
	return 0;
}

/* In the interrupt and again in the clean-up. */
static int unmapped_twice(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = map(w, &handle, DMA_TO_DEVICE);

	if (!buf)
		return -ENOMEM;
	dma_unmap_single(w->dev, handle, LENGTH, DMA_TO_DEVICE);
	dma_unmap_single(w->dev, handle, LENGTH, DMA_TO_DEVICE); /* WRONG: unmapped-twice */
	kfree(buf);
	return 0;
}

/* A loop over a ring unmaps slots that were never filled. */
static int unmapped_unmapped(struct wrong *w)
{
	dma_addr_t slots[2] = { };
	void *buf = map(w, &slots[0], DMA_TO_DEVICE);
	unsigned int i;

	if (!buf)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(slots); i++)
		dma_unmap_single(w->dev, slots[i], LENGTH, DMA_TO_DEVICE); /* WRONG: unmapped-unmapped */
	kfree(buf);
	return 0;
}

static int two_pages(struct scatterlist *sg, void **buf)
{
	*buf = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, 1);
	if (!*buf)
		return -ENOMEM;
	sg_init_table(sg, 2);
	sg_set_buf(&sg[0], *buf, PAGE_SIZE);
	sg_set_buf(&sg[1], *buf + PAGE_SIZE, PAGE_SIZE);
	return 0;
}

/* Unmapped with what dma_map_sg() returned; it wants what it was given. */
static int unmap_sg_count(struct wrong *w)
{
	struct scatterlist sg[2];
	int count, ret;
	void *buf;

	ret = two_pages(sg, &buf);
	if (ret)
		return ret;
	count = dma_map_sg(w->dev, sg, 2, DMA_TO_DEVICE);
	if (count)
		dma_unmap_sg(w->dev, sg, count, DMA_TO_DEVICE); /* WRONG: unmap-sg-count */
	free_pages((unsigned long)buf, 1);
	return 0;
}

/* As many descriptors as the list had before it was mapped. */
static int sg_count(struct wrong *w)
{
	struct descriptor *desc;
	struct scatterlist sg[2], *it;
	dma_addr_t handle;
	u32 local = 0;
	int i, ret;
	void *buf;

	ret = two_pages(sg, &buf);
	if (ret)
		return ret;
	ret = -ENOMEM;
	desc = dma_alloc_coherent(w->dev, 2 * sizeof(*desc), &handle, GFP_KERNEL);
	if (!desc)
		goto free;
	ret = dma_map_sg(w->dev, sg, 2, DMA_TO_DEVICE) ? 0 : -EIO;
	if (ret)
		goto free_desc;
	for_each_sg(sg, it, 2, i) { /* WRONG: sg-count */
		desc[i].host = cpu_to_le32(sg_dma_address(it)); /* WRONG: sg-count */
		desc[i].local = cpu_to_le32(local); /* WRONG: sg-count */
		desc[i].size = cpu_to_le32(sg_dma_len(it)); /* WRONG: sg-count */
		desc[i].next = cpu_to_le32(lower_32_bits(handle + (i + 1) * sizeof(*desc)) | DPR_PCI);
		local += sg_dma_len(it);
	}
	desc[1].next = cpu_to_le32(DPR_PCI | DPR_END);
	writel(MODE_BLOCK | MODE_CHAIN, w->regs + DMAMODE0);
	writel(lower_32_bits(handle) | DPR_PCI, w->regs + DMADPR0);
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: sg-count */
	ret = wrong_wait(w, DMACSR0);
	wrong_stop(w, DMACSR0);
	dma_unmap_sg(w->dev, sg, 2, DMA_TO_DEVICE);
free_desc:
	dma_free_coherent(w->dev, 2 * sizeof(*desc), desc, handle);
free:
	free_pages((unsigned long)buf, 1);
	return ret;
}

const struct wrong_case wrong_books[] = {
	{ "free-size", free_size },
	{ "free-handle", free_handle },
	{ "unmap-size", unmap_size },
	{ "unmap-direction", unmap_direction },
	{ "unmapped-twice", unmapped_twice },
	{ "unmapped-unmapped", unmapped_unmapped },
	{ "unmap-sg-count", unmap_sg_count },
	{ "sg-count", sg_count },
	{ }
};
