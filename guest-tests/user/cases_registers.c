// SPDX-License-Identifier: GPL-2.0-only
/* The DMA self-test, BARs, configuration space, registers. */
#include <string.h>

#include "plx_test.h"

/* Before anything else counts: is the memory that we see the one that DMA sees? */
static void selftest_dma_pattern(void)
{
	struct common_buffer *out = buffer(PAGE), *back = buffer(PAGE);
	uint8_t want[PAGE], got[PAGE];
	unsigned int i, wrong = 0;

	MUST(out && back);
	pattern(want, sizeof(want), 0x5e1f);
	buffer_write(out, 0, want, sizeof(want));
	buffer_fill(back, 0x00);
	MUST(block(CH0, TO_LOCAL, out->logical, local_at(0), PAGE));
	MUST(block(CH0, TO_PCI, back->logical, local_at(0), PAGE));
	buffer_read(back, 0, got, sizeof(got));
	for (i = 0; i < PAGE; i++)
		wrong += got[i] != want[i];
	if (!wrong)
		return;
	diag("%u of %u bytes wrong at bus address 0x%08llx", wrong, PAGE,
	     (unsigned long long)back->logical);
	bail_out("DMA moves wrong bytes: guest RAM is probably not shared (share=on)");
}

/* ------------------------------------------------------------------ */

static void bars_have_the_boards_sizes(void)
{
	unsigned int i;

	SAME("length of BAR0", info.bar_len[MEM], chip->window);
	SAME("kind of BAR0", info.bar_flags[MEM], PLX_TEST_BAR_MEM);
	SAME("length of BAR1", info.bar_len[IO], 0x100);
	SAME("kind of BAR1", info.bar_flags[IO], PLX_TEST_BAR_IO);
	for (i = 0; i < ARRAY_SIZE(space); i++) {
		const struct local_memory *memory = &board->memory[i];

		SAME("length of BAR2 or 3", info.bar_len[SRAM + i], memory->size);
		SAME("kind of BAR2 or 3", info.bar_flags[SRAM + i],
		     memory->size ? PLX_TEST_BAR_MEM : 0);
		/* What the BAR decodes is what the local space says. */
		SAME("size of local space", space[i].size, memory->size);
		SAME("local address of local space", space[i].at, memory->at);
	}
	SAME("length of BAR4", info.bar_len[4], 0);
	SAME("length of BAR5", info.bar_len[5], 0);
}

static void config_names_the_board(void)
{
	SAME("vendor", config_read(0x00, 2), PLX_VENDOR);
	SAME("device", config_read(0x02, 2), board->device);
	SAME("subsystem vendor", config_read(0x2c, 2), PLX_VENDOR);
	SAME("subsystem", config_read(0x2e, 2), board->subsystem);
	SAME("revision", config_read(0x08, 1), chip->revision);
	SAME("class", config_read(0x08, 4) >> 8, 0x068000);
	SAME("header type", config_read(0x0e, 1), 0x00);
	SAME("interrupt pin", config_read(0x3d, 1), 0x01);
	SAME("CIS pointer", config_read(0x28, 4), 0);
}

static void config_capabilities_are_pm_hotswap_vpd(void)
{
	SAME("capability pointer", config_read(0x34, 1), chip->power ? 0x40 : 0);
	MUST(chip_can(chip->power, "list of capabilities"));
	SAME("at 40: power management, next 48", config_read(0x40, 2), 0x4801);
	SAME("power management capabilities", config_read(0x42, 2), chip->power);
	SAME("at 48: hot swap, next 4c", config_read(0x48, 2), 0x4c06);
	SAME("at 4c: vital product data, the last", config_read(0x4c, 2), 0x0003);
	SAME("power state", config_read(0x44, 2) & 3, 0);
}

