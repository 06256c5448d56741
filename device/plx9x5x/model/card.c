/* SPDX-License-Identifier: Apache-2.0 */
/* card.h says what for. `values` are the registers as software reads them; Python and we read and write the same. */
#include "card.h"

#include "latch.h"

#include <string.h>

static uint32_t *command_register(const struct card *card, const struct walk *channel)
{
    return &card->values[channel->at.command];
}

static bool drives_inta(const struct card *card, uint32_t status)
{
    static const struct {
        uint32_t active, enable;
    } sources[] = {
        {INTCSR_DOORBELL, INTCSR_DOORBELL_ENABLE},
        {INTCSR_ABORT, INTCSR_ABORT_ENABLE},
        {INTCSR_LOCAL, INTCSR_LOCAL_ENABLE},
    };
    const uint32_t *values = card->values;

    if (!card->powered || !(status & INTCSR_PCI_ENABLE))
        return false;
    for (size_t at = 0; at < sizeof(sources) / sizeof(*sources); at++)
        if (status & sources[at].active && status & sources[at].enable)
            return true;
    for (uint32_t at = 0; at < CHANNELS; at++) {
        const struct walk *channel = &card->channels[at];

        if (channel->interrupt && status & INTCSR_DMA0_ENABLE << at && values[channel->at.mode] & MODE_TO_INTA)
            return true;
    }
    return values[card->at.outbound_status] & ~values[card->at.outbound_mask] & QUEUE_NOT_EMPTY;
}

/* A channel's latch has changed: its bit of INTCSR, and INTA#. */
static void update(struct card *card, const struct walk *channel)
{
    uint32_t *intcsr = &card->values[card->at.intcsr];
    uint32_t active = (uint32_t)INTCSR_DMA0 << channel->index;

    *intcsr = channel->interrupt ? *intcsr | active : *intcsr & ~active;
    if (card->watch) {
        card->watch->status = 0;
        card->watch->late = false;
    }
    if (card->line) {
        bool level = drives_inta(card, *intcsr);

        card->line->sent = 0;
        card->rises += level && !card->line->level;
        line_set(card->line, level);
    } else {
        card->inta_due = true;
    }
}

bool latch_is_plain(const struct walk *channel)
{
    const struct card *card = channel->card;

    /* An enabled channel that is not routed to INTA# drives LINTo#, which a board may watch. */
    return card->values[channel->at.mode] & MODE_TO_INTA ||
           !(card->values[card->at.intcsr] & INTCSR_DMA0_ENABLE << channel->index);
}

void latch(struct walk *channel)
{
    channel->raised += !channel->interrupt;
    channel->interrupt = true;
    update(channel->card, channel);
}

bool card_command(struct card *card, uint32_t number, uint32_t written)
{
    struct walk *channel;
    uint32_t *command;
    bool starts, clears;

    if (!card->on || number >= CHANNELS || written & ~card->command_known)
        return false;
    channel = &card->channels[number];
    command = command_register(card, channel);
    /* A pause or an abort of a transfer is Python's, and so is all that becomes of one that is not lent. */
    if (!channel->idle && !(channel->lent && written & CSR_ENABLE))
        return false;
    /* What the chip will not do is Python's to say: START without ENABLE or twice, ABORT while enabled. */
    if (written & CSR_START && !(channel->idle && written & CSR_ENABLE))
        return false;
    if (written & CSR_ABORT && !channel->idle)
        return false;
    starts = channel->idle && written & CSR_START && written & CSR_ENABLE;
    if (starts && (!card->may_start || !card->may_master || !channel->local || !walk_may_start(channel)))
        return false;
    clears = channel->interrupt && written & CSR_CLEAR;
    if (clears && !latch_is_plain(channel))
        return false;
    *command = (*command & ~(uint32_t)CSR_ENABLE) | (written & CSR_ENABLE);
    if (clears) {
        channel->interrupt = false;
        channel->acknowledged++;
        update(card, channel);
    }
    if (starts) {
        walk_start(channel);
        card->news = true;
    }
    return true;
}

static enum work work(struct card *card, uint64_t budget)
{
    struct walk *busy = NULL;

    card->spent = 0;
    for (uint32_t at = 0; at < CHANNELS; at++) {
        struct walk *channel = &card->channels[at];

        if (channel->idle)
            continue;
        /* Who is next of two is MARBR's affair. */
        if (!channel->lent || busy)
            return WORK_ASK;
        busy = channel;
    }
    if (!busy)
        return WORK_NONE;
    /* ENABLE is set while a transfer is lent: a write that clears it is Python's. */
    if (!card->may_master)
        return WORK_ASK;
    card->spent = walk(busy, budget);
    card->news = true;
    switch (busy->stop) {
    case WALK_DONE:
        return WORK_NONE;
    case WALK_BUDGET:
        return WORK_MORE;
    default:
        return WORK_ASK;
    }
}

uint32_t card_work(struct card *card, uint64_t budget)
{
    uint32_t result = work(card, budget);

    if (card->inta_due)
        result |= CARD_INTA_DUE;
    card->inta_due = false;
    return result;
}

static bool take_access(struct native_part *part, char *buffer, size_t count, int64_t offset, bool is_write)
{
    struct card *card = (struct card *)part;
    int64_t number = offset - card->command_offset;

    if (count != 1 || number < 0 || number >= CHANNELS)
        return false;
    if (is_write)
        return card_command(card, (uint32_t)number, (uint8_t)*buffer);
    *buffer = (char)*command_register(card, &card->channels[number]);
    return true;
}

static enum work do_work(struct native_part *part, uint64_t budget)
{
    struct card *card = (struct card *)part;
    enum work result = WORK_NONE;

    /* What Python has of the channels it has looked at before it waits; only time or an access changes that. */
    if (card->channels[0].lent || card->channels[1].lent)
        result = work(card, budget);
    return card->inta_due ? WORK_ASK : result;
}

void card_begin(struct card *card, uint32_t *values, struct line *line)
{
    memset(card, 0, sizeof(*card));
    card->part.access = take_access;
    card->part.work = do_work;
    card->values = values;
    card->line = line;
    for (uint32_t at = 0; at < CHANNELS; at++) {
        struct walk *channel = &card->channels[at];

        channel->values = values;
        channel->card = card;
        channel->last = &card->last;
        channel->index = at;
        channel->idle = true;
    }
}

struct native_part *card_part(struct card *card)
{
    return &card->part;
}
