// SPDX-License-Identifier: GPL-2.0-only
/* Block DMA: one piece, no descriptors. */
#include <string.h>

#include "plx_test.h"

#define GUARD		64u
#define GUARD_BYTE	0x5c
#define SWEEP_MAX	4097u

/* Where a piece starts: in the first bytes of a dword, and at a page's end. */
static const uint32_t starts[] = { 0, 1, 2, 3, 4093, 4095 };

/* All up to 64, then around powers of two and halves of them, and the page. */
static unsigned int sweep_lengths(uint32_t *into)
{
	unsigned int count = 0;
	uint32_t length, power;

	for (length = 1; length <= 64; length++)
		into[count++] = length;
	for (power = 128; power <= PAGE; power *= 2) {
		static const int32_t around[] = { -3, -1, 0, 1 };
		unsigned int i;

		into[count++] = power - power / 4 + 5;
		for (i = 0; i < ARRAY_SIZE(around); i++)
			into[count++] = power + around[i];
	}
	return count;
}

static uint8_t source[SRAM_LEAST], before[2 * PAGE + 2 * SWEEP_MAX], after[sizeof(before)];

/*
 * One piece to PCI at @pci of @buf, out of the SRAM that holds @source, and
 * its neighbours must not change.
 */
static bool exactly_to_pci(const struct common_buffer *buf, int ch, uint32_t pci, uint32_t local,
			   uint32_t length)
{
	uint32_t from = pci - GUARD, whole = length + 2 * GUARD;

	memset(before, GUARD_BYTE, whole);
	buffer_write(buf, from, before, whole);
	if (!block(ch, TO_PCI, buf->logical + pci, local_at(local), length))
		return false;
	memcpy(before + GUARD, source + local, length);
	buffer_read(buf, from, after, whole);
	return SAME_BYTES("the piece and its neighbours", after, before, whole);
}

static void block_to_pci_writes_exactly_the_range(void)
{
	struct common_buffer *buf = buffer(4 * PAGE), *fill = buffer(SRAM_LEAST);
	uint32_t lengths[128];
	unsigned int i, count = sweep_lengths(lengths);

	MUST(buf && fill);
	pattern(source, sizeof(source), 7);
	buffer_write(fill, 0, source, sizeof(source));
	MUST(block(CH0, TO_LOCAL, fill->logical, local_at(0), SRAM_LEAST));
	for (i = 0; i < 2 * count; i++) {
		uint32_t length = lengths[i / 2];
		uint32_t pci = PAGE + starts[(i * 5 + i / 2) % ARRAY_SIZE(starts)];
		uint32_t local = 0x100 + starts[(i * 7 + i / 3) % ARRAY_SIZE(starts)];

		if (!exactly_to_pci(buf, i & 1, pci, local, length)) {
			diag("length %u, bus offset %u, local 0x%x", length, pci, local);
			return;
		}
	}
}

static void block_to_local_writes_exactly_the_range(void)
{
	struct common_buffer *from = buffer(4 * PAGE), *back = buffer(4 * PAGE);
	struct common_buffer *guard = buffer(4 * PAGE);
	uint32_t lengths[128];
	unsigned int i, count = sweep_lengths(lengths);

	MUST(from && back && guard);
	pattern(source, 4 * PAGE, 8);
	buffer_write(from, 0, source, 4 * PAGE);
	buffer_fill(guard, GUARD_BYTE);
	for (i = 0; i < count; i++) {
		uint32_t length = lengths[i], whole = length + 2 * GUARD;
		uint32_t pci = PAGE + starts[(i * 5 + i / 2) % ARRAY_SIZE(starts)];
		uint32_t local = 0x1000 + starts[(i * 7 + i / 3) % ARRAY_SIZE(starts)];

		MUST(block(CH0, TO_LOCAL, guard->logical, local_at(local - GUARD), whole));
		MUST(block(i & 1, TO_LOCAL, from->logical + pci, local_at(local), length));
		MUST(block(CH0, TO_PCI, back->logical, local_at(local - GUARD), whole));
		memset(before, GUARD_BYTE, whole);
		memcpy(before + GUARD, source + pci, length);
		buffer_read(back, 0, after, whole);
		if (!SAME_BYTES("the piece and its neighbours", after, before, whole)) {
			diag("length %u, bus offset %u, local 0x%x", length, pci, local);
			return;
		}
	}
}

