// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rings: one for each card, in memory that the card's server reads. Their
 * format is in device/plx9x5x/witness/ring.py. Whoever started QEMU made them
 * and gave their descriptors.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "witness.h"

#define MAGIC "PLXWIT1"
#define MAX_CAPACITY (1ull << 20)
#define NAP_NS 200000

struct ring rings[MAX_RINGS];
int n_rings;
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t seq;

_Static_assert(sizeof(struct record) == 128, "a record's size is fixed");
_Static_assert(offsetof(struct ring_header, device) == 64, "the ring's head");
_Static_assert(offsetof(struct ring_header, bar) == 256, "the ring's head");

bool ring_add(const char *word)
{
	struct ring *ring = &rings[n_rings];
	struct ring_header *head;
	uint64_t capacity;
	int fd = atoi(word);
	off_t size = lseek(fd, 0, SEEK_END);

	if (n_rings == MAX_RINGS) {
		complain("more than %d rings", MAX_RINGS);
		return false;
	}
	if (!*word || word[strspn(word, "0123456789")] || size < RING_HEAD) {
		complain("ring=%s is no descriptor of a ring", word);
		return false;
	}
	head = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (head == MAP_FAILED) {
		complain("ring=%s cannot be mapped", word);
		return false;
	}
	capacity = head->capacity;
	if (memcmp(head->magic, MAGIC, sizeof(MAGIC)) || head->version != 1 ||
	    head->record_bytes != sizeof(struct record) || !capacity ||
	    capacity > MAX_CAPACITY || capacity & (capacity - 1) ||
	    (uint64_t)size < RING_HEAD + capacity * sizeof(struct record)) {
		complain("ring=%s is not a ring of version 1, or too short",
			 word);
		munmap(head, size);
		return false;
	}
	memset(ring, 0, sizeof(*ring));
	memcpy(ring->device, head->device, DEVICE_BYTES);
	ring->shared = head;
	ring->records = (void *)((char *)head + RING_HEAD);
	ring->capacity = capacity;
	ring->head = head->head;
	n_rings++;
	return true;
}

void rings_state(uint32_t state)
{
	for (int i = 0; i < n_rings; i++)
		if (rings[i].shared->state < state)
			rings[i].shared->state = state;
}

/* The ring whose card has the name of this struct device. */
struct ring *ring_of_device(uint64_t dev)
{
	uint64_t name = guest_u64(dev + facts.off.init_name);
	char text[DEVICE_BYTES + 1];

	if (dev == UNKNOWN || name == UNKNOWN)
		return NULL;
	if (!name)
		name = guest_u64(dev + facts.off.device_name);
	if (!guest_string(name, text, sizeof(text)))
		return NULL;
	for (int i = 0; i < n_rings; i++)
		if (!strcmp(text, rings[i].device))
			return &rings[i];
	return NULL;
}

/*
 * The ring with a BAR at this address, as its server says. A BAR moves with
 * its size at 0 between: one whose size is not the same afterwards is moving.
 */
int ring_bar_at(uint64_t address, bool port)
{
	for (int i = 0; i < n_rings; i++)
		for (int k = 0; k < 6; k++) {
			volatile struct ring_bar *bar =
				&rings[i].shared->bar[k];
			uint64_t size = bar->size, base;

			if (!size || !!bar->io != port)
				continue;
			__atomic_thread_fence(__ATOMIC_ACQUIRE);
			base = bar->base;
			__atomic_thread_fence(__ATOMIC_ACQUIRE);
			if (address - base < size && bar->size == size)
				return i;
		}
	return -1;
}

uint64_t next_seq(void)
{
	return ++seq;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* The tail is the reader's word: a wrong one only makes the ring look full. */
static bool is_full(const struct ring *ring)
{
	uint64_t tail = __atomic_load_n(&ring->shared->tail, __ATOMIC_ACQUIRE);

	return ring->head - tail >= ring->capacity;
}

/* A full ring is waited for, RING_PATIENCE_NS in all; after that it is lost. */
static bool has_room(struct ring *ring)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	uint64_t began;

	if (ring->lost)
		return false;
	if (!is_full(ring))
		return true;
	began = now_ns();
	while (is_full(ring)) {
		uint64_t waited = ring->waited_ns + now_ns() - began;

		if (waited >= RING_PATIENCE_NS)
			return false;
		nanosleep(&nap, NULL);
	}
	ring->waited_ns += now_ns() - began;
	return true;
}

/* A record that has its number. */
void ring_put(struct ring *ring, const struct record *record)
{
	if (!has_room(ring)) {
		ring->shared->lost = ++ring->lost;
		return;
	}
	ring->records[ring->head & (ring->capacity - 1)] = *record;
	__atomic_store_n(&ring->shared->head, ++ring->head, __ATOMIC_RELEASE);
}

/* What the driver did with memory before this comes before it. */
void ring_tell(struct ring *ring, struct record *record)
{
	touch_flush(ring);
	record->seq = next_seq();
	ring_put(ring, record);
	if (record->kind == K_ACCESS)
		ring->window = record->seq;
}

void ring_tell_all(struct record *record)
{
	for (int i = 0; i < n_rings; i++)
		touch_flush(&rings[i]);
	record->seq = next_seq();
	for (int i = 0; i < n_rings; i++)
		ring_put(&rings[i], record);
}

/* A call's outcome is unknown; NULL: of all rings. */
void ring_missed(struct ring *ring)
{
	for (int i = 0; i < n_rings; i++)
		if (!ring || ring == &rings[i])
			rings[i].shared->unreturned = ++rings[i].unreturned;
}
