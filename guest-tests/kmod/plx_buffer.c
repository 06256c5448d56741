// SPDX-License-Identifier: GPL-2.0-only
/*
 * AllocateCommonBuffer and FreeCommonBuffer on top of dma_alloc_coherent().
 *
 * The Windows contract is the weaker one, so a caller gets only that: at least
 * a page is taken, only the bytes asked for may be touched, contents are not
 * specified, NULL may come at any time, and a buffer is freed with exactly
 * what it was allocated with. Every request is recorded, to allocate or to
 * free, and stays recorded after its buffer is gone, for a checker that wants
 * to see all of them.
 *
 * The checker is checked by a shim that is wrong: &struct plx_adapter.broken.
 */
#include <linux/dma-mapping.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "plx_test.h"

/* Coherent memory comes zeroed; a portable driver must not lean on that. */
#define PLX_FRESH_BYTE		0xa5

/* The oldest freed record goes when there are more. */
#define PLX_RECORDS_KEPT	4096

static unsigned long plx_pfn_of(const void *va)
{
	if (is_vmalloc_addr(va))
		return vmalloc_to_pfn(va);
	return virt_to_phys((void *)va) >> PAGE_SHIFT;
}

static void plx_drop_record(struct plx_adapter *adapter, struct plx_buffer *buf)
{
	list_del(&buf->node);
	kvfree(buf->pfns);
	kfree(buf);
	adapter->kept--;
}

static void plx_trim_records(struct plx_adapter *adapter)
{
	struct plx_buffer *buf, *next;

	list_for_each_entry_safe(buf, next, &adapter->buffers, node) {
		if (adapter->kept < PLX_RECORDS_KEPT)
			return;
		if (!(buf->flags & PLX_TEST_REC_LIVE))
			plx_drop_record(adapter, buf);
	}
}

static bool plx_take_pages(struct plx_adapter *adapter, struct plx_buffer *buf)
{
	size_t size = max_t(size_t, PAGE_SIZE, PAGE_ALIGN((size_t)buf->length));
	u32 i, broken = READ_ONCE(adapter->broken);

	if (!buf->length)
		return false;
	buf->pfns = kvcalloc(size >> PAGE_SHIFT, sizeof(*buf->pfns), GFP_KERNEL | __GFP_NOWARN);
	if (!buf->pfns)
		return false;
	/* Behind an IOMMU pages are taken one by one: no length may starve the rest of the guest. */
	buf->va = dma_alloc_coherent(adapter->dev, size, &buf->logical,
				     GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!buf->va) {
		kvfree(buf->pfns);
		buf->pfns = NULL;
		return false;
	}
	buf->pages = size >> PAGE_SHIFT;
	for (i = 0; i < buf->pages; i++)
		buf->pfns[i] = plx_pfn_of(buf->va + i * PAGE_SIZE);
	buf->usable = broken == PLX_TEST_BREAK_LENGTH ? size : buf->length;
	buf->given = buf->logical;
	if (broken == PLX_TEST_BREAK_PHYSICAL)
		buf->given = PFN_PHYS(buf->pfns[0]);
	if (!memchr_inv(buf->va, 0, size))
		buf->flags |= PLX_TEST_REC_ZEROED;
	memset(buf->va, PLX_FRESH_BYTE, size);
	return true;
}

static void plx_keep_record(struct plx_adapter *adapter, struct plx_buffer *buf)
{
	list_add_tail(&buf->node, &adapter->buffers);
	adapter->kept++;
}

/**
 * plx_translated() - does an IOMMU translate for the device?
 * @dev: the device
 *
 * Return: false also for one that is there and passes addresses on.
 */
bool plx_translated(struct device *dev)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	return domain && domain->type & __IOMMU_DOMAIN_PAGING;
}

/**
 * plx_address_bits() - describe a device with fewer address lines
 * @adapter: whose buffers come from below that, from now on
 * @bits: 12 to 32
 *
 * Return: 0, -EINVAL, or -EIO if there is no memory that low.
 */
int plx_address_bits(struct plx_adapter *adapter, u32 bits)
{
	int ret = 0;

	if (bits < PAGE_SHIFT || bits > 32)
		return -EINVAL;
	if (READ_ONCE(adapter->broken) != PLX_TEST_BREAK_LIMIT)
		ret = dma_set_coherent_mask(adapter->dev, DMA_BIT_MASK(bits));
	if (!ret)
		adapter->limit = DMA_BIT_MASK(bits);
	return ret;
}

/**
 * plx_allocate_common_buffer() - the shim for AllocateCommonBuffer
 * @adapter: made at probe
 * @length: bytes; 0 is refused
 * @logical: where the device sees the buffer; 0 on failure
 * @cache_enabled: recorded; x86 caches in any case
 *
 * May sleep (PASSIVE_LEVEL on the other side).
 *
 * Return: where the CPU sees the buffer, page aligned, or NULL. The record of
 * either is the last one in @adapter->buffers, if there was memory for it.
 */
