/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walker and the tables under whatever a hostile guest and client may do: random descriptors in memory that another
 * thread changes meanwhile, random mappings that come and go between calls. Each mapping's memory is an allocation of
 * its own size, so that a sanitizer sees every byte beside it; read-only memory is compared with a copy. Half of the
 * transfers begin by a write to DMACSR among random registers, as a client's do, and half in any state at all.
 *
 * usage: hostile DESCRIPTORS SEED; scripts/hostile.py builds it and runs it.
 */
#include "mappings.c"
#include "line.c"
#include "walker.c"
#include "card.c"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#define MAPPINGS 24
#define BIGGEST 3000
#define REGISTERS 24
/* Descriptors between two words on how far it is. */
#define TELL 1000000

struct piece {
    uint64_t start, length;
    uint8_t *host;
    uint8_t *copy; /* of read-only memory */
};

struct side {
    struct mappings *table;
    struct piece pieces[MAPPINGS];
    uint64_t owners;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct side bus, local;
static bool stop_scribbling;
static uint32_t values[REGISTERS];
static unsigned long long edges;

static uint64_t roll(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* An address that has a fair chance to be mapped. */
static uint64_t address(uint64_t *dice, bool wide)
{
    uint64_t low = roll(dice) % 0x6000;

    switch (roll(dice) % 12) {
    case 0:
        return 0xffffffffu - low % 0x1000;
    case 1:
        return wide ? UINT64_MAX - low % 0x1000 : low;
    case 2:
        return wide ? (UINT64_C(1) << 32) + low : low;
    case 3:
        return (uint32_t)roll(dice);
    default:
        return low;
    }
}

/* A word that means something in a descriptor, for any of its five places. */
static uint32_t word(uint64_t *dice)
{
    switch (roll(dice) % 8) {
    case 0:
        return (uint32_t)roll(dice);
    case 1:
        return (uint32_t)(roll(dice) % 3);
    case 2:
        return (uint32_t)(roll(dice) % 600);
    default:
        return (uint32_t)address(dice, false);
    }
}

static void fill(uint8_t *host, uint64_t length, uint64_t *dice)
{
    for (uint64_t at = 0; at < length; at += 4) {
        uint32_t value = word(dice);

        memcpy(host + at, &value, length - at < 4 ? length - at : 4);
    }
}

static void drop(struct side *side, struct piece *piece)
{
    /* What is mapped over it in part goes too: then nothing refers to memory that is freed. */
    for (size_t at = 0; at < side->table->count; at++) {
        struct mapping found = side->table->at[at];

        if (piece->host && found.host && found.host >= piece->host && found.host < piece->host + piece->length) {
            if (!mappings_unmap(side->table, found.start, found.last))
                abort();
            at = (size_t)-1;
        }
    }
    /* Without memory it has no other mark than its place. The tables would grow for ever if it stayed. */
    if (piece->length && !piece->host && !mappings_unmap(side->table, piece->start, piece->start + piece->length - 1))
        abort();
    free(piece->host);
    free(piece->copy);
    memset(piece, 0, sizeof(*piece));
}

static void remap(struct side *side, uint64_t *dice, bool wide)
{
    struct piece *piece = &side->pieces[roll(dice) % MAPPINGS];
    bool writable = roll(dice) % 8, shared = roll(dice) % 12;

    pthread_mutex_lock(&lock);
    drop(side, piece);
    piece->start = address(dice, wide);
    piece->length = 1 + roll(dice) % (roll(dice) % 2 ? BIGGEST : 40);
    if (piece->length - 1 > UINT64_MAX - piece->start)
        piece->length = UINT64_MAX - piece->start + 1;
    if (shared) {
        piece->host = malloc(piece->length);
        fill(piece->host, piece->length, dice);
        if (!writable) {
            piece->copy = malloc(piece->length);
            memcpy(piece->copy, piece->host, piece->length);
        }
    }
    if (!mappings_map(side->table, piece->start, piece->start + piece->length - 1, piece->host, writable,
                      ++side->owners))
        abort();
    if (roll(dice) % 4 == 0) {
        uint64_t start = address(dice, wide), length = roll(dice) % 100;

        if (!mappings_unmap(side->table, start, length > UINT64_MAX - start ? UINT64_MAX : start + length))
            abort();
    }
    pthread_mutex_unlock(&lock);
}

static void check(const char *what, const struct side *side)
{
    for (size_t at = 0; at < MAPPINGS; at++) {
        const struct piece *piece = &side->pieces[at];

        if (piece->copy && memcmp(piece->copy, piece->host, piece->length) != 0) {
            fprintf(stderr, "read-only memory at %s %#llx was written\n", what, (unsigned long long)piece->start);
            abort();
        }
    }
    for (size_t at = 0; at < side->table->count; at++) {
        const struct mapping *mapping = &side->table->at[at];

        if (mapping->last < mapping->start || (at && mapping[-1].last >= mapping->start)) {
            fprintf(stderr, "the table of %s is out of order at %zu\n", what, at);
            abort();
        }
    }
}

/* The guest, which goes on while the chip reads. */
static void *scribble(void *seed)
{
    uint64_t dice = *(uint64_t *)seed;

    while (!__atomic_load_n(&stop_scribbling, __ATOMIC_RELAXED)) {
        struct piece *piece = &(roll(&dice) % 2 ? &bus : &local)->pieces[roll(&dice) % MAPPINGS];

        pthread_mutex_lock(&lock);
        if (piece->host && !piece->copy)
            fill(piece->host, piece->length, &dice);
        pthread_mutex_unlock(&lock);
        sched_yield(); /* on one core nobody else would get the lock */
    }
    return NULL;
}

static int count_edge(void *context, uint32_t number)
{
    (void)context, (void)number;
    return ++edges % 8 == 0; /* now and then nobody takes it */
}

/* A card whose registers lie one after the other. */
static void build(struct card *card, struct line *line)
{
    uint32_t place = 0;

    line->trigger = count_edge;
    card_begin(card, values, line);
    card->at = (struct card_places){place, place + 1, place + 2};
    place += 3;
    card->command_offset = 0xa8;
    card->command_known = 0x1f;
    for (uint32_t at = 0; at < CHANNELS; at++, place += 8) {
        struct walk *channel = &card->channels[at];

        channel->at = (struct channel_places){place, place + 1, place + 2, place + 3, place + 4, place + 5, place + 6};
        channel->big_endian_place = place + 7;
        channel->big_endian = 1;
        channel->size_stored = 0x807fffff;
        channel->bus = bus.table;
        channel->local = local.table;
    }
}

/* Registers as software may leave them; a mode that Python alone does is rare, or little would be walked. */
static void scramble(struct card *card, uint64_t *dice)
{
    for (size_t at = 0; at < REGISTERS; at++)
        values[at] = word(dice);
    for (uint32_t at = 0; at < CHANNELS; at++) {
        struct walk *channel = &card->channels[at];
        uint64_t bits = roll(dice);

        values[channel->at.mode] &= ~(uint32_t)(roll(dice) % 16 ? SPECIAL : 0);
        values[channel->big_endian_place] = roll(dice) % 32 == 0;
        values[channel->at.upper_address] = roll(dice) % 4 ? 0 : word(dice);
        values[channel->at.command] = bits & 1 ? CSR_ENABLE | CSR_DONE : (uint32_t)(bits >> 8) & 0x1f;
        channel->price = 1 + roll(dice) % 64;
        channel->count_to_pci = bits & 2;
        channel->interrupt = bits & 0x30;
    }
    card->on = roll(dice) % 16;
    card->may_start = roll(dice) % 16;
    card->may_master = roll(dice) % 16;
    card->powered = roll(dice) % 16;
}

/* A channel in any state at all. */
static void restart(struct walk *channel, uint64_t *dice)
{
    uint64_t bits = roll(dice);
    uint32_t count = word(dice) & SIZE_COUNT;

    channel->idle = false;
    walk_at(channel, roll(dice) % 4 ? WALK_FETCH : (enum walk_state)(roll(dice) % 3),
            (uint32_t)address(dice, false) & NEXT, bits & 0x40, bits & 0x400);
    walk_with(channel, word(dice), roll(dice) % 4 ? 0 : word(dice), word(dice), count,
              count ? word(dice) % (count + 1) : 0, word(dice), word(dice), bits & 0x80, bits & 0x100, bits & 0x200);
}

/* What Python does of a transfer is no matter here: it is over. */
static void give_up(struct card *card)
{
    for (uint32_t at = 0; at < CHANNELS; at++) {
        card->channels[at].idle = true;
        card->channels[at].lent = false;
    }
}

int main(int argc, char **argv)
{
    unsigned long long wanted = argc > 1 ? strtoull(argv[1], NULL, 0) : 100000, fetched = 0, told = TELL;
    unsigned long long stops[WALK_ODD + 1] = {0};
    uint64_t dice = (argc > 2 ? strtoull(argv[2], NULL, 0) : 1) * 2654435761u | 1, other = dice ^ 0x5555;
    struct line line = {0};
    struct card card;
    pthread_t guest;

    bus.table = mappings_new();
    local.table = mappings_new();
    if (!bus.table || !local.table)
        return 1;
    for (size_t at = 0; at < 2 * MAPPINGS; at++) {
        remap(&bus, &dice, true);
        remap(&local, &dice, false);
    }
    build(&card, &line);
    scramble(&card, &dice);
    if (pthread_create(&guest, NULL, scribble, &other))
        return 1;
    for (unsigned long long turn = 0; fetched < wanted; turn++) {
        struct walk *channel = &card.channels[roll(&dice) % CHANNELS];
        char written = (char)(roll(&dice) % 4 ? CSR_ENABLE | CSR_START : roll(&dice));
        enum work work;

        channel->fetched = false;
        if (turn % 2)
            card_part(&card)->access(card_part(&card), &written, 1, 0xa8 + channel->index, true);
        else if (channel->idle)
            restart(channel, &dice);
        work = card_part(&card)->work(card_part(&card), 1 + roll(&dice) % (channel->price * 3));
        fetched += channel->fetched;
        stops[channel->stop]++;
        if (work == WORK_ASK || turn % 64 == 0) {
            give_up(&card);
            scramble(&card, &dice);
        }
        line.masked &= roll(&dice) % 2;
        if (turn % 16 == 0) {
            remap(&bus, &dice, true);
            remap(&local, &dice, false);
        }
        if (fetched >= told) {
            fprintf(stderr, "%llu of %llu descriptors\n", fetched, wanted);
            told += TELL;
        }
        if (turn % 64 == 0) {
            check("bus", &bus);
            check("local", &local);
        }
    }
    __atomic_store_n(&stop_scribbling, true, __ATOMIC_RELAXED);
    pthread_join(guest, NULL);
    check("bus", &bus);
    check("local", &local);
    printf("%llu descriptors; stops: budget %llu, done %llu, latch %llu, local %llu, bus %llu, mode %llu, odd %llu; edges %llu\n",
           fetched, stops[WALK_BUDGET], stops[WALK_DONE], stops[WALK_LATCH], stops[WALK_LOCAL], stops[WALK_BUS],
           stops[WALK_MODE], stops[WALK_ODD], edges);
    for (size_t at = 0; at < MAPPINGS; at++) {
        drop(&bus, &bus.pieces[at]);
        drop(&local, &local.pieces[at]);
    }
    mappings_free(bus.table);
    mappings_free(local.table);
    return 0;
}
