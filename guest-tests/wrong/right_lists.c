// SPDX-License-Identifier: GPL-2.0-only
/* Lists of descriptors that are read, changed and filled while the chip works, as they may be. */
#include <linux/delay.h>
#include <linux/scatterlist.h>

#include "wrong.h"

#define PAGES	4
#define PIECE	512

/* A list of pages, mapped: as many descriptors as there are pieces then. */
static int sg_list(struct wrong *w)
{
	unsigned long buf = __get_free_pages(GFP_KERNEL | __GFP_ZERO, 2);
	struct descriptor *desc = NULL;
	struct scatterlist sg[PAGES], *it;
	dma_addr_t handle;
	int i, count, ret = -ENOMEM;
	u32 local = 0;

	if (!buf)
		return ret;
	sg_init_table(sg, PAGES);
	for (i = 0; i < PAGES; i++)
		sg_set_buf(&sg[i], (void *)buf + i * PAGE_SIZE, PAGE_SIZE - 64 * i);
	desc = dma_alloc_coherent(w->dev, PAGES * sizeof(*desc), &handle, GFP_KERNEL);
	if (!desc)
		goto free;
	count = dma_map_sg(w->dev, sg, PAGES, DMA_FROM_DEVICE);
	if (!count)
		goto free_desc;
	for_each_sg(sg, it, count, i) {
		u32 next = i + 1 < count ? lower_32_bits(handle + (i + 1) * sizeof(*desc)) : DPR_END;

		desc[i].host = cpu_to_le32(sg_dma_address(it));
		desc[i].local = cpu_to_le32(local);
		desc[i].size = cpu_to_le32(sg_dma_len(it));
		desc[i].next = cpu_to_le32(next | DPR_TO_HOST | DPR_PCI);
		local += sg_dma_len(it);
	}
	writel(MODE_BLOCK | MODE_CHAIN, w->regs + DMAMODE0);
	writel(lower_32_bits(handle) | DPR_PCI, w->regs + DMADPR0);
	writeb(CSR_GO, w->regs + DMACSR0);
	ret = wrong_wait(w, DMACSR0);
	wrong_stop(w, DMACSR0);
	dma_unmap_sg(w->dev, sg, PAGES, DMA_FROM_DEVICE);
free_desc:
	dma_free_coherent(w->dev, PAGES * sizeof(*desc), desc, handle);
free:
	free_pages(buf, 2);
	return ret;
}

/* The count that the chip writes back is what the driver waits for: it reads memory, not a register. */
static int status_word(struct wrong *w)
{
	struct descriptor *desc;
	unsigned int polls;
	dma_addr_t handle;

	desc = dma_alloc_coherent(w->dev, PAGE_SIZE, &handle, GFP_KERNEL);
	if (!desc)
		return -ENOMEM;
	desc->host = cpu_to_le32(handle + PIECE);
	desc->size = cpu_to_le32(PIECE);
	desc->next = cpu_to_le32(DPR_PCI | DPR_END | DPR_TO_HOST);
	writel(MODE_BLOCK | MODE_CHAIN | MODE_COUNT, w->regs + DMAMODE0);
	writel(lower_32_bits(handle) | DPR_PCI, w->regs + DMADPR0);
	writeb(CSR_GO, w->regs + DMACSR0);
	for (polls = 0; READ_ONCE(desc->size) && polls < 500; polls++)
		usleep_range(20, 100);
	w->others = READ_ONCE(*((u32 *)desc + PIECE / sizeof(u32)));
	wrong_stop(w, DMACSR0);
	dma_free_coherent(w->dev, PAGE_SIZE, desc, handle);
	return polls < 500 ? 0 : -ETIMEDOUT;
}

/* A ring with valid bits: descriptors are filled in while the chip looks at the next. */
static int valid_bits(struct wrong *w)
{
	struct { __le32 size, host, local, next; } *desc;
	unsigned int i, polls = 0;
	dma_addr_t handle;

	desc = dma_alloc_coherent(w->dev, PAGE_SIZE, &handle, GFP_KERNEL);
	if (!desc)
		return -ENOMEM;
	for (i = 0; i < 4; i++) {
		desc[i].host = cpu_to_le32(handle + 1024 + i * PIECE);
		desc[i].next = cpu_to_le32(lower_32_bits(handle + (i + 1) % 4 * sizeof(*desc)) | DPR_PCI |
					   DPR_TO_HOST);
	}
	writel(MODE_BLOCK | MODE_CHAIN | MODE_COUNT | MODE_VALID, w->regs + DMAMODE0);
	writel(lower_32_bits(handle) | DPR_PCI, w->regs + DMADPR0);
	writeb(CSR_GO, w->regs + DMACSR0);
	for (i = 0; i < 8; i++) {
		dma_wmb();
		WRITE_ONCE(desc[i % 4].size, cpu_to_le32(PIECE | SIZ_VALID));
		for (polls = 0; READ_ONCE(desc[i % 4].size) & cpu_to_le32(SIZ_VALID) && polls < 500; polls++)
			usleep_range(20, 100);
	}
	wrong_stop(w, DMACSR0);
	writel(MODE_BLOCK, w->regs + DMAMODE0);
	dma_free_coherent(w->dev, PAGE_SIZE, desc, handle);
	return polls < 500 ? 0 : -ETIMEDOUT;
}

/* A descriptor is appended to a list that runs: the pointer of the last one is changed, and nothing else. */
static int append(struct wrong *w)
{
	struct wrong_ring *ring = wrong_ring_new(w, false);
	u32 first;

	if (!ring)
		return -ENOMEM;
	first = lower_32_bits(ring->desc_dma);
	ring->desc[1].next = cpu_to_le32(first | DPR_PCI);
	wrong_ring_start(w, ring);
	wrong_ring_let_run(w);
	WRITE_ONCE(ring->desc[1].next, cpu_to_le32((first + 2 * sizeof(*ring->desc)) | DPR_PCI));
	wrong_ring_let_run(w);
	wrong_stop(w, DMACSR0);
	wrong_ring_free(w, ring);
	return 0;
}

const struct wrong_case right_lists[] = {
	{ "sg-list", sg_list },
	{ "status-word", status_word },
	{ "valid-bits", valid_bits },
	{ "append", append },
	{ }
};
