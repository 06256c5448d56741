/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library of ours with the symbols and signatures of libvfio-user, so that a test can see which arguments arrive.
 * It serves no socket: `vfu_run_ctx` plays one short client session on the callbacks, then says that the client left.
 *
 * By default the new ABI.  -DOLD_ABI: the old one.  -DSG_SIZE=n: another dma_sg_size().  -DNO_TRIGGER: a symbol is
 * missing.  -DANCIENT: a symbol of earlier releases is there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SG_SIZE
#define SG_SIZE 40
#endif

struct dma_info {
	struct iovec iova;
	void *vaddr;
	struct iovec mapping;
	size_t page_size;
	uint32_t prot;
};

typedef void log_fn(void *ctx, int level, const char *message);
typedef ssize_t region_fn(void *ctx, char *buffer, size_t count, loff_t offset, bool is_write);
typedef int reset_fn(void *ctx, int type);
typedef void dma_fn(void *ctx, struct dma_info *info);
typedef void irq_fn(void *ctx, uint32_t start, uint32_t count, bool mask);

static char calls[16384];
static int sockets[2] = { -1, -1 };
static region_fn *regions[16];
static log_fn *log_callback;
static reset_fn *reset_callback;
static dma_fn *map_callback, *unmap_callback;
static irq_fn *irq_callback;
static uint8_t ram[8192];

static void record(const char *format, ...)
{
	size_t used = strlen(calls);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(calls + used, sizeof(calls) - used, format, arguments);
	va_end(arguments);
}

/* What the test reads, and then forgets. */
const char *fake_calls(void)
{
	return calls;
}

const uint8_t *fake_ram(void)
{
	return ram;
}

size_t dma_sg_size(void)
{
	return SG_SIZE;
}

static void *private;

void *vfu_get_private(const void *ctx)
{
	(void)ctx;
	return private;
}

void *vfu_create_ctx(int trans, const char *path, int flags, void *pvt, int dev_type)
{
	calls[0] = '\0';
	record("create trans=%d path=%s flags=%d pvt=%s dev=%d\n", trans, path, flags, pvt ? "own" : "none", dev_type);
	private = pvt;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0)
		return NULL;
	return calls;
}

int vfu_setup_log(void *ctx, log_fn *log, int level)
{
	record("log ctx=%d level=%d\n", ctx == calls, level);
	log_callback = log;
	return 0;
}

int vfu_pci_init(void *ctx, int pci_type, int hdr_type, int revision)
{
	record("pci ctx=%d type=%d header=%d revision=%d\n", ctx == calls, pci_type, hdr_type, revision);
	return 0;
}

int vfu_setup_region(void *ctx, int index, size_t size, region_fn *callback, int flags, struct iovec *areas,
		     uint32_t nr_areas, int fd, uint64_t offset)
{
	record("region ctx=%d %d size=%zu flags=%#x areas=%d/%u fd=%d offset=%lu\n", ctx == calls, index, size, flags,
	       areas != NULL, nr_areas, fd, (unsigned long)offset);
	regions[index] = callback;
	return 0;
}

int vfu_setup_device_reset_cb(void *ctx, reset_fn *callback)
{
	record("reset ctx=%d\n", ctx == calls);
	reset_callback = callback;
	return 0;
}

#ifdef OLD_ABI
size_t vfu_get_migr_register_area_size(void)
{
	return 4096;
}

