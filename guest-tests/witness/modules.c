// SPDX-License-Identifier: GPL-2.0-only
/*
 * Modules that come and go, and the map of the watched ones' code: which blocks
 * QEMU translated, how often each ran. Its format is in
 * device/plx9x5x/lab/witness/codemap.py.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "witness.h"

#define MAGIC "PLXCODE1"
#define MAP_HEAD 4096
#define MOST_MODULES 65536ull
#define MOST_BLOCKS (1ull << 20)
#define MAX_LOADED 256

struct map_header {
	char magic[8];
	uint32_t version, pad;
	uint64_t max_modules, max_blocks, modules, blocks, modules_left_out,
		blocks_left_out;
};

struct map_module {
	uint64_t seq_in, seq_out, core, core_size, init, init_size;
	char name[NAME_BYTES];
	char pad[24];
};

struct map_block {
	uint64_t address;
	uint32_t bytes, insns, module, pad;
	uint64_t executed;
};

_Static_assert(sizeof(struct map_module) == 128, "a module's size is fixed");
_Static_assert(sizeof(struct map_block) == 32, "a block's size is fixed");

/* A watched module that is in the guest now; entry -1: the map is full. */
struct loaded {
	uint64_t module, core, core_size, init, init_size;
	int entry;
};

static char watched[MAX_WATCHED][NAME_BYTES];
static int n_watched;
static bool watch_all;
static struct loaded loaded[MAX_LOADED];
static int n_loaded;
static uint64_t notify_list;	/* of modules, once one was seen */

static struct map_header *map;
static struct map_module *map_modules;
static struct map_block *map_blocks;
static uint64_t max_modules, max_blocks, n_modules, n_blocks;
static uint32_t *table;		/* of blocks, hashed; number + 1 */
static uint64_t table_size;
static struct qemu_plugin_scoreboard *counts;

enum { LIVE = 0, COMING = 1, GOING = 2 };	/* enum module_state */

/* As the kernel has it: a name has _ where its file has -. */
bool modules_watch(const char *name)
{
	size_t n = strlen(name);

	if (!strcmp(name, "*")) {
		watch_all = true;
		return true;
	}
	if (!n || n >= NAME_BYTES || n_watched == MAX_WATCHED) {
		complain("watch=%s: no module's name, or more than %d", name,
			 MAX_WATCHED);
		return false;
	}
	for (size_t i = 0; i <= n; i++)
		watched[n_watched][i] = name[i] == '-' ? '_' : name[i];
	n_watched++;
	return true;
}

static bool is_watched(const char *name)
{
	for (int i = 0; i < n_watched; i++)
		if (!strcmp(name, watched[i]))
			return true;
	return watch_all;
}

bool code_map(const char *word)
{
	int fd = atoi(word);
	off_t size = lseek(fd, 0, SEEK_END);
	uint64_t need;

	if (!*word || word[strspn(word, "0123456789")] || size < MAP_HEAD ||
	    map) {
		complain("code=%s is no descriptor of a code map", word);
		return false;
	}
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		complain("code=%s cannot be mapped", word);
		return false;
	}
	max_modules = map->max_modules;
	max_blocks = map->max_blocks;
	if (memcmp(map->magic, MAGIC, sizeof(map->magic)) ||
	    map->version != 1 || max_modules > MOST_MODULES ||
	    max_blocks > MOST_BLOCKS || !max_blocks)
		goto bad;
	need = MAP_HEAD + max_modules * sizeof(struct map_module) +
	       max_blocks * sizeof(struct map_block);
	if ((uint64_t)size < need)
		goto bad;
	map_modules = (void *)((char *)map + MAP_HEAD);
	map_blocks = (void *)(map_modules + max_modules);
	for (table_size = 64; table_size < 2 * max_blocks;)
		table_size *= 2;
	table = calloc(table_size, sizeof(*table));
	counts = qemu_plugin_scoreboard_new(max_blocks * sizeof(uint64_t));
	return table && counts;
bad:
	complain("code=%s is no code map of version 1, or too short", word);
	return false;
}

static void tell(unsigned int vcpu, const struct loaded *one, uint64_t pc,
		 bool going)
{
	struct record record = {
		.kind = K_MODULE,
		.flags = going ? F_GOING : 0,
		.cpu = vcpu,
		.pc = pc,
		.a = { one->module, one->core, one->core_size, one->init,
		       one->init_size },
	};
	char name[NAME_BYTES];

	guest_string(one->module + facts.off.module_name, name, sizeof(name));
	memcpy(record.text, name, TEXT_BYTES - 1);
	ring_tell_all(&record);
	if (one->entry < 0)
		return;
	if (going) {
		map_modules[one->entry].seq_out = record.seq;
		return;
	}
	map_modules[one->entry] = (struct map_module){
		.seq_in = record.seq,
		.core = one->core,
		.core_size = one->core_size,
		.init = one->init,
		.init_size = one->init_size,
	};
	memcpy(map_modules[one->entry].name, name, NAME_BYTES);
	__atomic_store_n(&map->modules, n_modules, __ATOMIC_RELEASE);
}

