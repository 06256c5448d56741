// SPDX-License-Identifier: Apache-2.0
/*
 * The raw client: stands in for QEMU and times what goes over the socket, with nothing of a guest in the way.
 *
 *	client SOCKET read|posted|acknowledged|command-posted|command-acknowledged COUNT
 *	client SOCKET interrupt COUNT          a write that raises the line, eventfd, a write that lowers it, UNMASK
 *	client SOCKET block BYTES COUNT        START of one block to the eventfd, acknowledged
 *	client SOCKET chain DESCRIPTORS COUNT  the same with a chain of 256-byte descriptors
 *	client SOCKET hold MIB                 be connected with so much memory until a signal ends it
 *	client - ping-pong COUNT               the floor: two processes, one socket, no protocol
 *	client - memcpy BYTES COUNT            the floor of a transfer, timed inside the loop
 *	client - walk DESCRIPTORS COUNT        the floor of a chain: read each descriptor, copy its 256 bytes
 *
 * Prints a line for each thing that it timed:
 *
 *	name=NAME n=N median_ns=T p99_ns=T mean_ns=T
 *
 * DMA that moved wrong bytes, an error in an answer, or a minute without an end is a failure (exit code 1, or SIGALRM).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define LIMIT_S			60
#define WARM_UP			200
#define MIB			(1024 * 1024)

#define RAM			0x10000000u	/* bus address of our memory */
#define RAM_SIZE		(4 * MIB)
#define DATA			(RAM + 2 * MIB)
#define DESCRIPTOR_BYTES	256
#define DESCRIPTORS_MAX		(2 * MIB / 16)
#define SLOTS			(LOCAL_SIZE / DESCRIPTOR_BYTES)
#define SOURCES			((RAM_SIZE - (DATA - RAM)) / DESCRIPTOR_BYTES)
#define CHECKS			64

/* vfio-user */
#define VERSION			1
#define DMA_MAP			2
#define SET_IRQS		8
#define REGION_READ		9
#define REGION_WRITE		10
#define NO_REPLY		0x10u
#define ERROR_REPLY		0x20u
#define IRQ_EVENTFD_TRIGGER	0x24u
#define IRQ_UNMASK		0x11u
#define CONFIG_REGION		7
#define COMMAND			4
#define COMMAND_ALL_ON		7

struct header {
	uint16_t id;
	uint16_t command;
	uint32_t size;
	uint32_t flags;
	uint32_t error;
} __attribute__((packed));

struct region_access {
	struct header header;
	uint64_t offset;
	uint32_t region;
	uint32_t count;
	uint32_t data;
} __attribute__((packed));

#define ACCESS_HEAD	(sizeof(struct region_access) - sizeof(uint32_t))

struct dma_map {
	struct header header;
	uint32_t size;
	uint32_t protection;
	uint64_t offset;
	uint64_t address;
	uint64_t length;
} __attribute__((packed));

struct set_irqs {
	struct header header;
	uint32_t size;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
} __attribute__((packed));

static int server;
static int interrupt;
static uint8_t *ram;

static void die(const char *what)
{
	if (errno)
		perror(what);
	else
		fprintf(stderr, "%s\n", what);
	exit(1);
}

/* Messages. */

static void send_all(int fd, const void *data, size_t left)
{
	const char *at = data;

	while (left) {
		ssize_t sent = write(fd, at, left);

		if (sent <= 0)
			die("write");
		at += sent;
		left -= sent;
	}
}

static void receive_all(int fd, void *data, size_t left)
{
	char *at = data;

	while (left) {
		ssize_t got = read(fd, at, left);

		if (got <= 0) {
			errno = got ? errno : ECONNRESET;
			die("read");
		}
		at += got;
		left -= got;
	}
}

