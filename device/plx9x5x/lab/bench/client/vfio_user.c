// SPDX-License-Identifier: Apache-2.0
/* The protocol, as far as a client needs it that stands in for QEMU; one server, one interrupt, one piece of memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"

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

_Static_assert(ACCESS_HEAD == REQUEST_BYTES && sizeof(struct region_access) == REPLY_BYTES, "a register read");

uint8_t *ram;

static int server;
static int interrupt;

void die(const char *what)
{
	if (errno)
		perror(what);
	else
		fprintf(stderr, "%s\n", what);
	exit(1);
}

void send_all(int fd, const void *data, size_t left)
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

void receive_all(int fd, void *data, size_t left)
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

uint32_t read_region(uint32_t region, uint64_t offset)
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

void write_region(uint32_t region, uint64_t offset, uint32_t value, uint32_t width, bool posted)
{
	struct region_access message = {
		{ 1, REGION_WRITE, ACCESS_HEAD + width, posted ? NO_REPLY : 0, 0 }, offset, region, width, value,
	};

	send_all(server, &message, ACCESS_HEAD + width);
	if (!posted)
		take_reply();
}

static void map_memory(uint64_t length)
{
	struct dma_map message = {
		{ 1, DMA_MAP, sizeof(message), 0, 0 }, sizeof(message) - sizeof(struct header), 3, 0, RAM, length,
	};
	int fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	/* As QEMU has it: what might shrink, a careful server does not map. */
	if (fd < 0 || ftruncate(fd, length) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
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

void unmask(void)
{
	static const struct set_irqs message = {
		{ 1, SET_IRQS, sizeof(message), 0, 0 }, sizeof(message) - sizeof(struct header), IRQ_UNMASK, 0, 0, 1,
	};

	send_all(server, &message, sizeof(message));
	take_reply();
}

void await_interrupt(void)
{
	uint64_t edges;

	if (read(interrupt, &edges, sizeof(edges)) != sizeof(edges))
		die("eventfd");
	if (edges != 1)
		die("more than one edge for one interrupt");
}

void connect_to(const char *path, uint64_t memory)
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
