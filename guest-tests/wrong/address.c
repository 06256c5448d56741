// SPDX-License-Identifier: GPL-2.0-only
/* Wrong addresses and lengths. Data goes to the card, so what is not ours is read and never written. */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "wrong.h"

#define LENGTH	1024

/* The processor's address of the memory, where an IOMMU or a bounce buffer stands between. */
static int physical_address(struct wrong *w)
{
	void *buf = (void *)get_zeroed_page(GFP_KERNEL);
	dma_addr_t handle;
	int ret = -ENOMEM;

	if (!buf)
		return ret;
	handle = dma_map_single(w->dev, buf, LENGTH, DMA_TO_DEVICE);
	if (!dma_mapping_error(w->dev, handle)) {
		wrong_block(w, LENGTH, DPR_TO_CARD);
		writel(virt_to_phys(buf), w->regs + DMAPADR0); /* WRONG: physical-address */
		ret = wrong_go(w);
		dma_unmap_single(w->dev, handle, LENGTH, DMA_TO_DEVICE);
	}
	free_page((unsigned long)buf);
	return ret;
}

/* Not even that: the pointer. */
static int pointer(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = dma_alloc_coherent(w->dev, 4 * PAGE_SIZE, &handle, GFP_KERNEL);
	int ret;

	if (!buf)
		return -ENOMEM;
	wrong_block(w, LENGTH, DPR_TO_CARD);
	writel((u32)(unsigned long)buf, w->regs + DMAPADR0); /* WRONG: pointer */
	ret = wrong_go(w);
	dma_free_coherent(w->dev, 4 * PAGE_SIZE, buf, handle);
	return ret;
}

/* Memory of vmalloc(), which is nowhere in one piece. */
static int vmalloc_memory(struct wrong *w)
{
	void *buf = vzalloc(LENGTH);
	int ret;

	if (!buf)
		return -ENOMEM;
	wrong_block(w, LENGTH, DPR_TO_CARD);
	writel(virt_to_phys(buf), w->regs + DMAPADR0); /* WRONG: vmalloc */
	ret = wrong_go(w);
	vfree(buf);
	return ret;
}

/* The mask says 64 bits, and DMADAC0 is never written. */
static int truncated(struct wrong *w)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	dma_addr_t handle;
	int ret = -ENOMEM;

	if (!page)
		return ret;
	ret = dma_set_mask_and_coherent(w->dev, DMA_BIT_MASK(64));
	if (ret)
		goto free;
	handle = dma_map_page(w->dev, page, 0, PAGE_SIZE, DMA_TO_DEVICE);
	ret = -EIO;
	if (!dma_mapping_error(w->dev, handle)) {
		wrong_block(w, LENGTH, DPR_TO_CARD);
		writel(handle, w->regs + DMAPADR0); /* WRONG: truncated */
		ret = wrong_go(w);
		dma_unmap_page(w->dev, handle, PAGE_SIZE, DMA_TO_DEVICE);
	}
free:
	__free_page(page);
	return ret;
}

/* A page above the mask by its own address, DMADAC0 and all. */
static int above_mask(struct wrong *w)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	phys_addr_t address;
	int ret;

	if (!page)
		return -ENOMEM;
	address = page_to_phys(page);
	wrong_block(w, LENGTH, DPR_TO_CARD);
	writel(upper_32_bits(address), w->regs + DMADAC0);
	writel(lower_32_bits(address), w->regs + DMAPADR0); /* WRONG: above-mask */
	ret = wrong_go(w);
	writel(0, w->regs + DMADAC0);
	__free_page(page);
	return ret;
}

static int byte_swapped(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = dma_alloc_coherent(w->dev, LENGTH, &handle, GFP_KERNEL);
	int ret;

	if (!buf)
		return -ENOMEM;
	wrong_block(w, LENGTH, DPR_TO_CARD);
	iowrite32be(handle, w->regs + DMAPADR0); /* WRONG: byte-swapped */
	ret = wrong_go(w);
	dma_free_coherent(w->dev, LENGTH, buf, handle);
	return ret;
}