static void send_with_fd(const void *data, size_t size, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec io = { .iov_base = (void *)data, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
	if (sendmsg(server, &message, 0) != (ssize_t)size)
		die("sendmsg");
}

/* The answer's header, and its body thrown away. */
static void take_reply(void)
{
	struct header header;
	char body[4096];

	receive_all(server, &header, sizeof(header));
	if (header.flags & ERROR_REPLY) {
		errno = header.error;
		die("the server refused a message");
	}
	if (header.size < sizeof(header) || header.size - sizeof(header) > sizeof(body))
		die("an answer of a wrong size");
	receive_all(server, body, header.size - sizeof(header));
}

static void negotiate(void)
{
	static const char capabilities[] = "{\"capabilities\":{\"max_msg_fds\":1,\"max_data_xfer_size\":1048576}}";
	const uint16_t version[2] = { 0, 0 };
	struct header header = { 1, VERSION, sizeof(header) + sizeof(version) + sizeof(capabilities), 0, 0 };
	char message[256];

	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), version, sizeof(version));
	memcpy(message + sizeof(header) + sizeof(version), capabilities, sizeof(capabilities));
	send_all(server, message, header.size);
	take_reply();
}

static uint32_t read_region(uint32_t region, uint64_t offset)
{
	struct region_access message = { { 1, REGION_READ, ACCESS_HEAD, 0, 0 }, offset, region, 4, 0 };

	send_all(server, &message, ACCESS_HEAD);
	receive_all(server, &message, sizeof(message));
	if (message.header.flags & ERROR_REPLY) {
		errno = message.header.error;
		die("a read");
	}
	return message.data;
}

static void write_region(uint32_t region, uint64_t offset, uint32_t value, uint32_t width, bool posted)
{
	struct region_access message = {
		{ 1, REGION_WRITE, ACCESS_HEAD + width, posted ? NO_REPLY : 0, 0 }, offset, region, width, value,
	};

	send_all(server, &message, ACCESS_HEAD + width);
	if (!posted)
		take_reply();
}

static uint32_t read_register(uint32_t offset)
{
	return read_region(0, offset);
}

static void post(uint32_t offset, uint32_t value)
{
	write_region(0, offset, value, 4, true);
}

static void post_command(uint8_t value)
{
	write_region(0, DMACSR, value, 1, true);
}

static void map_memory(uint64_t length)
{
	struct dma_map message = {
		{ 1, DMA_MAP, sizeof(message), 0, 0 }, sizeof(message) - sizeof(struct header), 3, 0, RAM, length,
	};
	int fd = memfd_create("bench", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, length))
		die("memfd");
	ram = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (ram == MAP_FAILED)
		die("mmap");
	send_with_fd(&message, sizeof(message), fd);
	take_reply();
	close(fd);
}

static void take_interrupts(void)
{
	struct set_irqs message = {
		{ 1, SET_IRQS, sizeof(message), 0, 0 }, sizeof(message) - sizeof(struct header), IRQ_EVENTFD_TRIGGER, 0, 0, 1,
	};

	interrupt = eventfd(0, EFD_CLOEXEC);
	if (interrupt < 0)
		die("eventfd");
	send_with_fd(&message, sizeof(message), interrupt);
	take_reply();
}

static void unmask(void)
{
	static const struct set_irqs message = {
		{ 1, SET_IRQS, sizeof(message), 0, 0 }, sizeof(message) - sizeof(struct header), IRQ_UNMASK, 0, 0, 1,
	};

	send_all(server, &message, sizeof(message));
	take_reply();
}

static void await_interrupt(void)
{
	uint64_t edges;

	if (read(interrupt, &edges, sizeof(edges)) != sizeof(edges))
		die("eventfd");
	if (edges != 1)
		die("more than one edge for one interrupt");
}

static void connect_to(const char *path, uint64_t memory)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		die("the socket's path is too long");
	strcpy(address.sun_path, path);
	server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server < 0 || connect(server, (struct sockaddr *)&address, sizeof(address)))
		die(path);
	negotiate();
	map_memory(memory);
	take_interrupts();
	write_region(CONFIG_REGION, COMMAND, COMMAND_ALL_ON, 2, false);
}

/* Times. */

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double *samples(unsigned int count)
{
	double *times = calloc(count, sizeof(*times));

	if (!times)
		die("calloc");
	return times;
}

