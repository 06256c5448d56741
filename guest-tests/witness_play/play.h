/* SPDX-License-Identifier: GPL-2.0-only */
/* A QEMU for the plugin alone: qemu.c; what it plays: play.c, scenes.c. */
#ifndef PLAY_H
#define PLAY_H

#include "../witness/witness.h"

#define VCPUS 4
#define KEPT 512
#define DEVICE "0000:00:02.0"
#define MODULE_SPACE 0xffffffffc0000000ull
#define BAR 0xfebc0000ull
#define STACK 0xffffc90000004000ull

extern int qemu_plugin_install(uint64_t id, const struct qemu_info *info,
			       int argc, char **argv);

/* What a seed gives. */
extern uint64_t state;
uint64_t any(void);
bool chance(unsigned int percent);
uint64_t word(void);

/* A block: its address, and instructions of a byte each. */
struct qemu_plugin_tb {
	uint64_t address;
	size_t insns;
};

/* Callbacks that were asked for; a new one takes the place of any old one. */
struct kept {
	vcpu_cb *run;
	mem_cb *memory;
	void *data;
};
extern struct kept kept[KEPT];
extern int n_kept;
extern vcpu_cb *on_idle, *on_vcpu;
extern void (*on_end)(void *data);
extern void (*on_block)(struct qemu_plugin_tb *tb, void *data);

/* The guest's stack pointer; with `scripted` its memory and all its registers. */
#define MAX_CELLS 64
struct cell {
	uint64_t at;
	uint64_t value;		/* 0: the text */
	const char *text;
};
extern uint64_t rsp;
extern bool scripted;
extern uint64_t registers[REGISTERS];	/* by enum reg */
extern struct cell cells[MAX_CELLS];
extern int n_cells;

int memory(size_t size);		/* a descriptor */
void *seen(int fd, size_t size);
struct ring_header *ring_made(int fd, uint64_t capacity, const char *device);
const struct hook *hook_of(const char *name);

/* scenes.c: 0 if all is as it should be */
int scene(const char *name, const char *facts_at);

#endif