/* A buffer whose handle was never kept. */
static int null_handle(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = dma_alloc_coherent(w->dev, LENGTH, &handle, GFP_KERNEL);
	int ret;

	if (!buf)
		return -ENOMEM;
	wrong_block(w, LENGTH, DPR_TO_CARD);
	writel(lower_32_bits(w->handle), w->regs + DMAPADR0); /* WRONG: null-handle */
	ret = wrong_go(w);
	dma_free_coherent(w->dev, LENGTH, buf, handle);
	return ret;
}

/* Allocated for the bridge above, as if it were the card. */
static int other_device(struct wrong *w)
{
	struct pci_dev *bridge = pci_get_slot(w->pdev->bus, PCI_DEVFN(0, 0));
	dma_addr_t handle;
	void *buf;
	int ret = -ENODEV;

	if (!bridge)
		return ret;
	buf = dma_alloc_coherent(&bridge->dev, LENGTH, &handle, GFP_KERNEL);
	if (buf) {
		wrong_block(w, LENGTH, DPR_TO_CARD);
		writel(lower_32_bits(handle), w->regs + DMAPADR0); /* WRONG: other-device */
		ret = wrong_go(w);
		dma_free_coherent(&bridge->dev, LENGTH, buf, handle);
	}
	pci_dev_put(bridge);
	return ret;
}

/* The length is in bytes already, and is taken for words. */
static int too_long(struct wrong *w)
{
	const u32 length = 2 * LENGTH;
	dma_addr_t handle;
	void *buf = dma_alloc_coherent(w->dev, length, &handle, GFP_KERNEL);
	int ret;

	if (!buf)
		return -ENOMEM;
	wrong_block(w, 0, DPR_TO_CARD);
	writel(lower_32_bits(handle), w->regs + DMAPADR0);
	writel(length * sizeof(u32), w->regs + DMASIZ0); /* WRONG: too-long */
	ret = wrong_go(w);
	dma_free_coherent(w->dev, length, buf, handle);
	return ret;
}

/* The tail is rounded up to the bus's width, and the mapping is not. */
static int rounded_up(struct wrong *w)
{
	const u32 length = 1021;
	void *buf = kzalloc(2048, GFP_KERNEL);
	dma_addr_t handle;
	int ret = -ENOMEM;

	if (!buf)
		return ret;
	handle = dma_map_single(w->dev, buf, length, DMA_TO_DEVICE);
	if (!dma_mapping_error(w->dev, handle)) {
		wrong_block(w, 0, DPR_TO_CARD);
		writel(lower_32_bits(handle), w->regs + DMAPADR0);
		writel(ALIGN(length, 4), w->regs + DMASIZ0); /* WRONG: rounded-up */
		ret = wrong_go(w);
		dma_unmap_single(w->dev, handle, length, DMA_TO_DEVICE);
	}
	kfree(buf);
	return ret;
}

/* One element of an array further than there are. */
static int neighbour(struct wrong *w)
{
	const u32 count = 8, size = 128;
	dma_addr_t handle;
	void *buf = dma_alloc_coherent(w->dev, count * size, &handle, GFP_KERNEL);
	int ret;

	if (!buf)
		return -ENOMEM;
	wrong_block(w, size, DPR_TO_CARD);
	writel(lower_32_bits(handle) + count * size, w->regs + DMAPADR0); /* WRONG: neighbour */
	ret = wrong_go(w);
	dma_free_coherent(w->dev, count * size, buf, handle);
	return ret;
}

/* A header before the data, which was never there. */
static int wrapped(struct wrong *w)
{
	const u32 header = 8;
	dma_addr_t handle = 0;
	int ret;

	wrong_block(w, LENGTH, DPR_TO_CARD);
	writel(lower_32_bits(handle - header), w->regs + DMAPADR0); /* WRONG: wrapped */
	ret = wrong_go(w);
	return ret;
}

const struct wrong_case wrong_address[] = {
	{ "physical-address", physical_address },
	{ "pointer", pointer },
	{ "vmalloc", vmalloc_memory },
	{ "truncated", truncated },
	{ "above-mask", above_mask },
	{ "byte-swapped", byte_swapped },
	{ "null-handle", null_handle },
	{ "other-device", other_device },
	{ "too-long", too_long },
	{ "rounded-up", rounded_up },
	{ "neighbour", neighbour },
	{ "wrapped", wrapped },
	{ }
};
