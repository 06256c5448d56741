// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is told of a call: its arguments and its result, as records.
 */
#include <string.h>

#include "calls.h"

#define FAILED UNKNOWN

static void tell(const struct open_call *call, struct record *record)
{
	record->pc = call->pc;
	if (call->silent)
		return;
	if (call->ring)
		ring_tell(call->ring, record);
	else
		ring_tell_all(record);
}

static void tell_free(struct open_call *call, struct record *record,
		      uint64_t va, uint64_t handle, uint64_t size)
{
	record->kind = K_FREE;
	record->a[0] = va;
	record->a[1] = handle;
	record->a[2] = size;
	record->flags = call->flags | touch_dead(call->ring, record);
	tell(call, record);
}

/* What can be told when a function is entered. */
void tell_entry(struct open_call *call, struct record *record)
{
	const uint64_t *arg = call->arg;
	uint64_t *a = record->a;

	record->flags = call->type->flags;
	switch (call->type->what) {
	case FREE:		/* dev, size, va, handle */
		tell_free(call, record, arg[2], arg[3], arg[1]);
		break;
	case FREE_PAGES:	/* dev, size, page, handle */
		tell_free(call, record, direct_map(page_physical(arg[2])),
			  arg[3], arg[1]);
		break;
	case UNMAP:		/* dev, address, size, direction */
		record->kind = K_UNMAP;
		memcpy(a, arg + 1, 3 * sizeof(*a));
		a[2] = (uint32_t)a[2];
		touch_dead(call->ring, record);
		tell(call, record);
		break;
	case UNMAP_SG:		/* dev, list, entries, direction */
	case SYNC_SG:
		record->kind = call->type->what == SYNC_SG ? K_SYNC : K_UNMAP;
		a[0] = guest_u64(arg[1] + facts.off.dma_address);
		a[2] = (uint32_t)arg[3];
		a[5] = arg[1];
		a[7] = (uint32_t)arg[2];
		if (record->kind == K_UNMAP)
			touch_dead(call->ring, record);
		tell(call, record);
		break;
	case FREE_PIECES:	/* dev, size, table, direction */
		record->kind = K_UNMAP;
		a[2] = (uint32_t)arg[3];
		a[5] = guest_u64(arg[2] + facts.off.sgl);
		a[0] = guest_u64(a[5] + facts.off.dma_address);
		a[7] = guest_u32(arg[2] + facts.off.orig_nents);
		touch_dead(call->ring, record);
		tell(call, record);
		break;
	case SYNC:		/* dev, address, size, direction */
		record->kind = K_SYNC;
		memcpy(a, arg + 1, 3 * sizeof(*a));
		a[2] = (uint32_t)a[2];
		tell(call, record);
		break;
	case MASTER:
		record->kind = K_MASTER;
		tell(call, record);
		break;
	case CONFIG:		/* pdev, where, value */
		record->kind = K_CONFIG;
		a[0] = (uint32_t)arg[1];
		a[1] = (uint32_t)arg[2];
		tell(call, record);
		break;
	case IRQ_FREE:		/* irq, dev_id */
		record->kind = K_IRQ;
		record->flags = 1;
		a[0] = (uint32_t)arg[0];
		a[4] = arg[1];
		tell(call, record);
		break;
	case IRQ:		/* irq, handler, thread; it may run before this returns */
		handler_comes(arg[1]);
		handler_comes(arg[2]);
		break;
	case POOL_FREE:		/* pool, va, handle */
		record->kind = K_POOL_FREE;
		a[0] = arg[1];
		a[1] = arg[2];
		a[2] = arg[0];
		tell(call, record);
		break;
	case POOL_DESTROY:
		record->kind = K_POOL_DESTROY;
		a[0] = arg[0];
		if (arg[0])
			tell(call, record);
		break;
	default:
		break;
	}
}

static void tell_alloc(struct open_call *call, struct record *record,
		       uint64_t va, uint64_t physical)
{
	uint64_t *a = record->a;

	record->kind = K_ALLOC;
	record->flags = call->flags;
	a[0] = va;
	a[1] = va ? guest_u64(call->arg[2]) : 0;
	a[2] = call->arg[1];
	a[3] = physical;
	if (va && !call->silent)
		touch_live(call->ring, record);
	tell(call, record);
}

