// SPDX-License-Identifier: GPL-2.0-only
/*
 * What came with later chips: a fifth dword with the upper half of the PCI
 * address (9054), and descriptors that are valid or not (9056).
 */
#include <string.h>

#include "plx_test.h"

#define IRQ_MODE	(PLX_MODE_DONE_INT | PLX_MODE_INTA)
#define UPPER_HALF	"upper half of PCI addresses"
#define VALID_BITS	"valid bits in descriptors"
/* Above all memory that a guest may have. */
#define FAR_ABOVE	0x7fff0000u
#define FILLER		0x2b

#define LONG_STRIDE	32u	/* five dwords, and aligned */
#define LONGS		3u
#define PIECE		96u

static void long_descriptors_bring_their_upper_half(void)
{
	struct common_buffer *table = buffer(LONGS * LONG_STRIDE), *buf = buffer(LONGS * PIECE);
	uint8_t want[LONGS * PIECE], got[sizeof(want)];
	unsigned int i;

	MUST(chip_can(chip->has_upper_half, UPPER_HALF));
	MUST(table && buf);
	pattern(want, sizeof(want), 50);
	sram_write(0x200, 4, want, sizeof(want) / 4);
	buffer_fill(buf, FILLER);
	for (i = 0; i < LONGS; i++) {
		uint32_t next = table->logical + (i + 1) % LONGS * LONG_STRIDE;
		uint32_t words[LONG_STRIDE / 4] = {
			buf->logical + i * PIECE, local_at(0x200 + i * PIECE), PIECE,
			next | PLX_DPR_PCI | PLX_DPR_TO_PCI | (i == LONGS - 1 ? PLX_DPR_END : 0),
			/* and 0, which has to take the place of what is in DMADAC */
		};

		buffer_write(table, i * LONG_STRIDE, words, sizeof(words));
	}
	wr32(PLX_DMADAC(CH0), FAR_ABOVE);
	start_chain(CH0, table->logical | PLX_DPR_PCI, PLX_MODE_DAC_CHAIN);
	MUST(done_within(CH0, 2000));
	SAME("DMADAC0", rd32(PLX_DMADAC(CH0)), 0);
	buffer_read(buf, 0, got, sizeof(got));
	SAME_BYTES("what the list moved", got, want, sizeof(want));
}

static void an_upper_half_counts_where_none_is_loaded(void)
{
	struct common_buffer *table = buffer(sizeof(struct descriptor)), *buf = buffer(PIECE);
	uint8_t want[PIECE], got[PIECE];

	MUST(chip_can(chip->has_upper_half, UPPER_HALF));
	MUST(table && buf);
	buffer_fill(buf, FILLER);
	memset(want, FILLER, sizeof(want));
	put_descriptor(table, 0, (struct descriptor){
		.pci = buf->logical, .local = local_at(0), .size = PIECE,
		.next = PLX_DPR_PCI | PLX_DPR_TO_PCI | PLX_DPR_END,
	});
	/* The descriptor itself is found below 4 GiB, its data is sought above. */
	wr32(PLX_DMADAC(CH1), FAR_ABOVE);
	start_chain(CH1, table->logical | PLX_DPR_PCI, 0);
	after_master_abort(CH1, buf->logical);
	SAME("DMADAC1", rd32(PLX_DMADAC(CH1)), FAR_ABOVE);
	start_block(CH1, TO_PCI, buf->logical, local_at(0), PIECE, 0);
	after_master_abort(CH1, buf->logical);
	buffer_read(buf, 0, got, sizeof(got));
	SAME_BYTES("the memory at the same address below", got, want, sizeof(want));
	wr32(PLX_DMADAC(CH1), 0);
	works_again(CH1);
}

/* ------------------------------------------------------------------ */

/* As the chip takes it while DMAMODE[20] is set. */
struct valid_descriptor {
	uint32_t size;		/* bit 31: valid */
	uint32_t pci;
	uint32_t local;
	uint32_t next;
};

#define ENTRIES		4u
#define VALID_MODE	(IRQ_MODE | PLX_MODE_VALID | PLX_MODE_CLEAR_COUNT)
#define POLL_MS		2000

static struct common_buffer *valid_table, *valid_data;

static uint32_t valid_at(unsigned int i)
{
	return valid_table->logical + i * sizeof(struct valid_descriptor);
}

static uint32_t size_word(unsigned int i)
{
	uint32_t word;

	buffer_read(valid_table, i * sizeof(struct valid_descriptor), &word, sizeof(word));
	return word;
}

/* The size word comes last: with it the descriptor is the chip's. */
static void hand_over(unsigned int i)
{
	uint32_t word = PLX_SIZ_VALID | PIECE;

	buffer_write(valid_table, i * sizeof(struct valid_descriptor), &word, sizeof(word));
}

/* A ring, local to PCI, that interrupts after each piece; none of it is valid. */
static bool valid_ring(void)
{
	uint8_t want[ENTRIES * PIECE];
	unsigned int i;

	valid_table = buffer(ENTRIES * sizeof(struct valid_descriptor));
	valid_data = buffer(ENTRIES * PIECE);
	if (!valid_table || !valid_data)
		return false;
	pattern(want, sizeof(want), 51);
	sram_write(0x400, 4, want, sizeof(want) / 4);
	buffer_fill(valid_data, FILLER);
	for (i = 0; i < ENTRIES; i++) {
		struct valid_descriptor desc = {
			.pci = valid_data->logical + i * PIECE,
			.local = local_at(0x400 + i * PIECE),
			.next = valid_at((i + 1) % ENTRIES) | PLX_DPR_PCI | PLX_DPR_TO_PCI |
				PLX_DPR_TC,
		};

		buffer_write(valid_table, i * sizeof(desc), &desc, sizeof(desc));
	}
	return true;
}

