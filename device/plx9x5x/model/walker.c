/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing is believed: a descriptor's words are copied once, and whatever they name is looked up in the tables before a
 * byte moves. Memory may change meanwhile, since the guest runs; the tables may not, since who changes them is our
 * caller. A transaction that cannot be done here whole is left to Python with the channel as it was before it.
 */
#include "walker.h"

#include "latch.h"

#include <string.h>

#define MAX_BURST (64u * 1024u)
/* Address bits of DMADPR. */
#define NEXT 0xfffffff0u

/* Modes in which a board has a say, or each word is looked at. */
#define SPECIAL (MODE_HOLD_LOCAL | MODE_DEMAND | MODE_EOT | MODE_VALID)

#define DESCRIPTOR 16u
#define LONG_DESCRIPTOR 20u

/* Addresses on both sides have 32 bits and wrap, without a carry into the upper half. */
#define LOW_HALF (UINT64_C(1) << 32)

/* Where the last access of each kind was found: it is the best place to look for the next. */
struct hints {
    size_t descriptor, data, local;
};

static inline uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What a transaction costs that cannot be done here: nothing, since nothing was done. */
static uint64_t leave(struct walk *channel, enum walk_stop why)
{
    channel->stop = why;
    return 0;
}

/* Copy a descriptor's words out of memory that may change at any time. */
static bool load(struct walk *channel, uint8_t *into, size_t length, struct hints *hints)
{
    const struct mappings *table = channel->next_in_pci ? channel->bus : channel->local;
    size_t done = 0;

    while (done < length) {
        uint32_t address = channel->next + (uint32_t)done;
        uint64_t most = least(length - done, LOW_HALF - address);
        struct run run = mappings_resolve(table, address, most, false, &hints->descriptor);

        if (run.why != MAPPED) {
            channel->stop = channel->next_in_pci ? WALK_BUS : WALK_LOCAL;
            return false;
        }
        memcpy(into + done, run.host, run.length);
        done += run.length;
    }
    /* The compiler must not read the guest's memory again in place of the copy. */
    __asm__ volatile("" ::: "memory");
    return true;
}

static void note_access(struct walk *channel, uint64_t last)
{
    channel->last->address = last;
    channel->last->is_new = true;
}

bool walk_is_plain(const struct walk *channel)
{
    const uint32_t *values = channel->values;

    return !(values[channel->at.mode] & SPECIAL) && !(values[channel->big_endian_place] & channel->big_endian);
}

/* A descriptor that moves nothing, or whose address counts past 32 bits: somebody may have a word to say. */
static bool is_odd(uint32_t pci, uint32_t count)
{
    return !count || pci > LOW_HALF - count;
}

/* True if nobody has a word to say about it any more. */
static bool odd_is_told(const struct walk *channel, uint32_t count)
{
    return count ? channel->wrap_told : channel->empty_told;
}

/* Note one; false if the word is the reference's to say now, and then nothing has changed. */
static bool take_odd(struct walk *channel, uint32_t count)
{
    if (!odd_is_told(channel, count) || (!count && channel->empty + 1 == WALK_ENDLESS))
        return false;
    if (count)
        channel->empty = 0;
    else if (channel->empty < WALK_ENDLESS)
        channel->empty++;
    return true;
}

