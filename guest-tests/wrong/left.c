// SPDX-License-Identifier: GPL-2.0-only
/* What is still there when the module has gone. */
#include <linux/dmapool.h>
#include <linux/slab.h>

#include "wrong.h"

#define LENGTH	256

/* The error path frees the one and forgets the other. */
static int coherent_left(struct wrong *w)
{
	dma_addr_t rx_dma, tx_dma;
	void *rx, *tx;

	rx = dma_alloc_coherent(w->dev, LENGTH, &rx_dma, GFP_KERNEL);
	tx = dma_alloc_coherent(w->dev, LENGTH, &tx_dma, GFP_KERNEL); /* WRONG: coherent-left */
	if (!rx || !tx)
		return -ENOMEM;
	dma_free_coherent(w->dev, LENGTH, rx, rx_dma);
	return 0;
}

/* The memory goes, its mapping stays. */
static int mapping_left(struct wrong *w)
{
	dma_addr_t handle;

	w->va = kzalloc(LENGTH, GFP_KERNEL);
	if (!w->va)
		return -ENOMEM;
	handle = dma_map_single(w->dev, w->va, LENGTH, DMA_FROM_DEVICE); /* WRONG: mapping-left */
	return dma_mapping_error(w->dev, handle) ? -EIO : 0;
}

static void mapping_left_remove(struct wrong *w)
{
	kfree(w->va);
}

/* A pool that is destroyed with a block of it in use. */
static int pool_left(struct wrong *w)
{
	struct dma_pool *pool = dma_pool_create("wrong", w->dev, LENGTH, 16, 0);
	dma_addr_t handle;

	if (!pool)
		return -ENOMEM;
	w->va = dma_pool_alloc(pool, GFP_KERNEL, &handle); /* WRONG: pool-left */
	dma_pool_destroy(pool); /* WRONG: pool-left */
	return w->va ? 0 : -ENOMEM;
}

/* remove turns the card off, and nobody has stopped its channel. */
static int running_left(struct wrong *w)
{
	w->ring = wrong_ring_new(w, false);
	if (!w->ring)
		return -ENOMEM;
	wrong_ring_start(w, w->ring);
	return 0;
}

static void running_left_remove(struct wrong *w)
{
	if (!w->ring)
		return;
	pci_disable_device(w->pdev); /* WRONG: running-left */
	wrong_ring_free(w, w->ring);
}

const struct wrong_case wrong_left[] = {
	{ "coherent-left", coherent_left },
	{ "mapping-left", mapping_left, mapping_left_remove },
	{ "pool-left", pool_left },
	{ "running-left", running_left, running_left_remove, .dirty = true },
	{ }
};
