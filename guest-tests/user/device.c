// SPDX-License-Identifier: GPL-2.0-only
/* The driver's ioctls as functions. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "plx_test.h"

#define DEVICE_NODE	"/dev/plx_test0"
#define PCI_DEVICES	"/sys/bus/pci/devices"
#define BUFFERS_MAX	64
#define ADDRESS_BITS	32

struct plx_test_info info;

static int device_fd = -1;
static struct common_buffer buffers[BUFFERS_MAX];
static unsigned int buffer_count;
static bool narrow;

/* ------------------------------------------------------------------ */

static bool plx_on_bus(char *name, size_t size)
{
	DIR *dir = opendir(PCI_DEVICES);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		char path[512], text[16] = "";
		int fd;

		snprintf(path, sizeof(path), PCI_DEVICES "/%s/vendor", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		found = read(fd, text, sizeof(text) - 1) > 0 && !strncmp(text, "0x10b5", 6);
		close(fd);
		if (found)
			snprintf(name, size, "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

const char *device_open(void)
{
	static char trouble[512];
	char name[256];

	device_fd = open(DEVICE_NODE, O_RDWR | O_CLOEXEC);
	if (device_fd < 0) {
		int error = errno;

		if (!plx_on_bus(name, sizeof(name)))
			return "no PLX device on the PCI bus";
		snprintf(trouble, sizeof(trouble),
			 "PLX device %s is there, but " DEVICE_NODE " is not usable (%s): see dmesg",
			 name, strerror(error));
		return trouble;
	}
	if (device_ioctl(PLX_TEST_INFO, &info) || info.abi != PLX_TEST_ABI)
		return "driver and program are not of one build";
	return NULL;
}

int device_ioctl(unsigned long request, void *argument)
{
	return ioctl(device_fd, request, argument) < 0 ? -errno : 0;
}

/* For calls that only fail if the program, the driver or the guest is broken. */
static void must(const char *what, unsigned long request, void *argument)
{
	int error = device_ioctl(request, argument);

	if (error)
		bail_out("%s: %s", what, strerror(-error));
}

bool device_rest(void)
{
	int error = device_ioctl(PLX_TEST_QUIESCE, NULL);
	__u64 nobody = 0;
	unsigned int i;

	if (error == -ENODEV)
		bail_out("the device went away: its registers read all ones");
	/* What a case left mapped; mostly nothing is. */
	device_ioctl(PLX_TEST_UNMAP, &nobody);
	for (i = 0; i < buffer_count; i++)
		buffer_free(&buffers[i]);
	buffer_count = 0;
	if (narrow)
		address_bits(ADDRESS_BITS);
	irq_reset();
	return !error;
}

/* ------------------------------------------------------------------ */

uint64_t peek(int bar, int width, uint32_t offset)
{
	struct plx_test_access access = { .bar = bar, .width = width, .offset = offset };

	must("peek", PLX_TEST_PEEK, &access);
	return access.value;
}

void poke(int bar, int width, uint32_t offset, uint64_t value)
{
	struct plx_test_access access = {
		.bar = bar, .width = width, .offset = offset, .value = value,
	};

	must("poke", PLX_TEST_POKE, &access);
}

uint32_t rd32(uint32_t offset)
{
	return peek(MEM, 4, offset);
}

void wr32(uint32_t offset, uint32_t value)
{
	poke(MEM, 4, offset, value);
}

uint8_t csr(int ch)
{
	return peek(MEM, 1, PLX_DMACSR(ch));
}

void set_csr(int ch, uint8_t value)
{
	poke(MEM, 1, PLX_DMACSR(ch), value);
}

void change(uint32_t offset, uint32_t clear, uint32_t set)
{
	struct plx_test_rmw rmw = {
		.bar = MEM, .width = 4, .offset = offset, .clear = clear, .set = set,
	};

	must("read-modify-write", PLX_TEST_RMW, &rmw);
}

void local_read(int bar, uint32_t offset, int width, void *data, uint32_t count)
{
	struct plx_test_bulk bulk = {
		.bar = bar, .width = width, .offset = offset, .count = count,
		.data = (uintptr_t)data,
	};

	must("read local memory", PLX_TEST_PEEK_BULK, &bulk);
}

void local_write(int bar, uint32_t offset, int width, const void *data, uint32_t count)
{
	struct plx_test_bulk bulk = {
		.bar = bar, .width = width, .offset = offset, .count = count,
		.data = (uintptr_t)data,
	};

	must("write local memory", PLX_TEST_POKE_BULK, &bulk);
}

void sram_read(uint32_t offset, int width, void *data, uint32_t count)
{
	local_read(SRAM, offset, width, data, count);
}

void sram_write(uint32_t offset, int width, const void *data, uint32_t count)
{
	local_write(SRAM, offset, width, data, count);
}

uint32_t config_read(uint32_t offset, int width)
{
	struct plx_test_config config = { .offset = offset, .width = width };

	must("read configuration space", PLX_TEST_CONFIG_READ, &config);
	return config.value;
}

void config_write(uint32_t offset, int width, uint32_t value)
{
	struct plx_test_config config = { .offset = offset, .width = width, .value = value };

	must("write configuration space", PLX_TEST_CONFIG_WRITE, &config);
}

void bus_master(bool on)
{
	__u32 word = on;

	must("switch bus mastering", PLX_TEST_BUS_MASTER, &word);
}

/* ------------------------------------------------------------------ */

bool buffer_try(uint32_t length, struct common_buffer *buf)
{
	struct plx_test_alloc alloc = { .length = length, .cache_enabled = 1 };

	must("allocate", PLX_TEST_ALLOC, &alloc);
	*buf = (struct common_buffer){
		.order = alloc.order, .length = length, .pages = alloc.pages,
		.logical = alloc.logical, .va = alloc.va,
	};
	return alloc.va != 0;
}

struct common_buffer *buffer(uint32_t length)
{
	struct common_buffer *buf = &buffers[buffer_count];

	if (!CHECK(buffer_count < BUFFERS_MAX && buffer_try(length, buf),
		   "no common buffer of %u bytes", length))
		return NULL;
	buffer_count++;
	/* Cut to what the chip's registers hold it would be another's memory. */
	if (!CHECK(buf->logical + length <= 1ull << 32, "%u bytes at 0x%llx, above 4 GiB", length,
		   (unsigned long long)buf->logical))
		return NULL;
	return buf;
}

int buffer_free(const struct common_buffer *buf)
{
	struct plx_test_free gone = {
		.order = buf->order, .length = buf->length, .va = buf->va,
		.logical = buf->logical, .cache_enabled = 1,
	};

	return device_ioctl(PLX_TEST_FREE, &gone);
}

void buffer_read(const struct common_buffer *buf, uint32_t offset, void *data, uint32_t length)
{
	struct plx_test_copy copy = {
		.order = buf->order, .offset = offset, .length = length, .data = (uintptr_t)data,
	};

	must("read a buffer", PLX_TEST_BUF_READ, &copy);
}

void buffer_write(const struct common_buffer *buf, uint32_t offset, const void *data,
		  uint32_t length)
{
	struct plx_test_copy copy = {
		.order = buf->order, .offset = offset, .length = length, .data = (uintptr_t)data,
	};

	must("write a buffer", PLX_TEST_BUF_WRITE, &copy);
}

void buffer_fill(const struct common_buffer *buf, uint8_t value)
{
	struct plx_test_fill fill = {
		.order = buf->order, .length = buf->length, .value = value,
	};

	must("fill a buffer", PLX_TEST_BUF_FILL, &fill);
}

uint64_t buffer_sum(const struct common_buffer *buf, uint32_t offset, uint32_t length)
{
	struct plx_test_sum sum = { .order = buf->order, .offset = offset, .length = length };

	must("sum a buffer", PLX_TEST_BUF_SUM, &sum);
	return sum.sum;
}

bool streaming_map(bool to_device, const void *data, uint32_t length, struct plx_test_map *map)
{
	int error;

	*map = (struct plx_test_map){
		.length = length, .to_device = to_device, .data = (uintptr_t)data,
	};
	error = device_ioctl(PLX_TEST_MAP, map);
	return CHECK(!error, "no mapping of %u bytes: %s", length, strerror(-error));
}

void streaming_unmap(void *data)
{
	__u64 pointer = (uintptr_t)data;

	must("unmap", PLX_TEST_UNMAP, &pointer);
}

bool address_bits(unsigned int bits)
{
	__u32 word = bits;
	int error = device_ioctl(PLX_TEST_ADDRESS_BITS, &word);

	if (!error)
		narrow = bits < ADDRESS_BITS;
	return !error;
}

/* ------------------------------------------------------------------ */

void start(const struct plx_test_start *values)
{
	struct plx_test_start copy = *values;

	must("start", PLX_TEST_START, &copy);
}

bool done_within(int ch, uint32_t ms)
{
	struct plx_test_done done = { .channel = ch, .timeout_us = ms * 1000 };

	must("wait for DONE", PLX_TEST_DONE, &done);
	return CHECK(done.csr != 0xff && done.csr & PLX_CSR_DONE,
		     "channel %d: no DONE within %u ms, DMACSR=0x%02x", ch, ms, done.csr);
}

bool abort_channel(int ch)
{
	struct plx_test_done done = { .channel = ch };
	int error = device_ioctl(PLX_TEST_ABORT, &done);

	return CHECK(!error, "channel %d: abort: %s", ch, strerror(-error));
}

void irq_policy(uint32_t style, const struct common_buffer *watch, uint32_t offset)
{
	struct plx_test_irq_policy policy = {
		.style = style,
		.watch_order = watch ? watch->order : 0,
		.watch_offset = offset,
	};

	must("set the interrupt policy", PLX_TEST_IRQ_POLICY, &policy);
}

void irq_reset(void)
{
	must("reset the interrupt counts", PLX_TEST_IRQ_RESET, NULL);
}

struct plx_test_irq_stats irq_stats(void)
{
	struct plx_test_irq_stats stats;

	memset(&stats, 0, sizeof(stats));
	must("read the interrupt counts", PLX_TEST_IRQ_STATS, &stats);
	return stats;
}

uint64_t irq_count(enum plx_test_counter counter)
{
	return irq_stats().count[counter];
}

uint64_t irq_wait(enum plx_test_counter counter, uint64_t target, uint32_t ms)
{
	struct plx_test_irq_wait wait = { .counter = counter, .target = target, .timeout_ms = ms };

	must("wait for an interrupt", PLX_TEST_IRQ_WAIT, &wait);
	return wait.value;
}

void sleep_ms(unsigned int ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + now.tv_nsec;
}