static void config_command_keeps_only_its_bits(void)
{
	uint32_t before = config_read(0x04, 2);

	config_write(0x04, 2, before | 0xffff);
	SAME("COMMAND after all ones", config_read(0x04, 2), 0x0357);
	config_write(0x04, 2, before);
	SAME("COMMAND put back", config_read(0x04, 2), before);
}

static void config_status_shows_no_error_at_rest(void)
{
	SAME("STATUS", config_read(0x06, 2), chip->status);
	config_write(0x06, 2, 0xffff);
	SAME("STATUS after all ones", config_read(0x06, 2), chip->status);
}

/* ------------------------------------------------------------------ */

struct reset_value {
	uint16_t offset;
	uint32_t value;
	uint32_t mask;
	const char *name;
};

#define ALL	0xffffffffu

/*
 * Of every reference board with its EEPROM loaded; what a chip lacks reads 0, as
 * what it has does after power-on. MARBR[7:0] is a live counter.
 */
static const struct reset_value reset_values[] = {
	{ PLX_MARBR, 0x00200000, 0xffffff00, "MARBR" },
	{ PLX_EROMRR, 0, ALL, "EROMRR" },
	{ PLX_EROMBA, 0, ALL, "EROMBA" },
	{ PLX_LBRD0, 0x42430043, ALL, "LBRD0" },
	{ PLX_DMRR, 0, ALL, "DMRR" },
	{ PLX_DMLBAM, 0, ALL, "DMLBAM" },
	{ PLX_DMLBAI, 0, ALL, "DMLBAI" },
	{ PLX_DMPBAM, 0, ALL, "DMPBAM" },
	{ PLX_DMCFGA, 0, ALL, "DMCFGA" },
	{ PLX_OPQIS, 0, ALL, "OPQIS" },
	{ PLX_OPQIM, 8, ALL, "OPQIM" },
	{ PLX_MBOX0, 0, ALL, "MBOX0" },
	{ PLX_MBOX0 + 0x04, 0, ALL, "MBOX1" },
	{ PLX_MBOX2, 0, ALL, "MBOX2" },
	{ PLX_MBOX3, 0, ALL, "MBOX3" },
	{ PLX_MBOX4, 0, ALL, "MBOX4" },
	{ PLX_MBOX5, 0, ALL, "MBOX5" },
	{ PLX_MBOX5 + 0x04, 0, ALL, "MBOX6" },
	{ PLX_MBOX7, 0, ALL, "MBOX7" },
	{ PLX_P2LDBELL, 0, ALL, "P2LDBELL" },
	{ PLX_L2PDBELL, 0, ALL, "L2PDBELL" },
	{ PLX_INTCSR, PLX_INTCSR_RESET, ALL, "INTCSR" },
	{ PLX_MBOX0_ALT, 0, ALL, "MBOX0 (78)" },
	{ PLX_MBOX1_ALT, 0, ALL, "MBOX1 (7c)" },
	{ PLX_DMAMODE(0), PLX_MODE_RESET, ALL, "DMAMODE0" },
	{ PLX_DMAPADR(0), 0, ALL, "DMAPADR0" },
	{ PLX_DMALADR(0), 0, ALL, "DMALADR0" },
	{ PLX_DMASIZ(0), 0, ALL, "DMASIZ0" },
	{ PLX_DMADPR(0), 0, ALL, "DMADPR0" },
	{ PLX_DMAMODE(1), PLX_MODE_RESET, ALL, "DMAMODE1" },
	{ PLX_DMAPADR(1), 0, ALL, "DMAPADR1" },
	{ PLX_DMALADR(1), 0, ALL, "DMALADR1" },
	{ PLX_DMASIZ(1), 0, ALL, "DMASIZ1" },
	{ PLX_DMADPR(1), 0, ALL, "DMADPR1" },
	{ PLX_DMACSR(0), 0x00001010, ALL, "DMACSR0 and DMACSR1" },
	{ PLX_DMAARB, 0x00200000, 0xffffff00, "DMAARB" },
	{ PLX_DMATHR, 0, ALL, "DMATHR" },
	{ PLX_DMADAC(0), 0, ALL, "DMADAC0" },
	{ PLX_DMADAC(1), 0, ALL, "DMADAC1" },
	{ PLX_MQCR, 2, ALL, "MQCR" },
	{ PLX_QBAR, 0, ALL, "QBAR" },
	{ PLX_QSR, 0x50, ALL, "QSR" },
	{ PLX_LBRD1, 0x00000043, ALL, "LBRD1" },
	{ PLX_DMDAC, 0, ALL, "DMDAC" },
	{ PLX_PCIARB, 0, ALL, "PCIARB" },
	{ PLX_PABTADR, 0, ALL, "PABTADR" },
};

