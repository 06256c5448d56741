/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of one DMA channel through its descriptors, as far as nothing but plain memory is met. The card's unit of the
 * native plane; the reference is engine.py, and the names are those of there. cffi reads this file too.
 */
#ifndef PLX9X5X_WALKER_H
#define PLX9X5X_WALKER_H

#include "mappings.h"

enum walk_state {
    WALK_FETCH,
    WALK_MOVE,
    WALK_RETIRE,
};

/* Why the walk ended. But for the first, Python does the transaction that comes next; none of it has been done. */
enum walk_stop {
    WALK_BUDGET,         /* the budget is used up */
    WALK_END,            /* the last descriptor, or the block, has moved: DONE and its interrupt */
    WALK_LOCAL,          /* no plain memory at that local address */
    WALK_BUS,            /* no memory at that bus address: an abort, by the reference's words */
    WALK_TERMINAL_COUNT, /* an interrupt would be latched */
};

/* One channel for the length of one call. */
struct walk {
    /* What holds during the call. */
    const struct mappings *bus;
    const struct mappings *local;
    uint64_t price;           /* least cost of a transaction; not 0 */
    uint32_t upper_register;  /* DMADAC */
    bool dac_chain;           /* of DMAMODE as it is now: each fetch looks at it */
    bool clear_count;
    bool count_to_pci;        /* the chip writes the count back to PCI memory too */
    bool interrupt;           /* the channel's latch is set already */

    /* Where the channel is. */
    enum walk_state state;
    uint32_t next;            /* of the next descriptor */
    bool next_in_pci;
    bool terminal_count_pending;
    uint64_t last_bus_address;

    /* The transfer as latched. */
    uint32_t pci, upper, local_address, count, moved, pointer, size_word;
    bool size_word_in_pci, chained, writes_count;

    /* What came of it. */
    bool fetched;             /* the transfer is another one, and the registers show it */
    uint32_t size;            /* DMASIZ, all of it */
    enum walk_stop stop;
};

/* Say where the channel is. By calls, since a field at a time costs Python twice as much. */
void walk_at(struct walk *channel, enum walk_state state, uint32_t next, bool next_in_pci, bool terminal_count_pending,
             bool interrupt, uint32_t upper_register, uint64_t last_bus_address);
/* Say what the channel has latched. */
void walk_with(struct walk *channel, uint32_t pci, uint32_t upper, uint32_t local_address, uint32_t count,
               uint32_t moved, uint32_t pointer, uint32_t size_word, bool size_word_in_pci, bool chained,
               bool writes_count);

/* Go on for about `budget` bytes; give what it cost. */
uint64_t walk(struct walk *channel, uint64_t budget);

#endif
