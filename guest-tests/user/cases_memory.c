// SPDX-License-Identifier: GPL-2.0-only
/* The memory behind BAR2 and BAR3, and the buffers that AllocateCommonBuffer gives. */
#include <errno.h>
#include <string.h>

#include "plx_test.h"

static void sram_holds_a_pattern_at_every_width(void)
{
	static const int widths[] = { 1, 2, 4, 8 };
	uint8_t want[512], got[512];
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		uint32_t at = i * 0x4000, count = sizeof(want) / widths[i] / 4;
		uint32_t length = count * widths[i];

		pattern(want, length, i);
		sram_write(at, widths[i], want, count);
		for (j = 0; j < ARRAY_SIZE(widths); j++) {
			memset(got, 0, sizeof(got));
			sram_read(at, widths[j], got, length / widths[j]);
			SAME_BYTES("SRAM", got, want, length);
		}
	}
	/* One byte changes one byte. */
	poke(SRAM, 4, 0x100, 0x11223344);
	poke(SRAM, 1, 0x102, 0xee);
	SAME("dword around a byte", peek(SRAM, 4, 0x100), 0x11ee3344);
}

static void sram_has_no_aliases(void)
{
	uint32_t at;

	poke(SRAM, 4, 0, 0);
	for (at = 4; at < space[0].size; at <<= 1)
		poke(SRAM, 4, at, 0xc0de0000 | at);
	poke(SRAM, 4, space[0].size - 4, 0xe0d0e0d0);
	SAME("dword at 0", peek(SRAM, 4, 0), 0);
	for (at = 4; at < space[0].size; at <<= 1)
		CHECK(peek(SRAM, 4, at) == (0xc0de0000 | at), "dword at 0x%x", at);
	SAME("last dword", peek(SRAM, 4, space[0].size - 4), 0xe0d0e0d0);
}

/* The last bytes of each memory that the board has, by its BAR and by its local address. */
static void a_bar_and_dma_see_the_same_memory(void)
{
	struct common_buffer *buf = buffer(PAGE);
	uint8_t want[256], got[256];
	unsigned int i;

	MUST(buf);
	for (i = 0; i < ARRAY_SIZE(space) && space[i].size; i++) {
		uint32_t last = space[i].size - sizeof(want);

		pattern(want, sizeof(want), 2 * i + 1);
		local_write(SRAM + i, last, 4, want, sizeof(want) / 4);
		MUST(block(CH0, TO_PCI, buf->logical, space[i].at + last, sizeof(want)));
		buffer_read(buf, 0, got, sizeof(got));
		SAME_BYTES("written through the BAR, read by DMA", got, want, sizeof(want));

		pattern(want, sizeof(want), 2 * i + 2);
		buffer_write(buf, 0x300, want, sizeof(want));
		MUST(block(CH0, TO_LOCAL, buf->logical + 0x300, space[i].at + last,
			   sizeof(want)));
		local_read(SRAM + i, last, 4, got, sizeof(got) / 4);
		SAME_BYTES("written by DMA, read through the BAR", got, want, sizeof(want));
	}
}

/* ------------------------------------------------------------------ */

static void common_buffers_are_whole_pages_below_4_gib(void)
{
	static const uint32_t lengths[] = { 1, 16, PAGE - 1, PAGE, PAGE + 1, 5000, 3 * PAGE,
					    0x10000 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct common_buffer *buf = buffer(lengths[i]);

		MUST(buf);
		SAME("pages taken", buf->pages, (lengths[i] + PAGE - 1) / PAGE);
		SAME("offset of the virtual address in its page", buf->va % PAGE, 0);
		SAME("offset of the logical address in its page", buf->logical % PAGE, 0);
		CHECK(buf->logical + (uint64_t)lengths[i] <= 1ull << 32, "ends above 4 GiB");
	}
}

static void one_byte_buffers_share_no_page(void)
{
	struct common_buffer *one = buffer(1), *two = buffer(1);

	MUST(one && two);
	CHECK(one->logical / PAGE != two->logical / PAGE, "both at page 0x%llx",
	      (unsigned long long)one->logical / PAGE);
	CHECK(one->va / PAGE != two->va / PAGE, "both at one virtual page");
}

