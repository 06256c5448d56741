// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupt handlers of watched drivers. Once one begins its driver may know
 * what the device has done: what was touched before is told before.
 *
 * Code is translated at its first run, so a handler is known by then. One that
 * ran as a plain function before is not told of; nothing follows from that.
 */
#include "witness.h"

#define MAX_HANDLERS 256

static uint64_t handlers[MAX_HANDLERS];
static int n_handlers;

/* Somebody registers it. */
void handler_comes(uint64_t address)
{
	if (address && !is_handler(address) && n_handlers < MAX_HANDLERS)
		handlers[n_handlers++] = address;
}

bool is_handler(uint64_t address)
{
	for (int i = 0; i < n_handlers; i++)
		if (handlers[i] == address)
			return true;
	return false;
}

void handler_enter(unsigned int vcpu, void *address)
{
	struct record record = {
		.kind = K_HANDLER,
		.cpu = vcpu,
		.pc = (uint64_t)address,
	};

	pthread_mutex_lock(&lock);
	ring_tell_all(&record);
	for (int i = 0; i < n_rings; i++)
		rings[i].window = record.seq;
	pthread_mutex_unlock(&lock);
}
