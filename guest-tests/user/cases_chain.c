// SPDX-License-Identifier: GPL-2.0-only
/* Scatter/gather: chains of descriptors that end. */
#include <string.h>

#include "plx_test.h"

#define PIECES		64
#define PARTS		8	/* common buffers that the data is spread over */
#define SLOT		640	/* room for a piece in its part */
#define FILLER		0x3a

#define IRQ_MODE	(PLX_MODE_DONE_INT | PLX_MODE_INTA)
#define COUNTS_TO_PCI	"way to clear the count of a descriptor in PCI memory"

struct piece {
	unsigned int part;
	uint32_t offset;
	uint32_t length;
	uint32_t local;
};

static struct piece pieces[PIECES];
static uint8_t image[PIECES * SLOT], check[PIECES * SLOT];

/* Irregular pieces, in turn from all parts; gives their bytes together. */
static uint32_t cut(uint32_t local)
{
	uint32_t total = 0;
	unsigned int i;

	for (i = 0; i < PIECES; i++) {
		pieces[i] = (struct piece){
			.part = i * 3 % PARTS,
			.offset = i / PARTS * SLOT + i % 7,
			.length = 1 + i * 37 % 509,
			.local = local + total,
		};
		total += pieces[i].length;
	}
	return total;
}

/* The list jumps about in its table: only the next pointers order it. */
static unsigned int place(unsigned int i)
{
	return (i * 29 + 3) % PIECES;
}

static void write_list(const struct common_buffer *table, struct common_buffer *const *parts,
		       bool to_pci)
{
	unsigned int i;

	for (i = 0; i < PIECES; i++) {
		uint32_t next = descriptor_at(table, place((i + 1) % PIECES)) | PLX_DPR_PCI;

		if (to_pci)
			next |= PLX_DPR_TO_PCI;
		if (i == PIECES - 1)
			next |= PLX_DPR_END;
		put_descriptor(table, place(i), (struct descriptor){
			.pci = parts[pieces[i].part]->logical + pieces[i].offset,
			.local = local_at(pieces[i].local),
			.size = pieces[i].length,
			.next = next,
		});
	}
}

static void chain_of_64_gathers_and_scatters(void)
{
	struct common_buffer *table = buffer(PIECES * sizeof(struct descriptor));
	struct common_buffer *back = buffer(sizeof(image)), *parts[PARTS];
	uint32_t total = cut(0x2003);
	unsigned int i;

	MUST(table && back);
	for (i = 0; i < PARTS; i++)
		MUST((parts[i] = buffer(PIECES / PARTS * SLOT)));

	/* Gather: the pieces become one run of local memory. */
	pattern(image, total, 64);
	for (i = 0; i < PIECES; i++)
		buffer_write(parts[pieces[i].part], pieces[i].offset,
			     image + pieces[i].local - 0x2003, pieces[i].length);
	write_list(table, parts, TO_LOCAL);
	enable_irq(CH0);
	start_chain(CH0, descriptor_at(table, place(0)) | PLX_DPR_PCI, IRQ_MODE);
	MUST(done_within(CH0, 5000));
	SAME("interrupts for one list", irq_wait(PLX_TEST_IRQ_DONE0, 1, 1000), 1);
	MUST(block(CH0, TO_PCI, back->logical, local_at(0x2003), total));
	buffer_read(back, 0, check, total);
	MUST(SAME_BYTES("gathered", check, image, total));

	/* Scatter: the run goes back to the pieces, and to nothing else. */
	for (i = 0; i < PARTS; i++)
		buffer_fill(parts[i], FILLER);
	write_list(table, parts, TO_PCI);
	enable_irq(CH1);
	start_chain(CH1, descriptor_at(table, place(0)) | PLX_DPR_PCI, IRQ_MODE);
	MUST(done_within(CH1, 5000));
	SAME("interrupts for one list", irq_wait(PLX_TEST_IRQ_DONE1, 1, 1000), 1);
	for (i = 0; i < PARTS; i++) {
		uint32_t length = PIECES / PARTS * SLOT;
		unsigned int j;

		memset(image, FILLER, length);
		for (j = 0; j < PIECES; j++)
			if (pieces[j].part == i)
				memcpy(image + pieces[j].offset,
				       check + pieces[j].local - 0x2003, pieces[j].length);
		buffer_read(parts[i], 0, check + total, length);
		if (!SAME_BYTES("scattered", check + total, image, length))
			diag("in part %u", i);
	}
}

