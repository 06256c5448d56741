// SPDX-License-Identifier: GPL-2.0-only
/* Touches of memory that only look too early. */
#include "wrong.h"

/* It was called, so what came is there. */
static irqreturn_t reading_handler(int irq, void *data)
{
	struct wrong *w = data;
	const u32 *buf = w->va;
	unsigned int i;

	for (i = 0; i < WRONG_LENGTH / sizeof(*buf); i++)
		w->others += READ_ONCE(buf[i]);
	return wrong_heard(w);
}

static int read_in_handler(struct wrong *w)
{
	return wrong_by_interrupt(w, reading_handler, false);
}

const struct wrong_case right_touch[] = {
	{ "read-in-handler", read_in_handler },
	{ }
};
