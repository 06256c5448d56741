// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers and memory of the guest. What the guest has there may be anything:
 * a read that fails gives UNKNOWN or false, and no length comes from the guest.
 */
#include <string.h>

#include "witness.h"

#define PAGE 4096ull

static const char *const names[REGISTERS] = {
	"rdi", "rsi", "rdx", "rcx", "r8", "r9", "rsp", "rax",
};
static struct qemu_plugin_register *handles[MAX_VCPUS][REGISTERS];
static struct byte_array *buffer;
static uint64_t page_offset, vmemmap;
unsigned int n_vcpus;

bool guest_init(void)
{
	buffer = g_byte_array_new();
	return buffer != NULL;
}

/* Each vCPU has handles of its own, got in its own thread before it runs. */
void guest_vcpu(unsigned int vcpu)
{
	struct any_array *array = qemu_plugin_get_registers();
	struct register_descriptor *known;
	unsigned int seen;

	if (!array || vcpu >= MAX_VCPUS)
		return;
	known = (struct register_descriptor *)array->data;
	for (unsigned int i = 0; i < array->len; i++)
		for (int k = 0; k < REGISTERS; k++)
			if (known[i].name && !strcmp(known[i].name, names[k]))
				handles[vcpu][k] = known[i].handle;
	g_array_free(array, 1);
	seen = __atomic_load_n(&n_vcpus, __ATOMIC_RELAXED);
	while (seen <= vcpu &&
	       !__atomic_compare_exchange_n(&n_vcpus, &seen, vcpu + 1, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}

uint64_t guest_register(unsigned int vcpu, enum reg which)
{
	uint64_t value = 0;

	if (vcpu >= MAX_VCPUS || !handles[vcpu][which])
		return UNKNOWN;
	g_byte_array_set_size(buffer, 0);
	if (!qemu_plugin_read_register(handles[vcpu][which], buffer))
		return UNKNOWN;
	memcpy(&value, buffer->data, buffer->len < 8 ? buffer->len : 8);
	return value;
}

bool guest_read(uint64_t vaddr, void *into, size_t bytes)
{
	/* A kernel's address, and not so near the end that it wraps. */
	if (vaddr < 1ull << 63 || vaddr > UNKNOWN - PAGE)
		return false;
	g_byte_array_set_size(buffer, 0);
	if (!qemu_plugin_read_memory_vaddr(vaddr, buffer, bytes) ||
	    buffer->len < bytes)
		return false;
	memcpy(into, buffer->data, bytes);
	return true;
}

uint64_t guest_u64(uint64_t vaddr)
{
	uint64_t value;

	return guest_read(vaddr, &value, sizeof(value)) ? value : UNKNOWN;
}

uint32_t guest_u32(uint64_t vaddr)
{
	uint32_t value;

	return guest_read(vaddr, &value, sizeof(value)) ? value : 0;
}

/* A string of at most room - 1 bytes; what is behind its page may not be there. */
bool guest_string(uint64_t vaddr, char *into, size_t room)
{
	size_t first = PAGE - vaddr % PAGE;

	memset(into, 0, room);
	if (first > room - 1)
		first = room - 1;
	if (!guest_read(vaddr, into, first))
		return false;
	if (first < room - 1 && !memchr(into, 0, first) &&
	    !guest_read(vaddr + first, into + first, room - 1 - first))
		return false;
	into[room - 1] = 0;
	return true;
}

uint64_t guest_physical(uint64_t vaddr)
{
	uint64_t physical;

	if (vaddr < 1ull << 63 ||
	    !qemu_plugin_translate_vaddr(vaddr, &physical))
		return 0;
	return physical;
}

/* The kernel's two maps are laid once, early; it may be rebooted, though. */
static void learn_maps(void)
{
	page_offset = guest_u64(facts.page_offset_base);
	vmemmap = guest_u64(facts.vmemmap_base);
}

/* The physical address of a struct page's memory, 0 if that cannot be told. */
uint64_t page_physical(uint64_t page)
{
	learn_maps();
	if (vmemmap == UNKNOWN || !facts.off.page || page < vmemmap)
		return 0;
	return (page - vmemmap) / facts.off.page * PAGE;
}

/* Where the kernel sees physical memory, 0 if that cannot be told. */
uint64_t direct_map(uint64_t physical)
{
	learn_maps();
	if (page_offset == UNKNOWN || !physical)
		return 0;
	return page_offset + physical;
}
