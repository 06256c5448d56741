// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls of the DMA API, a function for each kind.
 */
#include <linux/dma-mapping.h>
#include <linux/dmapool.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "watched.h"

#define ENTRIES 200		/* more than one page of a list holds */
#define PIECE 512
#define TOO_LARGE (1UL << 40)

static noinline int in_masks(struct device *dev)
{
	int err;

	told("function in_masks %px", in_masks);
	err = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(31));
	told("mask %llx %d", DMA_BIT_MASK(31), err);
	told("mask-coherent %llx 0", DMA_BIT_MASK(31));
	/* What no machine has. */
	told("mask %llx %d", DMA_BIT_MASK(8), dma_set_mask(dev, DMA_BIT_MASK(8)));
	err = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(32));
	told("mask %llx %d", DMA_BIT_MASK(32), err);
	told("mask-coherent %llx 0", DMA_BIT_MASK(32));
	return err;
}

static noinline int in_coherent(struct device *dev)
{
	dma_addr_t bus, managed;
	void *va = dma_alloc_coherent(dev, 100, &bus, GFP_KERNEL), *other;

	told("function in_coherent %px", in_coherent);
	if (!va)
		return -ENOMEM;
	told("alloc %px %llx %d", va, bus, 100);
	dma_free_coherent(dev, 100, va, bus);
	told("free %px %llx %d", va, bus, 100);
	/* With an IOMMU the kernel looks for single pages until it has none left. */
	if (!device_iommu_mapped(dev)) {
		va = dma_alloc_coherent(dev, TOO_LARGE, &bus, GFP_KERNEL | __GFP_NOWARN);
		told("alloc %px 0 %lu", va, TOO_LARGE);
	}
	va = dmam_alloc_coherent(dev, 5000, &managed, GFP_KERNEL);
	other = dmam_alloc_coherent(dev, 64, &bus, GFP_KERNEL);
	if (!va || !other)
		return -ENOMEM;
	told("alloc-managed %px %llx %d", va, managed, 5000);
	told("alloc-managed %px %llx %d", other, bus, 64);
	dmam_free_coherent(dev, 5000, va, managed);
	told("free-managed %px %llx %d", va, managed, 5000);
	told("left %px %llx %d", other, bus, 64);
	return 0;
}

static noinline int in_pages(struct device *dev)
{
	struct sg_table *table;
	struct page *page;
	dma_addr_t bus;

	told("function in_pages %px", in_pages);
	page = dma_alloc_pages(dev, 2 * PAGE_SIZE, &bus, DMA_FROM_DEVICE, GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	told("alloc %px %llx %lu", page_address(page), bus, 2 * PAGE_SIZE);
	dma_free_pages(dev, 2 * PAGE_SIZE, page, bus, DMA_FROM_DEVICE);
	told("free %px %llx %lu", page_address(page), bus, 2 * PAGE_SIZE);
	table = dma_alloc_noncontiguous(dev, 3 * PAGE_SIZE, DMA_TO_DEVICE, GFP_KERNEL, 0);
	if (!table)
		return -ENOMEM;
	told("map-sg %px %u %d", table->sgl, table->nents, DMA_TO_DEVICE);
	told("segment %llx %u", sg_dma_address(table->sgl), sg_dma_len(table->sgl));
	told("unmap-sg %px %u %d", table->sgl, table->orig_nents, DMA_TO_DEVICE);
	dma_free_noncontiguous(dev, 3 * PAGE_SIZE, table, DMA_TO_DEVICE);
	return 0;
}

static noinline int in_pool(struct device *dev)
{
	struct dma_pool *pool = dma_pool_create("watched-pool", dev, 96, 32, 0), *managed;
	dma_addr_t bus[2];
	void *va[2];

	told("function in_pool %px", in_pool);
	if (!pool)
		return -ENOMEM;
	told("pool %px 96 32", pool);
	va[0] = dma_pool_alloc(pool, GFP_KERNEL, &bus[0]);
	va[1] = dma_pool_zalloc(pool, GFP_KERNEL, &bus[1]);
	if (!va[0] || !va[1])
		return -ENOMEM;
	told("pool-alloc %px %llx %px", va[0], bus[0], pool);
	told("pool-alloc %px %llx %px", va[1], bus[1], pool);
	dma_pool_free(pool, va[1], bus[1]);
	told("pool-free %px %llx %px", va[1], bus[1], pool);
	dma_pool_free(pool, va[0], bus[0]);
	told("pool-free %px %llx %px", va[0], bus[0], pool);
	told("pool-destroy %px", pool);
	dma_pool_destroy(pool);
	managed = dmam_pool_create("watched-managed", dev, 128, 128, 4096);
	if (!managed)
		return -ENOMEM;
	told("pool %px 128 128", managed);
	told("pool-destroy %px", managed);
	dmam_pool_destroy(managed);
	return 0;
}

static noinline int in_single(struct device *dev)
{
	enum dma_data_direction way;
	u8 *memory = kmalloc(4 * PIECE, GFP_KERNEL);
	int err = 0;

	told("function in_single %px", in_single);
	if (!memory)
		return -ENOMEM;
	for (way = DMA_BIDIRECTIONAL; way <= DMA_FROM_DEVICE && !err; way++) {
		dma_addr_t bus = dma_map_single(dev, memory + PIECE, PIECE, way);

		err = dma_mapping_error(dev, bus);
		if (err)
			break;
		told("map %llx %d %d %llx %px", bus, PIECE, way, (u64)virt_to_phys(memory + PIECE), memory + PIECE);
		dma_sync_single_for_cpu(dev, bus, PIECE, way);
		told("sync %llx %d %d", bus, PIECE, way);
		dma_sync_single_for_device(dev, bus, PIECE, way);
		told("sync-device %llx %d %d", bus, PIECE, way);
		dma_unmap_single(dev, bus, PIECE, way);
		told("unmap %llx %d %d", bus, PIECE, way);
	}
	kfree(memory);
	return err;
}

static noinline void told_segments(struct scatterlist *list, int count)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(list, sg, count, i)
		told("segment %llx %u", sg_dma_address(sg), sg_dma_len(sg));
}

