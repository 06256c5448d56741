// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of the kernel's DMA, interrupt and bus functions. A call that gives
 * something is recorded when it returns, which may be on another vCPU: an open
 * call is known by its return address and its stack. The others are recorded
 * at once.
 *
 * Some functions call others that are watched too (dma_pool_alloc() calls
 * dma_alloc_attrs()): the inner call's caller is then the outermost one's.
 */
#include <string.h>

#include "witness.h"

#define MAX_OPEN 1024
#define MAX_RETURNS 8192
#define STACK_BITS 14		/* a kernel stack's size, and what it is aligned to */
#define FAILED UNKNOWN

enum what {
	OUTER,			/* nothing by itself */
	OUTER_POOL, OUTER_MANAGED, OUTER_IRQ,
	ALLOC, ALLOC_PAGES, ALLOC_PIECES, FREE, FREE_PAGES, FREE_PIECES,
	MAP_PAGE, MAP_PHYS, MAP_SG, MAP_TABLE, UNMAP, UNMAP_SG, SYNC, SYNC_SG,
	MASK, MASTER, IRQ, IRQ_FREE,
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

static const struct call_type types[] = {
	{ "dma_alloc_attrs", ALLOC, OF_RDI, true, 0 },
	{ "dma_free_attrs", FREE, OF_RDI, false, 0 },
	{ "dmam_alloc_attrs", OUTER_MANAGED, OF_RDI, true, 0 },
	{ "dmam_free_coherent", OUTER_MANAGED, OF_RDI, true, 0 },
	{ "dma_alloc_pages", ALLOC_PAGES, OF_RDI, true, 0 },
	{ "dma_free_pages", FREE_PAGES, OF_RDI, false, 0 },
	{ "dma_alloc_noncontiguous", ALLOC_PIECES, OF_RDI, true, 0 },
	{ "dma_free_noncontiguous", FREE_PIECES, OF_RDI, false, 0 },
	{ "dma_map_page_attrs", MAP_PAGE, OF_RDI, true, 0 },
	{ "dma_unmap_page_attrs", UNMAP, OF_RDI, true, 0 },
	{ "dma_map_phys", MAP_PHYS, OF_RDI, true, 0 },
	{ "dma_unmap_phys", UNMAP, OF_RDI, true, 0 },
	{ "dma_map_resource", MAP_PHYS, OF_RDI, true, 0 },
	{ "dma_unmap_resource", UNMAP, OF_RDI, true, 0 },
	{ "dma_map_sg_attrs", MAP_SG, OF_RDI, true, 0 },
	{ "dma_unmap_sg_attrs", UNMAP_SG, OF_RDI, false, 0 },
	{ "dma_map_sgtable", MAP_TABLE, OF_RDI, true, 0 },
	{ "dma_sync_single_for_cpu", SYNC, OF_RDI, false, 0 },
	{ "dma_sync_single_for_device", SYNC, OF_RDI, false, 1 },
	{ "dma_sync_sg_for_cpu", SYNC_SG, OF_RDI, false, 0 },
	{ "dma_sync_sg_for_device", SYNC_SG, OF_RDI, false, 1 },
	{ "__dma_sync_single_for_cpu", SYNC, OF_RDI, false, 0 },
	{ "__dma_sync_single_for_device", SYNC, OF_RDI, false, 1 },
	{ "__dma_sync_sg_for_cpu", SYNC_SG, OF_RDI, false, 0 },
	{ "__dma_sync_sg_for_device", SYNC_SG, OF_RDI, false, 1 },
	{ "dma_set_mask", MASK, OF_RDI, true, 0 },
	{ "dma_set_coherent_mask", MASK, OF_RDI, true, 1 },
	{ "dma_pool_create", POOL_CREATE, OF_RSI, true, 0 },
	{ "dma_pool_create_node", POOL_CREATE, OF_RSI, true, 0 },
	{ "dmam_pool_create", OUTER, OF_RSI, true, 0 },
	{ "dma_pool_alloc", POOL_ALLOC, OF_POOL, true, 0 },
	{ "dma_pool_free", POOL_FREE, OF_POOL, true, 0 },
	{ "dma_pool_destroy", POOL_DESTROY, OF_POOL, true, 0 },
	{ "dmam_pool_destroy", OUTER, OF_POOL, true, 0 },
	{ "pci_set_master", MASTER, OF_PCI, false, 1 },
	{ "pci_clear_master", MASTER, OF_PCI, false, 0 },
	{ "pci_disable_device", MASTER, OF_PCI, false, 2 },
	{ "request_threaded_irq", IRQ, OF_ALL, true, 0 },
	{ "free_irq", IRQ_FREE, OF_ALL, false, 0 },
	{ "devm_request_threaded_irq", OUTER_IRQ, OF_ALL, true, 0 },
	{ "devm_free_irq", OUTER_IRQ, OF_ALL, true, 0 },
	{ "pci_request_irq", OUTER_IRQ, OF_ALL, true, 0 },
	{ "pci_free_irq", OUTER_IRQ, OF_ALL, true, 0 },
	{ "request_any_context_irq", OUTER_IRQ, OF_ALL, true, 0 },
	{ "devm_request_any_context_irq", OUTER_IRQ, OF_ALL, true, 0 },
	{ "blocking_notifier_call_chain", TOLD, OF_ALL, false, 0 },
	{ "blocking_notifier_call_chain_robust", TOLD_ROBUST, OF_ALL, false, 0 },
};

struct open_call {
	const struct call_type *type;
	struct ring *ring;	/* NULL: all of them */
	uint64_t returns, rsp, pc, arg[6];
	uint8_t flags;
	bool silent;		/* the call around it tells */
};

static struct open_call open_calls[MAX_OPEN];	/* oldest first */
static int n_open;
static struct per_vcpu open_count;
/* Return addresses in the kernel; read without the lock, never removed. */
static uint64_t returns[MAX_RETURNS];
static int n_returns;

bool calls_init(void)
{
	open_count.board = qemu_plugin_scoreboard_new(sizeof(uint64_t));
	return open_count.board != NULL;
}

/* How many calls are open, the same number for each vCPU. */
struct per_vcpu calls_open(void)
{
	return open_count;
}

const struct call_type *call_type(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!strcmp(name, types[i].name))
			return &types[i];
	return NULL;
}