/* Three ways there and back in one list; DMADPR says the opposite at first. */
static void each_descriptor_has_its_own_flags(void)
{
	struct common_buffer *table = buffer(4 * sizeof(struct descriptor));
	struct common_buffer *from = buffer(512), *into = buffer(512);
	uint8_t want[512], got[512];
	unsigned int i;

	MUST(table && from && into);
	pattern(want, sizeof(want), 11);
	buffer_write(from, 0, want, sizeof(want));
	buffer_fill(into, 0);
	for (i = 0; i < 4; i++)
		put_descriptor(table, i, (struct descriptor){
			.pci = (i & 1 ? into : from)->logical + i / 2 * 256,
			.local = local_at(0x400),
			.size = 256,
			.next = descriptor_at(table, (i + 1) % 4) | PLX_DPR_PCI |
				(i & 1 ? PLX_DPR_TO_PCI : 0) | (i == 3 ? PLX_DPR_END : 0),
		});
	start_chain(CH0, table->logical | PLX_DPR_PCI | PLX_DPR_END | PLX_DPR_TC | PLX_DPR_TO_PCI,
		    PLX_MODE_INTA);
	MUST(done_within(CH0, 2000));
	buffer_read(into, 0, got, sizeof(got));
	SAME_BYTES("through local memory and back", got, want, sizeof(want));
	SAME("DMADPR's own interrupt flag means nothing", rd32(PLX_INTCSR) & PLX_INTCSR_DMA(0), 0);
}

static void put_local(uint32_t at, struct descriptor desc)
{
	sram_write(at, 4, &desc, sizeof(desc) / 4);
}

/* From guest memory to local memory, and back, and on. */
static void descriptors_may_be_in_local_memory(void)
{
	const uint32_t first = 0x10000, second = 0x10040;	/* in the SRAM */
	struct common_buffer *table = buffer(sizeof(struct descriptor)), *buf = buffer(1024);
	uint8_t want[300], got[300];

	MUST(table && buf);
	pattern(want, sizeof(want), 12);
	buffer_write(buf, 0, want, sizeof(want));
	put_local(first, (struct descriptor){
		.pci = buf->logical, .local = local_at(0x600), .size = sizeof(want),
		.next = table->logical | PLX_DPR_PCI,
	});
	put_descriptor(table, 0, (struct descriptor){
		.pci = buf->logical + 512, .local = local_at(0x600), .size = 100,
		.next = local_at(second) | PLX_DPR_TO_PCI,
	});
	put_local(second, (struct descriptor){
		.pci = buf->logical + 612, .local = local_at(0x664),
		.size = sizeof(want) - 100,
		.next = PLX_DPR_TO_PCI | PLX_DPR_END,
	});
	start_chain(CH1, local_at(first), 0);
	MUST(done_within(CH1, 2000));
	buffer_read(buf, 512, got, sizeof(got));
	SAME_BYTES("what three descriptors moved", got, want, sizeof(want));

	/* Written back to where it came from, the count of a local one too. */
	start_chain(CH1, local_at(second), PLX_MODE_CLEAR_COUNT);
	MUST(done_within(CH1, 2000));
	SAME("count of the local descriptor", peek(SRAM, 4, second + 8), 0);
	SAME("the dword behind it", peek(SRAM, 4, second + 12), PLX_DPR_TO_PCI | PLX_DPR_END);
}

/* A list of @count pieces of 32 bytes each, local to PCI. */
static bool short_list(struct common_buffer *table, struct common_buffer *buf, unsigned int count)
{
	unsigned int i;

	if (!table || !buf)
		return false;
	for (i = 0; i < count; i++)
		put_descriptor(table, i, (struct descriptor){
			.pci = buf->logical + i * 32,
			.local = local_at(i * 32),
			.size = 32,
			.next = descriptor_at(table, (i + 1) % count) | PLX_DPR_PCI |
				PLX_DPR_TO_PCI | (i == count - 1 ? PLX_DPR_END : 0),
		});
	return true;
}

