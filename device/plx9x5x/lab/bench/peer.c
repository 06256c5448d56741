// SPDX-License-Identifier: Apache-2.0
/*
 * The peer: a device in C on the same libvfio-user, which answers what a driver's transfer asks of a PLX and nothing else.
 *
 * What it does is what no device can leave out, so its times are what the C library allows: registers are bytes in an
 * array, START has a channel walk blocks or 16-byte descriptors in the client's memory between two messages (never in
 * the callback, and no more than BUDGET bytes at once), DONE raises a level, the level becomes edges by the rule of
 * vfio-user. It checks addresses, for no peer of ours may crash, and reports no errors: who meets one sees DONE.
 *
 *	peer --socket-path S
 *
 * Serves one client after the other until SIGTERM; `listening on S` says that one may connect.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "libvfio-user.h"

#define MAPPINGS	64
#define BUDGET		(256 * 1024)
#define BATCH		64

struct mapping {
	uint64_t start;
	uint64_t end;
	uint8_t *memory;
	bool writable;
};

static uint8_t bar0[BAR0_SIZE];
static uint8_t local[LOCAL_SIZE];
static bool running[CHANNELS];
static bool pending[CHANNELS];

static struct mapping mappings[MAPPINGS];
static unsigned int mapped;
static struct mapping *hit;

static vfu_ctx_t *ctx;
static bool line_up;
static bool masked;

/* Registers as numbers. */

static uint32_t get(uint32_t offset)
{
	uint32_t value;

	memcpy(&value, bar0 + offset, sizeof(value));
	return value;
}

static void put(uint32_t offset, uint32_t value)
{
	memcpy(bar0 + offset, &value, sizeof(value));
}

static uint32_t channel_register(unsigned int ch, uint32_t offset)
{
	return offset + ch * CHANNEL_STRIDE;
}

/* The interrupt: a level here, edges on the wire. */

static void evaluate_line(void)
{
	if (!line_up || masked)
		return;
	masked = true;
	if (vfu_irq_trigger(ctx, 0))
		masked = false;	/* nobody listens yet: the edge stays due */
}

static void update_line(void)
{
	uint32_t intcsr = get(INTCSR) & ~(INTCSR_DMA(0) | INTCSR_DMA(1));
	bool was_up = line_up;
	unsigned int ch;

	line_up = false;
	for (ch = 0; ch < CHANNELS; ch++) {
		if (!pending[ch])
			continue;
		intcsr |= INTCSR_DMA(ch);
		if (intcsr & INTCSR_PCI_EN && intcsr & INTCSR_DMA_EN(ch) &&
		    get(channel_register(ch, DMAMODE)) & MODE_INTA)
			line_up = true;
	}
	put(INTCSR, intcsr);
	if (line_up && !was_up)
		evaluate_line();
}

static void on_irq_state(vfu_ctx_t *context, uint32_t start, uint32_t count, bool mask)
{
	(void)context, (void)start, (void)count;
	masked = mask;
	evaluate_line();
}

/* The client's memory. */

static void on_map(vfu_ctx_t *context, vfu_dma_info_t *info)
{
	(void)context;
	if (!info->vaddr || mapped == MAPPINGS)
		return;
	mappings[mapped++] = (struct mapping){
		.start = (uintptr_t)info->iova.iov_base,
		.end = (uintptr_t)info->iova.iov_base + info->iova.iov_len,
		.memory = info->vaddr,
		.writable = info->prot & PROT_WRITE,
	};
	hit = NULL;
}

static void on_unmap(vfu_ctx_t *context, vfu_dma_info_t *info)
{
	uint64_t start = (uintptr_t)info->iova.iov_base;
	unsigned int i;

	(void)context;
	hit = NULL;
	for (i = 0; i < mapped; i++) {
		if (mappings[i].start == start) {
			mappings[i] = mappings[--mapped];
			return;
		}
	}
}

/* Where `address` is in our process, and how much follows it there; NULL if that is nowhere. */
static uint8_t *guest(uint64_t address, bool write, uint64_t *there)
{
	unsigned int i;

	if (!hit || address < hit->start || address >= hit->end) {
		hit = NULL;
		for (i = 0; i < mapped; i++)
			if (address >= mappings[i].start && address < mappings[i].end)
				hit = &mappings[i];
	}
	if (!hit || (write && !hit->writable))
		return NULL;
	*there = hit->end - address;
	return hit->memory + (address - hit->start);
}