static uint64_t *return_slot(uint64_t address)
{
	uint64_t at = address * 0x9e3779b97f4a7c15ull >> 40;

	for (;; at++) {
		uint64_t *slot = &returns[at % MAX_RETURNS];
		uint64_t value = __atomic_load_n(slot, __ATOMIC_RELAXED);

		if (!value || value == address)
			return slot;
	}
}

bool returns_to(uint64_t address)
{
	return __atomic_load_n(return_slot(address), __ATOMIC_RELAXED);
}

/*
 * Code that a call returns to begins a block of its own, translated at the
 * first return: it is soon enough to know the address from then on. Learned for
 * every device: the next call from there may be one for ours. A quarter stays
 * empty, so that a search ends.
 */
static void learn_return(uint64_t address)
{
	uint64_t *slot;

	if (address < facts.image || address >= facts.image_end)
		return;
	slot = return_slot(address);
	if (*slot || n_returns >= MAX_RETURNS * 3 / 4)
		return;
	__atomic_store_n(slot, address, __ATOMIC_RELAXED);
	n_returns++;
}

static void publish_open(void)
{
	unsigned int vcpus = __atomic_load_n(&n_vcpus, __ATOMIC_RELAXED);

	for (unsigned int i = 0; i < vcpus; i++)
		qemu_plugin_u64_set(open_count, i, n_open);
}

static void forget(int index)
{
	memmove(open_calls + index, open_calls + index + 1,
		(n_open - index - 1) * sizeof(*open_calls));
	n_open--;
}

static bool has_outcome(const struct open_call *call)
{
	switch (call->type->what) {
	case OUTER:
	case OUTER_POOL:
	case OUTER_MANAGED:
	case OUTER_IRQ:
	case UNMAP:
	case POOL_FREE:
	case POOL_DESTROY:
		return false;
	default:
		return !call->silent;
	}
}

static void missed(int index)
{
	if (has_outcome(&open_calls[index]))
		ring_missed(open_calls[index].ring);
	forget(index);
}

/* Calls on this stack that must have returned, since it is in use above them. */
static void drop_returned(uint64_t rsp, uint64_t ret, const struct call_type *type)
{
	for (int i = n_open - 1; i >= 0; i--) {
		const struct open_call *one = &open_calls[i];

		if (one->rsp >> STACK_BITS != rsp >> STACK_BITS ||
		    one->rsp > rsp)
			continue;
		/* A jump at a function's end: the call goes on in another. */
		if (one->rsp == rsp && one->returns == ret && one->type != type)
			continue;
		missed(i);
	}
}