static void chain_end_leaves_the_last_descriptor_in_the_registers(void)
{
	struct common_buffer *table = buffer(3 * sizeof(struct descriptor)), *buf = buffer(PAGE);
	uint8_t want[96], got[96];
	uint32_t dpr;

	MUST(short_list(table, buf, 3));
	start_chain(CH0, table->logical | PLX_DPR_PCI, 0);
	MUST(done_within(CH0, 2000));
	dpr = rd32(PLX_DMADPR(0));
	SAME("DMAPADR", rd32(PLX_DMAPADR(0)), buf->logical + 64);
	SAME("DMALADR", rd32(PLX_DMALADR(0)), local_at(64));
	SAME("DMASIZ", rd32(PLX_DMASIZ(0)), 32);
	SAME("DMADPR", dpr, table->logical | PLX_DPR_PCI | PLX_DPR_TO_PCI | PLX_DPR_END);

	/* So a list goes on after an underrun: the same pointer, without its end. */
	pattern(want, sizeof(want), 13);
	sram_write(0, 4, want, sizeof(want) / 4);
	wr32(PLX_DMADPR(0), dpr & ~PLX_DPR_END);
	set_csr(CH0, PLX_CSR_ENABLE | PLX_CSR_START);
	MUST(done_within(CH0, 2000));
	buffer_read(buf, 0, got, sizeof(got));
	SAME_BYTES("moved by the second run", got, want, sizeof(want));
}

static void clear_count_is_written_before_the_interrupt(void)
{
	struct common_buffer *table = buffer(5 * sizeof(struct descriptor)), *buf = buffer(PAGE);
	struct plx_test_irq_stats stats;
	unsigned int i;

	MUST(short_list(table, buf, 5));
	/* Without the mode bit the counts stay. */
	start_chain(CH1, table->logical | PLX_DPR_PCI, 0);
	MUST(done_within(CH1, 2000));
	SAME("count without clear-count mode", get_descriptor(table, 4).size, 32);

	irq_policy(PLX_TEST_ISR_ACK, table, 4 * sizeof(struct descriptor) + 8);
	enable_irq(CH1);
	start_chain(CH1, table->logical | PLX_DPR_PCI, IRQ_MODE | PLX_MODE_CLEAR_COUNT);
	MUST(SAME("interrupts", irq_wait(PLX_TEST_IRQ_DONE1, 1, 2000), 1));
	if (!chip->counts_to_pci)
		SAME("count of a chip that clears local ones only", get_descriptor(table, 4).size, 32);
	MUST(chip_can(chip->counts_to_pci, COUNTS_TO_PCI));
	stats = irq_stats();
	MUST(SAME("the handler saw the last count", stats.watch_seen, 1));
	SAME("the last count, as the handler saw it", stats.watch, 0);
	for (i = 0; i < 5; i++) {
		struct descriptor desc = get_descriptor(table, i);

		CHECK(desc.size == 0 && desc.pci == buf->logical + i * 32 && desc.local == local_at(i * 32),
		      "descriptor %u: 0x%x 0x%x 0x%x 0x%x", i, desc.pci, desc.local, desc.size,
		      desc.next);
	}
	SAME("DMASIZ is the count as it was loaded", rd32(PLX_DMASIZ(1)), 32);
}

static void descriptors_of_no_bytes_are_passed(void)
{
	struct common_buffer *table = buffer(3 * sizeof(struct descriptor)), *buf = buffer(PAGE);
	struct descriptor desc;
	uint8_t want[96], got[96];

	MUST(short_list(table, buf, 3));
	desc = get_descriptor(table, 1);
	desc.size = 0;
	put_descriptor(table, 1, desc);
	pattern(want, sizeof(want), 14);
	sram_write(0, 4, want, sizeof(want) / 4);
	buffer_fill(buf, FILLER);
	memset(want + 32, FILLER, 32);
	start_chain(CH0, table->logical | PLX_DPR_PCI, 0);
	MUST(done_within(CH0, 2000));
	buffer_read(buf, 0, got, sizeof(got));
	SAME_BYTES("first and third piece only", got, want, sizeof(want));
}

/* ------------------------------------------------------------------ */
/* The Windows PLX9x5x sample                                          */

#define WDK_STRIDE	32
#define WDK_ELEMENTS	3
#define WDK_BYTES	2200

static void wdk_list(const struct common_buffer *list, const struct common_buffer *data, bool read)
{
	uint32_t moved = 0;
	unsigned int i;

	for (i = 0; i < WDK_ELEMENTS; i++) {
		uint32_t length = i == WDK_ELEMENTS - 1 ? WDK_BYTES - moved : 900;
		uint32_t next = list->logical + (i + 1) * WDK_STRIDE;
		uint32_t element[WDK_STRIDE / 4] = {
			data->logical + moved, local_at(moved), length,
			next | PLX_DPR_PCI | (read ? PLX_DPR_TO_PCI : 0) |
				(i == WDK_ELEMENTS - 1 ? PLX_DPR_END : 0),
		};

		buffer_write(list, i * WDK_STRIDE, element, sizeof(element));
		moved += length;
	}
}

