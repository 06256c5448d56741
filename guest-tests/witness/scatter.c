// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scatter lists: the kernel's include/linux/scatterlist.h. An entry is one
 * more, the last one (bit 1 of page_link), or leads to another array (bit 0).
 */
#include <string.h>

#include "witness.h"

#define MAX_SEGMENTS 65536
#define CHAIN 1ull
#define LAST 2ull
#define MAX_ENTRY 64

struct entry {
	uint64_t at, page_link, address;
	uint32_t offset, length, dma_length;
};

static bool load(uint64_t at, struct entry *entry)
{
	const struct offsets *off = &facts.off;
	uint64_t size = off->sg < MAX_ENTRY ? off->sg : MAX_ENTRY;
	uint64_t length_at = off->dma_length == UNKNOWN ? off->sg_length :
							  off->dma_length;
	char raw[MAX_ENTRY] = { 0 };

	if (off->page_link + 8 > size || off->sg_offset + 4 > size ||
	    off->sg_length + 4 > size || off->dma_address + 8 > size ||
	    length_at + 4 > size || !guest_read(at, raw, size))
		return false;
	entry->at = at;
	memcpy(&entry->page_link, raw + off->page_link, 8);
	memcpy(&entry->address, raw + off->dma_address, 8);
	memcpy(&entry->offset, raw + off->sg_offset, 4);
	memcpy(&entry->length, raw + off->sg_length, 4);
	memcpy(&entry->dma_length, raw + length_at, 4);
	return true;
}

/* The first entry at `at` or, where that is a link, behind it. */
static bool first_at(uint64_t at, struct entry *entry)
{
	for (int links = 0; links < 2; links++) {
		if (!load(at, entry))
			return false;
		if (!(entry->page_link & CHAIN))
			return true;
		at = entry->page_link & ~(CHAIN | LAST);
	}
	return false;
}

static bool next(struct entry *entry)
{
	return !(entry->page_link & LAST) &&
	       first_at(entry->at + facts.off.sg, entry);
}

/*
 * One K_MAP for each segment of a list that was mapped: `entries` were asked,
 * `segments` came of them, 0 if it failed. With an IOMMU the first entries hold
 * the addresses of segments that took several entries' memory: what segment k
 * is made of can be told only where nothing was merged.
 */
void sg_mapped(struct ring *ring, struct record *base, uint64_t list,
	       uint64_t entries, uint64_t segments)
{
	struct entry entry;
	bool there = first_at(list, &entry);

	base->kind = K_MAP;
	base->a[5] = list;
	base->a[7] = segments;
	base->width = entries;	/* dma_unmap_sg() has to be given as many */
	if (!segments) {
		base->a[0] = UNKNOWN;
		ring_tell(ring, base);
		return;
	}
	for (uint64_t i = 0; i < segments && i < MAX_SEGMENTS; i++) {
		struct record record = *base;
		uint64_t *a = record.a;

		if (!there)
			break;
		a[0] = entry.address;
		a[1] = entry.dma_length;
		a[6] = i;
		if (segments == entries && entry.dma_length == entry.length) {
			a[3] = page_physical(entry.page_link & ~(CHAIN | LAST));
			a[3] = a[3] ? a[3] + entry.offset : 0;
			a[4] = direct_map(a[3]);
		}
		touch_live(ring, &record);
		ring_tell(ring, &record);
		there = i + 1 == segments || next(&entry);
	}
	if (!there || segments > MAX_SEGMENTS)
		ring_missed(ring);
}