static noinline int in_lists(struct device *dev)
{
	struct sg_table table;
	struct scatterlist *sg;
	int i, count, err = sg_alloc_table(&table, ENTRIES, GFP_KERNEL);
	u8 *memory = kmalloc(ENTRIES * 2 * PIECE, GFP_KERNEL);

	told("function in_lists %px", in_lists);
	if (err || !memory)
		return -ENOMEM;
	for_each_sg(table.sgl, sg, ENTRIES, i)
		sg_set_buf(sg, memory + 2 * PIECE * i, PIECE);
	count = dma_map_sg(dev, table.sgl, ENTRIES, DMA_FROM_DEVICE);
	told("map-sg %px %d %d", table.sgl, count, DMA_FROM_DEVICE);
	told_segments(table.sgl, count);
	dma_sync_sg_for_cpu(dev, table.sgl, ENTRIES, DMA_FROM_DEVICE);
	told("sync-sg %px %d %d", table.sgl, ENTRIES, DMA_FROM_DEVICE);
	dma_unmap_sg(dev, table.sgl, ENTRIES, DMA_FROM_DEVICE);
	told("unmap-sg %px %d %d", table.sgl, ENTRIES, DMA_FROM_DEVICE);
	err = dma_map_sgtable(dev, &table, DMA_TO_DEVICE, 0);
	if (err)
		return err;
	told("map-sg %px %d %d", table.sgl, table.nents, DMA_TO_DEVICE);
	told_segments(table.sgl, table.nents);
	dma_unmap_sgtable(dev, &table, DMA_TO_DEVICE, 0);
	told("unmap-sg %px %d %d", table.sgl, ENTRIES, DMA_TO_DEVICE);
	sg_free_table(&table);
	kfree(memory);
	return 0;
}

static noinline int in_config(struct pci_dev *pdev)
{
	u8 line;
	u16 status;
	u32 command;
	int err;

	told("function in_config %px", in_config);
	err = pci_read_config_byte(pdev, PCI_INTERRUPT_LINE, &line);
	err = err ?: pci_read_config_word(pdev, PCI_STATUS, &status);
	err = err ?: pci_read_config_dword(pdev, PCI_COMMAND, &command);
	if (err)
		return pcibios_err_to_errno(err);
	command &= 0xffff;
	told("config %d %d", PCI_INTERRUPT_LINE, line);
	told("config %d %d", PCI_STATUS, status);
	told("config %d %u", PCI_COMMAND, command);
	pci_write_config_byte(pdev, PCI_INTERRUPT_LINE, line);
	pci_write_config_word(pdev, PCI_STATUS, status);
	pci_write_config_dword(pdev, PCI_COMMAND, command);
	return 0;
}

static noinline int in_resource(struct pci_dev *pdev)
{
	phys_addr_t where = pci_resource_start(pdev, DRAM);
	dma_addr_t bus = dma_map_resource(&pdev->dev, where, PAGE_SIZE, DMA_BIDIRECTIONAL, 0);

	told("function in_resource %px", in_resource);
	if (dma_mapping_error(&pdev->dev, bus))
		return -EIO;
	told("resource %llx %lu %llx", bus, PAGE_SIZE, where);
	dma_unmap_resource(&pdev->dev, bus, PAGE_SIZE, DMA_BIDIRECTIONAL, 0);
	told("unmap %llx %lu 0", bus, PAGE_SIZE);
	return 0;
}

int watched_calls(struct pci_dev *pdev)
{
	struct device *dev = &pdev->dev;
	int err = in_masks(dev);

	if (!err)
		err = in_coherent(dev);
	if (!err)
		err = in_pages(dev);
	if (!err)
		err = in_pool(dev);
	if (!err)
		err = in_single(dev);
	if (!err)
		err = in_lists(dev);
	if (!err)
		err = in_resource(pdev);
	if (!err)
		err = in_config(pdev);
	return err;
}
