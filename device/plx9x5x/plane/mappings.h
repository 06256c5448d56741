/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory by address: mappings sorted by address that do not overlap. The kit's unit of the native plane; it knows no
 * device. cffi reads this file too, so it declares and does nothing else.
 *
 * Nothing here keeps a pointer into mapped memory but the table itself, and `mappings_unmap` takes it out of there.
 * Addresses have 64 bits and wrap.
 */
#ifndef PLX9X5X_MAPPINGS_H
#define PLX9X5X_MAPPINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mapping {
    uint64_t start;
    uint64_t last;  /* inclusive: a mapping may reach the end of the address space */
    uint8_t *host;  /* NULL: something answers, and we cannot get there */
    uint64_t owner; /* who keeps the memory alive; a mapping that is split keeps its owner */
    bool writable;
};

struct mappings {
    struct mapping *at;
    size_t count;
    size_t room;
};

/* Why an access went no further. */
enum why {
    MAPPED,
    NOTHING_MAPPED,
    READ_ONLY,
    NO_MEMORY,
};

/* What an access came to: bytes moved, and why not more. */
struct moved {
    uint64_t bytes;
    enum why why;
};

/* Bytes at one place of host memory: `host` is NULL and `length` 0 unless `why` is MAPPED. */
struct run {
    uint8_t *host;
    uint64_t length;
    enum why why;
};

/* NULL without memory. */
struct mappings *mappings_new(void);
void mappings_free(struct mappings *table);

/* Add start..last in place of whatever it overlaps. False without memory; nothing has changed then. */
bool mappings_map(struct mappings *table, uint64_t start, uint64_t last, uint8_t *host, bool writable, uint64_t owner);

/* Drop start..last; a mapping that reaches beyond it keeps the part outside. False without memory, as above. */
bool mappings_unmap(struct mappings *table, uint64_t start, uint64_t last);

/* Drop all. */
void mappings_clear(struct mappings *table);

/* How many mappings start at or below `address`: the one before that index is the only one that may hold it. */
size_t mappings_upto(const struct mappings *table, uint64_t address);

/*
 * The bytes from `address` on that lie in one mapping, up to `length` (not 0). `hint` is where to look first, and
 * becomes the index of what was found; any value will do.
 */
struct run mappings_resolve(const struct mappings *table, uint64_t address, uint64_t length, bool write, size_t *hint);

/* Have the memory of the mapping at `index`, if there is one, brought near: pages of a guest lie anywhere. */
void mappings_prefetch(const struct mappings *table, size_t index);

/* Copy from or to as many mappings as it takes. */
struct moved mappings_read(const struct mappings *table, uint64_t address, uint8_t *into, uint64_t length);
struct moved mappings_write(const struct mappings *table, uint64_t address, const uint8_t *data, uint64_t length);

#endif