static void gone(unsigned int vcpu, int index, uint64_t pc)
{
	tell(vcpu, &loaded[index], pc, true);
	memmove(loaded + index, loaded + index + 1,
		(n_loaded - index - 1) * sizeof(*loaded));
	n_loaded--;
}

/* Whether the kernel has announced one: its structures are as the facts say. */
bool module_seen(void)
{
	return notify_list;
}

static bool in_module_space(uint64_t address)
{
	return address >= facts.image_end && address < MODULES_END;
}

/* The struct module itself lies in the module: no other chain's data does. */
static bool is_module(uint64_t module)
{
	char name[NAME_BYTES];

	if (!in_module_space(module) ||
	    !guest_string(module + facts.off.module_name, name, sizeof(name)))
		return false;
	return name[0] > ' ' && name[0] < 127;
}

/* blocking_notifier_call_chain_robust(), which announces a module. */
void module_coming(unsigned int vcpu, uint64_t chain, uint64_t up,
		   uint64_t down, uint64_t module, uint64_t pc)
{
	struct loaded fresh = { .module = module, .entry = -1 };
	char name[NAME_BYTES];

	if (!chain || up != COMING || down != GOING || !is_module(module) ||
	    guest_u32(module + facts.off.module_state) != COMING)
		return;
	notify_list = chain;
	rings_state(STATE_SEEN);
	guest_string(module + facts.off.module_name, name, sizeof(name));
	fresh.core = guest_u64(module + facts.off.core);
	fresh.core_size = guest_u32(module + facts.off.core_size);
	fresh.init = guest_u64(module + facts.off.init);
	fresh.init_size = guest_u32(module + facts.off.init_size);
	/* What was there before has gone without a word. */
	for (int i = n_loaded - 1; i >= 0; i--)
		if (loaded[i].module == module ||
		    fresh.core - loaded[i].core < loaded[i].core_size)
			gone(vcpu, i, 0);
	if (!is_watched(name) || !in_module_space(fresh.core) ||
	    n_loaded == MAX_LOADED)
		return;
	if (fresh.init == UNKNOWN || !fresh.init_size)
		fresh.init = fresh.init_size = 0;
	if (map && n_modules < max_modules)
		fresh.entry = n_modules++;
	else if (map)
		map->modules_left_out++;
	loaded[n_loaded++] = fresh;
	tell(vcpu, &fresh, pc, false);
}

/* blocking_notifier_call_chain(), after a module's init or exit. */
void module_told(unsigned int vcpu, uint64_t chain, uint64_t state,
		 uint64_t module, uint64_t pc)
{
	if (!notify_list || chain != notify_list)
		return;
	for (int i = 0; i < n_loaded; i++) {
		if (loaded[i].module != module)
			continue;
		if (state == GOING)
			gone(vcpu, i, pc);
		else if (state == LIVE)	/* its init is freed now */
			loaded[i].init_size = 0;
		return;
	}
}

int module_at(uint64_t address)
{
	for (int i = n_loaded - 1; i >= 0; i--)
		if (address - loaded[i].core < loaded[i].core_size ||
		    address - loaded[i].init < loaded[i].init_size)
			return loaded[i].entry < 0 ? (int)max_modules :
						     loaded[i].entry;
	return -1;
}

/* The number of a block in the map, -1 if it is not there. */
int block_of(int module, uint64_t address, uint32_t bytes, uint32_t insns)
{
	uint64_t at;

	if (!map || (uint64_t)module >= max_modules)
		return -1;
	at = (address ^ (uint64_t)module << 20 ^ bytes) * 0x9e3779b97f4a7c15ull;
	for (at >>= 20;; at++) {
		uint32_t number = table[at &= table_size - 1];
		struct map_block *block = &map_blocks[number - 1];

		if (!number)
			break;
		if (block->address == address && block->bytes == bytes &&
		    block->module == (uint32_t)module)
			return number - 1;
	}
	if (n_blocks == max_blocks) {
		map->blocks_left_out++;
		return -1;
	}
	map_blocks[n_blocks] = (struct map_block){
		.address = address,
		.bytes = bytes,
		.insns = insns,
		.module = module,
	};
	table[at] = ++n_blocks;
	__atomic_store_n(&map->blocks, n_blocks, __ATOMIC_RELEASE);
	return n_blocks - 1;
}

struct per_vcpu block_count(int block)
{
	return (struct per_vcpu){ counts, block * sizeof(uint64_t) };
}

/* Bring the vCPUs' counts into the map. */
void blocks_flush(void)
{
	for (uint64_t i = 0; i < n_blocks; i++)
		map_blocks[i].executed = qemu_plugin_u64_sum(block_count(i));
}
