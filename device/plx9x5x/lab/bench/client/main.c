// SPDX-License-Identifier: Apache-2.0
/*
 * The raw client: stands in for QEMU and times what goes over the socket, with nothing of a guest in the way.
 *
 *	client SOCKET read|posted|acknowledged|command-posted|command-acknowledged COUNT
 *	client SOCKET interrupt COUNT          a write that raises the line, eventfd, a write that lowers it, UNMASK
 *	client SOCKET block BYTES COUNT        START of one block to the eventfd, acknowledged
 *	client SOCKET chain DESCRIPTORS COUNT  the same with a chain of 256-byte descriptors
 *	client SOCKET stream RATE COUNT        reads while a card samples RATE - 1 KiB/s (1: as fast as it goes)
 *	client SOCKET hold MIB                 be connected with so much memory until a signal ends it
 *	client - ping-pong COUNT               the floor: two processes, one socket, no protocol
 *	client - card BYTES COUNT              a block, START to DONE, by the card's own C
 *	client - memcpy BYTES COUNT            the floor of a transfer, timed inside the loop
 *	client - walk DESCRIPTORS COUNT        the floor of a chain: read each descriptor, copy its 256 bytes
 *
 * Prints a line for each thing that it timed:
 *
 *	name=NAME n=N median_ns=T p99_ns=T mean_ns=T
 *
 * DMA that moved wrong bytes, an error in an answer, or a minute without an end is a failure (exit code 1, or SIGALRM).
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

#define LIMIT_S		60
#define MEMORY		(4 * MIB)

static void time_reads(unsigned int count)
{
	double *times = samples(count);
	unsigned int i;

	for (i = 0; i < WARM_UP; i++)
		read_register(DMAPADR);
	for (i = 0; i < count; i++) {
		double start = now_ns();

		read_register(DMAPADR);
		times[i] = now_ns() - start;
	}
	report("read", times, count);
}

static void one_write(bool command, uint32_t value, bool posted)
{
	if (command)
		write_region(0, DMACSR, CSR_ENABLE, 1, posted);
	else
		write_region(0, DMAPADR, value, 4, posted);
}

static void time_acknowledged(const char *name, bool command, unsigned int count)
{
	double *times = samples(count);
	unsigned int i;

	for (i = 0; i < WARM_UP; i++)
		one_write(command, i, false);
	for (i = 0; i < count; i++) {
		double start = now_ns();

		one_write(command, i, false);
		times[i] = now_ns() - start;
	}
	report(name, times, count);
}

static void time_posted(const char *name, bool command, unsigned int count)
{
	double start;
	unsigned int i;

	for (i = 0; i < WARM_UP; i++)
		one_write(command, i, true);
	read_register(DMAPADR);
	start = now_ns();
	for (i = 0; i < count; i++)
		one_write(command, i, true);
	read_register(DMAPADR);
	report_together(name, now_ns() - start, count);
}

static void hold(const char *path, unsigned int mib)
{
	connect_to(path, (uint64_t)mib * MIB);
	alarm(0);
	printf("holding\n");
	fflush(stdout);
	pause();
}

static unsigned int number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 0);

	if (*end || !value || value > 100 * 1000 * 1000) {
		fprintf(stderr, "not a number from 1 on: %s\n", text);
		exit(2);
	}
	return value;
}

static bool accesses(const char *what, unsigned int count)
{
	if (!strcmp(what, "read"))
		time_reads(count);
	else if (!strcmp(what, "posted") || !strcmp(what, "command-posted"))
		time_posted(what, what[0] == 'c', count);
	else if (!strcmp(what, "acknowledged") || !strcmp(what, "command-acknowledged"))
		time_acknowledged(what, what[0] == 'c', count);
	else if (!strcmp(what, "interrupt"))
		time_interrupts(count);
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "";
	bool connected = argc > 2 && strcmp(argv[1], "-");
	bool known = true;

	alarm(LIMIT_S);
	if (argc == 4 && connected && !strcmp(what, "hold")) {
		hold(argv[1], number(argv[3]));
		return 0;
	}
	if (connected)
		connect_to(argv[1], MEMORY);
	if (argc == 4 && !connected && !strcmp(what, "ping-pong"))
		time_ping_pong(number(argv[3]));
	else if (argc == 5 && !connected && !strcmp(what, "memcpy"))
		time_memcpy(number(argv[3]), number(argv[4]));
	else if (argc == 5 && !connected && !strcmp(what, "card"))
		time_card(number(argv[3]), number(argv[4]));
	else if (argc == 5 && !connected && !strcmp(what, "walk"))
		time_walk(number(argv[3]), number(argv[4]));
	else if (argc == 5 && connected && !strcmp(what, "block"))
		time_block(number(argv[3]), number(argv[4]));
	else if (argc == 5 && connected && !strcmp(what, "stream"))
		time_stream(number(argv[3]) - 1, number(argv[4]));
	else if (argc == 5 && connected && !strcmp(what, "chain"))
		time_chain(number(argv[3]), number(argv[4]));
	else
		known = argc == 4 && connected && accesses(what, number(argv[3]));
	if (!known)
		fprintf(stderr, "usage: %s SOCKET|- WHAT ... (the head of main.c lists them)\n", argv[0]);
	return known ? 0 : 2;
}
