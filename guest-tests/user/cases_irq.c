// SPDX-License-Identifier: GPL-2.0-only
/* INTA#: who may raise it, how often, and that it is a level. */
#include "plx_test.h"

#define IRQ_MODE	(PLX_MODE_DONE_INT | PLX_MODE_INTA)
#define IRQ_MS		2000
/* Long against the 0.5 ms that an interrupt takes to come. */
#define QUIET_MS	10

static struct common_buffer *buf;

/* A block that leaves the channel's interrupt latched. */
static bool finish_block(int ch)
{
	return block_with(ch, TO_PCI, buf->logical, local_at(0), 64, IRQ_MODE);
}

static bool latched(int ch)
{
	return rd32(PLX_INTCSR) & PLX_INTCSR_DMA(ch);
}

/*
 * Nothing more comes, neither for us nor for nobody: a line that stays up
 * would call again and again. One late call is how an edge travels.
 */
static void quiet(const char *when, uint64_t handled)
{
	uint64_t none = irq_count(PLX_TEST_IRQ_NONE);
	struct plx_test_irq_stats stats;

	sleep_ms(QUIET_MS);
	stats = irq_stats();
	SAME(when, stats.count[PLX_TEST_IRQ_HANDLED], handled);
	CHECK(stats.count[PLX_TEST_IRQ_NONE] <= none + 2, "%s: %llu calls for nothing", when,
	      (unsigned long long)(stats.count[PLX_TEST_IRQ_NONE] - none));
}

/* ------------------------------------------------------------------ */

static void each_block_interrupts_once(void)
{
	struct plx_test_irq_stats stats;
	unsigned int i;

	MUST((buf = buffer(64)));
	enable_irq(CH0);
	enable_irq(CH1);
	for (i = 1; i <= 32; i++) {
		start_block(i & 1, TO_PCI, buf->logical, local_at(0), 64, IRQ_MODE);
		MUST(SAME("interrupts so far", irq_wait(PLX_TEST_IRQ_HANDLED, i, IRQ_MS), i));
	}
	quiet("interrupts once all is done", 32);
	stats = irq_stats();
	SAME("interrupts of channel 0 with DONE", stats.count[PLX_TEST_IRQ_DONE0], 16);
	SAME("interrupts of channel 1 with DONE", stats.count[PLX_TEST_IRQ_DONE1], 16);
	SAME("DMACSR1 in the handler", stats.dmacsr[1], PLX_CSR_DONE | PLX_CSR_ENABLE);
	SAME("all ones in the handler", stats.count[PLX_TEST_IRQ_ALL_ONES], 0);
	/* One of these after each of ours is how the line travels; not a storm. */
	CHECK(stats.count[PLX_TEST_IRQ_NONE] <= 64, "%llu calls for nothing",
	      (unsigned long long)stats.count[PLX_TEST_IRQ_NONE]);
}

static void terminal_count_and_done_are_one_interrupt(void)
{
	struct plx_test_start values = {
		.channel = CH0, .which = PLX_TEST_SET_BLOCK, .ladr = local_at(0), .siz = 64,
		.dpr = PLX_DPR_TO_PCI | PLX_DPR_TC, .csr = PLX_CSR_ENABLE | PLX_CSR_START,
	};

	MUST((buf = buffer(64)));
	enable_irq(CH0);
	values.padr = buf->logical;
	values.mode = PLX_MODE_RESET | PLX_MODE_INTA;
	start(&values);
	MUST(SAME("of terminal count alone", irq_wait(PLX_TEST_IRQ_DONE0, 1, IRQ_MS), 1));
	values.mode = PLX_MODE_RESET | IRQ_MODE;
	start(&values);
	MUST(SAME("of both together", irq_wait(PLX_TEST_IRQ_DONE0, 2, IRQ_MS), 2));
	quiet("interrupts, all in all", 2);
	/* And of neither. */
	MUST(block_with(CH0, TO_PCI, buf->logical, local_at(0), 64, PLX_MODE_INTA));
	CHECK(!latched(CH0), "latched without a reason");
}