void *plx_allocate_common_buffer(struct plx_adapter *adapter, u32 length,
				 dma_addr_t *logical, bool cache_enabled)
{
	struct plx_buffer *buf;

	*logical = 0;
	plx_trim_records(adapter);
	adapter->orders++;
	buf = kzalloc(sizeof(*buf), GFP_KERNEL);
	if (!buf)
		return NULL;
	buf->order = adapter->orders;
	buf->length = length;
	buf->limit = adapter->limit;
	if (cache_enabled)
		buf->flags |= PLX_TEST_REC_CACHED;
	if (plx_take_pages(adapter, buf)) {
		buf->flags |= PLX_TEST_REC_LIVE;
		*logical = buf->given;
	} else {
		buf->flags |= PLX_TEST_REC_FAILED;
	}
	plx_keep_record(adapter, buf);
	return buf->va;
}

static bool plx_release(struct plx_adapter *adapter, struct plx_buffer *buf,
			const struct plx_buffer *asked)
{
	if (buf->length != asked->length || buf->given != asked->given ||
	    (buf->flags ^ asked->flags) & PLX_TEST_REC_CACHED)
		return false;
	/* To be wrong without harm: says that it did, and does it the second time. */
	if (READ_ONCE(adapter->broken) == PLX_TEST_BREAK_TWICE && !buf->pretended) {
		buf->pretended = true;
		return true;
	}
	dma_free_coherent(adapter->dev, (size_t)buf->pages << PAGE_SHIFT, buf->va, buf->logical);
	buf->flags &= ~PLX_TEST_REC_LIVE;
	return true;
}

/**
 * plx_free_common_buffer() - the shim for FreeCommonBuffer
 * @adapter: as at the allocation, like everything that follows
 * @length: see there
 * @logical: see there
 * @va: see there
 * @cache_enabled: see there
 *
 * May sleep.
 *
 * Return: 0, or -EINVAL if no live buffer was allocated with just these; the
 * other side has no result and would stop the system instead.
 */
int plx_free_common_buffer(struct plx_adapter *adapter, u32 length,
			   dma_addr_t logical, void *va, bool cache_enabled)
{
	struct plx_buffer asked = {
		.length = length,
		.va = va,
		.logical = logical,
		.given = logical,
		.limit = adapter->limit,
		.flags = PLX_TEST_REC_FREE | PLX_TEST_REC_REFUSED |
			 (cache_enabled ? PLX_TEST_REC_CACHED : 0),
		.order = ++adapter->orders,
	};
	struct plx_buffer *buf, *record;

	list_for_each_entry(buf, &adapter->buffers, node) {
		if (!(buf->flags & PLX_TEST_REC_LIVE) || buf->va != va)
			continue;
		asked.of = buf->order;
		if (plx_release(adapter, buf, &asked))
			asked.flags &= ~PLX_TEST_REC_REFUSED;
		break;
	}
	/* Without memory for it, a number is missing in the records. */
	record = kmemdup(&asked, sizeof(asked), GFP_KERNEL);
	if (record)
		plx_keep_record(adapter, record);
	return asked.flags & PLX_TEST_REC_REFUSED ? -EINVAL : 0;
}

/**
 * plx_find_buffer() - a live buffer by its number
 * @adapter: that made it
 * @order: number of the request
 *
 * Return: the buffer, or NULL if it was freed, failed or never existed.
 */
struct plx_buffer *plx_find_buffer(struct plx_adapter *adapter, u32 order)
{
	struct plx_buffer *buf = plx_buffer_from(adapter, order);

	if (!buf || buf->order != order || !(buf->flags & PLX_TEST_REC_LIVE))
		return NULL;
	return buf;
}

/**
 * plx_buffer_from() - the first record from a number on
 * @adapter: that made it
 * @order: lowest number wanted
 *
 * Return: the record, or NULL if there is none.
 */
struct plx_buffer *plx_buffer_from(struct plx_adapter *adapter, u32 order)
{
	struct plx_buffer *buf;

	list_for_each_entry(buf, &adapter->buffers, node)
		if (buf->order >= order)
			return buf;
	return NULL;
}

/**
 * plx_buffer_span() - a part of a live buffer, checked
 * @adapter: that made it
 * @order: number of the buffer
 * @offset: where the part starts
 * @length: its bytes
 *
 * Return: where the CPU sees the part; ERR_PTR(-ENOENT) without such a buffer,
 * ERR_PTR(-ERANGE) if a byte was not asked for, even where a page backs it.
 */
void *plx_buffer_span(struct plx_adapter *adapter, u32 order, u32 offset, u32 length)
{
	struct plx_buffer *buf = plx_find_buffer(adapter, order);

	if (!buf)
		return ERR_PTR(-ENOENT);
	if (offset > buf->usable || length > buf->usable - offset)
		return ERR_PTR(-ERANGE);
	return buf->va + offset;
}

/**
 * plx_let_go() - free what the caller left, unmap what he mapped
 * @adapter: of both; the device must be idle
 */
void plx_let_go(struct plx_adapter *adapter)
{
	struct plx_buffer *buf;

	plx_streaming_unmap(adapter, NULL);
	list_for_each_entry(buf, &adapter->buffers, node)
		if (buf->flags & PLX_TEST_REC_LIVE)
			plx_free_common_buffer(adapter, buf->length, buf->given, buf->va,
					       buf->flags & PLX_TEST_REC_CACHED);
}

/**
 * plx_forget_buffers() - drop all records
 * @adapter: without a live buffer
 */
void plx_forget_buffers(struct plx_adapter *adapter)
{
	struct plx_buffer *buf, *next;

	list_for_each_entry_safe(buf, next, &adapter->buffers, node)
		plx_drop_record(adapter, buf);
}
