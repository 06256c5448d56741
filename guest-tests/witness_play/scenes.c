// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scenes: guests whose every step is known, and what the plugin has to make of
 * them. Each begins with the plugin fresh, and ends with 0 if all was right.
 */
#include <stdio.h>
#include <string.h>

#include "play.h"

#define CAPACITY 64
#define OTHER "0000:00:03.0"
#define OTHER_BAR 0xfebd0000ull
#define CALLER 0xffffffffc0000120ull
#define MODULE MODULE_SPACE
#define CHAIN 0xffffffff81f00000ull
#define CARD 0xffff888000100000ull	/* struct device of the first card */
#define OTHER_CARD 0xffff888000200000ull
#define NEITHER 0xffff888000300000ull
#define HANDLE_AT 0xffff888000400000ull
#define VMEMMAP 0xffffea0000000000ull
#define DIRECT 0xffff888000000000ull

static struct ring_header *ring[2];

#define EXPECT(what)                                                        \
	do {                                                                \
		if (!(what)) {                                              \
			printf("line %d: not %s\n", __LINE__, #what);       \
			return 1;                                           \
		}                                                           \
	} while (0)

static void put(uint64_t at, uint64_t value, const char *text)
{
	for (int i = 0; i < n_cells; i++)
		if (cells[i].at == at)
			cells[i--] = cells[--n_cells];
	cells[n_cells++] = (struct cell){ at, value, text };
}

/* Jump to a function of the kernel, called from the driver with this stack. */
static void enter(const char *name, uint64_t stack)
{
	put(stack, CALLER, NULL);
	registers[RSP] = stack;
	call_enter(0, (void *)hook_of(name));
}

static void leave(uint64_t stack, uint64_t result)
{
	registers[RSP] = stack + 8;
	registers[RAX] = result;
	call_return(0, (void *)CALLER);
}

static void arguments(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	const uint64_t all[] = { a, b, c, d };

	memcpy(registers, all, sizeof(all));
}

static int count(int which, int kind)
{
	const struct record *records =
		(void *)((char *)ring[which] + RING_HEAD);
	int found = 0;

	for (uint64_t k = 0; k < ring[which]->head; k++)
		found += records[k].kind == kind;
	return found;
}

/* The kernel announces a module of a driver. */
static void announce(void)
{
	put(MODULE + facts.off.module_name, 0, "my_drv");
	put(MODULE + facts.off.module_state, 1, NULL);
	put(MODULE + facts.off.core, MODULE_SPACE, NULL);
	put(MODULE + facts.off.core_size, 0x4000, NULL);
	arguments(CHAIN, 1, 2, MODULE);
	enter("blocking_notifier_call_chain_robust", STACK + 0x3000);
}

static void allocate(uint64_t device, uint64_t stack)
{
	arguments(device, 4096, HANDLE_AT, 0);
	enter("dma_alloc_attrs", stack);
}

/* An access of a watched instruction at a physical address. */
static void access_at(uint64_t address)
{
	struct qemu_plugin_tb block = { CALLER, 1 };

	n_kept = 0;
	on_block(&block, NULL);
	for (int i = 0; i < n_kept; i++)
		if (kept[i].memory)
			kept[i].memory(0, 2 << 1 | 3 << 3, address, kept[i].data);
}

static int of_interrupts(void)
{
	announce();
	allocate(CARD, STACK + 0x100);
	arguments(11, CALLER, 0, 0);
	enter("request_threaded_irq", STACK + 0x200);
	enter("request_threaded_irq", STACK + 0x300);
	leave(STACK + 0x300, 0);
	EXPECT(count(0, K_IRQ) == 1 && count(1, K_IRQ) == 1);
	leave(STACK + 0x100, 0xffffc90000100000ull);
	EXPECT(count(0, K_ALLOC) == 1);
	on_end(NULL);
	/* One request of an interrupt is open: no memory hangs on it. */
	EXPECT(!ring[0]->unreturned && !ring[1]->unreturned);
	return 0;
}

static int of_an_allocation_without_end(void)
{
	announce();
	allocate(CARD, STACK + 0x100);
	on_end(NULL);
	EXPECT(ring[0]->unreturned == 1 && !ring[1]->unreturned);
	return 0;
}

/* Another kernel, or the same one elsewhere: what begins there may be any code. */
static int of_a_kernel_that_moved(void)
{
	arguments(11, CALLER, 0, 0);
	enter("request_threaded_irq", STACK + 0x100);
	leave(STACK + 0x100, 0);
	enter("free_irq", STACK + 0x100);
	enter("dma_alloc_attrs", STACK + 0x200);
	arguments(CHAIN, 1, 2, MODULE);		/* no such memory */
	enter("blocking_notifier_call_chain_robust", STACK + 0x300);
	put(MODULE + facts.off.module_name, 0, "my_drv");
	put(MODULE + facts.off.module_state, 0, NULL);	/* is not coming */
	enter("blocking_notifier_call_chain_robust", STACK + 0x300);
	on_end(NULL);
	EXPECT(ring[0]->state == STATE_LOADED && !ring[0]->head);
	announce();
	EXPECT(ring[0]->state == STATE_SEEN && ring[1]->state == STATE_SEEN);
	arguments(11, CALLER, 0, 0);
	enter("free_irq", STACK + 0x100);
	EXPECT(count(0, K_IRQ) == 1);
	return 0;
}

/* What is one card's is in no other card's ring. */
static int of_two_cards(void)
{
	uint64_t head;

	announce();
	EXPECT(count(0, K_MODULE) == 1 && count(1, K_MODULE) == 1);
	head = ring[1]->head;
	allocate(CARD, STACK + 0x100);
	leave(STACK + 0x100, 0xffffc90000100000ull);
	arguments(CARD, 4096, 0xffffc90000100000ull, 0x100000);
	enter("dma_free_attrs", STACK + 0x100);
	access_at(BAR + 0x80);
	EXPECT(count(0, K_ALLOC) == 1 && count(0, K_FREE) == 1);
	EXPECT(count(0, K_ACCESS) == 1 && ring[1]->head == head);
	head = ring[0]->head;
	/* Its server has not said yet where its BARs are. */
	access_at(OTHER_BAR + 0x80);
	EXPECT(!count(1, K_ACCESS));
	ring[1]->bar[0] = (struct ring_bar){ OTHER_BAR, 512, 0, 0 };
	access_at(OTHER_BAR + 0x80);
	access_at(OTHER_BAR + 0x200);
	allocate(OTHER_CARD, STACK + 0x100);
	leave(STACK + 0x100, 0xffffc90000200000ull);
	EXPECT(count(1, K_ACCESS) == 1 && count(1, K_ALLOC) == 1);
	EXPECT(ring[0]->head == head);
	/* A device that has no ring. */
	allocate(NEITHER, STACK + 0x100);
	leave(STACK + 0x100, 0xffffc90000300000ull);
	EXPECT(ring[0]->head == head && count(1, K_ALLOC) == 1);
	return 0;
}

/* dma_alloc_pages() gave something whose address cannot be told. */
static int of_pages_without_address(void)
{
	announce();
	arguments(CARD, 4096, HANDLE_AT, 0);
	enter("dma_alloc_pages", STACK + 0x100);
	leave(STACK + 0x100, VMEMMAP + 64);
	EXPECT(!count(0, K_ALLOC) && ring[0]->unreturned == 1);
	put(facts.vmemmap_base, VMEMMAP, NULL);
	put(facts.page_offset_base, DIRECT, NULL);
	enter("dma_alloc_pages", STACK + 0x100);
	leave(STACK + 0x100, VMEMMAP + 64);
	EXPECT(count(0, K_ALLOC) == 1 && ring[0]->unreturned == 1);
	enter("dma_alloc_pages", STACK + 0x100);
	leave(STACK + 0x100, 0);
	EXPECT(count(0, K_ALLOC) == 2 && ring[0]->unreturned == 1);
	return 0;
}

/* The card gets memory by a way that is not followed: that is not kept quiet. */
static int of_memory_that_is_linked(void)
{
	announce();
	arguments(NEITHER, HANDLE_AT, 0x100000, 0);
	enter("dma_iova_link", STACK + 0x100);
	EXPECT(!ring[0]->unreturned && !ring[1]->unreturned);
	arguments(CARD, HANDLE_AT, 0x100000, 0);
	enter("dma_iova_link", STACK + 0x100);
	EXPECT(ring[0]->unreturned == 1 && !ring[1]->unreturned);
	return 0;
}

static const struct record *last_of(int which, int kind)
{
	const struct record *records =
		(void *)((char *)ring[which] + RING_HEAD), *found = NULL;

	for (uint64_t k = 0; k < ring[which]->head; k++)
		if (records[k].kind == kind)
			found = &records[k];
	return found;
}

/* Code of the driver runs for the first time. */
static void run_at(uint64_t address)
{
	struct qemu_plugin_tb block = { address, 1 };

	n_kept = 0;
	on_block(&block, NULL);
	for (int i = 0; i < n_kept; i++)
		if (kept[i].run && kept[i].run != call_return)
			kept[i].run(0, kept[i].data);
}

/* What was read before the handler began is told before, and of that window. */
static int of_a_handler(void)
{
	const uint64_t va = 0xffffc90000100000ull;
	uint64_t window;

	announce();
	allocate(CARD, STACK + 0x100);
	leave(STACK + 0x100, va);
	run_at(CALLER + 0x100);
	EXPECT(!count(0, K_HANDLER));
	/* It may be called before request_threaded_irq() returns. */
	arguments(11, CALLER + 0x200, CALLER + 0x300, 0);
	enter("request_threaded_irq", STACK + 0x200);
	access_at(BAR + 0x80);
	window = last_of(0, K_ACCESS)->seq;
	touch_access(0, CALLER, va, 8, false);
	run_at(CALLER + 0x200);
	EXPECT(count(0, K_HANDLER) == 1 && count(1, K_HANDLER) == 1);
	EXPECT(last_of(0, K_HANDLER)->pc == CALLER + 0x200);
	EXPECT(count(0, K_TOUCH) == 1 && last_of(0, K_TOUCH)->a[5] == window);
	EXPECT(last_of(0, K_TOUCH)->seq < last_of(0, K_HANDLER)->seq);
	window = last_of(0, K_HANDLER)->seq;
	touch_access(0, CALLER, va, 8, false);
	run_at(CALLER + 0x100);
	run_at(CALLER + 0x300);
	EXPECT(count(0, K_HANDLER) == 2);
	EXPECT(count(0, K_TOUCH) == 2 && last_of(0, K_TOUCH)->a[5] == window);
	return 0;
}

static const struct {
	const char *name;
	int (*play)(void);
} scenes[] = {
	{ "interrupts", of_interrupts },
	{ "allocation-without-end", of_an_allocation_without_end },
	{ "kernel-that-moved", of_a_kernel_that_moved },
	{ "two-cards", of_two_cards },
	{ "pages-without-address", of_pages_without_address },
	{ "memory-that-is-linked", of_memory_that_is_linked },
	{ "handler", of_a_handler },
};

static bool install(const char *facts_at)
{
	struct qemu_info info = { .target = "x86_64", .system_emulation = true };
	size_t size = RING_HEAD + CAPACITY * sizeof(struct record);
	int fd[2] = { memory(size), memory(size) };
	char words[4][256], *options[4];

	ring[0] = ring_made(fd[0], CAPACITY, DEVICE);
	ring[1] = ring_made(fd[1], CAPACITY, OTHER);
	ring[0]->bar[0] = (struct ring_bar){ BAR, 512, 0, 0 };
	snprintf(words[0], 256, "facts=%s", facts_at);
	snprintf(words[1], 256, "ring=%d", fd[0]);
	snprintf(words[2], 256, "ring=%d", fd[1]);
	snprintf(words[3], 256, "watch=my_drv");
	for (int i = 0; i < 4; i++)
		options[i] = words[i];
	return !qemu_plugin_install(1, &info, 4, options);
}

int scene(const char *name, const char *facts_at)
{
	if (!install(facts_at))
		return 2;
	scripted = true;
	state = 1;
	for (unsigned int i = 0; i < VCPUS; i++)
		on_vcpu(i, NULL);
	put(CARD + facts.off.init_name, CARD + 0x700, NULL);
	put(CARD + 0x700, 0, DEVICE);
	put(OTHER_CARD + facts.off.init_name, OTHER_CARD + 0x700, NULL);
	put(OTHER_CARD + 0x700, 0, OTHER);
	put(NEITHER + facts.off.init_name, NEITHER + 0x700, NULL);
	put(NEITHER + 0x700, 0, "0000:00:04.0");
	put(HANDLE_AT, 0x100000, NULL);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(*scenes); i++)
		if (!strcmp(name, scenes[i].name))
			return scenes[i].play();
	return 2;
}
