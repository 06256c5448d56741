/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DMACSR, the channels' work and INTA# without Python: what a driver does for each transfer, where nothing but plain
 * memory, DMACSR and INTCSR has a say. The reference is chip.py, engine.py and interrupts.py; whatever is more than that
 * is left to them, with nothing changed. cffi reads this file too.
 */
#ifndef PLX9X5X_CARD_H
#define PLX9X5X_CARD_H

#include "serving.h"
#include "walker.h"

enum { CHANNELS = 2 };

/* Bits that the card knows; a test holds them to the register tables. */
enum card_bits {
    CSR_ENABLE = 0x01,
    CSR_START = 0x02,
    CSR_ABORT = 0x04,
    CSR_CLEAR = 0x08,
    CSR_DONE = 0x10,
    INTCSR_PCI_ENABLE = 0x100,
    INTCSR_DOORBELL_ENABLE = 0x200,
    INTCSR_ABORT_ENABLE = 0x400,
    INTCSR_LOCAL_ENABLE = 0x800,
    INTCSR_DOORBELL = 0x2000,
    INTCSR_ABORT = 0x4000,
    INTCSR_LOCAL = 0x8000,
    INTCSR_DMA0_ENABLE = 0x40000,
    INTCSR_DMA0 = 0x200000,
    QUEUE_NOT_EMPTY = 0x8,
};

/* Where in the values the registers are that both channels share. */
struct card_places {
    uint32_t intcsr, outbound_status, outbound_mask;
};

struct card {
    struct native_part part;
    struct walk channels[CHANNELS];
    uint32_t *values;
    struct card_places at;
    struct line *line;         /* NULL: INTA# is Python's to drive, and `inta_due` says when */
    struct page_watch *watch;  /* or NULL: nobody counts what software does about INTA# */
    struct last_access last;
    bool news;                 /* Python has not seen what became of it, or of a channel; or a channel is lent */
    bool inta_due;             /* a latch has changed, and nobody has driven INTA# yet */
    uint64_t spent;            /* of its budget, by the last work */
    bool on;                   /* no trace, and the bus takes no time: C may do what it can */
    bool may_start;            /* nobody will watch the bus: C may begin transfers */
    bool may_master;
    bool powered;
    uint64_t rises;            /* how often INTA# was asserted here */
    uint32_t command_offset;   /* of channel 0's DMACSR; channel 1's follows */
    uint32_t command_known;    /* bits of DMACSR that mean anything */
};

/* What a card is given once; `values` and `line` outlive it. */
void card_begin(struct card *card, uint32_t *values, struct line *line);

/* What C calls a card, for who takes a device's accesses and does its work. */
struct native_part *card_part(struct card *card);

/* Act on a write to DMACSR of a channel; false if that is Python's, and then nothing has changed. */
bool card_command(struct card *card, uint32_t channel, uint32_t written);

/* Do what there is to do: an `enum work`, and CARD_INTA_DUE if INTA# is to be driven by Python now. */
enum { CARD_INTA_DUE = 4 };
uint32_t card_work(struct card *card, uint64_t budget);

#endif
