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

#include "calls.h"

#define MAX_OPEN 1024
#define MAX_RETURNS 8192
#define STACK_BITS 14		/* a kernel stack's size, and what it is aligned to */

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
	{ "dma_iova_link", UNFOLLOWED, OF_RDI, false, 0 },
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
	{ "pci_write_config_byte", CONFIG, OF_PCI, false, 0 },
	{ "pci_write_config_word", CONFIG, OF_PCI, false, 0 },
	{ "pci_write_config_dword", CONFIG, OF_PCI, false, 0 },
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

/* Whether what is live, or may be used, hangs on how the call ended. */
static bool has_outcome(const struct open_call *call)
{
	switch (call->type->what) {
	case OUTER:
	case OUTER_MANAGED:
	case OUTER_IRQ:
	case IRQ:
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

/*
 * Calls on this stack that must have returned, since it is in use above them.
 * Interrupts' stacks may share an aligned piece of memory with others, so that
 * only what overwrote the return address, or took its place, is a proof.
 */
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
		if (one->rsp < rsp && guest_u64(one->rsp) == one->returns)
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
		return guest_u64(arg[0] + facts.off.pool_dev);
	default:
		return arg[0];
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
	/* Until the kernel proved to be the expected one this may be any code. */
	if (type->device == OF_ALL && !module_seen())
		return;
	if (type->device != OF_ALL) {
		call.ring = ring_of_device(device_of(type, call.arg));
		if (!call.ring)
			return;
	}
	drop_returned(call.rsp, call.returns, type);
	outer = outermost(call.rsp);
	if (outer)
		inside(&call, outer);
	if (type->what == UNFOLLOWED && !call.silent)
		ring_missed(call.ring);
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
