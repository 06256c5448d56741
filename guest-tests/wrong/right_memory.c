// SPDX-License-Identifier: GPL-2.0-only
/* Memory that is used as it may be, although it does not look so. */
#include <linux/dmapool.h>
#include <linux/slab.h>

#include "wrong.h"

#define LENGTH	4096

static int block(struct wrong *w, dma_addr_t handle, u32 length, u32 direction)
{
	wrong_block(w, length, direction);
	writel(lower_32_bits(handle), w->regs + DMAPADR0);
	return wrong_go(w);
}

/* A request is cancelled in the middle: stopped, seen to be stopped, and freed at once. */
static int early_stop(struct wrong *w)
{
	struct wrong_ring *ring = wrong_ring_new(w, true);
	int ret;

	if (!ring)
		return -ENOMEM;
	wrong_ring_start(w, ring);
	wrong_ring_let_run(w);
	ret = wrong_stop(w, DMACSR0);
	wrong_ring_free(w, ring);
	return ret;
}

/* Blocks of a pool go back to it and come again, neighbours are in use meanwhile. */
static int pool(struct wrong *w)
{
	struct dma_pool *pool = dma_pool_create("right", w->dev, 256, 16, 0);
	dma_addr_t handle, other_dma;
	void *buf, *other;
	unsigned int i;
	int ret = -ENOMEM;

	if (!pool)
		return ret;
	other = dma_pool_alloc(pool, GFP_KERNEL, &other_dma);
	for (i = 0; other && i < 3; i++) {
		buf = dma_pool_alloc(pool, GFP_KERNEL, &handle);
		if (!buf)
			break;
		ret = block(w, handle, 256, i % 2 ? DPR_TO_HOST : DPR_TO_CARD);
		dma_pool_free(pool, buf, handle);
	}
	if (other)
		dma_pool_free(pool, other, other_dma);
	dma_pool_destroy(pool);
	return ret;
}

/* One mapping for several transfers, handed over and back between them. */
static int kept_mapping(struct wrong *w)
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
	for (i = 0; i < 3; i++) {
		ret = block(w, handle, LENGTH, DPR_TO_HOST);
		dma_sync_single_for_cpu(w->dev, handle, LENGTH, DMA_FROM_DEVICE);
		w->others += READ_ONCE(buf[i]);
		dma_sync_single_for_device(w->dev, handle, LENGTH, DMA_FROM_DEVICE);
	}
	dma_unmap_single(w->dev, handle, LENGTH, DMA_FROM_DEVICE);
free:
	kfree(buf);
	return ret;
}

/* Nobody frees it by hand: it goes with the device. */
static int managed(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = dmam_alloc_coherent(w->dev, LENGTH, &handle, GFP_KERNEL);

	return buf ? block(w, handle, LENGTH, DPR_TO_HOST) : -ENOMEM;
}

/* To its last byte, and from its first; then from one in the middle to the last. */
static int exact_end(struct wrong *w)
{
	const u32 length = 1000;
	dma_addr_t handle;
	void *buf = dma_alloc_coherent(w->dev, length, &handle, GFP_KERNEL);
	int ret;

	if (!buf)
		return -ENOMEM;
	ret = block(w, handle, length, DPR_TO_HOST) ?: block(w, handle + 999, 1, DPR_TO_HOST);
	dma_free_coherent(w->dev, length, buf, handle);
	return ret;
}

/* No address and no length is a multiple of anything. */
static int unaligned(struct wrong *w)
{
	u8 *buf = kzalloc(LENGTH, GFP_KERNEL);
	dma_addr_t handle;
	int ret = -ENOMEM;

	if (!buf)
		return ret;
	handle = dma_map_single(w->dev, buf + 3, 1021, DMA_FROM_DEVICE);
	if (!dma_mapping_error(w->dev, handle)) {
		ret = block(w, handle + 5, 7, DPR_TO_HOST) ?: block(w, handle + 13, 1008, DPR_TO_HOST);
		dma_unmap_single(w->dev, handle, 1021, DMA_FROM_DEVICE);
	}
	kfree(buf);
	return ret;
}

/* Another buffer is freed, and allocated again, while the card works on its own. */
static int other_freed(struct wrong *w)
{
	struct wrong_ring *ring = wrong_ring_new(w, false);
	dma_addr_t handle;
	unsigned int i;
	void *buf;

	if (!ring)
		return -ENOMEM;
	wrong_ring_start(w, ring);
	for (i = 0; i < 3; i++) {
		buf = dma_alloc_coherent(w->dev, LENGTH, &handle, GFP_KERNEL);
		wrong_ring_let_run(w);
		if (buf)
			dma_free_coherent(w->dev, LENGTH, buf, handle);
	}
	wrong_stop(w, DMACSR0);
	wrong_ring_free(w, ring);
	return 0;
}

/* One mapping for both ways. */
static int bidirectional(struct wrong *w)
{
	void *buf = kzalloc(LENGTH, GFP_KERNEL);
	dma_addr_t handle;
	int ret = -ENOMEM;

	if (!buf)
		return ret;
	handle = dma_map_single(w->dev, buf, LENGTH, DMA_BIDIRECTIONAL);
	if (!dma_mapping_error(w->dev, handle)) {
		ret = block(w, handle, LENGTH, DPR_TO_CARD) ?: block(w, handle, LENGTH, DPR_TO_HOST);
		dma_unmap_single(w->dev, handle, LENGTH, DMA_BIDIRECTIONAL);
	}
	kfree(buf);
	return ret;
}

/* A page wherever it lies, with the upper half of its address: 64 bits, on a chip that has them. */
static int upper_half(struct wrong *w)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	dma_addr_t handle;
	int ret;

	if (!page)
		return -ENOMEM;
	ret = dma_set_mask(w->dev, DMA_BIT_MASK(64));
	if (ret)
		goto free;
	handle = dma_map_page(w->dev, page, 0, PAGE_SIZE, DMA_FROM_DEVICE);
	ret = -EIO;
	if (!dma_mapping_error(w->dev, handle)) {
		writel(upper_32_bits(handle), w->regs + DMADAC0);
		ret = block(w, handle, PAGE_SIZE, DPR_TO_HOST);
		writel(0, w->regs + DMADAC0);
		dma_unmap_page(w->dev, handle, PAGE_SIZE, DMA_FROM_DEVICE);
	}
free:
	__free_page(page);
	return ret;
}

const struct wrong_case right_memory[] = {
	{ "early-stop", early_stop },
	{ "pool", pool },
	{ "kept-mapping", kept_mapping },
	{ "managed", managed },
	{ "exact-end", exact_end },
	{ "unaligned", unaligned },
	{ "other-freed", other_freed },
	{ "bidirectional", bidirectional },
	{ "upper-half", upper_half },
	{ }
};
