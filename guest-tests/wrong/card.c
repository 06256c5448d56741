// SPDX-License-Identifier: GPL-2.0-only
/* Windows, doorbells and registers. */
#include "wrong.h"

/* The base without its enable bit, and the window is gone. */
static int window_closed(struct wrong *w)
{
	writel(0x0, w->regs + LAS0BA); /* WRONG: window-closed */
	w->others = readl(w->memory); /* WRONG: window-closed */
	return 0;
}

/* Two requests, and the firmware hears of one. */
static int doorbell_lost(struct wrong *w)
{
	writel(1, w->regs + P2LDBELL);
	writel(1, w->regs + P2LDBELL); /* WRONG: doorbell-lost */
	return 0;
}

/* The upper half of an address, on a chip that has none. */
static int no_dac(struct wrong *w)
{
	writel(1, w->regs + DMADAC0); /* WRONG: no-dac */
	return 0;
}

const struct wrong_case wrong_card[] = {
	{ "window-closed", window_closed },
	{ "doorbell-lost", doorbell_lost },
	{ "no-dac", no_dac },
	{ }
};