/* The outermost open call around one with this stack pointer. */
static const struct open_call *outermost(uint64_t rsp)
{
	for (int i = 0; i < n_open; i++) {
		const struct open_call *one = &open_calls[i];

		if (one->rsp >> STACK_BITS == rsp >> STACK_BITS &&
		    one->rsp >= rsp && guest_u64(one->rsp) == one->returns)
			return one;
	}
	return NULL;
}

static uint64_t device_of(const struct call_type *type, const uint64_t *arg)
{
	switch (type->device) {
	case OF_RSI:
		return arg[1];
	case OF_PCI:
		return arg[0] + facts.off.pci_dev;
	case OF_POOL:
		return facts.off.pool_dev == UNKNOWN ?
			       UNKNOWN :
			       guest_u64(arg[0] + facts.off.pool_dev);
	default:
		return arg[0];
	}
}

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
static void tell_entry(struct open_call *call, struct record *record)
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
	case IRQ_FREE:		/* irq, dev_id */
		record->kind = K_IRQ;
		record->flags = 1;
		a[0] = (uint32_t)arg[0];
		a[4] = arg[1];
		tell(call, record);
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
	if (va)
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
static void tell_return(struct open_call *call, struct record *record,
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

/* How a call around this one changes what is told of it. */
static void inside(struct open_call *call, const struct open_call *outer)
{
	call->pc = outer->pc;
	switch (outer->type->what) {
	case OUTER_MANAGED:
		call->flags = F_MANAGED;
		break;
	case OUTER:
	case OUTER_IRQ:
	case POOL_CREATE:
		break;
	case POOL_ALLOC:
	case POOL_FREE:
	case POOL_DESTROY:
		call->flags = F_POOL_PAGE;
		break;
	default:
		call->silent = true;
	}
}

static void enter(unsigned int vcpu, const struct call_type *type)
{
	struct open_call call = { .type = type };
	struct record record = { .cpu = vcpu };
	const struct open_call *outer;

	for (int i = 0; i < 6; i++)
		call.arg[i] = guest_register(vcpu, (enum reg)i);
	call.rsp = guest_register(vcpu, RSP);
	call.returns = call.pc = guest_u64(call.rsp);
	learn_return(call.returns);
	if (type->what == TOLD_ROBUST) {
		module_coming(vcpu, call.arg[0], call.arg[1], call.arg[2],
			      call.arg[3], call.pc);
		return;
	}
	if (type->what == TOLD) {
		module_told(vcpu, call.arg[0], (uint32_t)call.arg[1],
			    call.arg[2], call.pc);
		return;
	}
	if (type->device != OF_ALL) {
		call.ring = ring_of_device(device_of(type, call.arg));
		if (!call.ring)
			return;
	}
	drop_returned(call.rsp, call.returns, type);
	outer = outermost(call.rsp);
	if (outer)
		inside(&call, outer);
	tell_entry(&call, &record);
	if (!type->returns)
		return;
	if (n_open == MAX_OPEN)
		missed(0);
	open_calls[n_open++] = call;
	publish_open();
}

void call_enter(unsigned int vcpu, void *data)
{
	const struct hook *hook = data;

	pthread_mutex_lock(&lock);
	rings_state(STATE_SEEN);
	enter(vcpu, hook->type);
	pthread_mutex_unlock(&lock);
}

/* A block begins at `address` while calls are open: some may end here. */
void call_return(unsigned int vcpu, void *address)
{
	uint64_t rsp = 0;
	bool any = false;

	pthread_mutex_lock(&lock);
	for (int i = n_open - 1; i >= 0; i--) {
		struct record record = { .cpu = vcpu };
		struct open_call call = open_calls[i];

		if (call.returns != (uint64_t)address)
			continue;
		if (!rsp)
			rsp = guest_register(vcpu, RSP);
		if (call.rsp + 8 != rsp)
			continue;
		forget(i);
		any = true;
		tell_return(&call, &record, guest_register(vcpu, RAX));
	}
	if (any)
		publish_open();
	pthread_mutex_unlock(&lock);
}

/* At QEMU's end: what is still open has no outcome. */
void calls_end(void)
{
	while (n_open)
		missed(n_open - 1);
}
