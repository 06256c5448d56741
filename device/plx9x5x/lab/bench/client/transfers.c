// SPDX-License-Identifier: Apache-2.0
/* A driver's transfers, from the first register to the acknowledged interrupt, and what they moved. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define DATA			(RAM + 2 * MIB)
#define DATA_SIZE		(2 * MIB)
#define DESCRIPTORS_MAX		(2 * MIB / 16)
#define SLOTS			(LOCAL_SIZE / DESCRIPTOR_BYTES)
#define SOURCES			(DATA_SIZE / DESCRIPTOR_BYTES)
#define CHECKS			64

static void post(uint32_t offset, uint32_t value)
{
	write_region(0, offset, value, 4, true);
}

static void post_command(uint8_t value)
{
	write_region(0, DMACSR, value, 1, true);
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
void time_interrupts(unsigned int count)
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

void time_block(uint32_t bytes, unsigned int count)
{
	if (!bytes || bytes % 4 || bytes > LOCAL_SIZE)
		die("a block has 4 bytes to 128 KiB, by words");
	fill(bytes);
	spoil_local(bytes);
	time_transfers("block", false, bytes, count);
	check_local(bytes, 0);
}

/* The data goes round local memory, and round its source, as often as it takes. */
void time_chain(unsigned int descriptors, unsigned int count)
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