/* The first @count pieces have come, and nothing of the others. */
static void pieces_came(unsigned int count)
{
	uint8_t want[ENTRIES * PIECE], got[sizeof(want)];

	pattern(want, sizeof(want), 51);
	memset(want + count * PIECE, FILLER, sizeof(want) - count * PIECE);
	buffer_read(valid_data, 0, got, sizeof(got));
	SAME_BYTES("the pieces", got, want, sizeof(want));
}

static bool taken(unsigned int i)
{
	uint32_t word;

	return CHECK(POLL(POLL_MS, word = size_word(i), !word),
		     "descriptor %u: size word 0x%08x after %u ms", i, word, POLL_MS);
}

static void an_invalid_descriptor_is_waited_for(void)
{
	unsigned int i;

	MUST(chip_can(chip->has_valid_bits, VALID_BITS));
	MUST(valid_ring());
	hand_over(0);
	enable_irq(CH0);
	start_chain(CH0, valid_at(0) | PLX_DPR_PCI, VALID_MODE);
	for (i = 0; i < ENTRIES; i++) {
		if (i)
			hand_over(i);
		MUST(taken(i));
		/* Its interrupt comes once the next one has been looked at. */
		MUST(SAME("interrupts", irq_wait(PLX_TEST_IRQ_CHANNEL0, i + 1, POLL_MS), i + 1));
		SAME("DMACSR0 while it waits", csr(CH0), PLX_CSR_ENABLE);
		SAME("next descriptor", rd32(PLX_DMADPR(CH0)) & PLX_DPR_NEXT,
		     valid_at((i + 1) % ENTRIES));
		pieces_came(i + 1);
	}
	SAME("interrupts with DONE", irq_count(PLX_TEST_IRQ_DONE0), 0);
	MUST(abort_channel(CH0));
	SAME("DMACSR0 once aborted", csr(CH0), PLX_CSR_DONE);
}

static void an_invalid_descriptor_ends_the_run_where_it_shall(void)
{
	MUST(chip_can(chip->has_valid_bits, VALID_BITS));
	MUST(valid_ring());
	hand_over(0);
	hand_over(1);
	start_chain(CH1, valid_at(0) | PLX_DPR_PCI, VALID_MODE | PLX_MODE_VALID_STOP);
	MUST(done_within(CH1, POLL_MS));
	pieces_came(2);
	SAME("next descriptor", rd32(PLX_DMADPR(CH1)) & PLX_DPR_NEXT, valid_at(2));
	/* Once it is valid, START looks at the same one again. */
	hand_over(2);
	set_csr(CH1, PLX_CSR_ENABLE | PLX_CSR_START);
	MUST(taken(2));
	MUST(done_within(CH1, POLL_MS));
	pieces_came(3);
	SAME("next descriptor", rd32(PLX_DMADPR(CH1)) & PLX_DPR_NEXT, valid_at(3));
}

/* The size word comes first in the descriptor then, and in the registers too. */
static void valid_mode_moves_the_registers(void)
{
	int ch;

	MUST(chip_can(chip->has_valid_bits, VALID_BITS));
	for (ch = 0; ch < 2; ch++) {
		uint32_t at = PLX_DMAMODE(ch);

		wr32(PLX_DMAPADR(ch), 0x11111110 + ch);
		wr32(PLX_DMALADR(ch), 0x22222220 + ch);
		wr32(PLX_DMASIZ(ch), PLX_SIZ_VALID | (0x333330 + ch));
		wr32(PLX_DMADPR(ch), 0x44444440);
		wr32(at, PLX_MODE_RESET | PLX_MODE_VALID);
		SAME("first after DMAMODE", rd32(at + 0x04), PLX_SIZ_VALID | (0x333330 + ch));
		SAME("second after DMAMODE", rd32(at + 0x08), 0x11111110 + ch);
		SAME("third after DMAMODE", rd32(at + 0x0c), 0x22222220 + ch);
		SAME("fourth after DMAMODE", rd32(at + 0x10), 0x44444440);
		wr32(at + 0x04, 0x55);
		wr32(at, PLX_MODE_RESET);
		SAME("DMASIZ back in its place", rd32(PLX_DMASIZ(ch)), 0x55);
		SAME("DMAPADR back in its place", rd32(PLX_DMAPADR(ch)), 0x11111110 + ch);
	}
}

const struct test long_tests[] = {
	{ "long_descriptors_bring_their_upper_half", long_descriptors_bring_their_upper_half },
	{ "an_upper_half_counts_where_none_is_loaded", an_upper_half_counts_where_none_is_loaded },
	{ "an_invalid_descriptor_is_waited_for", an_invalid_descriptor_is_waited_for },
	{ "an_invalid_descriptor_ends_the_run_where_it_shall",
	  an_invalid_descriptor_ends_the_run_where_it_shall },
	{ "valid_mode_moves_the_registers", valid_mode_moves_the_registers },
	{ }
};
