// SPDX-License-Identifier: Apache-2.0
/* What no server can be faster than. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

void time_ping_pong(unsigned int count)
{
	double *times = samples(count);
	char message[REPLY_BYTES] = "";
	int ends[2];
	unsigned int i;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		die("socketpair");
	if (!fork()) {
		close(ends[0]);
		while (read(ends[1], message, REQUEST_BYTES) == REQUEST_BYTES)
			send_all(ends[1], message, sizeof(message));
		_exit(0);
	}
	close(ends[1]);
	for (i = 0; i < WARM_UP + count; i++) {
		double start = now_ns();

		send_all(ends[0], message, REQUEST_BYTES);
		receive_all(ends[0], message, sizeof(message));
		if (i >= WARM_UP)
			times[i - WARM_UP] = now_ns() - start;
	}
	report("ping-pong", times, count);
}

/* One array shifted off the other's page boundary, as board memory is: two aligned ones alias in the cache. */
void time_memcpy(uint32_t bytes, unsigned int count)
{
	void *(*volatile copy)(void *, const void *, size_t) = memcpy;
	const unsigned int turns = bytes < MIB ? MIB / bytes : 1;
	uint8_t *from = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
	uint8_t *to = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096 + 4096);
	double *times = samples(count);
	unsigned int i, turn;

	if (!from || !to || !bytes)
		die("memcpy");
	memset(from, 1, bytes);
	memset(to, 2, bytes + 1088);
	for (i = 0; i < count; i++) {
		double start = now_ns();

		for (turn = 0; turn < turns; turn++)
			copy(to + 1088, from, bytes);
		times[i] = (now_ns() - start) / turns;
	}
	report("memcpy", times, count);
}

/* What any device does for a chain, with nothing around it; data goes round a MiB on both sides. */
void time_walk(unsigned int descriptors, unsigned int count)
{
	void *(*volatile copy)(void *, const void *, size_t) = memcpy;
	uint32_t (*table)[4] = calloc(descriptors, sizeof(*table));
	uint8_t *from = aligned_alloc(4096, MIB), *to = aligned_alloc(4096, MIB + 4096);
	double *times = samples(count);
	unsigned int i, n;

	if (!table || !from || !to)
		die("calloc");
	memset(from, 1, MIB);
	memset(to, 2, MIB + 1088);
	for (n = 0; n < descriptors; n++) {
		table[n][0] = table[n][1] = n * DESCRIPTOR_BYTES % MIB;
		table[n][2] = DESCRIPTOR_BYTES;
		table[n][3] = n == descriptors - 1 ? DPR_END : 16 * (n + 1);
	}
	for (i = 0; i < count; i++) {
		double start = now_ns();
		uint32_t next = 0;

		do {
			const uint32_t *desc = table[next / 16];

			copy(to + 1088 + desc[1], from + desc[0], desc[2]);
			next = desc[3];
		} while (!(next & DPR_END));
		times[i] = now_ns() - start;
	}
	report("walk", times, count);
}