static uint64_t fetch(struct walk *channel, struct hints *hints)
{
    uint32_t words[LONG_DESCRIPTOR / 4] = {0}, *values = channel->values;
    uint32_t mode = values[channel->at.mode];
    size_t length = mode & MODE_DAC_CHAIN ? LONG_DESCRIPTOR : DESCRIPTOR;

    if (!walk_is_plain(channel))
        return leave(channel, WALK_MODE);
    if (channel->terminal_count_pending && !channel->interrupt && !latch_is_plain(channel))
        return leave(channel, WALK_LATCH);
    if (!load(channel, (uint8_t *)words, length, hints))
        return 0;
    if (!is_odd(words[0], words[2] & SIZE_COUNT))
        channel->empty = 0;
    else if (!take_odd(channel, words[2] & SIZE_COUNT))
        return leave(channel, WALK_ODD);
    channel->descriptors++;
    if (channel->next_in_pci)
        note_access(channel, (uint32_t)(channel->next + length - 1));
    if (mode & MODE_DAC_CHAIN)
        values[channel->at.upper_address] = words[4];
    values[channel->at.pci_address] = channel->pci = words[0];
    values[channel->at.local_address] = channel->local_address = words[1];
    values[channel->at.size] = words[2] & channel->size_stored;
    values[channel->at.pointer] = channel->pointer = words[3];
    channel->fetched = true;
    channel->mode = mode;
    channel->upper = values[channel->at.upper_address];
    channel->count = words[2] & SIZE_COUNT;
    channel->moved = 0;
    channel->chained = true;
    channel->writes_count = mode & MODE_CLEAR_COUNT;
    channel->size_word = channel->next + 8;
    channel->size_word_in_pci = channel->next_in_pci;
    channel->state = WALK_MOVE;
    /* The registers show this descriptor before the interrupt of the one before it: handlers look at DMAPADR. */
    if (channel->terminal_count_pending && !channel->interrupt)
        latch(channel);
    channel->terminal_count_pending = false;
    return channel->price;
}

/* Copy between a run of plain local memory and as many mappings as it takes. */
static bool copy(struct walk *channel, uint64_t bus, uint8_t *local, uint64_t length, size_t *hint)
{
    bool to_pci = channel->pointer & POINTER_TO_PCI;

    while (length) {
        struct run run = mappings_resolve(channel->bus, bus, length, to_pci, hint);

        if (run.why != MAPPED)
            return false;
        if (run.length < length)
            mappings_prefetch(channel->bus, *hint + 1);
        /* A host may map a board's own memory for the guest, so the two can overlap. */
        if (to_pci)
            memmove(run.host, local, run.length);
        else
            memmove(local, run.host, run.length);
        bus += run.length;
        local += run.length;
        length -= run.length;
    }
    return true;
}

static uint64_t move(struct walk *channel, uint64_t budget, struct hints *hints)
{
    uint32_t left = channel->count - channel->moved;
    uint32_t pci = channel->pci + channel->moved;
    uint32_t local = channel->local_address + channel->moved;
    uint64_t bus = (uint64_t)channel->upper << 32 | pci;
    uint64_t length = least(least(left, budget), least(LOW_HALF - pci, MAX_BURST));
    struct run memory;

    if (!left) {
        channel->state = WALK_RETIRE;
        return channel->price;
    }
    memory = mappings_resolve(channel->local, local, length, !(channel->pointer & POINTER_TO_PCI), &hints->local);
    if (memory.why != MAPPED)
        return leave(channel, WALK_LOCAL);
    length = memory.length;
    /* Should this stop half-way, the reference moves the same bytes again: they have not changed anything it reads. */
    if (!copy(channel, bus, memory.host, length, &hints->data))
        return leave(channel, WALK_BUS);
    channel->moved += (uint32_t)length;
    *(channel->pointer & POINTER_TO_PCI ? &channel->to_pci : &channel->to_local) += length;
    note_access(channel, bus + length - 1);
    if (length == left)
        channel->state = WALK_RETIRE;
    return length > channel->price ? length : channel->price;
}

/* Store 0 in the descriptor's size word; what is left of the count is another number only after EOT#. */
static bool write_back(struct walk *channel)
{
    static const uint8_t zero[4];
    const struct mappings *table = channel->size_word_in_pci ? channel->bus : channel->local;

    if (channel->size_word_in_pci && !channel->count_to_pci)
        return true;
    if (mappings_write(table, channel->size_word, zero, sizeof(zero)).bytes < sizeof(zero)) {
        channel->stop = channel->size_word_in_pci ? WALK_BUS : WALK_LOCAL;
        return false;
    }
    if (channel->size_word_in_pci)
        note_access(channel, channel->size_word);
    return true;
}

