// SPDX-License-Identifier: GPL-2.0-only
/*
 * Circular chains. They never end by themselves, so whatever is paused or
 * aborted here cannot have finished first.
 */
#include <string.h>

#include "plx_test.h"

#define ENTRIES		4
#define ENTRY_BYTES	256
#define ALL_TC		0xf
#define RUNNING		PLX_CSR_ENABLE
#define PAUSED		0
#define RING_MS		5000

static bool in_ring(const struct ring *ring, uint32_t padr)
{
	return padr - ring->data->logical < ring->count * ring->length;
}

static void ring_interrupts_and_never_ends(void)
{
	struct plx_test_irq_stats stats;
	struct ring ring;

	MUST(ring_make(&ring, CH0, TO_PCI, ENTRIES, ENTRY_BYTES, ALL_TC));
	enable_irq(CH0);
	/* Also MODE[10], which has nothing to say here. */
	ring_start(&ring, PLX_MODE_DONE_INT);
	CHECK(irq_wait(PLX_TEST_IRQ_CHANNEL0, 20, RING_MS) >= 20, "only %llu interrupts",
	      (unsigned long long)irq_count(PLX_TEST_IRQ_CHANNEL0));
	stats = irq_stats();
	SAME("DMACSR", csr(CH0), RUNNING);
	SAME("interrupts with DONE", stats.count[PLX_TEST_IRQ_DONE0], 0);
	CHECK(in_ring(&ring, stats.padr[0]), "DMAPADR 0x%08x is outside the ring", stats.padr[0]);
	MUST(abort_channel(CH0));
	SAME("DMACSR after the abort", csr(CH0), PLX_CSR_DONE);
}

static uint32_t laps_of(const uint8_t *got, uint8_t first, uint32_t most)
{
	uint32_t moved;

	for (moved = 0; moved < most && got[moved + 1] == first; moved++)
		;
	return moved;
}

/*
 * The ring counts its own laps: it fetches a run of bytes and puts it back one
 * byte further on, so after N laps the pattern has moved by N, and a lap that
 * went wrong is never mended. No interrupt and no register is needed to watch
 * it. It ends at a lap's end, by an end of chain that is set while it runs.
 */
static void ring_of_1000_laps_keeps_the_data_right(void)
{
	static uint8_t first[0xf001], got[sizeof(first)], want[sizeof(first)];
	struct common_buffer *table = buffer(2 * sizeof(struct descriptor));
	struct common_buffer *buf = buffer(sizeof(first));
	const uint32_t length = sizeof(first) - 1, laps = 1000;
	uint64_t began = now_ns();
	struct descriptor back;
	uint32_t moved, i;

	MUST(table && buf);
	pattern(first, sizeof(first), 46);
	first[1] = ~first[0];
	buffer_write(buf, 0, first, sizeof(first));
	put_descriptor(table, 0, (struct descriptor){
		.pci = buf->logical, .local = local_at(0x801), .size = length,
		.next = descriptor_at(table, 1) | PLX_DPR_PCI,
	});
	back = (struct descriptor){
		.pci = buf->logical + 1, .local = local_at(0x801), .size = length,
		.next = descriptor_at(table, 0) | PLX_DPR_PCI | PLX_DPR_TO_PCI | PLX_DPR_TC,
	};
	put_descriptor(table, 1, back);
	start_chain(CH0, table->logical | PLX_DPR_PCI, PLX_MODE_INTA);
	MUST(CHECK(POLL(RING_MS, buffer_read(buf, 0, got, 2 * laps),
			(moved = laps_of(got, first[0], 2 * laps - 1)) >= laps),
		   "only %u laps in %u ms, DMACSR=0x%02x", moved, RING_MS, csr(CH0)));
	back.next |= PLX_DPR_END;
	put_descriptor(table, 1, back);
	MUST(done_within(CH0, 1000));
	SAME("terminal count is latched", rd32(PLX_INTCSR) & PLX_INTCSR_DMA(0), PLX_INTCSR_DMA(0));

	buffer_read(buf, 0, got, sizeof(got));
	moved = laps_of(got, first[0], length);
	diag("%u laps in %llu us", moved, (unsigned long long)(now_ns() - began) / 1000);
	MUST(CHECK(moved < length - 1000, "it ran away: nothing is left to check"));
	for (i = 0; i < sizeof(want); i++)
		want[i] = first[i < moved ? 0 : i - moved];
	SAME_BYTES("the pattern after its journey", got, want, sizeof(want));
}