static void report(const char *name, double *times, unsigned int count)
{
	double sum = 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		sum += times[i];
	qsort(times, count, sizeof(*times), by_size);
	printf("name=%s n=%u median_ns=%.1f p99_ns=%.1f mean_ns=%.1f\n", name, count, times[count / 2],
	       times[(unsigned int)(count * 0.99)], sum / count);
	free(times);
}

/* What a driver posts in one go, timed together: there is no moment at which a single one is done but the next answer. */
static void report_together(const char *name, double ns, unsigned int count)
{
	printf("name=%s n=%u median_ns=%.1f p99_ns=%.1f mean_ns=%.1f\n", name, count, ns / count, ns / count, ns / count);
}

/* What is timed. */

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

static void program_block(uint32_t bytes)
{
	post(DMAPADR, DATA);
	post(DMALADR, 0);
	post(DMASIZ, bytes);
	post(DMADPR, 0);
}

static void enable_interrupt(bool on, bool posted)
{
	write_region(0, INTCSR, on ? INTCSR_PCI_EN | INTCSR_DMA_EN(0) : 0, 4, posted);
}

/* A transfer has ended and its interrupt is held back: each turn lets it through, and holds it back again. */
static void time_interrupts(unsigned int count)
{
	double *rises = samples(count), *rounds = samples(count);
	unsigned int i;

	enable_interrupt(false, false);
	write_region(0, DMAMODE, MODE_RESET | MODE_DONE_INT | MODE_INTA, 4, false);
	program_block(4);
	post_command(CSR_ENABLE | CSR_START);
	while (!(read_register(DMACSR) & CSR_DONE))
		;
	for (i = 0; i < WARM_UP + count; i++) {
		double start = now_ns(), risen;

		enable_interrupt(true, true);
		await_interrupt();
		risen = now_ns();
		enable_interrupt(false, false);
		unmask();
		if (i >= WARM_UP) {
			rises[i - WARM_UP] = risen - start;
			rounds[i - WARM_UP] = now_ns() - start;
		}
	}
	report("interrupt-rise", rises, count);
	report("interrupt", rounds, count);
}

static void acknowledge(void)
{
	write_region(0, DMACSR, CSR_ENABLE | CSR_CLEAR, 1, false);
	unmask();
}

static uint32_t pattern(uint32_t offset)
{
	return offset * 2654435761u + 12345;
}

static void fill(uint32_t bytes)
{
	uint32_t at;

	for (at = 0; at < bytes; at += sizeof(at)) {
		uint32_t value = pattern(at);

		memcpy(ram + (DATA - RAM) + at, &value, sizeof(value));
	}
}

/*
 * Words of local memory, spread over what a transfer writes, its first and its last among them. They are spoiled before
 * the transfers and looked at after: a transfer that ends early, or moves too little, shows.
 */
static uint32_t checked_word(uint32_t number, uint32_t bytes)
{
	return (uint64_t)(bytes / 4 - 1) * number / (CHECKS - 1) * 4;
}

static void spoil_local(uint32_t bytes)
{
	uint32_t n;

	for (n = 0; n < CHECKS; n++)
		write_region(2, checked_word(n, bytes), 0x5c5c5c5c, 4, false);
}

/* Which byte of the source lies at `local` when a chain of so many descriptors has gone round local memory. */
static uint32_t source_of(uint32_t local, unsigned int descriptors)
{
	uint32_t slot = local / DESCRIPTOR_BYTES;
	uint32_t last = (descriptors - 1 - slot) / SLOTS * SLOTS + slot;

	return last % SOURCES * DESCRIPTOR_BYTES + local % DESCRIPTOR_BYTES;
}

static void check_local(uint32_t bytes, unsigned int descriptors)
{
	uint32_t n;

	for (n = 0; n < CHECKS; n++) {
		uint32_t at = checked_word(n, bytes);

		if (read_region(2, at) == pattern(descriptors ? source_of(at, descriptors) : at))
			continue;
		errno = 0;
		die("DMA moved wrong bytes");
	}
}

