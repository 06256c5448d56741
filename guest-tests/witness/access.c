// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses of a card's registers: by a watched driver's own instructions, or by
 * the kernel's helpers (ioread32()), whose caller is then the one that counts.
 *
 * QEMU calls after a memory access. It has no such call for IN and OUT: these
 * are told before they happen, and what IN gave is not known. Their string
 * forms go through memory, so that their values are.
 *
 * Not seen: what a helper leaves to the kernel's memset() or memcpy(), as
 * memset_io() may. These serve everybody, and watching them would cost too much.
 */
#include <string.h>

#include "witness.h"

#define MAX_HELPERS 64
#define STACK_BITS 14

/* Helpers that are being run, by their stack and the vCPU that entered them. */
static struct running {
	uint64_t rsp, caller;
	unsigned int vcpu;
} running[MAX_HELPERS];
static int next_running;

/* The one on this stack; another vCPU's, should the task have moved since. */
static struct running *running_on(unsigned int vcpu, uint64_t rsp)
{
	struct running *found = NULL;

	for (int i = 0; i < MAX_HELPERS; i++) {
		if (running[i].rsp >> STACK_BITS != rsp >> STACK_BITS)
			continue;
		if (running[i].vcpu == vcpu)
			return &running[i];
		found = &running[i];
	}
	return found;
}

/* What onport() gets in the upper 16 bits of its word, above the address. */
enum { P_WRITE = 1, P_FIXED = 2, P_HELPER = 4, P_WIDTH = 3, P_PORT = 8 };
#define PC_BITS 48
#define KERNEL_TOP (0xffffull << PC_BITS)

void helper_enter(unsigned int vcpu, void *data)
{
	struct running *one;
	uint64_t rsp, caller;
	const struct hook *hook;

	(void)data;
	pthread_mutex_lock(&lock);
	rsp = guest_register(vcpu, RSP);
	caller = guest_u64(rsp);
	hook = hook_around(caller);
	one = running_on(vcpu, rsp);
	/* One helper may call another: the first one's caller counts. */
	if (!one || one->vcpu != vcpu)
		one = &running[next_running++ % MAX_HELPERS];
	else if (one->rsp > rsp && hook && hook->kind == H_HELPER)
		one = NULL;
	if (one)
		*one = (struct running){ rsp, caller, vcpu };
	pthread_mutex_unlock(&lock);
}

/* Who called the helper that runs on this stack; else the helper itself. */
static uint64_t caller_of(unsigned int vcpu, uint64_t pc)
{
	uint64_t rsp = guest_register(vcpu, RSP);
	const struct running *one = running_on(vcpu, rsp);

	return one && rsp <= one->rsp ? one->caller : pc;
}

static void tell(unsigned int vcpu, int ring, uint64_t pc, uint8_t flags,
		 uint64_t address, uint64_t value, unsigned int width)
{
	struct record record = {
		.kind = K_ACCESS,
		.flags = flags,
		.cpu = vcpu,
		.width = width,
		.a = { address, value },
	};

	pthread_mutex_lock(&lock);
	record.pc = flags & F_HELPER ? caller_of(vcpu, pc) : pc;
	ring_tell(&rings[ring], &record);
	pthread_mutex_unlock(&lock);
}

static uint64_t value_of(uint32_t info)
{
	struct mem_value value = qemu_plugin_mem_get_value(info);

	switch (value.type) {
	case VALUE_U8:
		return value.data.u8;
	case VALUE_U16:
		return value.data.u16;
	case VALUE_U32:
		return value.data.u32;
	case VALUE_U64:
		return value.data.u64;
	default:
		return value.data.u128.low;
	}
}

/* After a memory access of watched code. */
static void on_memory(unsigned int vcpu, uint32_t info, uint64_t vaddr,
		      void *data)
{
	struct qemu_plugin_hwaddr *where = qemu_plugin_get_hwaddr(info, vaddr);
	unsigned int width = 1u << qemu_plugin_mem_size_shift(info);
	bool write = qemu_plugin_mem_is_store(info);
	uint64_t pc = (uint64_t)data, address;
	bool helper = pc < facts.image_end;
	int ring;

	if (!where)
		return;
	if (!qemu_plugin_hwaddr_is_io(where)) {
		if (!helper)
			touch_access(vcpu, pc, vaddr, width, write);
		return;
	}
	address = qemu_plugin_hwaddr_phys_addr(where);
	ring = ring_bar_at(address, false);
	if (ring >= 0)
		tell(vcpu, ring, pc,
		     write * F_WRITE | helper * F_HELPER, address,
		     value_of(info), width);
}

