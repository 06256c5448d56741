// SPDX-License-Identifier: GPL-2.0-only
/* No right to the bus, addresses that nobody answers, resets. */
#include <string.h>

#include "plx_test.h"

#define IRQ_MODE	(PLX_MODE_DONE_INT | PLX_MODE_INTA)
#define HELD_MS		20
#define PCISR		0x06
#define PCISR_MASTER_ABORT	0x2000
#define NOT_ABORTED	0x0f000000u	/* INTCSR[27:24] */
#define FILLER		0x6d

static bool holds(const struct common_buffer *buf, uint8_t value)
{
	uint8_t want[64], got[64];

	memset(want, value, sizeof(want));
	buffer_read(buf, 0, got, sizeof(got));
	return SAME_BYTES("the target", got, want, sizeof(want));
}

static void no_status_bit(void)
{
	SAME("PCISR errors", config_read(PCISR, 2) & PLX_PCISR_ERRORS, 0);
	SAME("INTCSR[14] and [27:24]", rd32(PLX_INTCSR) & (NOT_ABORTED | PLX_INTCSR_ABORT),
	     NOT_ABORTED);
}

/* ------------------------------------------------------------------ */

static void bus_master_off_holds_a_block(void)
{
	struct common_buffer *buf = buffer(64);
	uint32_t word;

	MUST(buf);
	sram_write(0, 4, "\x99\x99\x99\x99", 1);
	buffer_fill(buf, FILLER);
	enable_irq(CH0);
	bus_master(false);
	start_block(CH0, TO_PCI, buf->logical, local_at(0), 4, IRQ_MODE);
	sleep_ms(HELD_MS);
	SAME("DMACSR while held", csr(CH0), PLX_CSR_ENABLE);
	holds(buf, FILLER);
	no_status_bit();
	SAME("interrupts while held", irq_count(PLX_TEST_IRQ_HANDLED), 0);

	bus_master(true);
	MUST(done_within(CH0, 1000));
	SAME("interrupts afterwards", irq_wait(PLX_TEST_IRQ_DONE0, 1, 1000), 1);
	buffer_read(buf, 0, &word, sizeof(word));
	SAME("what moved afterwards", word, 0x99999999);
	no_status_bit();
}

static void bus_master_off_holds_a_ring(void)
{
	struct ring ring;
	uint64_t count;

	MUST(ring_make(&ring, CH1, TO_PCI, 4, 256, 0xf));
	enable_irq(CH1);
	bus_master(false);
	ring_start(&ring, 0);
	sleep_ms(HELD_MS);
	SAME("no descriptor was fetched: DMAPADR", rd32(PLX_DMAPADR(1)), 0);
	bus_master(true);
	MUST(CHECK(irq_wait(PLX_TEST_IRQ_CHANNEL1, 8, 2000) >= 8, "it does not go on"));
	/* And in the middle of it. */
	bus_master(false);
	sleep_ms(5);
	count = irq_count(PLX_TEST_IRQ_CHANNEL1);
	sleep_ms(HELD_MS);
	SAME("interrupts while held", irq_count(PLX_TEST_IRQ_CHANNEL1), count);
	SAME("DMACSR while held", csr(CH1), PLX_CSR_ENABLE);
	no_status_bit();
	bus_master(true);
	CHECK(irq_wait(PLX_TEST_IRQ_CHANNEL1, count + 8, 2000) >= count + 8,
	      "it does not go on");
}

/* While it is held, it can be asked what a second START and new addresses do. */
static void a_started_block_keeps_what_it_was_started_with(void)
{
	struct common_buffer *buf = buffer(64), *other = buffer(64);
	uint8_t want[64], got[64];

	MUST(buf && other);
	pattern(want, sizeof(want), 32);
	sram_write(0x40, 4, want, sizeof(want) / 4);
	buffer_fill(buf, FILLER);
	buffer_fill(other, FILLER);
	bus_master(false);
	start_block(CH0, TO_PCI, buf->logical, local_at(0x40), sizeof(want), 0);
	wr32(PLX_DMAPADR(0), other->logical);
	wr32(PLX_DMASIZ(0), 32);
	wr32(PLX_DMADPR(0), 0);
	set_csr(CH0, PLX_CSR_ENABLE | PLX_CSR_START);
	SAME("the registers take new values: DMAPADR", rd32(PLX_DMAPADR(0)), other->logical);
	bus_master(true);
	MUST(done_within(CH0, 1000));
	buffer_read(buf, 0, got, sizeof(got));
	SAME_BYTES("where it was sent", got, want, sizeof(want));
	holds(other, FILLER);
}