static void time_transfers(const char *name, bool chain, uint32_t bytes, unsigned int count)
{
	double *times = samples(count);
	unsigned int i, warm_up = count < 10 ? 1 : count / 10;

	enable_interrupt(true, false);
	write_region(0, DMAMODE, MODE_RESET | MODE_DONE_INT | MODE_INTA | (chain ? MODE_CHAIN : 0), 4, false);
	for (i = 0; i < warm_up + count; i++) {
		double start = now_ns();

		if (chain)
			post(DMADPR, RAM | DPR_PCI);
		else
			program_block(bytes);
		post_command(CSR_ENABLE | CSR_START);
		await_interrupt();
		acknowledge();
		if (i >= warm_up)
			times[i - warm_up] = now_ns() - start;
	}
	report(name, times, count);
}

static void time_block(uint32_t bytes, unsigned int count)
{
	if (!bytes || bytes % 4 || bytes > LOCAL_SIZE)
		die("a block has 4 bytes to 128 KiB, by words");
	fill(bytes);
	spoil_local(bytes);
	time_transfers("block", false, bytes, count);
	check_local(bytes, 0);
}

/* The data goes round local memory, and round its source, as often as it takes. */
static void time_chain(unsigned int descriptors, unsigned int count)
{
	uint32_t i, covered = descriptors < SLOTS ? descriptors * DESCRIPTOR_BYTES : LOCAL_SIZE;

	if (!descriptors || descriptors > DESCRIPTORS_MAX)
		die("a chain has 1 to 131072 descriptors");
	fill(SOURCES * DESCRIPTOR_BYTES);
	for (i = 0; i < descriptors; i++) {
		uint32_t desc[4] = {
			DATA + i % SOURCES * DESCRIPTOR_BYTES,
			i % SLOTS * DESCRIPTOR_BYTES,
			DESCRIPTOR_BYTES,
			(RAM + 16 * (i + 1)) | DPR_PCI | (i == descriptors - 1 ? DPR_END : 0),
		};

		memcpy(ram + 16 * i, desc, sizeof(desc));
	}
	spoil_local(covered);
	time_transfers("chain", true, 0, count);
	check_local(covered, descriptors);
}

static void hold(const char *path, unsigned int mib)
{
	connect_to(path, (uint64_t)mib * MIB);
	alarm(0);
	printf("holding\n");
	fflush(stdout);
	pause();
}

static void time_ping_pong(unsigned int count)
{
	double *times = samples(count);
	char message[sizeof(struct region_access)] = "";
	int ends[2];
	unsigned int i;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		die("socketpair");
	if (!fork()) {
		close(ends[0]);
		while (read(ends[1], message, ACCESS_HEAD) == ACCESS_HEAD)
			send_all(ends[1], message, sizeof(message));
		_exit(0);
	}
	close(ends[1]);
	for (i = 0; i < WARM_UP + count; i++) {
		double start = now_ns();

		send_all(ends[0], message, ACCESS_HEAD);
		receive_all(ends[0], message, sizeof(message));
		if (i >= WARM_UP)
			times[i - WARM_UP] = now_ns() - start;
	}
	report("ping-pong", times, count);
}

/* One array shifted off the other's page boundary, as board memory is: two aligned ones alias in the cache. */
static void time_memcpy(uint32_t bytes, unsigned int count)
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
static void time_walk(unsigned int descriptors, unsigned int count)
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
		connect_to(argv[1], RAM_SIZE);
	if (argc == 4 && !connected && !strcmp(what, "ping-pong"))
		time_ping_pong(number(argv[3]));
	else if (argc == 5 && !connected && !strcmp(what, "memcpy"))
		time_memcpy(number(argv[3]), number(argv[4]));
	else if (argc == 5 && !connected && !strcmp(what, "walk"))
		time_walk(number(argv[3]), number(argv[4]));
	else if (argc == 5 && connected && !strcmp(what, "block"))
		time_block(number(argv[3]), number(argv[4]));
	else if (argc == 5 && connected && !strcmp(what, "chain"))
		time_chain(number(argv[3]), number(argv[4]));
	else
		known = argc == 4 && connected && accesses(what, number(argv[3]));
	if (!known)
		fprintf(stderr, "usage: %s SOCKET|- WHAT ... (the head of client.c lists them)\n", argv[0]);
	return known ? 0 : 2;
}
