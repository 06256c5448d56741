// SPDX-License-Identifier: GPL-2.0-only
/*
 * Common buffers of every size, used by CPU and device, then freed in any
 * order. What is right is for the judge outside (observe.c); the cases only
 * fail where bytes get lost or a call does what it must not.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "plx_test.h"

#define RANDOM_LENGTHS	12
#define LENGTH_MAX	0x100000u
#define RANDOM_MAX	0x40000u
#define HELD_MAX	32
#define PAGES		4096u
#define DONE_MS		5000
#define LOOK_MS		20
#define PCISR		0x06
#define NARROW_BITS	24
#define MIB		0x100000u
/* What QEMU leaves below 4 GiB where more lies above. */
#define LOW_MAX		(2048ull * MIB)
#define ROUNDS_MAX	1000
#define LIVE_MAX	48u
#define LIVE_BYTES	0x8000u
#define SHIFT_PAGES	2000u

static uint32_t seed, state;

void contract_seed(uint32_t value)
{
	seed = value;
}

static uint32_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static void begin_random(void)
{
	if (!seed)
		seed = now_ns() | 1;
	state = seed;
	observe_seed(seed);
}

static bool translated(void)
{
	return info.flags & PLX_TEST_TRANSLATED;
}

/* ------------------------------------------------------------------ */

/* As block(), but says how it went and leaves the chip at rest in any case. */
static bool moves(bool to_pci, uint32_t pci, uint32_t length)
{
	struct plx_test_done done = { .channel = CH0, .timeout_us = LOOK_MS * 1000 };
	uint32_t waited;

	start_block(CH0, to_pci, pci, local_at(0), length, 0);
	for (waited = 0; waited < DONE_MS; waited += LOOK_MS) {
		if (!device_ioctl(PLX_TEST_DONE, &done) && done.csr & PLX_CSR_DONE)
			return true;
		if (rd32(PLX_INTCSR) & PLX_INTCSR_ABORT)
			break;
	}
	abort_channel(CH0);
	config_write(PCISR, 2, PLX_PCISR_ABORTS);
	return false;
}

/*
 * Every byte of @buf, both ways, through the SRAM: the CPU writes it and the
 * device carries it to @mirror; the device brings it from there and the CPU
 * reads it.
 */
static bool shared(const struct common_buffer *buf, const struct common_buffer *mirror)
{
	static uint8_t want[SRAM_LEAST], got[SRAM_LEAST];
	bool good = true;
	uint32_t at, n;

	for (at = 0; good && at < buf->length; at += n) {
		n = buf->length - at < mirror->length ? buf->length - at : mirror->length;

		pattern(want, n, buf->order + at);
		buffer_write(buf, at, want, n);
		buffer_fill(mirror, 0);
		good &= moves(TO_LOCAL, buf->logical + at, n) &&
			moves(TO_PCI, mirror->logical, n);
		buffer_read(mirror, 0, got, n);
		good &= observe_bytes(buf, at, want, got, n);

		pattern(want, n, buf->order + at + 1);
		buffer_write(mirror, 0, want, n);
		good &= moves(TO_LOCAL, mirror->logical, n) &&
			moves(TO_PCI, buf->logical + at, n);
		buffer_read(buf, at, got, n);
		good &= observe_bytes(buf, at, got, want, n);
	}
	return CHECK(good, "buffer %u of %u bytes is not one memory to CPU and device", buf->order,
		     buf->length);
}

static bool readable(const struct common_buffer *buf, uint32_t offset)
{
	uint8_t byte;
	struct plx_test_copy copy = {
		.order = buf->order, .offset = offset, .length = 1, .data = (uintptr_t)&byte,
	};

	return !device_ioctl(PLX_TEST_BUF_READ, &copy);
}

/* Frees it, and tries what must not work any more. */
static void free_for_good(const struct common_buffer *buf)
{
	bool device = false;

	SAME("free", -buffer_free(buf), 0);
	/* Without an IOMMU nobody keeps a device out. */
	if (translated())
		device = moves(TO_LOCAL, buf->logical, buf->length < 4 ? buf->length : 4);
	observe_gone(buf, readable(buf, 0), translated() ? &device : NULL);
	SAME("free once more", -buffer_free(buf), ENOENT);
}

static void free_in_any_order(struct common_buffer *held, unsigned int *count)
{
	while (*count) {
		unsigned int pick = next_random() % *count;

		free_for_good(&held[pick]);
		held[pick] = held[--*count];
	}
}

static uint32_t pages_of(uint32_t length)
{
	return (length + PAGE - 1) / PAGE;
}

static uint32_t random_length(void)
{
	return 1 + next_random() % RANDOM_MAX;
}

static void cpu_and_device_share_buffers_of_every_length(void)
{
	static const uint32_t fixed[] = { 0, 1, PAGE - 1, PAGE, PAGE + 1, 0x10000, LENGTH_MAX };
	struct common_buffer held[HELD_MAX], *mirror;
	unsigned int i, count = 0;
	uint32_t room, taken = 0;

	begin_random();
	mirror = buffer(SRAM_LEAST);
	MUST(mirror);
	room = PAGES - mirror->pages;
	for (i = 0; i < ARRAY_SIZE(fixed) + RANDOM_LENGTHS; i++) {
		uint32_t length = i < ARRAY_SIZE(fixed) ? fixed[i] : random_length();

		if (taken + pages_of(length) > room) {
			free_in_any_order(held, &count);
			taken = 0;
		}
		if (!buffer_try(length, &held[count])) {
			/* NULL is an answer, as long as not all are. */
			CHECK(length > LENGTH_MAX / 2 || !length, "no %u bytes", length);
			continue;
		}
		observe_past(&held[count], readable(&held[count], length));
		taken += held[count].pages;
		count++;
		if (!shared(&held[count - 1], mirror))
			break;
	}
	free_in_any_order(held, &count);
}

