// SPDX-License-Identifier: Apache-2.0
/* A card that samples into a ring without end, and register accesses that come in between. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "client.h"

#define BLOCK			4096u
#define BLOCKS			256u
#define DATA			(RAM + 2 * MIB)
#define MODE_HOLD		0x00000800u
#define MODE_DEMAND		0x00001000u
#define CONTROL			0x40	/* the sampler's, by BAR2; sampler.py lists them */
#define RATE			0x44
#define LOST			0x48
#define GIVEN			0x4c

static void start_ring(void)
{
	uint32_t i;

	for (i = 0; i < BLOCKS; i++) {
		uint32_t desc[4] = {
			DATA + i * BLOCK,
			0,
			BLOCK,
			(RAM + 16 * ((i + 1) % BLOCKS)) | DPR_PCI | DPR_TO_PCI,
		};

		memcpy(ram + 16 * i, desc, sizeof(desc));
	}
	write_region(0, DMAMODE, MODE_RESET | MODE_CHAIN | MODE_HOLD | MODE_DEMAND, 4, false);
	write_region(0, DMADPR, RAM | DPR_PCI, 4, false);
	write_region(0, DMACSR, CSR_ENABLE | CSR_START, 1, false);
}

static void stop_ring(void)
{
	write_region(0, DMACSR, 0, 1, false);
	write_region(0, DMACSR, CSR_ABORT, 1, false);
}

/* Words of a block count up by one; two blocks may be of different laps. */
static void check_blocks(uint32_t words)
{
	uint32_t block, i;

	for (block = 0; block < BLOCKS && block < words / (BLOCK / 4); block++) {
		uint32_t first, value;

		memcpy(&first, ram + (DATA - RAM) + block * BLOCK, sizeof(first));
		for (i = 0; i < BLOCK / 4; i++) {
			memcpy(&value, ram + (DATA - RAM) + block * BLOCK + 4 * i, sizeof(value));
			/* where the ring is just now a lap ends within the block */
			if (value != first + i && value != first + i - BLOCKS * (BLOCK / 4)) {
				errno = 0;
				die("the stream has a gap");
			}
		}
	}
}

/* A driver has other things to do than to ask the card all the time. */
static void pause_a_little(void)
{
	const struct timespec time = { .tv_nsec = 100000 };

	nanosleep(&time, NULL);
}

static void time_reads(const char *name, unsigned int count)
{
	double *times = samples(count);
	unsigned int i;

	for (i = 0; i < count; i++) {
		double start = now_ns();

		read_register(DMALADR);
		times[i] = now_ns() - start;
		pause_a_little();
	}
	report(name, times, count);
}

/* Reads of a plain register of an idle card, and while samples come at `rate` KiB/s (0: as fast as they go). */
void time_stream(uint32_t rate, unsigned int count)
{
	uint32_t words;
	double began;

	time_reads("stream-idle", count);
	write_region(2, RATE, rate, 4, false);
	write_region(2, CONTROL, 1, 4, false);
	start_ring();
	began = now_ns();
	time_reads("stream-read", count);
	words = read_region(2, GIVEN);
	report_together("stream-kib", now_ns() - began, words / 256);
	stop_ring();
	if (read_region(2, LOST)) {
		errno = 0;
		die("the FIFO overran");
	}
	check_blocks(words);
	write_region(2, CONTROL, 0, 4, false);
}
