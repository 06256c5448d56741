// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plays QEMU, with the most hostile guest there is, to the witness's plugin:
 * registers and memory are whatever a seed says, callbacks come in any order.
 * Built with sanitizers. What must hold is checked after every step: the rings'
 * and the map's bounds, the records' order and kinds.
 *
 * play FACTS SEED STEPS; prints what it did, ends with 1 at the first lie.
 * play FACTS SCENE plays one of scenes.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "play.h"

#define CAPACITY 256
#define MODULES 4
#define BLOCKS 32

static uint64_t told[K_HANDLER + 1], last;

/* Take what is there, as a server would; now and then not. */
static bool take(struct ring_header *ring)
{
	const struct record *records = (void *)((char *)ring + RING_HEAD);

	if (ring->head - ring->tail > CAPACITY)
		return false;
	while (ring->tail < ring->head) {
		const struct record *one = &records[ring->tail % CAPACITY];

		if (one->kind < K_ACCESS || one->kind > K_HANDLER ||
		    one->seq <= last || one->cpu >= VCPUS ||
		    one->text[TEXT_BYTES - 1])
			return false;
		last = one->seq;
		told[one->kind]++;
		ring->tail++;
	}
	return true;
}

/* The two functions by which modules are announced: more often than others. */
static void *notifier(void)
{
	return (void *)hook_of(chance(70) ?
				       "blocking_notifier_call_chain_robust" :
				       "blocking_notifier_call_chain");
}

static void step(void)
{
	struct qemu_plugin_tb block;
	unsigned int vcpu = any() % VCPUS;

	rsp = STACK + any() % 32 * 8;
	if (chance(10)) {
		block.address = chance(70) ? hooks[any() % n_hooks].address :
					     MODULE_SPACE + any() % 32768;
		block.insns = 1 + any() % 6;
		on_block(&block, NULL);
	} else if (chance(1)) {
		on_idle(vcpu, NULL);
	} else if (chance(5)) {
		call_enter(vcpu, notifier());
	} else if (chance(30)) {
		uint64_t from = (rsp - 8) / 8 % n_hooks;

		call_return(vcpu, (void *)hooks[from].address);
	} else if (n_kept) {
		int which = any() % n_kept;

		if (kept[which].run)
			kept[which].run(vcpu, kept[which].data);
		else
			kept[which].memory(vcpu, any(), word(),
					   kept[which].data);
	}
}

int main(int argc, char **argv)
{
	size_t ring_size = RING_HEAD + CAPACITY * sizeof(struct record);
	size_t map_size = 4096 + MODULES * 128 + BLOCKS * 32;
	struct qemu_info info = { .target = "x86_64", .system_emulation = true };
	int ring_fd = memory(ring_size), map_fd = memory(map_size);
	struct ring_header *ring = ring_made(ring_fd, CAPACITY, DEVICE);
	uint64_t *map = seen(map_fd, map_size);
	char words[4][256], *options[4];
	long steps = argc == 4 ? atol(argv[3]) : 0;

	if (argc == 3)
		return scene(argv[2], argv[1]);
	if (argc != 4)
		return 2;
	state = strtoull(argv[2], NULL, 10) * 2 + 1;
	ring->bar[0] = (struct ring_bar){ BAR, 512, 0, 0 };
	ring->bar[1] = (struct ring_bar){ 0, 0x1000, 1, 0 };
	memcpy(map, "PLXCODE1", 8);
	((uint32_t *)map)[2] = 1;
	map[2] = MODULES;
	map[3] = BLOCKS;
	snprintf(words[0], 256, "facts=%s", argv[1]);
	snprintf(words[1], 256, "ring=%d", ring_fd);
	snprintf(words[2], 256, "code=%d", map_fd);
	snprintf(words[3], 256, "watch=*");
	for (int i = 0; i < 4; i++)
		options[i] = words[i];
	if (qemu_plugin_install(1, &info, 4, options))
		return 2;
	for (unsigned int i = 0; i < VCPUS; i++)
		on_vcpu(i, NULL);
	for (long i = 0; i < steps; i++) {
		step();
		if (!take(ring) || map[4] > MODULES || map[5] > BLOCKS) {
			printf("step %ld: out of bounds\n", i);
			return 1;
		}
	}
	/* A guest that was never recognised does not end in order either. */
	unsigned int ended = ring->state == STATE_SEEN ? STATE_ENDED : ring->state;
	on_end(NULL);
	if (!take(ring) || ring->state != ended || ring->lost) {
		printf("it ended as %u, with %lu lost\n", ring->state, ring->lost);
		return 1;
	}
	for (int kind = K_ACCESS; kind <= K_HANDLER; kind++)
		printf("%d %lu\n", kind, told[kind]);
	return 0;
}