int vfu_setup_device_dma(void *ctx, dma_fn *map, dma_fn *unmap)
{
	record("dma ctx=%d\n", ctx == calls);
#else
int vfu_setup_device_dma(void *ctx, size_t max_regions, dma_fn *map, dma_fn *unmap)
{
	record("dma ctx=%d max_regions=%zu\n", ctx == calls, max_regions);
#endif
	map_callback = map;
	unmap_callback = unmap;
	return 0;
}

int vfu_setup_device_nr_irqs(void *ctx, int type, uint32_t count)
{
	record("irqs ctx=%d type=%d count=%u\n", ctx == calls, type, count);
	return 0;
}

int vfu_setup_irq_state_callback(void *ctx, int type, irq_fn *callback)
{
	record("irq-state ctx=%d type=%d\n", ctx == calls, type);
	irq_callback = callback;
	return 0;
}

int vfu_realize_ctx(void *ctx)
{
	record("realize ctx=%d\n", ctx == calls);
	return send(sockets[1], "x", 1, 0) == 1 ? 0 : -1; /* somebody connects */
}

int vfu_attach_ctx(void *ctx)
{
	record("attach ctx=%d\n", ctx == calls);
	return 0;
}

int vfu_get_poll_fd(void *ctx)
{
	(void)ctx;
	return sockets[0];
}

int vfu_irq_trigger_impl(void *ctx, uint32_t subindex)
{
	record("trigger ctx=%d %u\n", ctx == calls, subindex);
	return 0;
}

#ifndef NO_TRIGGER
int vfu_irq_trigger(void *ctx, uint32_t subindex)
{
	return vfu_irq_trigger_impl(ctx, subindex);
}
#endif

static void access_region(void *ctx, int index, uint64_t value, size_t count, loff_t offset, bool is_write)
{
	ssize_t done;

	errno = 0;
	done = regions[index](ctx, (char *)&value, count, offset, is_write);
	record("%s %d+%#lx: %zd errno=%d value=%#lx\n", is_write ? "wrote" : "read", index, (unsigned long)offset, done,
	       errno, (unsigned long)value);
}

int vfu_run_ctx(void *ctx)
{
	struct dma_info info = {
		.iova = { (void *)0x100000000, sizeof(ram) }, .vaddr = ram, .mapping = { ram, sizeof(ram) },
		.page_size = 4096, .prot = 3,
	};
	struct dma_info rom = { .iova = { (void *)0, 4096 }, .prot = 1 };

	map_callback(ctx, &info);
	map_callback(ctx, &rom);
	access_region(ctx, 0, 0x11223344, 4, 0xC0, true);
	access_region(ctx, 0, 0, 4, 0xC0, false);
	access_region(ctx, 7, 0, 2, 0, false);
	access_region(ctx, 0, 0, 1, 0x80, false); /* the device raises */
	access_region(ctx, 0, 1, 1, 0x10, true); /* line up */
	irq_callback(ctx, 0, 1, false); /* unmask: up still */
	irq_callback(ctx, 0, 1, true);
	irq_callback(ctx, 0, 1, false);
	log_callback(ctx, 3, "what the library says");
	unmap_callback(ctx, &rom);
	unmap_callback(ctx, &info);
	memset(ram, 0xDD, sizeof(ram)); /* gone: nobody may read this */
	record("reset: %d\n", reset_callback(ctx, 1));
	errno = ENOTCONN;
	return -1;
}

void vfu_destroy_ctx(void *ctx)
{
	record("destroy ctx=%d\n", ctx == calls);
	close(sockets[0]);
	close(sockets[1]);
}

/* In both ABIs, called by nobody here. */
#define UNUSED_SYMBOL(name) void name(void) { record("unexpected " #name "\n"); }
UNUSED_SYMBOL(vfu_addr_to_sgl)
UNUSED_SYMBOL(vfu_create_ioeventfd)
UNUSED_SYMBOL(vfu_device_quiesced)
UNUSED_SYMBOL(vfu_setup_device_migration_callbacks)
UNUSED_SYMBOL(vfu_sg_is_mappable)
UNUSED_SYMBOL(vfu_sgl_get)
UNUSED_SYMBOL(vfu_sgl_put)
UNUSED_SYMBOL(vfu_sgl_read)
UNUSED_SYMBOL(vfu_sgl_write)
#ifdef ANCIENT
UNUSED_SYMBOL(vfu_map_sg)
#endif
