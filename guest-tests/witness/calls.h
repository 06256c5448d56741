/* SPDX-License-Identifier: GPL-2.0-only */
/* A watched call: what it is, and what is known of it between entry and return. */
#ifndef WITNESS_CALLS_H
#define WITNESS_CALLS_H

#include "witness.h"

enum what {
	OUTER,			/* nothing by itself */
	UNFOLLOWED,		/* gives the device memory in a way that is not recorded */
	OUTER_MANAGED, OUTER_IRQ,
	ALLOC, ALLOC_PAGES, ALLOC_PIECES, FREE, FREE_PAGES, FREE_PIECES,
	MAP_PAGE, MAP_PHYS, MAP_SG, MAP_TABLE, UNMAP, UNMAP_SG, SYNC, SYNC_SG,
	MASK, MASTER, CONFIG, IRQ, IRQ_FREE,
	POOL_CREATE, POOL_ALLOC, POOL_FREE, POOL_DESTROY,
	TOLD, TOLD_ROBUST,
};

/* Where the struct device comes from. */
enum device_in { OF_RDI, OF_RSI, OF_PCI, OF_POOL, OF_ALL };

struct call_type {
	const char *name;
	enum what what;
	enum device_in device;
	bool returns;		/* it is open until it does */
	uint8_t flags;
};

struct open_call {
	const struct call_type *type;
	struct ring *ring;	/* NULL: all of them */
	uint64_t returns, rsp, pc, arg[6];
	uint8_t flags;
	bool silent;		/* the call around it tells */
};

/* tell.c: the records of a call, when it is entered and with what it returned */
void tell_entry(struct open_call *call, struct record *record);
void tell_return(struct open_call *call, struct record *record,
		 uint64_t value);

#endif