/* DONE, then the interrupt. */
static bool end(struct walk *channel)
{
    uint32_t *values = channel->values;
    bool terminal_count = channel->terminal_count_pending || channel->pointer & POINTER_TERMINAL_COUNT;
    bool latches = terminal_count || values[channel->at.mode] & MODE_DONE_INTERRUPT;

    latches = latches && !channel->interrupt;
    if (latches && !latch_is_plain(channel)) {
        channel->stop = WALK_LATCH;
        return false;
    }
    if (channel->chained && channel->writes_count && !write_back(channel))
        return false;
    channel->terminal_count_pending = false;
    channel->state = WALK_IDLE;
    channel->idle = true;
    channel->lent = false;
    channel->stop = WALK_DONE;
    values[channel->at.command] |= CSR_DONE;
    if (latches)
        latch(channel);
    return true;
}

static uint64_t retire(struct walk *channel)
{
    if (channel->pointer & POINTER_LAST || !channel->chained)
        return end(channel) ? channel->price : 0;
    if (channel->writes_count && !write_back(channel))
        return 0;
    if (channel->pointer & POINTER_TERMINAL_COUNT)
        channel->terminal_count_pending = true;
    channel->next = channel->pointer & NEXT;
    channel->next_in_pci = channel->pointer & POINTER_IN_PCI;
    channel->state = WALK_FETCH;
    return channel->price;
}

void walk_at(struct walk *channel, enum walk_state state, uint32_t next, bool next_in_pci, bool terminal_count_pending)
{
    channel->lent = true;
    channel->fetched = false;
    channel->state = state;
    channel->next = next;
    channel->next_in_pci = next_in_pci;
    channel->terminal_count_pending = terminal_count_pending;
}

void walk_with(struct walk *channel, uint32_t pci, uint32_t upper, uint32_t local_address, uint32_t count,
               uint32_t moved, uint32_t pointer, uint32_t size_word, bool size_word_in_pci, bool chained,
               bool writes_count)
{
    channel->pci = pci;
    channel->upper = upper;
    channel->local_address = local_address;
    channel->count = count;
    channel->moved = moved;
    channel->pointer = pointer;
    channel->size_word = size_word;
    channel->size_word_in_pci = size_word_in_pci;
    channel->chained = chained;
    channel->writes_count = writes_count;
}

bool walk_may_start(const struct walk *channel)
{
    const uint32_t *values = channel->values;
    uint32_t count;

    if (!walk_is_plain(channel))
        return false;
    count = values[channel->at.size] & SIZE_COUNT;
    return values[channel->at.mode] & MODE_CHAIN || !is_odd(values[channel->at.pci_address], count) ||
           odd_is_told(channel, count);
}

void walk_start(struct walk *channel)
{
    uint32_t *values = channel->values;
    uint32_t mode = values[channel->at.mode], pointer = values[channel->at.pointer];

    channel->transfers++;
    channel->empty = 0;
    channel->chains += (mode & MODE_CHAIN) != 0;
    values[channel->at.command] &= ~(uint32_t)CSR_DONE;
    channel->idle = false;
    if (mode & MODE_CHAIN) {
        walk_at(channel, WALK_FETCH, pointer & NEXT, pointer & POINTER_IN_PCI, false);
    } else {
        walk_at(channel, WALK_MOVE, 0, false, false);
        walk_with(channel, values[channel->at.pci_address], values[channel->at.upper_address],
                  values[channel->at.local_address], values[channel->at.size] & SIZE_COUNT, 0, pointer, 0, false, false,
                  false);
    }
    channel->mode = mode;
    channel->fetched = !(mode & MODE_CHAIN);
    channel->touched = true;
}

uint64_t walk(struct walk *channel, uint64_t budget)
{
    struct hints hints = {0, 0, 0};
    uint64_t spent = 0, cost = 0;

    channel->stop = WALK_BUDGET;
    while (spent < budget && channel->state != WALK_IDLE) {
        switch (channel->state) {
        case WALK_FETCH:
            cost = fetch(channel, &hints);
            break;
        case WALK_MOVE:
            cost = move(channel, budget - spent, &hints);
            break;
        case WALK_RETIRE:
            cost = retire(channel);
            break;
        case WALK_IDLE:
            break;
        }
        if (!cost)
            break;
        spent += cost;
    }
    channel->touched |= spent > 0;
    return spent;
}
