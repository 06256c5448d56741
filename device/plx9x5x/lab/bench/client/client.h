/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the raw client share. */
#ifndef PLX_BENCH_CLIENT_H
#define PLX_BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench.h"
#include "times.h"

#define MIB			(1024 * 1024)
#define WARM_UP			200
#define RAM			0x10000000u	/* bus address of our memory */
#define DESCRIPTOR_BYTES	256
#define REQUEST_BYTES		32		/* of a register read */
#define REPLY_BYTES		36

/* vfio_user.c: everything ends the program with a message if it fails */
extern uint8_t *ram;

void send_all(int fd, const void *data, size_t left);
void receive_all(int fd, void *data, size_t left);
void connect_to(const char *path, uint64_t memory);
uint32_t read_region(uint32_t region, uint64_t offset);
void write_region(uint32_t region, uint64_t offset, uint32_t value, uint32_t width, bool posted);
void unmask(void);
void await_interrupt(void);

/* floors.c: what needs no server */
void time_ping_pong(unsigned int count);
void time_memcpy(uint32_t bytes, unsigned int count);
void time_walk(unsigned int descriptors, unsigned int count);

/* streams.c: with the sampler of sampler.py */
void time_stream(uint32_t rate, unsigned int count);

/* in_c.c: what needs no Python */
void time_card(uint32_t bytes, unsigned int count);

/* transfers.c */
void time_interrupts(unsigned int count);
void time_block(uint32_t bytes, unsigned int count);
void time_chain(unsigned int descriptors, unsigned int count);

static inline uint32_t read_register(uint32_t offset)
{
	return read_region(0, offset);
}

#endif
