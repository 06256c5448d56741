// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stream of samples into a ring without end, as the drivers of acquisition
 * cards run one: demand mode at a held address, a terminal count after each
 * block, seven register accesses for each interrupt (four in the driver's
 * handler, three here). Every word is compared.
 *
 * For the card of lab/bench/sampler.py, which lists the registers below; with
 * --stream this is the only case, with --pause the one about pauses.
 */
#include <unistd.h>

#include "plx_test.h"

#define BLOCK		4096u
#define BLOCKS		512u
#define WORDS		(BLOCK / sizeof(uint32_t))
#define RATE_KIB	2300u		/* KiB/s: the ring lasts 0.9 s */
#define LIMIT_S		300
#define WAIT_MS		10000

/* Of the case with pauses: a block takes 0.3 s, and a pause is longer than the limit. */
#define PAUSED_KIB	30u
#define PAUSED_RATE_KIB	100u
#define PAUSED_MS	1000u
#define PAUSED_ROUNDS	3u

#define SAMPLER_CONTROL	0x40
#define SAMPLER_RATE	0x44
#define SAMPLER_LOST	0x48

static uint64_t stream_blocks;

void stream_size(unsigned int mib)
{
	stream_blocks = (uint64_t)mib * 1024 * 1024 / BLOCK;
}

static bool ring_of_samples(struct common_buffer **table, struct common_buffer **data)
{
	unsigned int i;

	*table = buffer(BLOCKS * sizeof(struct descriptor));
	*data = buffer(BLOCKS * BLOCK);
	if (!*table || !*data)
		return false;
	for (i = 0; i < BLOCKS; i++)
		put_descriptor(*table, i, (struct descriptor){
			.pci = (*data)->logical + i * BLOCK,
			.local = local_at(0),
			.size = BLOCK,
			.next = descriptor_at(*table, (i + 1) % BLOCKS) | PLX_DPR_PCI |
				PLX_DPR_TO_PCI | PLX_DPR_TC,
		});
	return true;
}

static bool same_words(const struct common_buffer *data, uint64_t number)
{
	uint32_t words[WORDS], first = number * WORDS, i;

	buffer_read(data, number % BLOCKS * BLOCK, words, sizeof(words));
	for (i = 0; i < WORDS; i++)
		if (words[i] != first + i)
			return CHECK(false, "block %llu, word %u: %#x in place of %#x",
				     (unsigned long long)number, i, words[i], first + i);
	return true;
}

static void stream_into_a_ring(void)
{
	struct common_buffer *table, *data;
	uint64_t taken = 0, interrupts = 0, began;

	alarm(LIMIT_S);
	MUST(ring_of_samples(&table, &data));
	enable_irq(CH0);
	irq_reset();
	poke(SRAM, 4, SAMPLER_RATE, RATE_KIB);
	start_chain(CH0, table->logical | PLX_DPR_PCI,
		    PLX_MODE_INTA | PLX_MODE_HOLD_LOCAL | PLX_MODE_DEMAND);
	began = now_ns();
	poke(SRAM, 4, SAMPLER_CONTROL, 1);
	while (taken < stream_blocks) {
		uint64_t came = irq_wait(PLX_TEST_IRQ_CHANNEL0, interrupts + 1, WAIT_MS);
		uint32_t at = irq_stats().padr[CH0];

		MUST(CHECK(came > interrupts, "no interrupt for %u ms at block %llu", WAIT_MS,
			   (unsigned long long)taken));
		interrupts = came;
		MUST(SAME("words lost", peek(SRAM, 4, SAMPLER_LOST), 0));
		MUST(SAME("DMACSR0", csr(CH0), PLX_CSR_ENABLE));
		MUST(CHECK(rd32(PLX_DMADPR(CH0)) & PLX_DPR_TO_PCI, "DMADPR0 shows another ring"));
		for (at = (at - data->logical) / BLOCK; taken % BLOCKS != at; taken++)
			MUST(same_words(data, taken));
	}
	diag("stream bytes=%llu us=%llu interrupts=%llu", (unsigned long long)taken * BLOCK,
	     (unsigned long long)(now_ns() - began) / 1000, (unsigned long long)interrupts);
	poke(SRAM, 4, SAMPLER_CONTROL, 0);
}

/* Whoever runs this pauses the guest each time that the card begins to sample. */
static void pauses_longer_than_the_limit_do_no_harm(void)
{
	struct common_buffer *data = buffer(PAUSED_KIB * 1024);
	unsigned int round;
	uint64_t began;

	MUST(data);
	poke(SRAM, 4, SAMPLER_RATE, PAUSED_RATE_KIB);
	for (round = 0; round < PAUSED_ROUNDS; round++) {
		start_block(CH0, TO_PCI, data->logical, local_at(0), data->length,
			    PLX_MODE_HOLD_LOCAL | PLX_MODE_DEMAND);
		began = now_ns();
		poke(SRAM, 4, SAMPLER_CONTROL, 1);
		MUST(done_within(CH0, PAUSED_MS));
		diag("pause limit_us=%u us=%llu", PAUSED_MS * 1000,
		     (unsigned long long)(now_ns() - began) / 1000);
		poke(SRAM, 4, SAMPLER_CONTROL, 0);
		MUST(same_words(data, 0));
	}
}

const struct test pause_tests[] = {
	{ "pauses_longer_than_the_limit_do_no_harm", pauses_longer_than_the_limit_do_no_harm },
	{ }
};

const struct test stream_tests[] = {
	{ "stream_into_a_ring", stream_into_a_ring },
	{ }
};