static void ring_stops_where_an_end_is_set_later(void)
{
	struct descriptor desc;
	struct ring ring;

	MUST(ring_make(&ring, CH1, TO_PCI, ENTRIES, ENTRY_BYTES, 0));
	enable_irq(CH1);
	ring_start(&ring, PLX_MODE_DONE_INT);
	sleep_ms(3);
	SAME("DMACSR", csr(CH1), RUNNING);
	/* A prefetched list would go round without seeing it. */
	desc = get_descriptor(ring.table, 2);
	desc.next |= PLX_DPR_END;
	put_descriptor(ring.table, 2, desc);
	MUST(done_within(CH1, 2000));
	SAME("DMAPADR", rd32(PLX_DMAPADR(1)), ring.data->logical + 2 * ENTRY_BYTES);
	SAME("done interrupts", irq_wait(PLX_TEST_IRQ_DONE1, 1, 1000), 1);
}

/* Interrupts of the channel within 20 ms, once those under way have come. */
static uint64_t interrupts_seen(enum plx_test_counter counter)
{
	uint64_t before;

	sleep_ms(5);
	before = irq_count(counter);
	sleep_ms(20);
	return irq_count(counter) - before;
}

static void pause_holds_and_enable_resumes(void)
{
	uint8_t old[ENTRY_BYTES], new[ENTRY_BYTES], got[ENTRY_BYTES];
	struct ring ring;
	uint64_t target;

	MUST(ring_make(&ring, CH0, TO_PCI, ENTRIES, ENTRY_BYTES, ALL_TC));
	pattern(old, sizeof(old), 1);
	pattern(new, sizeof(new), 2);
	sram_write(0, 4, old, sizeof(old) / 4);
	enable_irq(CH0);
	ring_start(&ring, 0);
	MUST(CHECK(irq_wait(PLX_TEST_IRQ_CHANNEL0, 12, RING_MS) >= 12, "the ring does not run"));

	set_csr(CH0, PAUSED);
	SAME("DMACSR, paused", csr(CH0), PAUSED);
	SAME("interrupts while paused", interrupts_seen(PLX_TEST_IRQ_CHANNEL0), 0);
	sram_write(0, 4, new, sizeof(new) / 4);
	sleep_ms(5);
	buffer_read(ring.data, 0, got, sizeof(got));
	SAME_BYTES("the target while paused", got, old, sizeof(old));

	target = irq_count(PLX_TEST_IRQ_CHANNEL0) + 12;
	set_csr(CH0, PLX_CSR_ENABLE);
	MUST(CHECK(irq_wait(PLX_TEST_IRQ_CHANNEL0, target, RING_MS) >= target,
		   "ENABLE does not resume"));
	SAME("DMACSR, resumed", csr(CH0), RUNNING);
	buffer_read(ring.data, 0, got, sizeof(got));
	SAME_BYTES("the target once resumed", got, new, sizeof(new));

	/* START on a paused channel does not begin anew, it goes on. */
	set_csr(CH0, PAUSED);
	sleep_ms(5);
	wr32(PLX_DMADPR(0), 0);
	target = irq_count(PLX_TEST_IRQ_CHANNEL0) + 12;
	set_csr(CH0, PLX_CSR_ENABLE | PLX_CSR_START);
	CHECK(irq_wait(PLX_TEST_IRQ_CHANNEL0, target, RING_MS) >= target, "0x03 does not resume");
	CHECK(in_ring(&ring, rd32(PLX_DMAPADR(0))), "DMAPADR left the ring");
}

static void start_while_running_is_ignored(void)
{
	struct ring ring;
	uint64_t target;

	MUST(ring_make(&ring, CH0, TO_LOCAL, ENTRIES, ENTRY_BYTES, ALL_TC));
	enable_irq(CH0);
	ring_start(&ring, 0);
	MUST(CHECK(irq_wait(PLX_TEST_IRQ_CHANNEL0, 4, RING_MS) >= 4, "the ring does not run"));
	set_csr(CH0, PLX_CSR_ENABLE | PLX_CSR_START);
	set_csr(CH0, PLX_CSR_ENABLE | PLX_CSR_START);
	target = irq_count(PLX_TEST_IRQ_CHANNEL0) + 8;
	CHECK(irq_wait(PLX_TEST_IRQ_CHANNEL0, target, RING_MS) >= target, "the ring stopped");
	SAME("DMACSR", csr(CH0), RUNNING);
	CHECK(in_ring(&ring, rd32(PLX_DMAPADR(0))), "DMAPADR left the ring");
}

static void abort_of_a_ring_raises_the_done_interrupt(void)
{
	struct ring ring;

	MUST(ring_make(&ring, CH0, TO_PCI, ENTRIES, ENTRY_BYTES, 0));
	enable_irq(CH0);
	ring_start(&ring, PLX_MODE_DONE_INT);
	sleep_ms(5);
	SAME("DMACSR", csr(CH0), RUNNING);
	SAME("interrupts before", irq_count(PLX_TEST_IRQ_HANDLED), 0);
	/* Pause and abort in one byte. */
	set_csr(CH0, PLX_CSR_ABORT);
	MUST(done_within(CH0, 10));
	SAME("DMACSR", csr(CH0), PLX_CSR_DONE);
	SAME("done interrupts", irq_wait(PLX_TEST_IRQ_DONE0, 1, 1000), 1);
	CHECK(in_ring(&ring, rd32(PLX_DMAPADR(0))), "DMAPADR does not show the ring");
	SAME("interrupts after that", interrupts_seen(PLX_TEST_IRQ_HANDLED), 0);
}

