// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that devices may use now, by the kernel's addresses, and what a
 * watched driver's own loads and stores did in it between two accesses of its
 * device's registers.
 */
#include <stdlib.h>
#include <string.h>

#include "witness.h"

#define MAX_LIVE 65536
#define OVERLAPPING 8

struct live {
	uint64_t start, end, handle, list;
	uint16_t ring;
	bool mapped;
	uint8_t flags;		/* of its K_ALLOC */
};

static struct live *live;	/* by start */
static int n_live, room;

/*
 * How many of them lie in the pages whose number ends so: most of what a driver
 * does is elsewhere, and is passed over without the lock.
 */
#define PAGE_BITS 12
#define SLOTS 65536ull
static uint32_t in_slot[SLOTS];

static void count_pages(const struct live *one, int step)
{
	uint64_t page = one->start >> PAGE_BITS;
	uint64_t pages = ((one->end - 1) >> PAGE_BITS) - page + 1;

	if (pages > SLOTS)
		pages = SLOTS;
	while (pages--)
		__atomic_fetch_add(&in_slot[page++ % SLOTS], step,
				   __ATOMIC_RELAXED);
}

/* How many begin at or before `address`. */
static int upto(uint64_t address)
{
	int low = 0, high = n_live;

	while (low < high) {
		int middle = (low + high) / 2;

		if (live[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool grown(void)
{
	int more = room ? 2 * room : 256;
	struct live *bigger;

	if (n_live < room)
		return true;
	if (more > MAX_LIVE)
		return false;
	bigger = realloc(live, more * sizeof(*live));
	if (!bigger)
		return false;
	live = bigger;
	room = more;
	return true;
}

static void drop(int index)
{
	count_pages(&live[index], -1);
	memmove(live + index, live + index + 1,
		(n_live - index - 1) * sizeof(*live));
	n_live--;
}

/* From a K_ALLOC or K_MAP record; what has no known address is not followed. */
void touch_live(struct ring *ring, const struct record *made)
{
	bool mapped = made->kind == K_MAP;
	uint64_t start = mapped ? made->a[4] : made->a[0];
	uint64_t size = mapped ? made->a[1] : made->a[2];
	int at;

	if (start < 1ull << 63 || !size || size > UNKNOWN - start || !grown())
		return;
	at = upto(start);
	memmove(live + at + 1, live + at, (n_live - at) * sizeof(*live));
	n_live++;
	live[at] = (struct live){
		.start = start,
		.end = start + size,
		.handle = mapped ? made->a[0] : made->a[1],
		.list = mapped ? made->a[5] : 0,
		.ring = ring - rings,
		.mapped = mapped,
		.flags = made->flags,
	};
	count_pages(&live[at], 1);
}

/* By a K_FREE or K_UNMAP record; the flags that its K_ALLOC had. */
uint8_t touch_dead(struct ring *ring, const struct record *gone)
{
	bool mapped = gone->kind == K_UNMAP;
	uint64_t list = mapped ? gone->a[5] : 0;
	int from = mapped ? 0 : upto(gone->a[0]) - 1;
	uint8_t flags = 0;

	if (from < 0)
		return 0;
	if (!mapped)	/* those that begin there: all the same address */
		while (from && live[from - 1].start == gone->a[0])
			from--;
	for (int i = from; i < n_live; i++) {
		struct live *one = &live[i];

		if (!mapped && one->start > gone->a[0])
			break;
		if (one->ring != ring - rings || one->mapped != mapped)
			continue;
		if (mapped ? list ? one->list != list :
				    one->handle != gone->a[0] || one->list :
			     one->start != gone->a[0])
			continue;
		flags = one->flags;
		drop(i--);
		if (!list)
			break;
	}
	return flags;
}

static bool of_memory(const struct touch *touch, const struct live *one,
		      bool write)
{
	return touch->write == write && touch->start == one->start &&
	       touch->handle == one->handle;
}

/*
 * Whether it may be a look for what the device has done: one word again and
 * again, or once, by an instruction that reads no other. Who saw it written may
 * read on, so that is no part of what is read then.
 */
static bool may_be_poll(const struct touch *touch, uint64_t pc)
{
	return !touch->write && touch->poll &&
	       (touch->times > 1 || touch->pc != pc);
}

/* Bytes next to those that are known already belong to them. */
static void note(struct ring *ring, const struct live *one, uint64_t pc,
		 uint64_t first, uint64_t end, bool write)
{
	struct touch *touch;

	for (int i = 0; i < ring->n_touches; i++) {
		touch = &ring->touches[i];
		if (of_memory(touch, one, write) && touch->poll &&
		    touch->first == first && touch->end == end) {
			touch->times++;
			return;
		}
	}
	for (int i = 0; i < ring->n_touches; i++) {
		touch = &ring->touches[i];
		if (!of_memory(touch, one, write) || first > touch->end ||
		    end < touch->first || may_be_poll(touch, pc))
			continue;
		touch->times++;
		touch->poll = false;
		if (first < touch->first)
			touch->first = first;
		if (end > touch->end)
			touch->end = end;
		return;
	}
	/* More pieces than that are left out: no rule needs all of them. */
	if (ring->n_touches == MAX_TOUCHES)
		return;
	ring->touches[ring->n_touches++] = (struct touch){
		.pc = pc,
		.first = first,
		.end = end,
		.times = 1,
		.start = one->start,
		.handle = one->handle,
		.write = write,
		.poll = true,
	};
}

/* A load or store of a watched driver. */
void touch_access(unsigned int vcpu, uint64_t pc, uint64_t vaddr,
		  unsigned int width, bool write)
{
	int at;

	(void)vcpu;
	if (!__atomic_load_n(&in_slot[(vaddr >> PAGE_BITS) % SLOTS],
			     __ATOMIC_RELAXED))
		return;
	pthread_mutex_lock(&lock);
	at = upto(vaddr) - 1;
	for (int i = at; i >= 0 && i > at - OVERLAPPING; i--) {
		uint64_t end = vaddr + width;

		if (vaddr >= live[i].end)
			continue;
		if (end > live[i].end)
			end = live[i].end;
		note(&rings[live[i].ring], &live[i], pc, vaddr, end, write);
	}
	pthread_mutex_unlock(&lock);
}

void touch_flush(struct ring *ring)
{
	for (int i = 0; i < ring->n_touches; i++) {
		const struct touch *touch = &ring->touches[i];
		struct record record = {
			.seq = next_seq(),
			.kind = K_TOUCH,
			.flags = touch->write * F_WRITE |
				 (touch->poll && touch->times > 1) * F_POLL,
			.pc = touch->pc,
			.a = { touch->first, touch->end, touch->times,
			       touch->start, touch->handle,
			       ring->window },
		};

		ring_put(ring, &record);
	}
	ring->n_touches = 0;
}
