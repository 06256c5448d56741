// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the plugin calls of QEMU's, with a guest whose registers and memory are
 * whatever a seed says, or what a script does.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "play.h"

uint64_t state;

uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

bool chance(unsigned int percent)
{
	return any() % 100 < percent;
}

/* Words that lead somewhere: addresses, small numbers, states of a module. */
uint64_t word(void)
{
	switch (any() % 13) {
	case 0:
		return 0;
	case 1:
		return ~0ull;
	case 2:
		return any() % 4;
	case 3:
		return hooks[any() % n_hooks].address + any() % 64;
	case 4:
		return MODULE_SPACE + any() % 8 * 4096;
	case 5:
		return STACK + any() % 8 * 8;
	case 6:
	case 7:
		return 0xffff888000000000ull + any() % (1 << 20);
	case 8:
		return any() % 4096 * 512;
	case 9:
		return ~0ull - any() % 64;
	case 10:
		return 0xffffea0000000000ull + any() % 4096 * 64 + any() % 4;
	case 11:
		return BAR + any() % 512;
	default:
		return any();
	}
}

struct byte_array *g_byte_array_new(void)
{
	return calloc(1, sizeof(struct byte_array));
}

struct byte_array *g_byte_array_set_size(struct byte_array *array,
					 unsigned int length)
{
	array->data = realloc(array->data, length + 1);
	array->len = length;
	return array;
}

/* As QEMU does: behind what is there. */
static void append(struct byte_array *array, const void *data, size_t bytes)
{
	unsigned int at = array->len;

	g_byte_array_set_size(array, at + bytes);
	memcpy(array->data + at, data, bytes);
}

char *g_array_free(struct any_array *array, int free_segment)
{
	free(free_segment ? array->data : NULL);
	free(array);
	return NULL;
}

struct any_array *qemu_plugin_get_registers(void)
{
	static const char *const names[] = { "rip", "rdi", "rsi", "rdx", "rcx",
					     "r8", "r9", "rsp", "rax", "cr3" };
	struct any_array *array = calloc(1, sizeof(*array));
	struct register_descriptor *all = calloc(10, sizeof(*all));

	for (size_t i = 0; i < 10; i++)
		all[i] = (struct register_descriptor){
			.handle = (void *)(i + 1), .name = names[i] };
	array->data = (char *)all;
	array->len = 10;
	return array;
}

uint64_t rsp = STACK;
bool scripted;
uint64_t registers[REGISTERS];
struct cell cells[MAX_CELLS];
int n_cells;

/* Names as enum reg has them, rip before and cr3 behind. */

bool qemu_plugin_read_register(struct qemu_plugin_register *handle,
			       struct byte_array *into)
{
	size_t which = (size_t)handle - 1;
	uint64_t module = MODULE_SPACE + any() % 4 * 4096;
	uint64_t value = word();

	if (scripted) {
		append(into, &registers[which - 1], sizeof(value));
		return which >= 1 && which <= REGISTERS;
	}
	/* Now and then the arguments of a module's notifier. */
	if (which == 7)
		value = rsp;
	else if (which >= 1 && which <= 4 && chance(40))
		value = (uint64_t[]){ STACK, any() % 3, chance(50) ? 2 : module,
				      module }[which - 1];
	append(into, &value, sizeof(value));
	return chance(99);
}

/* What a script has there; what it has not cannot be read. */
static bool scripted_read(uint64_t vaddr, void *into, size_t length)
{
	memset(into, 0, length);
	for (int i = 0; i < n_cells; i++) {
		const struct cell *cell = &cells[i];

		if (cell->at != vaddr)
			continue;
		if (cell->text)
			strncpy(into, cell->text, length);
		else
			memcpy(into, &cell->value, length < 8 ? length : 8);
		return true;
	}
	return false;
}

/* The same word twice at one place of a stack, else whatever comes. */
bool qemu_plugin_read_memory_vaddr(uint64_t vaddr, struct byte_array *into,
				   size_t length)
{
	char text[4096];

	if (length > sizeof(text))
		return false;
	if (scripted) {
		if (!scripted_read(vaddr, text, length))
			return false;
		append(into, text, length);
		return true;
	}
	if (chance(2))
		return false;
	for (size_t at = 0; at < length; at += 8) {
		uint64_t value = word();

		memcpy(text + at, &value, length - at < 8 ? length - at : 8);
	}
	if (length == 8 && vaddr >> 14 == STACK >> 14) {
		uint64_t value = hooks[vaddr / 8 % n_hooks].address +
				 (chance(95) ? 0 : 7);

		memcpy(text, &value, 8);
	} else if (length == 4 && chance(20)) {
		text[0] = 1, text[1] = text[2] = text[3] = 0;
	} else if (length >= 20 && chance(length == 32 ? 40 : 60)) {
		strcpy(text, chance(70) ? DEVICE : "watched");
	}
	append(into, text, length);
	return true;
}

bool qemu_plugin_translate_vaddr(uint64_t vaddr, uint64_t *physical)
{
	*physical = vaddr ^ any();
	return chance(80);
}

bool qemu_plugin_mem_is_store(uint32_t info)
{
	return info & 1;
}

unsigned int qemu_plugin_mem_size_shift(uint32_t info)
{
	return info >> 1 & 3;
}