/* Offsets without a register; those behind the window of BAR0 are left out. */
static const uint16_t holes[] = { 0x38, 0x3c, 0xbc, 0xec, 0x108, 0x1fc };
static const uint16_t upper_halves[] = { PLX_DMADAC(0), PLX_DMADAC(1), PLX_DMDAC };

static void snapshot(struct plx_test_snapshot *snap)
{
	int error = device_ioctl(PLX_TEST_SNAPSHOT, snap);

	CHECK(!error, "no snapshot: %d", error);
}

static void bar0_has_its_reset_values(void)
{
	struct plx_test_snapshot snap;
	unsigned int i;

	snapshot(&snap);
	MUST(SAME("registers in BAR0", snap.mem_words, chip->window / 4));
	if (snap.mem[PLX_P2LDBELL / 4] == DOORBELL_MARK) {
		skip_case("an earlier run left its doorbell, so the chip is not fresh from reset");
		return;
	}
	for (i = 0; i < ARRAY_SIZE(reset_values); i++) {
		const struct reset_value *reg = &reset_values[i];

		if (reg->offset < chip->window)
			SAME(reg->name, snap.mem[reg->offset / 4] & reg->mask,
			     reg->value & reg->mask);
	}
	SAME("LAS0RR", snap.mem[PLX_LAS0RR / 4], -board->memory[0].size);
	SAME("LAS0BA", snap.mem[PLX_LAS0BA / 4], board->memory[0].at | 1);
	/* Of a space that the EEPROM leaves off, as the chip has it: a megabyte. */
	SAME("LAS1RR", snap.mem[PLX_LAS1RR / 4],
	     board->memory[1].size ? -board->memory[1].size : 0xfff00000);
	SAME("LAS1BA", snap.mem[PLX_LAS1BA / 4],
	     board->memory[1].size ? board->memory[1].at | 1 : 0);
	SAME("BIGEND, LMISC1, PROT_AREA, LMISC2", snap.mem[PLX_BIGEND / 4], chip->bigend);
	SAME("CNTRL", snap.mem[PLX_CNTRL / 4], chip->cntrl);
	SAME("PCIHIDR", snap.mem[PLX_PCIHIDR / 4], (uint32_t)chip->id << 16 | PLX_VENDOR);
	SAME("PCIHREV", snap.mem[PLX_PCIHREV / 4], chip->stepping);
}

static void bar1_shows_what_bar0_shows(void)
{
	struct plx_test_snapshot snap;
	unsigned int i;

	snapshot(&snap);
	MUST(SAME("registers in BAR1", snap.io_words, 64));
	for (i = 0; i < 64; i++) {
		uint32_t mask = i == PLX_MARBR / 4 || i == PLX_DMAARB / 4 ? 0xffffff00 : ALL;

		CHECK(!((snap.io[i] ^ snap.mem[i]) & mask), "at 0x%02x: BAR1 0x%08x, BAR0 0x%08x",
		      i * 4, snap.io[i], snap.mem[i]);
	}
	poke(IO, 4, PLX_MBOX2, 0x12345678);
	SAME("MBOX2, written through BAR1", rd32(PLX_MBOX2), 0x12345678);
	wr32(PLX_MBOX2, 0x9abcdef0);
	SAME("MBOX2, read through BAR1", peek(IO, 4, PLX_MBOX2), 0x9abcdef0);
	poke(IO, 2, PLX_MBOX2 + 2, 0x55aa);
	poke(IO, 1, PLX_MBOX2, 0x77);
	SAME("MBOX2, byte and word through BAR1", rd32(PLX_MBOX2), 0x55aade77);
	SAME("byte through BAR1", peek(IO, 1, PLX_MBOX2 + 3), 0x55);
	SAME("word through BAR1", peek(IO, 2, PLX_MBOX2), 0xde77);
}

