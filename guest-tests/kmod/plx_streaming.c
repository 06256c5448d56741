// SPDX-License-Identifier: GPL-2.0-only
/*
 * One streaming mapping at a time: ordinary memory that is the device's from
 * dma_map_single() to dma_unmap_single(). Unlike a common buffer it may be a
 * copy that the kernel keeps where the device reaches it, so the CPU looks at
 * it at both ends only.
 */
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "plx_test.h"

/* Within what the kernel copies in one piece. */
#define PLX_STREAMING_MAX	0x20000u

/**
 * plx_streaming_map() - give memory to the device
 * @adapter: without a mapping
 * @map: length, direction, what the memory holds; gets both its addresses
 *
 * Return: 0, -EBUSY if there is a mapping, -EINVAL, -ENOMEM, -EFAULT, or -EIO
 * if the kernel cannot map it.
 */
int plx_streaming_map(struct plx_adapter *adapter, struct plx_test_map *map)
{
	struct plx_streaming *s = &adapter->streaming;
	int ret = -EFAULT;

	if (s->va)
		return -EBUSY;
	if (!map->length || map->length > PLX_STREAMING_MAX || map->to_device > 1)
		return -EINVAL;
	s->va = alloc_pages_exact(map->length, GFP_KERNEL | __GFP_NOWARN);
	if (!s->va)
		return -ENOMEM;
	if (copy_from_user(s->va, u64_to_user_ptr(map->data), map->length))
		goto free;
	s->length = map->length;
	s->direction = map->to_device ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
	s->logical = dma_map_single(adapter->dev, s->va, s->length, s->direction);
	ret = -EIO;
	if (dma_mapping_error(adapter->dev, s->logical))
		goto free;
	map->logical = s->logical;
	map->physical = virt_to_phys(s->va);
	return 0;

free:
	free_pages_exact(s->va, map->length);
	s->va = NULL;
	return ret;
}

/**
 * plx_streaming_unmap() - take it back and let it go
 * @adapter: whose mapping it is; the device must be done with it
 * @data: gets what the memory holds then; NULL for nobody
 *
 * Return: 0, -ENOENT without a mapping, -EFAULT; it is gone in any case.
 */
int plx_streaming_unmap(struct plx_adapter *adapter, void __user *data)
{
	struct plx_streaming *s = &adapter->streaming;
	int ret = 0;

	if (!s->va)
		return -ENOENT;
	dma_unmap_single(adapter->dev, s->logical, s->length, s->direction);
	if (data && copy_to_user(data, s->va, s->length))
		ret = -EFAULT;
	free_pages_exact(s->va, s->length);
	s->va = NULL;
	return ret;
}