static void masked_by_its_channel_enable_it_waits(void)
{
	MUST((buf = buffer(64)));
	change(PLX_INTCSR, PLX_INTCSR_DMA_EN(0), PLX_INTCSR_PCI_EN);
	MUST(finish_block(CH0));
	CHECK(latched(CH0), "INTCSR[21] does not show what is masked");
	quiet("interrupts while masked", 0);
	enable_irq(CH0);
	SAME("interrupts once unmasked", irq_wait(PLX_TEST_IRQ_CHANNEL0, 1, IRQ_MS), 1);
	quiet("interrupts after that", 1);
}

static void masked_by_the_master_enable_it_waits(void)
{
	MUST((buf = buffer(64)));
	enable_irq(CH1);
	change(PLX_INTCSR, PLX_INTCSR_PCI_EN, 0);
	MUST(finish_block(CH1));
	quiet("interrupts while masked", 0);
	CHECK(latched(CH1), "INTCSR[22] does not show what is masked");
	change(PLX_INTCSR, 0, PLX_INTCSR_PCI_EN);
	SAME("interrupts once unmasked", irq_wait(PLX_TEST_IRQ_CHANNEL1, 1, IRQ_MS), 1);
	quiet("interrupts after that", 1);
}

static void cleared_while_masked_it_never_comes(void)
{
	MUST((buf = buffer(64)));
	enable_irq(CH0);
	change(PLX_INTCSR, PLX_INTCSR_PCI_EN, 0);
	MUST(finish_block(CH0));
	set_csr(CH0, PLX_CSR_CLEAR);
	CHECK(!latched(CH0), "DMACSR[3] does not clear the latch");
	change(PLX_INTCSR, 0, PLX_INTCSR_PCI_EN);
	quiet("interrupts", 0);
}

static void routed_to_the_local_bus_it_never_comes(void)
{
	MUST((buf = buffer(64)));
	enable_irq(CH0);
	MUST(block_with(CH0, TO_PCI, buf->logical, local_at(0), 64, PLX_MODE_DONE_INT));
	CHECK(latched(CH0), "INTCSR[21] does not show it");
	quiet("interrupts with DMAMODE[17]=0", 0);
	/* The bit is looked at all the time, not only at the end. */
	change(PLX_DMAMODE(0), 0, PLX_MODE_INTA);
	SAME("interrupts with DMAMODE[17]=1", irq_wait(PLX_TEST_IRQ_CHANNEL0, 1, IRQ_MS), 1);
}

/*
 * The SDK's way: the handler masks all of INTA#, a later part clears the
 * causes and unmasks. What is still there then must call again.
 */
static void the_line_stays_while_one_cause_is_left(void)
{
	MUST((buf = buffer(64)));
	irq_policy(PLX_TEST_ISR_MASK, NULL, 0);
	enable_irq(CH0);
	enable_irq(CH1);
	change(PLX_INTCSR, PLX_INTCSR_PCI_EN, 0);
	MUST(finish_block(CH0));
	MUST(finish_block(CH1));
	change(PLX_INTCSR, 0, PLX_INTCSR_PCI_EN);
	MUST(SAME("with two causes", irq_wait(PLX_TEST_IRQ_HANDLED, 1, IRQ_MS), 1));
	quiet("masked by the handler", 1);
	SAME("INTCSR[8]", rd32(PLX_INTCSR) & PLX_INTCSR_PCI_EN, 0);

	set_csr(CH0, PLX_CSR_CLEAR | PLX_CSR_ENABLE);
	change(PLX_INTCSR, 0, PLX_INTCSR_PCI_EN);
	MUST(SAME("with one cause left", irq_wait(PLX_TEST_IRQ_HANDLED, 2, IRQ_MS), 2));
	SAME("of channel 1", irq_count(PLX_TEST_IRQ_CHANNEL1), 2);
	SAME("of channel 0", irq_count(PLX_TEST_IRQ_CHANNEL0), 1);

	/* A new one between the handler and the unmasking. */
	set_csr(CH1, PLX_CSR_CLEAR | PLX_CSR_ENABLE);
	MUST(finish_block(CH0));
	change(PLX_INTCSR, 0, PLX_INTCSR_PCI_EN);
	MUST(SAME("with a new cause", irq_wait(PLX_TEST_IRQ_HANDLED, 3, IRQ_MS), 3));

	set_csr(CH0, PLX_CSR_CLEAR | PLX_CSR_ENABLE);
	change(PLX_INTCSR, 0, PLX_INTCSR_PCI_EN);
	quiet("with none left", 3);
}