struct mem_value qemu_plugin_mem_get_value(uint32_t info)
{
	struct mem_value value = { .type = info >> 3 & 7 };

	value.data.u64 = any();
	return value;
}

struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t vaddr)
{
	(void)info;
	return scripted || chance(98) ? (void *)(vaddr | 1) : NULL;
}

bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *where)
{
	(void)where;
	return scripted || chance(50);
}

uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *where)
{
	return scripted ? (uint64_t)where & ~1ull : word();
}

struct qemu_plugin_scoreboard {
	size_t size;
	char *data;
};

struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size)
{
	struct qemu_plugin_scoreboard *board = malloc(sizeof(*board));

	board->size = size;
	board->data = calloc(VCPUS, size);
	return board;
}

static uint64_t *slot(struct per_vcpu number, unsigned int vcpu)
{
	if (vcpu >= VCPUS || number.offset + 8 > number.board->size)
		abort();
	return (void *)(number.board->data + vcpu * number.board->size +
			number.offset);
}

uint64_t qemu_plugin_u64_sum(struct per_vcpu number)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < VCPUS; i++)
		sum += *slot(number, i);
	return sum;
}

void qemu_plugin_u64_set(struct per_vcpu number, unsigned int vcpu,
			 uint64_t value)
{
	*slot(number, vcpu) = value;
}

uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb)
{
	return tb->address;
}

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb)
{
	return tb->insns;
}

struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index)
{
	if (index >= tb->insns)
		abort();
	return (void *)(tb->address + index);
}

uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn)
{
	return (uint64_t)insn;
}

size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn)
{
	(void)insn;
	return 1 + any() % 15;
}

size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to,
			     size_t length)
{
	static const uint8_t codes[] = { 0x66, 0xec, 0xef, 0xe4, 0xe7, 0x6d,
					 0x6e, 0xf3, 0x48, 0x89, 0x67, 0xed };
	size_t n = scripted ? 0 : any() % (length + 1);

	(void)insn;
	for (size_t i = 0; i < n; i++)
		((uint8_t *)to)[i] = codes[any() % sizeof(codes)];
	return n;
}

struct kept kept[KEPT];
int n_kept;
vcpu_cb *on_idle, *on_vcpu;
void (*on_end)(void *data);
void (*on_block)(struct qemu_plugin_tb *tb, void *data);

static void keep(vcpu_cb *run, mem_cb *memory, void *data)
{
	int at = n_kept < KEPT ? n_kept++ : (int)(any() % KEPT);

	kept[at].run = run;
	kept[at].memory = memory;
	kept[at].data = data;
}

void qemu_plugin_register_vcpu_init_cb(uint64_t id, vcpu_cb *cb, void *data)
{
	(void)id;
	(void)data;
	on_vcpu = cb;
}

void qemu_plugin_register_vcpu_idle_cb(uint64_t id, vcpu_cb *cb, void *data)
{
	(void)id;
	(void)data;
	on_idle = cb;
}

void qemu_plugin_register_vcpu_tb_trans_cb(
	uint64_t id, void (*cb)(struct qemu_plugin_tb *tb, void *data),
	void *data)
{
	(void)id;
	(void)data;
	on_block = cb;
}

void qemu_plugin_register_atexit_cb(uint64_t id, void (*cb)(void *data),
				    void *data)
{
	(void)id;
	(void)data;
	on_end = cb;
}

void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    vcpu_cb *cb, int flags, void *data)
{
	(void)insn;
	(void)flags;
	keep(cb, NULL, data);
}

void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, mem_cb *cb,
				      int flags, int rw, void *data)
{
	(void)insn;
	(void)flags;
	(void)rw;
	keep(NULL, cb, data);
}

void qemu_plugin_register_vcpu_tb_exec_cond_cb(struct qemu_plugin_tb *tb,
					       vcpu_cb *cb, int flags, int cond,
					       struct per_vcpu number,
					       uint64_t with, void *data)
{
	(void)tb;
	(void)flags;
	(void)cond;
	(void)with;
	slot(number, 0);
	keep(cb, NULL, data);
}

void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
	struct qemu_plugin_tb *tb, int op, struct per_vcpu number,
	uint64_t value)
{
	(void)tb;
	(void)op;
	*slot(number, any() % VCPUS) += value;
}

int memory(size_t size)
{
	int fd = memfd_create("play", 0);

	if (fd < 0 || ftruncate(fd, size))
		exit(2);
	return fd;
}

void *seen(int fd, size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return at == MAP_FAILED ? exit(2), NULL : at;
}

/* A ring as its maker leaves it. */
struct ring_header *ring_made(int fd, uint64_t capacity, const char *device)
{
	struct ring_header *ring =
		seen(fd, RING_HEAD + capacity * sizeof(struct record));

	memcpy(ring->magic, "PLXWIT1", 8);
	ring->version = 1;
	ring->record_bytes = sizeof(struct record);
	ring->capacity = capacity;
	strcpy(ring->device, device);
	return ring;
}

const struct hook *hook_of(const char *name)
{
	for (int i = 0; i < n_hooks; i++)
		if (hooks[i].type && hooks[i].type == call_type(name))
			return &hooks[i];
	exit(2);
}
