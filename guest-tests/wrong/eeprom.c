// SPDX-License-Identifier: GPL-2.0-only
/* The serial EEPROM, bit by bit, and by way of VPD. */
#include <linux/delay.h>

#include "wrong.h"

#define SK		BIT(24)
#define CS		BIT(25)
#define DI		BIT(26)
#define DO		BIT(27)
#define DO_INPUT	BIT(31)		/* from the 9056 on: DO is sampled */

#define COMMAND_BITS	11		/* of a 93C56 */
#define OP_WRITE	0x500u
#define OP_EWEN		0x4c0u
#define OP_EWDS		0x400u
#define SPARE		0x7e		/* a word that the chip does not load */

#define POLLS		200

static void lines(struct wrong *w, u32 bits)
{
	u32 cntrl = readl(w->regs + CNTRL) & ~(SK | CS | DI | DO_INPUT);

	writel(cntrl | bits, w->regs + CNTRL);
}

static void shift(struct wrong *w, u32 value, unsigned int bits)
{
	while (bits--) {
		u32 di = value & BIT(bits) ? DI : 0;

		lines(w, CS | di);
		lines(w, CS | di | SK);
	}
	lines(w, CS);
}

static void command(struct wrong *w, u32 value)
{
	lines(w, 0);
	lines(w, CS);
	shift(w, value, COMMAND_BITS);
}

/* Write enable comes once at the start, and a read before took it back. */
static int no_ewen(struct wrong *w)
{
	command(w, OP_EWDS);
	command(w, OP_WRITE | SPARE);
	shift(w, 0xffff, 16);
	lines(w, 0); /* WRONG: no-ewen */
	return 0;
}

/* As the chip maker's own kit waits for a write to end. */
static int not_sampled(struct wrong *w)
{
	unsigned int polls;

	command(w, OP_EWEN);
	command(w, OP_WRITE | SPARE);
	shift(w, 0xffff, 16);
	lines(w, 0);
	lines(w, CS);
	for (polls = 0; polls < POLLS; polls++)
		if (readl(w->regs + CNTRL) & DO) /* WRONG: not-sampled */
			break;
	command(w, OP_EWDS);
	lines(w, 0);
	return polls < POLLS ? 0 : -ETIMEDOUT;
}

/* PROT_AREA is not lowered first. */
static int vpd_protected(struct wrong *w)
{
	int vpd = pci_find_capability(w->pdev, PCI_CAP_ID_VPD);

	if (!vpd)
		return -ENODEV;
	pci_write_config_dword(w->pdev, vpd + PCI_VPD_DATA, 0xffffffff);
	pci_write_config_word(w->pdev, vpd + PCI_VPD_ADDR, PCI_VPD_ADDR_F | 0x0c); /* WRONG: vpd-protected */
	return 0;
}

const struct wrong_case wrong_eeprom[] = {
	{ "no-ewen", no_ewen },
	{ "not-sampled", not_sampled },
	{ "vpd-protected", vpd_protected },
	{ }
};