static void reads_zero(uint32_t offset)
{
	wr32(offset, ALL);
	CHECK(rd32(offset) == 0, "0x%03x reads 0x%08x", offset, rd32(offset));
}

static void offsets_without_register_read_zero(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(holes); i++)
		if (holes[i] < chip->window)
			reads_zero(holes[i]);
	for (i = 0; !chip->has_upper_half && i < ARRAY_SIZE(upper_halves); i++)
		reads_zero(upper_halves[i]);
}

static void bytes_and_words_reach_their_lanes(void)
{
	wr32(PLX_MBOX3, 0x11223344);
	SAME("byte 0", peek(MEM, 1, PLX_MBOX3), 0x44);
	SAME("byte 1", peek(MEM, 1, PLX_MBOX3 + 1), 0x33);
	SAME("byte 2", peek(MEM, 1, PLX_MBOX3 + 2), 0x22);
	SAME("byte 3", peek(MEM, 1, PLX_MBOX3 + 3), 0x11);
	SAME("word 0", peek(MEM, 2, PLX_MBOX3), 0x3344);
	SAME("word 1", peek(MEM, 2, PLX_MBOX3 + 2), 0x1122);
	poke(MEM, 1, PLX_MBOX3 + 1, 0xaa);
	SAME("after a byte to lane 1", rd32(PLX_MBOX3), 0x1122aa44);
	poke(MEM, 1, PLX_MBOX3 + 3, 0xbb);
	SAME("after a byte to lane 3", rd32(PLX_MBOX3), 0xbb22aa44);
	poke(MEM, 2, PLX_MBOX3, 0xcdef);
	SAME("after a word to lanes 0 and 1", rd32(PLX_MBOX3), 0xbb22cdef);
	poke(MEM, 2, PLX_MBOX3 + 2, 0x0123);
	SAME("after a word to lanes 2 and 3", rd32(PLX_MBOX3), 0x0123cdef);
	/* And where the rest of the dword would do something. */
	poke(MEM, 1, PLX_INTCSR + 2, 0x0d);
	SAME("INTCSR after its third byte", rd32(PLX_INTCSR) & ~PLX_INTCSR_LDBELL, 0x0f0d0100);
	poke(MEM, 2, PLX_INTCSR, 0x0000);
	SAME("INTCSR after its lower word", rd32(PLX_INTCSR) & ~PLX_INTCSR_LDBELL, 0x0f0d0000);
}

static void eight_bytes_are_two_dwords(void)
{
	poke(MEM, 8, PLX_MBOX4, 0x0123456789abcdefull);
	SAME("MBOX4", rd32(PLX_MBOX4), 0x89abcdef);
	SAME("MBOX5", rd32(PLX_MBOX5), 0x01234567);
	SAME("both", peek(MEM, 8, PLX_MBOX4), 0x0123456789abcdefull);
}