static void block_moves_the_whole_sram(void)
{
	struct common_buffer *out = buffer(SRAM_LEAST), *back = buffer(SRAM_LEAST);
	uint32_t at, stamp;

	MUST(out && back);
	pattern(source, SRAM_LEAST, 9);
	buffer_write(out, 0, source, SRAM_LEAST);
	/* Piece by piece, since a board may have more than one block can move; each says which it is. */
	for (at = 0; at < space[0].size; at += SRAM_LEAST) {
		buffer_write(out, 0, &at, sizeof(at));
		MUST(block(CH1, TO_LOCAL, out->logical, local_at(at), SRAM_LEAST));
	}
	for (at = 0; at < space[0].size; at += SRAM_LEAST) {
		buffer_fill(back, 0);
		MUST(block(CH0, TO_PCI, back->logical, local_at(at), SRAM_LEAST));
		buffer_read(back, 0, &stamp, sizeof(stamp));
		MUST(SAME("the piece that came back", stamp, at));
		buffer_write(out, 0, &at, sizeof(at));
		MUST(SAME("sum of what came back", buffer_sum(back, 0, SRAM_LEAST),
			  buffer_sum(out, 0, SRAM_LEAST)));
	}
}

static void held_local_address_is_one_word(void)
{
	struct common_buffer *buf = buffer(PAGE);
	uint32_t words[64], got[64];
	unsigned int i;

	MUST(buf);
	for (i = 0; i < 64; i++)
		words[i] = 0x01010101u * (i + 1);
	poke(SRAM, 4, 0x804, 0xdeadbeef);
	buffer_write(buf, 0, words, sizeof(words));
	MUST(block_with(CH0, TO_LOCAL, buf->logical, local_at(0x800), sizeof(words),
			PLX_MODE_HOLD_LOCAL));
	SAME("the word holds what came last", peek(SRAM, 4, 0x800), words[63]);
	SAME("the next one is untouched", peek(SRAM, 4, 0x804), 0xdeadbeef);

	MUST(block_with(CH0, TO_PCI, buf->logical, local_at(0x800), sizeof(words),
			PLX_MODE_HOLD_LOCAL));
	buffer_read(buf, 0, got, sizeof(got));
	for (i = 0; i < 64; i++)
		words[i] = words[63];
	SAME_BYTES("the word, again and again", got, words, sizeof(words));
}

static void block_registers_do_not_count(void)
{
	struct common_buffer *buf = buffer(PAGE);

	MUST(buf);
	MUST(block(CH0, TO_PCI, buf->logical + 12, local_at(0x340), 1000));
	SAME("DMAPADR", rd32(PLX_DMAPADR(0)), buf->logical + 12);
	SAME("DMALADR", rd32(PLX_DMALADR(0)), local_at(0x340));
	SAME("DMASIZ", rd32(PLX_DMASIZ(0)), 1000);
	SAME("DMADPR", rd32(PLX_DMADPR(0)), PLX_DPR_TO_PCI);
	SAME("hardware never clears ENABLE", csr(CH0), PLX_CSR_DONE | PLX_CSR_ENABLE);
	if (chip->has_abort_address)
		SAME("PABTADR is the last dword mastered", rd32(PLX_PABTADR),
		     (buf->logical + 12 + 999) & ~3u);
}

