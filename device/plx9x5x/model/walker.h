/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of one DMA channel through its descriptors, as far as nothing but plain memory is met. The card's unit of the
 * native plane; the reference is engine.py, and the names are those of there. cffi reads this file too.
 */
#ifndef PLX9X5X_WALKER_H
#define PLX9X5X_WALKER_H

#include "mappings.h"

/* Descriptors of size 0 after which the reference has a word to say; ENDLESS there. */
enum { WALK_ENDLESS = 4096 };

enum walk_state {
    WALK_FETCH,
    WALK_MOVE,
    WALK_RETIRE,
    WALK_IDLE,
};

/* Why the walk ended. But for the first two, Python does the transaction that comes next; none of it has been done. */
enum walk_stop {
    WALK_BUDGET, /* the budget is used up */
    WALK_DONE,   /* the last descriptor, or the block, has moved: DONE is set, and its interrupt latched */
    WALK_LATCH,  /* an interrupt would be latched that is more than a bit and INTA# */
    WALK_LOCAL,  /* no plain memory at that local address */
    WALK_BUS,    /* no memory at that bus address: an abort, by the reference's words */
    WALK_MODE,   /* DMAMODE, or BIGEND, has a board or each word looked at */
    WALK_ODD,    /* a descriptor moves nothing, or counts past 32 bits: the reference has a word to say, once */
};

/* Bits of DMAMODE, BIGEND aside, that the walk knows; a test holds them to the register tables. */
enum walk_mode {
    MODE_CHAIN = 0x200,
    MODE_DONE_INTERRUPT = 0x400,
    MODE_HOLD_LOCAL = 0x800,
    MODE_DEMAND = 0x1000,
    MODE_EOT = 0x4000,
    MODE_CLEAR_COUNT = 0x10000,
    MODE_TO_INTA = 0x20000,
    MODE_DAC_CHAIN = 0x40000,
    MODE_VALID = 0x100000,
};

/* Bits of DMADPR and DMASIZ, as above. */
enum walk_descriptor {
    POINTER_IN_PCI = 0x1,
    POINTER_LAST = 0x2,
    POINTER_TERMINAL_COUNT = 0x4,
    POINTER_TO_PCI = 0x8,
    SIZE_COUNT = 0x7fffff,
};

/* Where in the values of a register file a channel's registers are. */
struct channel_places {
    uint32_t mode, pci_address, local_address, size, pointer, upper_address, command;
};

struct card;

/* Where the chip was last, as master. */
struct last_access {
    uint64_t address;
    bool is_new; /* Python has not seen it */
};

/* One channel. */
struct walk {
    /* What seldom changes. */
    const struct mappings *bus;
    const struct mappings *local; /* NULL: not known yet */
    uint32_t *values;             /* registers, as `at` says where */
    struct channel_places at;
    struct card *card;            /* who is told of interrupts */
    struct last_access *last;     /* the chip's */
    uint64_t price;               /* least cost of a transaction; not 0 */
    uint32_t size_stored;         /* bits that DMASIZ has */
    uint32_t big_endian_place, big_endian; /* BIGEND, and the bit of it that turns this channel's words */
    uint32_t index;
    bool count_to_pci;            /* the chip writes the count back to PCI memory too */
    bool empty_told, wrap_told;   /* nobody has a word to say about such a WALK_ODD any more */

    /* What was done here since Python set them to 0. */
    uint64_t transfers, chains, descriptors, to_pci, to_local, raised, acknowledged;

    /* Where the channel is. */
    bool idle;                    /* no transfer is under way, and none has failed: one may start */
    bool lent;                    /* what is below is the channel's state, and not Python's */
    bool touched;                 /* it has changed since Python looked */
    bool interrupt;               /* the latch */
    enum walk_state state;
    uint32_t next;                /* of the next descriptor */
    bool next_in_pci;
    bool terminal_count_pending;

    /* The transfer as latched. */
    uint32_t mode, pci, upper, local_address, count, moved, pointer, size_word;
    bool size_word_in_pci, chained, writes_count;
    uint32_t empty;               /* descriptors of size 0, one after the other */
    bool fetched;                 /* it is another one than Python's */

    enum walk_stop stop;
};

/* Say where the channel is: it is lent from now on. By calls, since a field at a time costs Python twice as much. */
void walk_at(struct walk *channel, enum walk_state state, uint32_t next, bool next_in_pci, bool terminal_count_pending);
/* Say what the channel has latched. */
void walk_with(struct walk *channel, uint32_t pci, uint32_t upper, uint32_t local_address, uint32_t count,
               uint32_t moved, uint32_t pointer, uint32_t size_word, bool size_word_in_pci, bool chained,
               bool writes_count);

/* Go on for about `budget` bytes; give what it cost. */
uint64_t walk(struct walk *channel, uint64_t budget);

#endif