static void wdk_start(int ch, const struct common_buffer *list, uint32_t garbage, uint32_t clear)
{
	uint32_t mode = rd32(PLX_DMAMODE(ch)) | PLX_MODE_CHAIN | IRQ_MODE | clear;

	SAME("DMAMODE, from its reset value", mode, ch ? 0x30643 : 0x20643);
	wr32(PLX_DMAMODE(ch), mode);
	wr32(PLX_INTCSR, rd32(PLX_INTCSR) | PLX_INTCSR_PCI_EN | PLX_INTCSR_DMA_EN(ch));
	wr32(PLX_DMADPR(ch), list->logical | PLX_DPR_PCI | PLX_DPR_TC | garbage);
	set_csr(ch, csr(ch) | PLX_CSR_ENABLE | PLX_CSR_START);
}

/* Bits of its first DMADPR come from a variable that it never sets. */
static const uint32_t wdk_garbage[] = { 0, PLX_DPR_END, PLX_DPR_TO_PCI,
					PLX_DPR_END | PLX_DPR_TO_PCI };
static uint8_t wdk_want[WDK_BYTES], wdk_got[WDK_BYTES];

/* Where the chip has upper halves it makes sure that they are 0, once. */
static void wdk_power_up(void)
{
	int ch;

	for (ch = 0; chip->has_upper_half && ch < 2; ch++)
		wr32(PLX_DMADAC(ch), 0);
}

static void windows_sample_writes(void)
{
	struct common_buffer *list = buffer((WDK_ELEMENTS + 1) * WDK_STRIDE);
	struct common_buffer *out = buffer(WDK_BYTES), *back = buffer(WDK_BYTES);
	unsigned int round;

	MUST(list && out && back);
	wdk_power_up();
	for (round = 0; round < ARRAY_SIZE(wdk_garbage); round++) {
		pattern(wdk_want, WDK_BYTES, 20 + round);
		buffer_write(out, 0, wdk_want, WDK_BYTES);
		buffer_fill(back, 0);
		irq_reset();
		wdk_list(list, out, false);
		wdk_start(CH0, list, wdk_garbage[round], 0);
		MUST(SAME("interrupts with DONE", irq_wait(PLX_TEST_IRQ_DONE0, 1, 2000), 1));
		SAME("DMACSR0 in the handler", irq_stats().dmacsr[0],
		     PLX_CSR_DONE | PLX_CSR_ENABLE);
		MUST(block(CH1, TO_PCI, back->logical, local_at(0), WDK_BYTES));
		buffer_read(back, 0, wdk_got, WDK_BYTES);
		SAME_BYTES("what was written", wdk_got, wdk_want, WDK_BYTES);
		SAME("interrupts, all in all", irq_count(PLX_TEST_IRQ_CHANNEL0), 1);
		wr32(PLX_DMAMODE(0), PLX_MODE_RESET);
	}
	/* Its handler writes back what it read, and CLEAR: no second start. */
	buffer_fill(out, FILLER);
	set_csr(CH0, csr(CH0) | PLX_CSR_CLEAR);
	sleep_ms(5);
	SAME("DMACSR0 after 0x19", csr(CH0), PLX_CSR_DONE | PLX_CSR_ENABLE);
	MUST(block(CH1, TO_PCI, back->logical, local_at(0), WDK_BYTES));
	buffer_read(back, 0, wdk_got, WDK_BYTES);
	SAME_BYTES("nothing moved", wdk_got, wdk_want, WDK_BYTES);
}