/* DMA. */

static bool copy(uint64_t address, uint32_t local_address, uint32_t length, bool to_pci)
{
	if (local_address > LOCAL_SIZE || length > LOCAL_SIZE - local_address)
		return false;
	while (length) {
		uint64_t there;
		uint8_t *at = guest(address, to_pci, &there);
		uint32_t count;

		if (!at)
			return false;
		count = there < length ? there : length;
		if (to_pci)
			memcpy(at, local + local_address, count);
		else
			memcpy(local + local_address, at, count);
		address += count;
		local_address += count;
		length -= count;
	}
	return true;
}

static bool read_guest(uint64_t address, void *into, uint32_t length)
{
	uint64_t there;
	const uint8_t *at = guest(address, false, &there);

	if (!at || there < length)
		return false;
	memcpy(into, at, length);
	return true;
}

static void finish(unsigned int ch)
{
	running[ch] = false;
	bar0[DMACSR + ch] |= CSR_DONE;
	if (get(channel_register(ch, DMAMODE)) & MODE_DONE_INT)
		pending[ch] = true;
	update_line();
}

/* One descriptor, or the block; true if another one follows. */
static bool move(unsigned int ch, uint32_t *moved)
{
	uint32_t mode = get(channel_register(ch, DMAMODE));
	uint32_t desc[4];	/* DMAPADR, DMALADR, DMASIZ, DMADPR */
	uint32_t next = get(channel_register(ch, DMADPR));
	uint32_t length;

	if (mode & MODE_CHAIN) {
		if (!(next & DPR_PCI) || !read_guest(next & DPR_NEXT, desc, sizeof(desc)))
			return false;
		memcpy(bar0 + channel_register(ch, DMAPADR), desc, sizeof(desc));
	} else {
		memcpy(desc, bar0 + channel_register(ch, DMAPADR), sizeof(desc));
	}
	length = desc[2] & SIZ_MASK;
	*moved += length + sizeof(desc);
	if (!copy(desc[0], desc[1], length, desc[3] & DPR_TO_PCI))
		return false;
	return mode & MODE_CHAIN && !(desc[3] & DPR_END);
}

/* A turn of every channel; true if there is more to do. */
static bool step(void)
{
	unsigned int ch;
	bool more = false;

	for (ch = 0; ch < CHANNELS; ch++) {
		uint32_t moved = 0;

		while (running[ch] && bar0[DMACSR + ch] & CSR_ENABLE && moved < BUDGET)
			if (!move(ch, &moved))
				finish(ch);
		more |= running[ch] && bar0[DMACSR + ch] & CSR_ENABLE;
	}
	return more;
}

static void command(unsigned int ch, uint8_t done, uint8_t value)
{
	bar0[DMACSR + ch] = (value & CSR_ENABLE) | done;
	if (value & CSR_CLEAR)
		pending[ch] = false;
	if (value & CSR_ABORT && running[ch])
		finish(ch);
	if (value & CSR_START && value & CSR_ENABLE && done) {
		running[ch] = true;
		bar0[DMACSR + ch] = CSR_ENABLE;
	}
}

/* Regions. */

static void write_register(const char *data, size_t count, uint32_t offset)
{
	uint8_t done[CHANNELS];
	unsigned int ch;

	for (ch = 0; ch < CHANNELS; ch++)
		done[ch] = bar0[DMACSR + ch] & CSR_DONE;
	memcpy(bar0 + offset, data, count);
	if (offset >= DMACSR + CHANNELS || offset + count <= L2PDBELL)
		return;
	for (ch = 0; ch < CHANNELS; ch++)
		if (offset <= DMACSR + ch && offset + count > DMACSR + ch)
			command(ch, done[ch], bar0[DMACSR + ch]);
	put(L2PDBELL, 0);
	update_line();
}

static ssize_t access_registers(char *buffer, size_t count, loff_t offset, bool is_write, size_t size)
{
	if (offset < 0 || (size_t)offset + count > size) {
		errno = EINVAL;
		return -1;
	}
	if (is_write)
		write_register(buffer, count, offset);
	else
		memcpy(buffer, bar0 + offset, count);
	return count;
}