static void abort_works_while_bus_master_is_off(void)
{
	struct common_buffer *buf = buffer(64);

	MUST(buf);
	buffer_fill(buf, FILLER);
	enable_irq(CH0);
	bus_master(false);
	start_block(CH0, TO_PCI, buf->logical, local_at(0), 64, IRQ_MODE);
	SAME("DMACSR while held", csr(CH0), PLX_CSR_ENABLE);
	set_csr(CH0, PLX_CSR_ABORT);
	MUST(done_within(CH0, 10));
	SAME("DMACSR", csr(CH0), PLX_CSR_DONE);
	SAME("done interrupts", irq_wait(PLX_TEST_IRQ_DONE0, 1, 1000), 1);
	no_status_bit();
	bus_master(true);
	sleep_ms(5);
	holds(buf, FILLER);
}

/* ------------------------------------------------------------------ */

/* What a master abort leaves behind, and how it is cleared away. */
void after_master_abort(int ch, uint32_t address)
{
	uint32_t mine = PLX_INTCSR_DMA_NOT_ABORTED(ch);

	sleep_ms(HELD_MS);
	SAME("DMACSR stays at DONE=0", csr(ch), PLX_CSR_ENABLE);
	SAME("PCISR errors", config_read(PCISR, 2) & PLX_PCISR_ERRORS, PCISR_MASTER_ABORT);
	SAME("INTCSR[14] and [27:24]", rd32(PLX_INTCSR) & (NOT_ABORTED | PLX_INTCSR_ABORT),
	     (NOT_ABORTED & ~mine) | PLX_INTCSR_ABORT);
	if (chip->has_abort_address)
		SAME("PABTADR", rd32(PLX_PABTADR), address & ~3u);
	MUST(abort_channel(ch));
	SAME("DMACSR once aborted", csr(ch), PLX_CSR_DONE);
	SAME("PCISR errors until they are cleared", config_read(PCISR, 2) & PLX_PCISR_ERRORS,
	     PCISR_MASTER_ABORT);
	config_write(PCISR, 2, PCISR_MASTER_ABORT);
	no_status_bit();
}

void works_again(int ch)
{
	struct common_buffer *buf = buffer(64);
	uint8_t want[64], got[64];

	MUST(buf);
	pattern(want, sizeof(want), 77);
	sram_write(0x500, 4, want, sizeof(want) / 4);
	MUST(block(ch, TO_PCI, buf->logical, local_at(0x500), sizeof(want)));
	buffer_read(buf, 0, got, sizeof(got));
	SAME_BYTES("a block afterwards", got, want, sizeof(want));
}

static void chain_to_an_unmapped_address_is_a_master_abort(void)
{
	struct common_buffer *table = buffer(2 * sizeof(struct descriptor)), *buf = buffer(64);
	uint8_t want[64], got[64];

	MUST(table && buf);
	pattern(want, sizeof(want), 30);
	sram_write(0, 4, want, sizeof(want) / 4);
	put_descriptor(table, 0, (struct descriptor){
		.pci = buf->logical, .local = local_at(0), .size = 64,
		.next = descriptor_at(table, 1) | PLX_DPR_PCI | PLX_DPR_TO_PCI,
	});
	put_descriptor(table, 1, (struct descriptor){
		.pci = UNMAPPED + 8, .local = local_at(0), .size = 64,
		.next = PLX_DPR_PCI | PLX_DPR_TO_PCI | PLX_DPR_END,
	});
	enable_irq(CH0);
	start_chain(CH0, table->logical | PLX_DPR_PCI, PLX_MODE_INTA);
	after_master_abort(CH0, UNMAPPED + 8);
	buffer_read(buf, 0, got, sizeof(got));
	SAME_BYTES("what the first descriptor moved", got, want, sizeof(want));
	SAME("interrupts", irq_count(PLX_TEST_IRQ_HANDLED), 0);
	works_again(CH0);
}