/* Pause, look, abort, as two steps; the mode bit goes off in between. */
static void abort_without_done_interrupt_is_silent(void)
{
	struct ring ring;

	MUST(ring_make(&ring, CH1, TO_PCI, ENTRIES, ENTRY_BYTES, 0));
	enable_irq(CH1);
	ring_start(&ring, PLX_MODE_DONE_INT);
	sleep_ms(5);
	change(PLX_DMAMODE(1), PLX_MODE_DONE_INT, 0);
	set_csr(CH1, PAUSED);
	SAME("DMACSR, paused", csr(CH1), PAUSED);
	set_csr(CH1, PLX_CSR_ABORT);
	MUST(done_within(CH1, 10));
	SAME("INTCSR[22]", rd32(PLX_INTCSR) & PLX_INTCSR_DMA(1), 0);
	sleep_ms(10);
	SAME("interrupts", irq_count(PLX_TEST_IRQ_HANDLED), 0);
}

static void abort_with_enable_on_is_ignored(void)
{
	struct ring ring;

	MUST(ring_make(&ring, CH0, TO_PCI, ENTRIES, ENTRY_BYTES, 0));
	ring_start(&ring, 0);
	set_csr(CH0, PLX_CSR_ENABLE | PLX_CSR_ABORT);
	sleep_ms(5);
	SAME("DMACSR", csr(CH0), RUNNING);
}

static void abort_at_rest_does_nothing(void)
{
	struct common_buffer *buf = buffer(64);
	uint32_t intcsr;

	MUST(buf);
	MUST(block(CH0, TO_PCI, buf->logical, local_at(0), 64));
	enable_irq(CH0);
	change(PLX_DMAMODE(0), 0, PLX_MODE_DONE_INT | PLX_MODE_INTA);
	intcsr = rd32(PLX_INTCSR);
	SAME("DMACSR before", csr(CH0), PLX_CSR_DONE | PLX_CSR_ENABLE);
	set_csr(CH0, PLX_CSR_ABORT);
	SAME("DMACSR after", csr(CH0), PLX_CSR_DONE);
	SAME("INTCSR", rd32(PLX_INTCSR), intcsr);
	sleep_ms(5);
	SAME("interrupts", irq_count(PLX_TEST_IRQ_HANDLED), 0);
}

static void abort_of_one_ring_leaves_the_other(void)
{
	struct ring zero, one;
	uint64_t target;

	MUST(ring_make(&zero, CH0, TO_LOCAL, ENTRIES, ENTRY_BYTES, ALL_TC));
	MUST(ring_make(&one, CH1, TO_PCI, ENTRIES, ENTRY_BYTES, ALL_TC));
	enable_irq(CH0);
	enable_irq(CH1);
	ring_start(&zero, 0);
	ring_start(&one, 0);
	MUST(CHECK(irq_wait(PLX_TEST_IRQ_CHANNEL0, 8, RING_MS) >= 8, "channel 0 does not run"));
	MUST(CHECK(irq_wait(PLX_TEST_IRQ_CHANNEL1, 8, RING_MS) >= 8, "channel 1 does not run"));
	MUST(abort_channel(CH0));
	SAME("interrupts of channel 0", interrupts_seen(PLX_TEST_IRQ_CHANNEL0), 0);
	target = irq_count(PLX_TEST_IRQ_CHANNEL1) + 8;
	CHECK(irq_wait(PLX_TEST_IRQ_CHANNEL1, target, RING_MS) >= target, "channel 1 stopped too");
	SAME("DMACSR1", csr(CH1), RUNNING);
}

const struct test ring_tests[] = {
	{ "ring_interrupts_and_never_ends", ring_interrupts_and_never_ends },
	{ "ring_of_1000_laps_keeps_the_data_right", ring_of_1000_laps_keeps_the_data_right },
	{ "ring_stops_where_an_end_is_set_later", ring_stops_where_an_end_is_set_later },
	{ "pause_holds_and_enable_resumes", pause_holds_and_enable_resumes },
	{ "start_while_running_is_ignored", start_while_running_is_ignored },
	{ "abort_of_a_ring_raises_the_done_interrupt",
	  abort_of_a_ring_raises_the_done_interrupt },
	{ "abort_without_done_interrupt_is_silent", abort_without_done_interrupt_is_silent },
	{ "abort_with_enable_on_is_ignored", abort_with_enable_on_is_ignored },
	{ "abort_at_rest_does_nothing", abort_at_rest_does_nothing },
	{ "abort_of_one_ring_leaves_the_other", abort_of_one_ring_leaves_the_other },
	{ }
};