static void only_the_length_asked_for_is_accessible(void)
{
	struct common_buffer *buf = buffer(PAGE + 1);
	uint8_t byte = 0x42;
	struct plx_test_copy copy = { .length = 1, .data = (uintptr_t)&byte };

	MUST(buf);
	copy.order = buf->order;
	copy.offset = PAGE;
	SAME("the last byte", -device_ioctl(PLX_TEST_BUF_WRITE, &copy), 0);
	copy.offset = PAGE + 1;
	SAME("the byte behind it", -device_ioctl(PLX_TEST_BUF_WRITE, &copy), ERANGE);
	SAME("the same, read", -device_ioctl(PLX_TEST_BUF_READ, &copy), ERANGE);
	copy.offset = 0;
	copy.length = PAGE + 2;
	SAME("one byte too many", -device_ioctl(PLX_TEST_BUF_READ, &copy), ERANGE);
}

static void a_buffer_that_cannot_be_had_is_null(void)
{
	struct common_buffer buf;

	CHECK(!buffer_try(0, &buf), "0 bytes gave a buffer");
	SAME("its logical address", buf.logical, 0);
	CHECK(!buffer_try(0xffffffff, &buf), "4 GiB gave a buffer");
	SAME("its logical address", buf.logical, 0);
	SAME("pages that it holds", buf.pages, 0);
}

static void a_buffer_is_freed_once_and_whole(void)
{
	struct common_buffer buf, wrong;

	MUST(CHECK(buffer_try(2 * PAGE, &buf), "no buffer"));
	wrong = buf;
	wrong.length = PAGE;
	SAME("half of it", -buffer_free(&wrong), EINVAL);
	wrong = buf;
	wrong.logical += PAGE;
	SAME("another logical address", -buffer_free(&wrong), EINVAL);
	wrong = buf;
	wrong.va += PAGE;
	SAME("another virtual address", -buffer_free(&wrong), EINVAL);
	SAME("the buffer", -buffer_free(&buf), 0);
	SAME("once more", -buffer_free(&buf), ENOENT);
}

static void every_allocation_is_on_record(void)
{
	struct common_buffer *buf = buffer(3 * PAGE);
	struct plx_test_record record = { .pfn_room = 4 };
	struct common_buffer none;
	__u64 pfns[4];

	MUST(buf);
	record.pfns = (uintptr_t)pfns;
	record.order = buf->order;
	MUST(SAME("its record", -device_ioctl(PLX_TEST_RECORD, &record), 0));
	SAME("order", record.order, buf->order);
	SAME("length", record.length, buf->length);
	SAME("logical address", record.logical, buf->logical);
	SAME("virtual address", record.va, buf->va);
	SAME("page frames", record.pfn_count, 3);
	SAME("flags", record.flags & ~PLX_TEST_REC_ZEROED,
	     PLX_TEST_REC_LIVE | PLX_TEST_REC_CACHED);
	SAME("bytes that may be touched", record.usable, buf->length);
	SAME("highest address of the device", record.limit, 0xffffffff);
	CHECK(pfns[0] && pfns[1] && pfns[2], "a page frame number is missing");
	CHECK(!buffer_try(0, &none), "0 bytes gave a buffer");
	record.order = none.order;
	MUST(SAME("record of a failure", -device_ioctl(PLX_TEST_RECORD, &record), 0));
	SAME("flags of a failure", record.flags & PLX_TEST_REC_FAILED, PLX_TEST_REC_FAILED);
	record.order = none.order + 1;
	SAME("after the last", -device_ioctl(PLX_TEST_RECORD, &record), ENOENT);
}

const struct test memory_tests[] = {
	{ "sram_holds_a_pattern_at_every_width", sram_holds_a_pattern_at_every_width },
	{ "sram_has_no_aliases", sram_has_no_aliases },
	{ "a_bar_and_dma_see_the_same_memory", a_bar_and_dma_see_the_same_memory },
	{ "common_buffers_are_whole_pages_below_4_gib",
	  common_buffers_are_whole_pages_below_4_gib },
	{ "one_byte_buffers_share_no_page", one_byte_buffers_share_no_page },
	{ "only_the_length_asked_for_is_accessible", only_the_length_asked_for_is_accessible },
	{ "a_buffer_that_cannot_be_had_is_null", a_buffer_that_cannot_be_had_is_null },
	{ "a_buffer_is_freed_once_and_whole", a_buffer_is_freed_once_and_whole },
	{ "every_allocation_is_on_record", every_allocation_is_on_record },
	{ }
};