static void read_from_an_unmapped_address_is_a_master_abort(void)
{
	start_block(CH1, TO_LOCAL, UNMAPPED, local_at(0), 64, 0);
	after_master_abort(CH1, UNMAPPED);
	works_again(CH1);
}

static void descriptor_at_an_unmapped_address_is_a_master_abort(void)
{
	start_chain(CH1, UNMAPPED | 0x40 | PLX_DPR_PCI, IRQ_MODE);
	after_master_abort(CH1, UNMAPPED + 0x40);
	works_again(CH1);
}

static void a_bus_error_interrupts_if_it_is_enabled(void)
{
	change(PLX_INTCSR, 0, PLX_INTCSR_PCI_EN | PLX_INTCSR_ABORT_EN);
	start_block(CH0, TO_PCI, UNMAPPED, local_at(0), 4, 0);
	MUST(SAME("interrupts", irq_wait(PLX_TEST_IRQ_ABORT, 1, 1000), 1));
	/* The handler masks it; while it lasts, unmasking calls again. */
	change(PLX_INTCSR, 0, PLX_INTCSR_ABORT_EN);
	MUST(SAME("interrupts once unmasked", irq_wait(PLX_TEST_IRQ_ABORT, 2, 1000), 2));
	MUST(abort_channel(CH0));
	config_write(PCISR, 2, PLX_PCISR_ABORTS);
	change(PLX_INTCSR, 0, PLX_INTCSR_ABORT_EN);
	sleep_ms(10);
	SAME("interrupts once cleared", irq_count(PLX_TEST_IRQ_ABORT), 2);
}

/* The local bus has no such thing as a master abort. */
static void local_addresses_without_memory_read_ones(void)
{
	const uint32_t nowhere = 0x08000000;
	struct common_buffer *buf = buffer(64);
	uint8_t want[64], got[64];
	uint32_t last = space[0].size - sizeof(want) / 2;

	MUST(buf);
	buffer_fill(buf, FILLER);
	MUST(block(CH0, TO_LOCAL, buf->logical, nowhere, 64));
	MUST(block(CH0, TO_PCI, buf->logical, nowhere, 64));
	holds(buf, 0xff);

	/* A piece that runs out of the SRAM. */
	pattern(want, sizeof(want), 31);
	sram_write(last, 4, want, sizeof(want) / 8);
	memset(want + sizeof(want) / 2, 0xff, sizeof(want) / 2);
	MUST(block(CH1, TO_PCI, buf->logical, local_at(last), sizeof(want)));
	buffer_read(buf, 0, got, sizeof(got));
	SAME_BYTES("half in the SRAM, half behind it", got, want, sizeof(want));
	no_status_bit();
}

const struct test error_tests[] = {
	{ "bus_master_off_holds_a_block", bus_master_off_holds_a_block },
	{ "bus_master_off_holds_a_ring", bus_master_off_holds_a_ring },
	{ "a_started_block_keeps_what_it_was_started_with",
	  a_started_block_keeps_what_it_was_started_with },
	{ "abort_works_while_bus_master_is_off", abort_works_while_bus_master_is_off },
	{ "chain_to_an_unmapped_address_is_a_master_abort",
	  chain_to_an_unmapped_address_is_a_master_abort },
	{ "read_from_an_unmapped_address_is_a_master_abort",
	  read_from_an_unmapped_address_is_a_master_abort },
	{ "descriptor_at_an_unmapped_address_is_a_master_abort",
	  descriptor_at_an_unmapped_address_is_a_master_abort },
	{ "a_bus_error_interrupts_if_it_is_enabled", a_bus_error_interrupts_if_it_is_enabled },
	{ "local_addresses_without_memory_read_ones", local_addresses_without_memory_read_ones },
	{ }
};