static void a_narrow_device_gets_low_memory(void)
{
	static const uint32_t lengths[] = { 1, PAGE, PAGE, PAGE, 3 * PAGE };
	unsigned int i, got = 0;

	MUST(CHECK(address_bits(NARROW_BITS), "no memory for %d address bits", NARROW_BITS));
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct common_buffer buf;

		if (!buffer_try(lengths[i], &buf))
			continue;
		got++;
		buffer_fill(&buf, i);
		buffer_free(&buf);
	}
	CHECK(got, "no buffer at all");
}

static void lengths_that_are_no_power_of_two(void)
{
	static const uint32_t lengths[] = { 3 * PAGE, 5 * PAGE, 7 * PAGE, 3 * PAGE - 1, 100000 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++)
		MUST(buffer(lengths[i]));
	for (i = 0; i < 16; i++)
		MUST(buffer(0x10000));
}

/* Memory that a buffer can lie in: behind an IOMMU all of it, else what is below 4 GiB. */
static uint64_t memory_within_reach(void)
{
	struct sysinfo memory;
	uint64_t total;

	if (!CHECK(!sysinfo(&memory), "sysinfo: %m"))
		return 0;
	total = (uint64_t)memory.totalram * memory.mem_unit;
	return translated() || total < LOW_MAX ? total : LOW_MAX;
}

static void freed_memory_comes_back(void)
{
	struct common_buffer buf;
	uint64_t total = memory_within_reach();
	uint32_t length, rounds, i;

	MUST(total);
	/* Behind an IOMMU a buffer need be no run of pages, and a large one takes few mappings. */
	length = translated() || total > 300ull * MIB ? 4 * MIB : MIB;
	rounds = total / length + total / length / 8;
	if (rounds > ROUNDS_MAX) {
		skip_case("more memory than is worth the time");
		return;
	}
	for (i = 0; i < rounds; i++) {
		MUST(CHECK(buffer_try(length, &buf), "NULL after %u of %u rounds of %u bytes", i,
			   rounds, length));
		MUST(SAME("free", -buffer_free(&buf), 0));
	}
}

/* What one side put there the other finds, once the mapping has changed hands. */
static void a_streaming_mapping_carries_every_byte(void)
{
	static const uint32_t lengths[] = { 1, 64, PAGE - 1, PAGE, PAGE + 1, 0x10000, SRAM_LEAST };
	static uint8_t want[SRAM_LEAST], got[SRAM_LEAST];
	struct common_buffer *mirror = buffer(SRAM_LEAST);
	struct plx_test_map map;
	unsigned int i;

	MUST(mirror);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		uint32_t n = lengths[i];

		pattern(want, n, i);
		MUST(streaming_map(true, want, n, &map));
		observe_streaming(&map);
		MUST(CHECK(map.logical + n <= 1ull << 32, "%u bytes end above 4 GiB", n));
		MUST(block(CH0, TO_LOCAL, map.logical, local_at(0), n));
		streaming_unmap(got);
		SAME_BYTES("the memory that the device read", got, want, n);
		MUST(block(CH0, TO_PCI, mirror->logical, local_at(0), n));
		buffer_read(mirror, 0, got, n);
		SAME_BYTES("what the device read", got, want, n);

		pattern(want, n, i + 100);
		buffer_write(mirror, 0, want, n);
		MUST(block(CH0, TO_LOCAL, mirror->logical, local_at(0), n));
		memset(got, 0, n);
		MUST(streaming_map(false, got, n, &map));
		observe_streaming(&map);
		MUST(CHECK(map.logical + n <= 1ull << 32, "%u bytes end above 4 GiB", n));
		MUST(block(CH0, TO_PCI, map.logical, local_at(0), n));
		streaming_unmap(got);
		SAME_BYTES("what the device wrote", got, want, n);
	}
}

static bool touch_page(void)
{
	volatile uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return false;
	*page = 1;
	return true;
}

/*
 * For a guest that reboots right afterwards: buffers that nobody frees, at the
 * logical addresses that they had before, and on other pages.
 */
static void buffers_stay_mapped_into_a_reboot(void)
{
	struct common_buffer held[LIVE_MAX], *mirror = buffer(SRAM_LEAST);
	uint32_t shift, i;

	MUST(mirror);
	begin_random();
	/* Memory that the program takes first: the pages behind it are others each time. */
	for (shift = 1 + next_random() % SHIFT_PAGES; shift; shift--)
		MUST(CHECK(touch_page(), "no memory"));
	for (i = 0; i < LIVE_MAX; i++)
		MUST(CHECK(buffer_try(1 + next_random() % LIVE_BYTES, &held[i]), "no buffer"));
	for (i = 0; i < LIVE_MAX; i++)
		shared(&held[i], mirror);
}

const struct test reboot_tests[] = {
	{ "buffers_stay_mapped_into_a_reboot", buffers_stay_mapped_into_a_reboot },
	{ }
};

const struct test contract_tests[] = {
	{ "cpu_and_device_share_buffers_of_every_length",
	  cpu_and_device_share_buffers_of_every_length },
	{ "a_narrow_device_gets_low_memory", a_narrow_device_gets_low_memory },
	{ "lengths_that_are_no_power_of_two", lengths_that_are_no_power_of_two },
	{ "freed_memory_comes_back", freed_memory_comes_back },
	{ "a_streaming_mapping_carries_every_byte", a_streaming_mapping_carries_every_byte },
	{ }
};