static void block_of_no_bytes_is_done_at_once(void)
{
	struct common_buffer *buf = buffer(64);
	uint8_t got[64], want[64];

	MUST(buf);
	buffer_fill(buf, GUARD_BYTE);
	memset(want, GUARD_BYTE, sizeof(want));
	enable_irq(CH0);
	MUST(block_with(CH0, TO_PCI, buf->logical, local_at(0), 0,
			PLX_MODE_DONE_INT | PLX_MODE_INTA));
	buffer_read(buf, 0, got, sizeof(got));
	SAME_BYTES("the buffer", got, want, sizeof(want));
	SAME("interrupts", irq_wait(PLX_TEST_IRQ_DONE0, 1, 1000), 1);
}

static void start_needs_enable(void)
{
	struct common_buffer *buf = buffer(64);
	struct plx_test_start values = {
		.channel = CH0, .which = PLX_TEST_SET_BLOCK, .mode = PLX_MODE_RESET,
		.ladr = local_at(0), .siz = 64, .dpr = PLX_DPR_TO_PCI, .csr = PLX_CSR_START,
	};
	uint8_t got[64], want[64];

	MUST(buf);
	buffer_fill(buf, GUARD_BYTE);
	memset(want, GUARD_BYTE, sizeof(want));
	sram_write(0, 4, "\1\2\3\4", 1);
	values.padr = buf->logical;
	start(&values);
	sleep_ms(5);
	SAME("DMACSR", csr(CH0), PLX_CSR_DONE);
	set_csr(CH0, PLX_CSR_ENABLE);
	sleep_ms(5);
	SAME("the START is not remembered", csr(CH0), PLX_CSR_DONE | PLX_CSR_ENABLE);
	buffer_read(buf, 0, got, sizeof(got));
	SAME_BYTES("the buffer", got, want, sizeof(want));
}

/* One byte enables, starts and acknowledges, as comedi drivers have it. */
static void csr_0b_acknowledges_and_starts(void)
{
	struct common_buffer *buf = buffer(64);
	uint8_t got[64];

	MUST(buf);
	/* The interrupt of the first block waits: INTCSR[18] is off. */
	MUST(block_with(CH0, TO_PCI, buf->logical, local_at(0), 64,
			PLX_MODE_DONE_INT | PLX_MODE_INTA));
	SAME("latch after the first", rd32(PLX_INTCSR) & PLX_INTCSR_DMA(0), PLX_INTCSR_DMA(0));
	/* The second one makes none: what is left then would be the first's. */
	wr32(PLX_DMAMODE(0), PLX_MODE_RESET | PLX_MODE_INTA);
	wr32(PLX_DMASIZ(0), 32);
	sram_write(0, 4, "\x11\x22\x33\x44", 1);
	buffer_fill(buf, GUARD_BYTE);
	set_csr(CH0, PLX_CSR_ENABLE | PLX_CSR_START | PLX_CSR_CLEAR);
	MUST(done_within(CH0, 1000));
	SAME("latch after the second", rd32(PLX_INTCSR) & PLX_INTCSR_DMA(0), 0);
	buffer_read(buf, 0, got, sizeof(got));
	SAME("first byte moved", got[0], 0x11);
	SAME("first byte behind the second block", got[32], GUARD_BYTE);
}

const struct test block_tests[] = {
	{ "block_to_pci_writes_exactly_the_range", block_to_pci_writes_exactly_the_range },
	{ "block_to_local_writes_exactly_the_range", block_to_local_writes_exactly_the_range },
	{ "block_moves_the_whole_sram", block_moves_the_whole_sram },
	{ "held_local_address_is_one_word", held_local_address_is_one_word },
	{ "block_registers_do_not_count", block_registers_do_not_count },
	{ "block_of_no_bytes_is_done_at_once", block_of_no_bytes_is_done_at_once },
	{ "start_needs_enable", start_needs_enable },
	{ "csr_0b_acknowledges_and_starts", csr_0b_acknowledges_and_starts },
	{ }
};
