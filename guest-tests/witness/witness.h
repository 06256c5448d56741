/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The witness: a plugin of QEMU's that tells what drivers in the guest did.
 *
 * One lock (`lock`) covers everything but what is said to be without it, so
 * that all records of a guest are in the order in which things happened.
 * Whatever the guest does is bounded: tables have a size, what does not fit is
 * counted, a ring that nobody reads stops the guest for RING_PATIENCE_NS in all.
 */
#ifndef WITNESS_H
#define WITNESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qemu_api.h"

#define MAX_RINGS 16
#define MAX_VCPUS 256
#define MAX_WATCHED 64
#define NAME_BYTES 56
#define DEVICE_BYTES 32
#define TEXT_BYTES 40
#define RING_PATIENCE_NS 100000000ull
#define UNKNOWN (~0ull)
#define MODULES_END 0xffffffffff000000ull

enum kind {
	K_ACCESS = 1, K_ALLOC, K_FREE, K_MAP, K_UNMAP, K_SYNC, K_MASK, K_MASTER,
	K_IRQ, K_POOL_CREATE, K_POOL_ALLOC, K_POOL_FREE, K_POOL_DESTROY,
	K_MODULE, K_TOUCH, K_CONFIG, K_HANDLER,
};

enum { F_WRITE = 1, F_PORT = 2, F_HELPER = 4 };		/* of K_ACCESS */
enum { F_POOL_PAGE = 1, F_MANAGED = 2 };		/* of K_ALLOC, K_FREE */
enum { F_POLL = 2 };					/* of K_TOUCH */
enum { F_GOING = 1 };					/* of K_MODULE */

/* A record as it stands in a ring. */
struct record {
	uint64_t seq;
	uint8_t kind, flags;
	uint16_t cpu;
	uint32_t width;
	uint64_t pc;
	uint64_t a[8];
	char text[TEXT_BYTES];
};

struct ring_bar {
	uint64_t base, size;
	uint32_t io, pad;
};

/* The head of a ring; records follow at RING_HEAD bytes. */
#define RING_HEAD 4096
struct ring_header {
	char magic[8];
	uint32_t version, record_bytes;
	uint64_t capacity, head, tail, lost, unreturned;
	uint32_t state;
	uint32_t pad;
	char device[DEVICE_BYTES];
	char pad2[160];
	struct ring_bar bar[6];
};

enum { STATE_LOADED = 1, STATE_SEEN, STATE_ENDED };

/* Loads or stores of a driver in memory that the device may use, since the
 * last access of registers or the last handler began: one run of bytes without
 * a gap.
 */
#define MAX_TOUCHES 32
struct touch {
	uint64_t pc, first, end, times, start, handle;
	bool write, poll;
};

struct ring {
	volatile struct ring_header *shared;
	struct record *records;
	uint64_t capacity, head, lost, unreturned, waited_ns;
	uint64_t window;	/* seq of the access or handler that began it */
	char device[DEVICE_BYTES + 1];
	struct touch touches[MAX_TOUCHES];
	int n_touches;
};

/* Offsets in the kernel's structures and such, by the names in the facts. */
struct offsets {
	uint64_t init_name, device_name, pci_dev, module_state, module_name,
		core, core_size, init, init_size, page, sg, page_link,
		sg_offset, sg_length, dma_address, dma_length, sgl, nents,
		orig_nents, pool_dev;
};

struct facts {
	uint64_t image, image_end;
	uint64_t page_offset_base, vmemmap_base;	/* addresses of these */
	struct offsets off;
};

enum hook_kind { H_CALL, H_HELPER };
struct call_type;

/* A function of the kernel whose entry is watched. */
struct hook {
	uint64_t address, end;
	enum hook_kind kind;
	const struct call_type *type;	/* of H_CALL */
};

#define MAX_HOOKS 160
extern struct hook hooks[MAX_HOOKS];	/* by address */
extern int n_hooks;
extern struct facts facts;
extern struct ring rings[MAX_RINGS];
extern int n_rings;
extern pthread_mutex_t lock;

/* witness.c */
void complain(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
extern unsigned int n_vcpus;

/* facts.c: what the kernel is like */
bool facts_read(const char *where);
const struct hook *hook_around(uint64_t address);

/* guest.c: registers and memory of the guest; only in callbacks, locked */
enum reg { RDI, RSI, RDX, RCX, R8, R9, RSP, RAX, REGISTERS };
void guest_vcpu(unsigned int vcpu);
bool guest_init(void);
uint64_t guest_register(unsigned int vcpu, enum reg which);
bool guest_read(uint64_t vaddr, void *into, size_t bytes);
uint64_t guest_u64(uint64_t vaddr);
uint32_t guest_u32(uint64_t vaddr);
bool guest_string(uint64_t vaddr, char *into, size_t room);
uint64_t guest_physical(uint64_t vaddr);
uint64_t page_physical(uint64_t page);
uint64_t direct_map(uint64_t physical);

/* ring.c */
bool ring_add(const char *fd);
struct ring *ring_of_device(uint64_t dev);
int ring_bar_at(uint64_t address, bool port);	/* without the lock; -1: none */
uint64_t next_seq(void);
void ring_put(struct ring *ring, const struct record *record);
void ring_tell(struct ring *ring, struct record *record);
void ring_tell_all(struct record *record);
void ring_missed(struct ring *ring);
void rings_state(uint32_t state);

/* touch.c: memory that devices may use, and the drivers' own use of it */
void touch_live(struct ring *ring, const struct record *made);
uint8_t touch_dead(struct ring *ring, const struct record *gone);
void touch_access(unsigned int vcpu, uint64_t pc, uint64_t vaddr,
		  unsigned int width, bool write);
void touch_flush(struct ring *ring);

/* calls.c */
const struct call_type *call_type(const char *name);
bool calls_init(void);
void call_enter(unsigned int vcpu, void *hook);
void call_return(unsigned int vcpu, void *address);
struct per_vcpu calls_open(void);
bool returns_to(uint64_t address);		/* without the lock */
void calls_end(void);

/* scatter.c */
void sg_mapped(struct ring *ring, struct record *base, uint64_t list,
	       uint64_t entries, uint64_t segments);

/* modules.c */
bool modules_watch(const char *name);
bool code_map(const char *fd);
void module_coming(unsigned int vcpu, uint64_t chain, uint64_t up,
		   uint64_t down, uint64_t module, uint64_t pc);
void module_told(unsigned int vcpu, uint64_t chain, uint64_t state,
		 uint64_t module, uint64_t pc);
bool module_seen(void);
int module_at(uint64_t address);		/* a watched one; -1: none */
int block_of(int module, uint64_t address, uint32_t bytes, uint32_t insns);
struct per_vcpu block_count(int block);
void blocks_flush(void);

/* handlers.c; locked, but for `handler_enter` */
void handler_comes(uint64_t address);
bool is_handler(uint64_t address);
void handler_enter(unsigned int vcpu, void *address);

/* access.c */
void access_watch(struct qemu_plugin_insn *insn, bool helper);
void helper_enter(unsigned int vcpu, void *hook);

#endif
