// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reference boards, and what their chips differ in. Typed in from the
 * reference notes, as plx_hw.h is. The cases take local addresses from the
 * chip's own registers, as a driver does; that these are the board's is a case
 * of its own.
 */
#include <stdio.h>
#include <string.h>

#include "plx_test.h"

#define KIB		1024u
#define LAS_RANGE	0xfffffff0u	/* of memory; below it the kind */
#define LAS_ON		0x1u

static const struct chip pci9080 = {
	.name = "PCI 9080",
	.id = 0x9080,
	.revision = 0x03,
	.stepping = 0x03,
	.window = 0x100,
	.status = 0x0280,
	.bigend = 0x00000000,
	.cntrl = 0x9003767e,
	.intcsr_enables = 0x000f1f0f,
	.mode_bits = 0x0003ffff,
	.siz_bits = 0x007fffff,
};

static const struct chip pci9054 = {
	.name = "PCI 9054",
	.id = 0x9054,
	.revision = 0x0b,
	.stepping = 0x0c,
	.window = 0x100,
	.status = 0x0290,
	.power = 0x4801,
	.bigend = 0x00300500,
	.cntrl = 0x100f767e,
	.intcsr_enables = 0x000f1f5f,
	.mode_bits = 0x0007ffff,
	.siz_bits = 0x007fffff,
	.has_upper_half = true,
	.counts_to_pci = true,
};

/* The 9656 is a 9056 with a wider bus, the PEX 8311 has one behind its bridge. */
#define SINCE_9056(is, number)		\
	.name = is,			\
	.id = number,			\
	.revision = 0xba,		\
	.stepping = 0xba,		\
	.window = 0x200,		\
	.status = 0x02b0,		\
	.power = 0x4802,		\
	.bigend = 0x00300500,		\
	.cntrl = 0x100f767e,		\
	.intcsr_enables = 0x000f1f5f,	\
	.mode_bits = 0x003fffff,	\
	.siz_bits = 0x807fffff,		\
	.has_upper_half = true,		\
	.counts_to_pci = true,		\
	.has_valid_bits = true,		\
	.has_abort_address = true

static const struct chip pci9056 = { SINCE_9056("PCI 9056", 0x9056) };
static const struct chip pci9656 = { SINCE_9056("PCI 9656", 0x9656) };
/* Its identity is that of a 9056. */
static const struct chip pex8311 = { SINCE_9056("PEX 8311", 0x9056) };

static const struct board boards[] = {
	{ PLX_DEVICE_9080_401B, 0x9080, &pci9080,
	  { { 0x00000000, 16 * KIB * KIB }, { 0x10000000, 512 * KIB } } },
	{ PLX_DEVICE_9054_RDK_LITE, 0x9054, &pci9054, { { 0x20000000, 128 * KIB } } },
	{ PLX_DEVICE_9056_RDK_LITE, 0x9056, &pci9056, { { 0x00000000, 128 * KIB } } },
	{ PLX_DEVICE_9656_RDK_LITE, 0x9656, &pci9656, { { 0x00000000, 128 * KIB } } },
	{ PLX_DEVICE_8311_RDK, 0x8311, &pex8311, { { 0x00000000, 128 * KIB } } },
};

const struct board *board;
const struct chip *chip;
struct local_memory space[2];

static struct local_memory read_space(uint32_t range, uint32_t base)
{
	uint32_t mask = rd32(range) & LAS_RANGE, on = rd32(base);

	if (!(on & LAS_ON))
		return (struct local_memory){ 0 };
	return (struct local_memory){ .at = on & mask, .size = ~mask + 1 };
}

const char *board_find(uint32_t least)
{
	static char trouble[128];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(boards); i++)
		if (info.vendor == PLX_VENDOR && info.device == boards[i].device)
			board = &boards[i];
	if (!board) {
		snprintf(trouble, sizeof(trouble), "the cases know no board %04x:%04x: see board.c",
			 info.vendor, info.device);
		return trouble;
	}
	chip = board->chip;
	space[0] = read_space(PLX_LAS0RR, PLX_LAS0BA);
	space[1] = read_space(PLX_LAS1RR, PLX_LAS1BA);
	if (space[0].size < least) {
		snprintf(trouble, sizeof(trouble),
			 "local space 0 has 0x%x bytes, the cases take 0x%x (LAS0RR, LAS0BA)",
			 space[0].size, least);
		return trouble;
	}
	return NULL;
}

bool chip_can(bool it, const char *what)
{
	static char why[128];

	if (it)
		return true;
	snprintf(why, sizeof(why), "the %s has no %s", chip->name, what);
	skip_case(why);
	return false;
}
