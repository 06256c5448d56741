/* SPDX-License-Identifier: Apache-2.0 */
#include "mappings.h"

#include <stdlib.h>
#include <string.h>

struct mappings *mappings_new(void)
{
    return calloc(1, sizeof(struct mappings));
}

void mappings_free(struct mappings *table)
{
    if (table) {
        free(table->at);
        free(table);
    }
}

/* Make room for `more` mappings beyond those that are there. */
static bool reserve(struct mappings *table, size_t more)
{
    size_t room = table->room ? table->room : 16;
    struct mapping *at;

    while (room < table->count + more)
        room *= 2;
    if (room == table->room)
        return true;
    at = realloc(table->at, room * sizeof(*at));
    if (!at)
        return false;
    table->at = at;
    table->room = room;
    return true;
}

size_t mappings_upto(const struct mappings *table, uint64_t address)
{
    size_t low = 0, high = table->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (table->at[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Put `parts` in place of `gone` mappings from index `first` on; there is room. */
static void replace(struct mappings *table, size_t first, size_t gone, const struct mapping *parts, size_t count)
{
    struct mapping *at = table->at + first;

    if (gone != count)
        memmove(at + count, at + gone, (table->count - first - gone) * sizeof(*at));
    if (count)
        memcpy(at, parts, count * sizeof(*at));
    table->count = table->count - gone + count;
}

/* Put `new`, unless NULL, in place of start..last. */
static bool put(struct mappings *table, uint64_t start, uint64_t last, const struct mapping *new)
{
    struct mapping parts[3];
    size_t count = 0, first, end;

    if (!reserve(table, 2))
        return false;
    first = mappings_upto(table, start);
    if (first && table->at[first - 1].last >= start)
        first--;
    end = mappings_upto(table, last);
    if (first < end && table->at[first].start < start) {
        parts[count] = table->at[first];
        parts[count++].last = start - 1;
    }
    if (new)
        parts[count++] = *new;
    if (first < end && table->at[end - 1].last > last) {
        parts[count] = table->at[end - 1];
        if (parts[count].host)
            parts[count].host += last + 1 - parts[count].start;
        parts[count++].start = last + 1;
    }
    replace(table, first, end - first, parts, count);
    return true;
}

bool mappings_map(struct mappings *table, uint64_t start, uint64_t last, uint8_t *host, bool writable, uint64_t owner)
{
    struct mapping new = {start, last, host, owner, writable};

    return put(table, start, last, &new);
}

bool mappings_unmap(struct mappings *table, uint64_t start, uint64_t last)
{
    return put(table, start, last, NULL);
}

void mappings_clear(struct mappings *table)
{
    table->count = 0;
}

static inline bool holds(const struct mappings *table, size_t index, uint64_t address)
{
    return index < table->count && table->at[index].start <= address && address <= table->at[index].last;
}

/* Find the index of the mapping that holds `address`, where a run of accesses looks first: here, or in the next one. */
static inline bool locate(const struct mappings *table, uint64_t address, size_t *hint)
{
    size_t index = *hint;

    if (holds(table, index, address))
        return true;
    if (!holds(table, ++index, address)) {
        index = mappings_upto(table, address);
        if (!index || table->at[--index].last < address)
            return false;
    }
    *hint = index;
    return true;
}

struct run mappings_resolve(const struct mappings *table, uint64_t address, uint64_t length, bool write, size_t *hint)
{
    struct run run = {NULL, 0, NOTHING_MAPPED};
    const struct mapping *found;
    uint64_t offset;

    if (!locate(table, address, hint))
        return run;
    found = &table->at[*hint];
    if (!found->host)
        run.why = NO_MEMORY;
    else if (write && !found->writable)
        run.why = READ_ONLY;
    else {
        offset = address - found->start;
        run.host = found->host + offset;
        /* Not `last - address + 1`: that is 0 for a mapping of the whole address space. */
        run.length = length - 1 > found->last - address ? found->last - address + 1 : length;
        run.why = MAPPED;
    }
    return run;
}

void mappings_prefetch(const struct mappings *table, size_t index)
{
    const uint8_t *host = index < table->count ? table->at[index].host : NULL;

    /* A prefetch never faults, so it does not matter that a mapping may be shorter. */
    for (size_t at = 0; host && at < 1024; at += 64)
        __builtin_prefetch((const void *)((uintptr_t)host + at));
}

struct moved mappings_read(const struct mappings *table, uint64_t address, uint8_t *into, uint64_t length)
{
    struct moved moved = {0, MAPPED};
    size_t hint = 0;

    while (moved.bytes < length) {
        struct run run = mappings_resolve(table, address + moved.bytes, length - moved.bytes, false, &hint);

        if (run.why != MAPPED) {
            moved.why = run.why;
            break;
        }
        memmove(into + moved.bytes, run.host, run.length);
        moved.bytes += run.length;
    }
    return moved;
}

struct moved mappings_write(const struct mappings *table, uint64_t address, const uint8_t *data, uint64_t length)
{
    struct moved moved = {0, MAPPED};
    size_t hint = 0;

    while (moved.bytes < length) {
        struct run run = mappings_resolve(table, address + moved.bytes, length - moved.bytes, true, &hint);

        if (run.why != MAPPED) {
            moved.why = run.why;
            break;
        }
        memmove(run.host, data + moved.bytes, run.length);
        moved.bytes += run.length;
    }
    return moved;
}