/* ------------------------------------------------------------------ */
/* Last, because they leave traces                                     */

static void software_reset_spares_configuration_and_runtime(void)
{
	uint32_t command = config_read(0x04, 2), bar0 = config_read(0x10, 4);
	uint32_t bar2 = config_read(0x18, 4);
	struct ring ring;

	MUST(ring_make(&ring, CH0, TO_PCI, 4, 256, 0));
	wr32(PLX_MBOX2, 0x0badcafe);
	wr32(PLX_MARBR, rd32(PLX_MARBR) | 0x00180000);
	enable_irq(CH0);
	ring_start(&ring, PLX_MODE_DONE_INT);
	sleep_ms(2);

	change(PLX_CNTRL, 0, PLX_CNTRL_RESET);
	SAME("CNTRL[30] is a level", rd32(PLX_CNTRL) & PLX_CNTRL_RESET, PLX_CNTRL_RESET);
	SAME("both DMACSR", rd32(PLX_DMACSR(0)), 0x1010);
	SAME("DMAMODE0", rd32(PLX_DMAMODE(0)), PLX_MODE_RESET);
	SAME("DMAPADR0", rd32(PLX_DMAPADR(0)), 0);
	SAME("DMADPR0", rd32(PLX_DMADPR(0)), 0);
	SAME("MARBR", rd32(PLX_MARBR) & 0xffffff00, 0x00200000);
	SAME("LAS0RR", rd32(PLX_LAS0RR), ~(space[0].size - 1));
	SAME("LAS0BA", rd32(PLX_LAS0BA), local_at(0) | 1);
	SAME("INTCSR enables", rd32(PLX_INTCSR) & PLX_INTCSR_RW,
	     PLX_INTCSR_PCI_EN | PLX_INTCSR_LINTO_EN | PLX_INTCSR_DMA_EN(0));
	SAME("MBOX2", rd32(PLX_MBOX2), 0x0badcafe);
	SAME("COMMAND", config_read(0x04, 2), command);
	SAME("base of BAR0", config_read(0x10, 4), bar0);
	SAME("base of BAR2", config_read(0x18, 4), bar2);
	SAME("the SRAM while held", peek(SRAM, 4, 0), 0xffffffff);
	set_csr(CH0, PLX_CSR_ENABLE | PLX_CSR_START);
	SAME("START while held", csr(CH0) & PLX_CSR_DONE, PLX_CSR_DONE);

	change(PLX_CNTRL, PLX_CNTRL_RESET, 0);
	sleep_ms(5);
	SAME("interrupts", irq_count(PLX_TEST_IRQ_CHANNEL0), 0);
	works_again(CH0);
	wr32(PLX_MBOX2, 0);
}

/* Only a local processor takes these back: they stay until the next reset. */
static void local_doorbell_sets_and_stays(void)
{
	uint32_t before = rd32(PLX_P2LDBELL);

	wr32(PLX_P2LDBELL, 0x00000001);
	SAME("P2LDBELL after the first", rd32(PLX_P2LDBELL), before | 0x1);
	wr32(PLX_P2LDBELL, 0x80000000);
	SAME("P2LDBELL after the second", rd32(PLX_P2LDBELL), before | DOORBELL_MARK);
	wr32(PLX_P2LDBELL, 0);
	SAME("P2LDBELL after none", rd32(PLX_P2LDBELL), before | DOORBELL_MARK);
	SAME("INTCSR[20]", rd32(PLX_INTCSR) & PLX_INTCSR_LDBELL, PLX_INTCSR_LDBELL);
	/* For the local side: nothing comes to the PCI side, whatever is on. */
	change(PLX_INTCSR, 0, PLX_INTCSR_PCI_EN | PLX_INTCSR_DBELL_EN | 0x00020000);
	sleep_ms(10);
	SAME("interrupts", irq_count(PLX_TEST_IRQ_HANDLED), 0);
}

const struct test last_tests[] = {
	{ "software_reset_spares_configuration_and_runtime",
	  software_reset_spares_configuration_and_runtime },
	{ "local_doorbell_sets_and_stays", local_doorbell_sets_and_stays },
	{ }
};