/* How much it read it adds up from the counts: they have to be cleared. */
static void windows_sample_reads(void)
{
	struct common_buffer *list = buffer((WDK_ELEMENTS + 1) * WDK_STRIDE);
	struct common_buffer *out = buffer(WDK_BYTES), *in = buffer(WDK_BYTES);
	uint32_t left, size, next;
	unsigned int round, i;

	MUST(chip_can(chip->counts_to_pci, COUNTS_TO_PCI));
	MUST(list && out && in);
	wdk_power_up();
	for (round = 0; round < ARRAY_SIZE(wdk_garbage); round++) {
		pattern(wdk_want, WDK_BYTES, 30 + round);
		buffer_write(out, 0, wdk_want, WDK_BYTES);
		MUST(block(CH0, TO_LOCAL, out->logical, local_at(0), WDK_BYTES));
		buffer_fill(in, 0);
		irq_reset();
		wdk_list(list, in, true);
		wdk_start(CH1, list, wdk_garbage[round], PLX_MODE_CLEAR_COUNT);
		MUST(SAME("interrupts with DONE", irq_wait(PLX_TEST_IRQ_DONE1, 1, 2000), 1));
		for (i = left = next = 0; !(next & PLX_DPR_END) && i < WDK_ELEMENTS; i++) {
			buffer_read(list, i * WDK_STRIDE + 8, &size, 4);
			buffer_read(list, i * WDK_STRIDE + 12, &next, 4);
			left += size;
		}
		SAME("bytes left over", left, 0);
		buffer_read(in, 0, wdk_got, WDK_BYTES);
		SAME_BYTES("what was read", wdk_got, wdk_want, WDK_BYTES);
		SAME("interrupts, all in all", irq_count(PLX_TEST_IRQ_CHANNEL1), 1);
		wr32(PLX_DMAMODE(1), PLX_MODE_RESET);
	}
}

static void both_channels_run_at_once(void)
{
	struct common_buffer *table[2], *data[2], *back = buffer(8 * PAGE);
	static uint8_t want[8 * PAGE], got[8 * PAGE];
	unsigned int i, round;
	int ch;

	MUST(back);
	for (ch = 0; ch < 2; ch++) {
		MUST((table[ch] = buffer(32 * sizeof(struct descriptor))));
		MUST((data[ch] = buffer(8 * PAGE)));
		for (i = 0; i < 32; i++)
			put_descriptor(table[ch], i, (struct descriptor){
				.pci = data[ch]->logical + i * 1024,
				.local = local_at((ch ? 0x10000 : 0) + i * 1024),
				.size = 1024,
				.next = descriptor_at(table[ch], (i + 1) % 32) | PLX_DPR_PCI |
					(ch ? PLX_DPR_TO_PCI : 0) | (i == 31 ? PLX_DPR_END : 0),
			});
		enable_irq(ch);
	}
	for (round = 0; round < 8; round++) {
		/* Channel 1 sends what round 0 put into its half of the SRAM. */
		pattern(want, sizeof(want), round);
		buffer_write(data[0], 0, want, sizeof(want));
		if (!round)
			MUST(block(CH0, TO_LOCAL, data[0]->logical, local_at(0x10000), sizeof(want)));
		buffer_fill(data[1], FILLER);
		irq_reset();
		for (ch = 0; ch < 2; ch++)
			start_chain(ch, table[ch]->logical | PLX_DPR_PCI, IRQ_MODE);
		MUST(SAME("done interrupts of channel 0",
			  irq_wait(PLX_TEST_IRQ_DONE0, 1, 2000), 1));
		MUST(SAME("done interrupts of channel 1",
			  irq_wait(PLX_TEST_IRQ_DONE1, 1, 2000), 1));
		pattern(want, sizeof(want), 0);
		buffer_read(data[1], 0, got, sizeof(got));
		MUST(SAME_BYTES("channel 1", got, want, sizeof(want)));
		MUST(block(CH0, TO_PCI, back->logical, local_at(0), sizeof(want)));
		pattern(want, sizeof(want), round);
		buffer_read(back, 0, got, sizeof(got));
		MUST(SAME_BYTES("channel 0", got, want, sizeof(want)));
	}
}

const struct test chain_tests[] = {
	{ "chain_of_64_gathers_and_scatters", chain_of_64_gathers_and_scatters },
	{ "each_descriptor_has_its_own_flags", each_descriptor_has_its_own_flags },
	{ "descriptors_may_be_in_local_memory", descriptors_may_be_in_local_memory },
	{ "chain_end_leaves_the_last_descriptor_in_the_registers",
	  chain_end_leaves_the_last_descriptor_in_the_registers },
	{ "clear_count_is_written_before_the_interrupt",
	  clear_count_is_written_before_the_interrupt },
	{ "descriptors_of_no_bytes_are_passed", descriptors_of_no_bytes_are_passed },
	{ "windows_sample_writes", windows_sample_writes },
	{ "windows_sample_reads", windows_sample_reads },
	{ "both_channels_run_at_once", both_channels_run_at_once },
	{ }
};