static void mailboxes_keep_what_is_written(void)
{
	uint32_t at;

	for (at = PLX_MBOX0; at <= PLX_MBOX7; at += 4)
		wr32(at, 0xa5000000 | at);
	for (at = PLX_MBOX0; at <= PLX_MBOX7; at += 4)
		CHECK(rd32(at) == (0xa5000000 | at), "0x%02x reads 0x%08x", at, rd32(at));
	SAME("MBOX0 at 78", rd32(PLX_MBOX0_ALT), 0xa5000000 | PLX_MBOX0);
	wr32(PLX_MBOX1_ALT, 0xfeedf00d);
	SAME("MBOX1 at 44, written at 7c", rd32(PLX_MBOX0 + 4), 0xfeedf00d);
	for (at = PLX_MBOX0; at <= PLX_MBOX7; at += 4)
		wr32(at, 0);
}

static void dmaarb_is_marbr(void)
{
	uint32_t before = rd32(PLX_MARBR);

	wr32(PLX_DMAARB, before ^ 0x00185500);
	SAME("MARBR", rd32(PLX_MARBR) >> 8, (before ^ 0x00185500) >> 8);
	wr32(PLX_MARBR, before);
	SAME("DMAARB", rd32(PLX_DMAARB) >> 8, before >> 8);
}

static void intcsr_keeps_only_its_enables(void)
{
	/* Nobody but a local processor takes back a doorbell of an earlier run. */
	uint32_t rest = ~PLX_INTCSR_LDBELL;

	/* All but SERR# (2), which would be one. */
	wr32(PLX_INTCSR, ALL & ~0x4u);
	SAME("INTCSR after ones", rd32(PLX_INTCSR) & rest,
	     0x0f000000 | (chip->intcsr_enables & ~0x4u));
	wr32(PLX_INTCSR, 0);
	SAME("INTCSR after zero", rd32(PLX_INTCSR) & rest, 0x0f000000);
	/* Several drivers write back bits that they do not own. */
	wr32(PLX_INTCSR, 0x0f0c0900);
	SAME("INTCSR as drivers write it", rd32(PLX_INTCSR) & rest, 0x0f0c0900);
}

static void read_only_registers_stay(void)
{
	wr32(PLX_PCIHIDR, 0);
	SAME("PCIHIDR", rd32(PLX_PCIHIDR), (uint32_t)chip->id << 16 | PLX_VENDOR);
	wr32(PLX_PCIHREV, 0);
	SAME("PCIHREV", rd32(PLX_PCIHREV), chip->stepping);
	wr32(PLX_OPQIS, ALL);
	SAME("OPQIS", rd32(PLX_OPQIS), 0);
	if (!chip->bigend) {
		/* Of these four bytes the oldest chip has the first alone. */
		wr32(PLX_BIGEND, ALL & ~0xffu);
		SAME("BIGEND and what is not above it", rd32(PLX_BIGEND), 0);
		return;
	}
	poke(MEM, 1, PLX_BIGEND + 1, 0x01);
	SAME("LMISC1: local init is done, whatever is written",
	     peek(MEM, 1, PLX_BIGEND + 1) & 0x04, 0x04);
	poke(MEM, 1, PLX_BIGEND + 1, 0x05);
}

static void pci_cannot_set_its_own_doorbell(void)
{
	SAME("L2PDBELL", rd32(PLX_L2PDBELL), 0);
	wr32(PLX_L2PDBELL, ALL);
	SAME("L2PDBELL after ones", rd32(PLX_L2PDBELL), 0);
	SAME("INTCSR[13]", rd32(PLX_INTCSR) & PLX_INTCSR_DBELL, 0);
}