/*
 * INS and OUTS: their memory access has the value, RDX the port. For INS QEMU
 * stores twice: a 0, to see whether it may, and then what the port gave.
 */
static void on_string(unsigned int vcpu, uint32_t info, uint64_t vaddr,
		      void *data)
{
	static uint64_t tried[MAX_VCPUS];	/* each by its own thread */
	bool in = qemu_plugin_mem_is_store(info);
	uint64_t pc = (uint64_t)data, port;
	bool helper = pc < facts.image_end;
	int ring;

	if (vcpu >= MAX_VCPUS)
		return;
	if (in && tried[vcpu] != vaddr) {
		tried[vcpu] = vaddr;
		return;
	}
	tried[vcpu] = 0;
	pthread_mutex_lock(&lock);
	port = guest_register(vcpu, RDX) & 0xffff;
	pthread_mutex_unlock(&lock);
	ring = ring_bar_at(port, true);
	if (ring >= 0)
		tell(vcpu, ring, pc,
		     F_PORT | !in * F_WRITE | helper * F_HELPER, port,
		     value_of(info), 1u << qemu_plugin_mem_size_shift(info));
}

/* Before IN or OUT. */
static void on_port(unsigned int vcpu, void *data)
{
	unsigned int how = (uint64_t)data >> PC_BITS;
	uint64_t pc = (uint64_t)data | KERNEL_TOP;
	uint64_t port = how >> P_PORT, value = 0;
	unsigned int width = 1u << (how >> P_WIDTH & 3);
	int ring;

	pthread_mutex_lock(&lock);
	if (!(how & P_FIXED))
		port = guest_register(vcpu, RDX) & 0xffff;
	if (how & P_WRITE)
		value = guest_register(vcpu, RAX) &
			(width == 4 ? 0xffffffff : width == 2 ? 0xffff : 0xff);
	pthread_mutex_unlock(&lock);
	ring = ring_bar_at(port, true);
	if (ring >= 0)
		tell(vcpu, ring, pc,
		     F_PORT | (how & P_WRITE) * F_WRITE |
			     !!(how & P_HELPER) * F_HELPER,
		     port, value, width);
}

/* Have an instruction of a driver, or of a helper, watched. */
void access_watch(struct qemu_plugin_insn *insn, bool helper)
{
	uint64_t pc = qemu_plugin_insn_vaddr(insn), how = 0;
	uint8_t code[16] = { 0 }, op;
	bool half = false;
	size_t length = qemu_plugin_insn_data(insn, code, sizeof(code)), at;

	for (at = 0; at + 2 < sizeof(code) && at < length; at++) {
		if (code[at] == 0x66)
			half = true;
		else if (code[at] != 0xf2 && code[at] != 0xf3 &&
			 code[at] != 0x67 && (code[at] & 0xf0) != 0x40)
			break;
	}
	op = code[at];
	if ((op & 0xfc) == 0x6c) {
		qemu_plugin_register_vcpu_mem_cb(insn, on_string, CB_R_REGS,
						 MEM_READ_WRITE, (void *)pc);
		return;
	}
	if ((op & 0xfc) == 0xec || (op & 0xfc) == 0xe4) {
		if (op & 2)
			how |= P_WRITE;
		if (helper)
			how |= P_HELPER;
		if (op & 1)
			how |= (half ? 1 : 2) << P_WIDTH;
		if (op < 0xec)
			how |= P_FIXED | (uint64_t)code[at + 1] << P_PORT;
		qemu_plugin_register_vcpu_insn_exec_cb(
			insn, on_port, CB_R_REGS,
			(void *)((pc & ~KERNEL_TOP) | how << PC_BITS));
		return;
	}
	qemu_plugin_register_vcpu_mem_cb(insn, on_memory,
					 helper ? CB_R_REGS : CB_NO_REGS,
					 MEM_READ_WRITE, (void *)pc);
}