static ssize_t on_bar0(vfu_ctx_t *context, char *buffer, size_t count, loff_t offset, bool is_write)
{
	(void)context;
	return access_registers(buffer, count, offset, is_write, BAR0_SIZE);
}

static ssize_t on_bar1(vfu_ctx_t *context, char *buffer, size_t count, loff_t offset, bool is_write)
{
	(void)context;
	return access_registers(buffer, count, offset, is_write, BAR1_SIZE);
}

static ssize_t on_bar2(vfu_ctx_t *context, char *buffer, size_t count, loff_t offset, bool is_write)
{
	(void)context;
	if (offset < 0 || (size_t)offset + count > LOCAL_SIZE) {
		errno = EINVAL;
		return -1;
	}
	if (is_write)
		memcpy(local + offset, buffer, count);
	else
		memcpy(buffer, local + offset, count);
	return count;
}

static int on_reset(vfu_ctx_t *context, vfu_reset_type_t type)
{
	unsigned int ch;

	(void)context, (void)type;
	memset(bar0, 0, sizeof(bar0));
	for (ch = 0; ch < CHANNELS; ch++) {
		put(channel_register(ch, DMAMODE), MODE_RESET);
		bar0[DMACSR + ch] = CSR_DONE;
		running[ch] = pending[ch] = false;
	}
	put(INTCSR, INTCSR_RESET);
	line_up = masked = false;
	return 0;
}

/* Life. */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void wait_for_client(void)
{
	struct pollfd fd = { .fd = vfu_get_poll_fd(ctx), .events = POLLIN };

	if (poll(&fd, 1, -1) < 0 && errno != EINTR)
		die("poll");
}

static void make_device(const char *path)
{
	const int memory = VFU_REGION_FLAG_RW | VFU_REGION_FLAG_MEM;

	ctx = vfu_create_ctx(VFU_TRANS_SOCK, path, LIBVFIO_USER_FLAG_ATTACH_NB, NULL, VFU_DEV_TYPE_PCI);
	if (!ctx)
		die("vfu_create_ctx");
	if (vfu_pci_init(ctx, VFU_PCI_TYPE_CONVENTIONAL, PCI_HEADER_TYPE_NORMAL, 0) ||
	    vfu_setup_region(ctx, 0, BAR0_SIZE, on_bar0, memory, NULL, 0, -1, 0) ||
	    vfu_setup_region(ctx, 1, BAR1_SIZE, on_bar1, VFU_REGION_FLAG_RW, NULL, 0, -1, 0) ||
	    vfu_setup_region(ctx, 2, LOCAL_SIZE, on_bar2, memory, NULL, 0, -1, 0) ||
	    vfu_setup_device_reset_cb(ctx, on_reset) ||
	    vfu_setup_device_dma(ctx, on_map, on_unmap) ||
	    vfu_setup_device_nr_irqs(ctx, VFU_DEV_INTX_IRQ, 1) ||
	    vfu_setup_irq_state_callback(ctx, VFU_DEV_INTX_IRQ, on_irq_state))
		die("setting up the device");
	vfu_pci_set_id(ctx, 0x10b5, 0x9601, 0x10b5, 0x9656);
	vfu_pci_set_class(ctx, 0x06, 0x80, 0);
	if (vfu_realize_ctx(ctx))
		die("vfu_realize_ctx");
	on_reset(ctx, VFU_RESET_DEVICE);
}

static void serve_client(void)
{
	for (;;) {
		int served = 0, i;
		bool more;

		for (i = 0; i < BATCH; i++) {
			served = vfu_run_ctx(ctx);
			if (served <= 0)
				break;
		}
		if (served < 0 && errno == ENOTCONN)
			return;
		if (line_up && !masked)
			evaluate_line();
		more = step();
		if (served <= 0 && !more)
			wait_for_client();
	}
}

int main(int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "--socket-path")) {
		fprintf(stderr, "usage: %s --socket-path S\n", argv[0]);
		return 2;
	}
	make_device(argv[2]);
	printf("listening on %s\n", argv[2]);
	fflush(stdout);
	for (;;) {
		wait_for_client();
		if (!vfu_attach_ctx(ctx))
			serve_client();
	}
}