static void tell_map(struct open_call *call, struct record *record,
		     uint64_t address, uint64_t physical, uint64_t size,
		     uint64_t direction)
{
	uint64_t *a = record->a;

	record->kind = K_MAP;
	a[0] = address;
	a[1] = size;
	a[2] = (uint32_t)direction;
	a[3] = physical;
	a[4] = direct_map(physical);
	a[7] = 1;
	if (address != FAILED && !call->silent)
		touch_live(call->ring, record);
	tell(call, record);
}

/* What can be told when it has returned, with `value`. */
void tell_return(struct open_call *call, struct record *record,
		 uint64_t value)
{
	const uint64_t *arg = call->arg;
	uint64_t *a = record->a, list, at;

	switch (call->type->what) {
	case ALLOC:		/* dev, size, handle *, gfp, attrs */
		a[4] = (uint32_t)arg[3];
		a[5] = arg[4];
		tell_alloc(call, record, value, guest_physical(value));
		break;
	case ALLOC_PAGES:	/* dev, size, handle *, direction, gfp */
		a[4] = (uint32_t)arg[4];
		at = value ? page_physical(value) : 0;
		if (value && !direct_map(at) && !call->silent)
			/* It was given, and nobody knows which memory. */
			ring_missed(call->ring);
		else
			tell_alloc(call, record, direct_map(at), at);
		break;
	case MAP_PAGE:		/* dev, page, offset, size, direction */
		at = page_physical(arg[1]);
		tell_map(call, record, value, at ? at + arg[2] : 0, arg[3],
			 arg[4]);
		break;
	case MAP_PHYS:		/* dev, physical, size, direction */
		tell_map(call, record, value, arg[1], arg[2], arg[3]);
		break;
	case MAP_SG:		/* dev, list, entries, direction */
		record->pc = call->pc;
		a[2] = (uint32_t)arg[3];
		if (!call->silent)
			sg_mapped(call->ring, record, arg[1],
				  (uint32_t)arg[2], (uint32_t)value);
		break;
	case MAP_TABLE:		/* dev, table, direction; 0: good */
	case ALLOC_PIECES:	/* dev, size, direction; the table, 0: failed */
		record->pc = call->pc;
		at = call->type->what == MAP_TABLE ? arg[1] : value;
		a[2] = (uint32_t)arg[2];
		list = at ? guest_u64(at + facts.off.sgl) : 0;
		if (call->type->what == MAP_TABLE ? (uint32_t)value : !value)
			sg_mapped(call->ring, record, list, 0, 0);
		else
			sg_mapped(call->ring, record, list,
				  guest_u32(at + facts.off.orig_nents),
				  guest_u32(at + facts.off.nents));
		break;
	case MASK:		/* dev, mask */
		record->kind = K_MASK;
		record->flags = call->type->flags;
		a[0] = arg[1];
		a[1] = (uint32_t)value;
		tell(call, record);
		break;
	case IRQ:		/* irq, handler, thread, flags, name, dev_id */
		record->kind = K_IRQ;
		a[0] = (uint32_t)arg[0];
		memcpy(a + 1, arg + 1, 3 * sizeof(*a));
		a[4] = arg[5];
		a[5] = (uint64_t)(int64_t)(int32_t)value;
		guest_string(arg[4], record->text, TEXT_BYTES);
		tell(call, record);
		break;
	case POOL_CREATE:	/* name, dev, size, align, boundary */
		record->kind = K_POOL_CREATE;
		a[0] = value;
		memcpy(a + 1, arg + 2, 3 * sizeof(*a));
		guest_string(arg[0], record->text, TEXT_BYTES);
		tell(call, record);
		break;
	case POOL_ALLOC:	/* pool, gfp, handle * */
		record->kind = K_POOL_ALLOC;
		a[0] = value;
		a[1] = value ? guest_u64(arg[2]) : 0;
		a[2] = arg[0];
		tell(call, record);
		break;
	default:
		break;
	}
}