/*
 * A handler that clears one cause and goes must be called again for the next,
 * though the line never fell in between.
 */
static void one_cause_at_a_time_is_called_for_each(void)
{
	unsigned int round;

	MUST((buf = buffer(64)));
	irq_policy(PLX_TEST_ISR_ONE, NULL, 0);
	enable_irq(CH0);
	enable_irq(CH1);
	for (round = 1; round <= 8; round++) {
		change(PLX_INTCSR, PLX_INTCSR_PCI_EN, 0);
		MUST(finish_block(CH0));
		MUST(finish_block(CH1));
		change(PLX_INTCSR, 0, PLX_INTCSR_PCI_EN);
		MUST(SAME("of channel 0", irq_wait(PLX_TEST_IRQ_CHANNEL0, round, IRQ_MS), round));
		MUST(SAME("of channel 1", irq_wait(PLX_TEST_IRQ_CHANNEL1, round, IRQ_MS), round));
	}
	quiet("interrupts, all in all", 16);
}

/*
 * A driver that drains its buffers by looking at DMAPADR needs it past the
 * finished one. The second descriptor here holds the local address and takes
 * long, so most often the chip is still at it when the handler looks.
 */
static void terminal_count_finds_the_next_descriptor_loaded(void)
{
	const uint32_t long_bytes = 0x4000;
	struct common_buffer *table = buffer(2 * sizeof(struct descriptor));
	unsigned int round, running = 0;

	MUST(table && (buf = buffer(long_bytes)));
	enable_irq(CH0);
	for (round = 1; round <= 4; round++) {
		put_descriptor(table, 0, (struct descriptor){
			.pci = buf->logical + 64, .local = local_at(0), .size = 64,
			.next = descriptor_at(table, 1) | PLX_DPR_PCI | PLX_DPR_TC,
		});
		put_descriptor(table, 1, (struct descriptor){
			.pci = buf->logical, .local = local_at(0), .size = long_bytes,
			.next = PLX_DPR_END,
		});
		start_chain(CH0, table->logical | PLX_DPR_PCI,
			    PLX_MODE_INTA | PLX_MODE_HOLD_LOCAL);
		MUST(SAME("interrupts", irq_wait(PLX_TEST_IRQ_CHANNEL0, round, IRQ_MS), round));
		SAME("DMAPADR in the handler", irq_stats().padr[0], buf->logical);
		MUST(done_within(CH0, 5000));
		running = round - irq_count(PLX_TEST_IRQ_DONE0);
	}
	quiet("interrupts, all in all", 4);
	diag("%u of 4 handlers found the second descriptor running", running);
}

const struct test irq_tests[] = {
	{ "each_block_interrupts_once", each_block_interrupts_once },
	{ "terminal_count_and_done_are_one_interrupt",
	  terminal_count_and_done_are_one_interrupt },
	{ "masked_by_its_channel_enable_it_waits", masked_by_its_channel_enable_it_waits },
	{ "masked_by_the_master_enable_it_waits", masked_by_the_master_enable_it_waits },
	{ "cleared_while_masked_it_never_comes", cleared_while_masked_it_never_comes },
	{ "routed_to_the_local_bus_it_never_comes", routed_to_the_local_bus_it_never_comes },
	{ "the_line_stays_while_one_cause_is_left", the_line_stays_while_one_cause_is_left },
	{ "one_cause_at_a_time_is_called_for_each", one_cause_at_a_time_is_called_for_each },
	{ "terminal_count_finds_the_next_descriptor_loaded",
	  terminal_count_finds_the_next_descriptor_loaded },
	{ }
};
