// SPDX-License-Identifier: GPL-2.0-only
/*
 * What became of each common buffer, for a judge outside: diagnostics that
 * start with "observed", numbers in hexadecimal with 0x, else decimal.
 *
 *   begin limit=L translated=0|1 page=N
 *   seed value=S                         of the random lengths
 *   alloc order=N length=N limit=L va=A la=A given=A usable=N pages=N
 *         zeroed=0|1 cached=0|1
 *   frames order=N run=FRAME+COUNT,..    as many lines as it takes
 *   null order=N length=N limit=L held=N cached=0|1
 *   free order=N of=N length=N va=A la=A refused=0|1 cached=0|1
 *   dma order=N address=A bytes=N wrong=N
 *   byte order=N offset=N cpu=B device=B
 *   past order=N cpu=0|1                 whether the byte after the last is given
 *   gone order=N cpu=0|1 [device=0|1]    who still gets at it after the free
 *   streaming length=N physical=A la=A   a mapping of the other kind: no request
 *   end order=N
 *
 * `order` counts the driver's requests from 1, to allocate and to free alike;
 * a line about a buffer carries the number of its allocation. `la` is what the
 * mapping has, `given` what the shim told its caller, `address` what the chip
 * was programmed with. Requests are told after the case that made them, the
 * other lines as it happens.
 */
#include <stdio.h>
#include <string.h>

#include "plx_test.h"

#define FRAMES_MAX	1024		/* of a buffer of 4 MiB */
#define RUNS_IN_A_LINE	32

static uint32_t next_order = 1;

static unsigned long long wide(uint64_t value)
{
	return value;
}

static int flag(uint32_t flags, uint32_t bit)
{
	return (flags & bit) != 0;
}

static void tell_frames(uint32_t order, const __u64 *frames, uint32_t count)
{
	uint32_t i = 0;

	while (i < count) {
		char text[RUNS_IN_A_LINE * 28] = "";
		unsigned int runs, used = 0;

		for (runs = 0; runs < RUNS_IN_A_LINE && i < count; runs++) {
			uint32_t first = i++;

			while (i < count && frames[i] == frames[i - 1] + 1)
				i++;
			used += snprintf(text + used, sizeof(text) - used, "%s0x%llx+%u",
					 runs ? "," : "", wide(frames[first]), i - first);
		}
		diag("observed frames order=%u run=%s", order, text);
	}
}

static void tell_request(const struct plx_test_record *record, const __u64 *frames)
{
	int cached = flag(record->flags, PLX_TEST_REC_CACHED);

	if (record->flags & PLX_TEST_REC_FREE) {
		diag("observed free order=%u of=%u length=%u va=0x%llx la=0x%llx refused=%d cached=%d",
		     record->order, record->of, record->length, wide(record->va),
		     wide(record->logical), flag(record->flags, PLX_TEST_REC_REFUSED), cached);
	} else if (record->flags & PLX_TEST_REC_FAILED) {
		diag("observed null order=%u length=%u limit=0x%llx held=%u cached=%d",
		     record->order, record->length, wide(record->limit), record->pages, cached);
	} else {
		diag("observed alloc order=%u length=%u limit=0x%llx va=0x%llx la=0x%llx given=0x%llx usable=%u pages=%u zeroed=%d cached=%d",
		     record->order, record->length, wide(record->limit), wide(record->va),
		     wide(record->logical), wide(record->given), record->usable, record->pages,
		     flag(record->flags, PLX_TEST_REC_ZEROED), cached);
		tell_frames(record->order, frames, record->pfn_count);
	}
}

void observe_begin(void)
{
	diag("observed begin limit=0x%llx translated=%d page=%u", wide(info.dma_mask),
	     flag(info.flags, PLX_TEST_TRANSLATED), PAGE);
}

void observe_requests(void)
{
	static __u64 frames[FRAMES_MAX];
	struct plx_test_record record;

	for (;;) {
		record = (struct plx_test_record){
			.order = next_order, .pfn_room = FRAMES_MAX, .pfns = (uintptr_t)frames,
		};
		if (device_ioctl(PLX_TEST_RECORD, &record))
			return;
		tell_request(&record, frames);
		next_order = record.order + 1;
	}
}

void observe_end(void)
{
	observe_requests();
	diag("observed end order=%u", next_order - 1);
}

void observe_seed(uint32_t seed)
{
	diag("observed seed value=%u", seed);
}

static void tell_byte(const struct common_buffer *buf, uint32_t offset, uint8_t cpu,
		      uint8_t device)
{
	diag("observed byte order=%u offset=%u cpu=0x%02x device=0x%02x", buf->order, offset, cpu,
	     device);
}

bool observe_bytes(const struct common_buffer *buf, uint32_t offset, const uint8_t *cpu,
		   const uint8_t *device, uint32_t length)
{
	uint32_t i, first = length, wrong = 0;

	for (i = 0; i < length; i++) {
		if (cpu[i] == device[i])
			continue;
		if (!wrong++)
			first = i;
	}
	diag("observed dma order=%u address=0x%llx bytes=%u wrong=%u", buf->order,
	     wide(buf->logical + offset), length, wrong);
	tell_byte(buf, offset, cpu[0], device[0]);
	if (length > 1)
		tell_byte(buf, offset + length - 1, cpu[length - 1], device[length - 1]);
	if (wrong && first && first < length - 1)
		tell_byte(buf, offset + first, cpu[first], device[first]);
	return !wrong;
}

void observe_past(const struct common_buffer *buf, bool cpu)
{
	diag("observed past order=%u cpu=%d", buf->order, cpu);
}

void observe_streaming(const struct plx_test_map *map)
{
	diag("observed streaming length=%u physical=0x%llx la=0x%llx", map->length,
	     wide(map->physical), wide(map->logical));
}

void observe_gone(const struct common_buffer *buf, bool cpu, const bool *device)
{
	if (device)
		diag("observed gone order=%u cpu=%d device=%d", buf->order, cpu, *device);
	else
		diag("observed gone order=%u cpu=%d", buf->order, cpu);
}
