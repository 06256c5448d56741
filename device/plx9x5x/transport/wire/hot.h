/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a register access through a socket: bytes in, a page or the device, bytes out. All else is Python's, which
 * reads from the same buffer; `ours` says that the message at `begin` is for Python, and C takes none until it was
 * looked at.
 * cffi reads this file too, so it declares and does nothing else.
 */
#ifndef PLX9X5X_HOT_H
#define PLX9X5X_HOT_H

#include <stdint.h>

#include "serving.h"

/* Have the device read or write up to 4 bytes of a BAR: the value, or 0 for a write; below 0 an errno. */
typedef int64_t (*ask_device)(uint32_t bar, uint64_t offset, uint32_t count, uint32_t data, bool is_write);

/* One connection. Bytes from `begin` to `end` of the buffer have come and were not taken. */
struct wire {
    int32_t fd;
    int32_t edge_fd; /* who hears of INTA#, or -1 */
    uint8_t *buffer;
    uint32_t room, begin, end;
    uint64_t received;    /* bytes since the connection began */
    uint64_t aio_context; /* what signals an eventfd without waiting (signaller.py), or 0 */
    int32_t aio_fd;
    uint32_t most;        /* bytes that a message may have */
    int32_t fds[16];      /* what came beside the bytes before `fds_end` */
    uint32_t fd_count;
    int32_t spare[253];   /* what came beyond that: to be closed by Python, which never waits */
    uint32_t spare_count;
    uint32_t fds_end;
    int32_t torn;         /* the kernel kept descriptors back, or there were too many */
    int32_t ours;
    int32_t blocked;      /* answers wait to be sent: every message is Python's */
    uint8_t unsent[64];   /* the rest of an answer of C's */
    uint32_t unsent_count;
    uint64_t sizes[6];    /* of the BARs */
    ask_device ask;       /* or NULL */
    struct serving *serving;
};

/* Read what is there, of a message with descriptors no more than it lacks: the bytes, 0 at the end, or -errno. */
int64_t wire_fill(struct wire *wire);

/* Where the message at `begin` ends, or 0 if it is not whole; a size that no message has is whole: Python says so. */
uint32_t wire_whole(const struct wire *wire);

/* `take_message` and `send_edge` of a `struct wire`. */
take_message wire_taker(void);
send_edge wire_edger(void);

#endif
