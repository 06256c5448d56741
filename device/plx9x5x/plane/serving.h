/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client's messages meet before Python does: pages of plain registers, and the loop that takes messages until
 * the device has to be looked at. The kit's; it knows no device and no library: whoever serves hands in how a message
 * is taken. cffi reads this file too, so it declares and does nothing else.
 *
 * A page is the device's: it says which dwords are plain, and opens the page while it decodes them.
 */
#ifndef PLX9X5X_SERVING_H
#define PLX9X5X_SERVING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "line.h"

/* One dword of a page, by the place of its value; a place of -1 means that the device has a say. */
struct plain_dword {
    int32_t read;
    int32_t write;
    uint32_t stored;  /* the bits that a write stores */
    uint32_t known;   /* a write of any other bit is news to the device */
    uint32_t watched; /* a write that changes one of these is, too */
    const bool *idle; /* or NULL: while it is false, so is a write that changes any bit */
};

/* What came of a look at a device's work. */
enum work {
    WORK_NONE, /* nothing to do */
    WORK_MORE, /* there is more than the budget paid for */
    WORK_ASK,  /* what comes next is Python's */
};

/* What a device does in C beside its pages: the first member of what it is to the device. */
struct native_part {
    /* Take an access that is not plain; false if that is Python's, and then nothing has changed. */
    bool (*access)(struct native_part *part, char *buffer, size_t count, int64_t offset, bool is_write);
    /* Do what there is to do, for about `budget` bytes. */
    enum work (*work)(struct native_part *part, uint64_t budget);
};

/* Bytes of a page that tell why INTA# is asserted, while `shows` is NULL or true. */
struct status_bytes {
    uint32_t offset, bytes;
    const bool *shows;
};

/* What a count has come to, and the device has not been told of. */
enum news { NEWS_SPIN = 1, NEWS_STUCK = 2, NEWS_LATE = 4 };
enum { PAGE_SPIN = 4096, PAGE_RUN = 1024, PAGE_FEW = 8, PAGE_LONG_NS = 1000000000 };

/*
 * What software does to all pages of a device, so that a driver that waits for nothing is seen without Python. `same`
 * counts reads of one place that gave one value with no write between: NEWS_SPIN at PAGE_SPIN. `status` counts reads
 * that told why INTA# is asserted, and whoever changes a cause takes it and `late` back: NEWS_STUCK at PAGE_RUN,
 * NEWS_LATE at the first multiple of PAGE_FEW that comes PAGE_LONG_NS after the first. With `news` there every read is
 * the device's, which takes it away.
 */
struct page_watch {
    int64_t offset;
    uint32_t value;
    uint32_t same, status;
    int64_t since_ns; /* of the PAGE_FEW-th status read */
    bool late;
    uint32_t news;
    const struct line *line; /* or NULL: INTA# is not known here */
    struct status_bytes tells[3];
};

/* Registers as one BAR shows them. Several pages may show the same values. */
struct register_page {
    uint32_t *values;
    struct plain_dword *dwords;
    uint32_t bytes;
    int32_t open;             /* 0: every access is the device's */
    struct native_part *part; /* or NULL */
    struct page_watch *watch; /* or NULL */
};

/* Why `serve_messages` came back. */
enum served {
    DEVICE_HAD_A_SAY, /* Python has to look at the device: it was told something, or its part asks or has more to do */
    NOTHING_CAME,     /* the time is over, a whole batch was taken, or C has been at it for long */
    WOKEN,            /* somebody wants the loop to look round */
    TAKING_FAILED,    /* `code` is the errno */
};

typedef int (*take_message)(void *context);
typedef void *(*private_of)(const void *context);
typedef ssize_t (*access_region)(void *context, char *buffer, size_t count, int64_t offset, bool is_write);

/* One served device. A region without a page, or with a closed one, goes to `device`. */
struct serving {
    void *context;
    take_message take; /* above 0: one was taken; 0: none is there; below: errno says why not */
    int client_fd;
    int wake_fd;
    int batch;       /* messages between two looks at the device */
    uint64_t budget; /* what a look may cost */
    int code;
    int32_t had_a_say; /* set by whoever answers for the device */
    struct register_page *pages[6];
    access_region device[6];
    struct native_part *part; /* or NULL */
    struct line *line;
};

typedef void (*irq_state)(void *context, uint32_t start, uint32_t count, bool mask);

/* How the `struct serving` of a context is found, for all contexts. */
void serving_of_context(private_of how);

/* The callback for a BAR; NULL for one that there is not. */
access_region region_access(int bar);

/* The callback for MASK and UNMASK of the line. */
irq_state line_callback(void);

/*
 * Take messages, and do the device's work between them, until Python has to look at the device, or `wait_ns` nanoseconds
 * are over (below 0: however long, while no message comes; 0: nothing is waited for). Whoever wakes it is heard at once
 * while it waits, and within 20 ms while it works.
 */
enum served serve_messages(struct serving *serving, int64_t wait_ns);

/* What `region_access` does first: true if the page took the access. */
bool page_access(struct register_page *page, char *buffer, size_t count, int64_t offset, bool is_write);

/* The same by a number, of up to 4 bytes: the value, or -1 if the device is to be asked; true if the page took it. */
int64_t page_read(struct register_page *page, int64_t offset, uint32_t count);
bool page_write(struct register_page *page, int64_t offset, uint32_t count, uint32_t value);

#endif