static void dma_registers_keep_only_their_bits(void)
{
	int ch;

	for (ch = 0; ch < 2; ch++) {
		wr32(PLX_DMASIZ(ch), ALL);
		SAME("DMASIZ", rd32(PLX_DMASIZ(ch)), chip->siz_bits);
		wr32(PLX_DMAPADR(ch), 0xfedcba98 + ch);
		wr32(PLX_DMALADR(ch), 0x76543210 + ch);
		wr32(PLX_DMADPR(ch), 0x13579bdf);
		SAME("DMAPADR", rd32(PLX_DMAPADR(ch)), 0xfedcba98 + ch);
		SAME("DMALADR", rd32(PLX_DMALADR(ch)), 0x76543210 + ch);
		SAME("DMADPR", rd32(PLX_DMADPR(ch)), 0x13579bdf);
		if (chip->has_upper_half) {
			wr32(PLX_DMADAC(ch), 0xa0a0a0a0 + ch);
			SAME("DMADAC", rd32(PLX_DMADAC(ch)), 0xa0a0a0a0 + ch);
		}
		wr32(PLX_DMAMODE(ch), ALL);
		SAME("DMAMODE", rd32(PLX_DMAMODE(ch)), chip->mode_bits);
		wr32(PLX_DMAMODE(ch), PLX_MODE_RESET);
		SAME("DMASIZ after DMAMODE[20] came and went", rd32(PLX_DMASIZ(ch)),
		     chip->siz_bits);
	}
}

static void dmacsr_commands_read_zero(void)
{
	set_csr(CH0, PLX_CSR_CLEAR);
	SAME("after CLEAR", csr(CH0), PLX_CSR_DONE);
	set_csr(CH0, PLX_CSR_ABORT);
	SAME("after ABORT at rest", csr(CH0), PLX_CSR_DONE);
	set_csr(CH0, PLX_CSR_ENABLE);
	SAME("after ENABLE", csr(CH0), PLX_CSR_DONE | PLX_CSR_ENABLE);
	set_csr(CH0, 0xf0);
	SAME("DONE and above cannot be written", csr(CH0), PLX_CSR_DONE);
}

static void a_dword_to_dmacsr_reaches_both_channels(void)
{
	wr32(PLX_DMACSR(0), 0x00000101);
	SAME("both enabled", rd32(PLX_DMACSR(0)), 0x00001111);
	set_csr(CH1, 0);
	SAME("a byte reaches one", rd32(PLX_DMACSR(0)), 0x00001011);
	set_csr(CH1, PLX_CSR_ENABLE);
	/* Written for channel 0, and channel 1 stands still. */
	wr32(PLX_DMACSR(0), 0x00000001);
	SAME("a dword meant for channel 0 pauses channel 1", rd32(PLX_DMACSR(0)), 0x00001011);
}

const struct test register_tests[] = {
	{ "selftest_dma_pattern", selftest_dma_pattern },
	{ "bars_have_the_boards_sizes", bars_have_the_boards_sizes },
	{ "bar0_has_its_reset_values", bar0_has_its_reset_values },
	{ "bar1_shows_what_bar0_shows", bar1_shows_what_bar0_shows },
	{ "config_names_the_board", config_names_the_board },
	{ "config_capabilities_are_pm_hotswap_vpd", config_capabilities_are_pm_hotswap_vpd },
	{ "config_command_keeps_only_its_bits", config_command_keeps_only_its_bits },
	{ "config_status_shows_no_error_at_rest", config_status_shows_no_error_at_rest },
	{ "offsets_without_register_read_zero", offsets_without_register_read_zero },
	{ "bytes_and_words_reach_their_lanes", bytes_and_words_reach_their_lanes },
	{ "eight_bytes_are_two_dwords", eight_bytes_are_two_dwords },
	{ "mailboxes_keep_what_is_written", mailboxes_keep_what_is_written },
	{ "dmaarb_is_marbr", dmaarb_is_marbr },
	{ "intcsr_keeps_only_its_enables", intcsr_keeps_only_its_enables },
	{ "read_only_registers_stay", read_only_registers_stay },
	{ "pci_cannot_set_its_own_doorbell", pci_cannot_set_its_own_doorbell },
	{ "dma_registers_keep_only_their_bits", dma_registers_keep_only_their_bits },
	{ "dmacsr_commands_read_zero", dmacsr_commands_read_zero },
	{ "a_dword_to_dmacsr_reaches_both_channels", a_dword_to_dmacsr_reaches_both_channels },
	{ }
};
