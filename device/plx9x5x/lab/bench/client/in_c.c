// SPDX-License-Identifier: Apache-2.0
/*
 * The card's own unit of the native plane, START to DONE, without Python and without a socket: each transfer is a write
 * to DMACSR and the work that follows. Its sources are compiled into this file; client.h has other names for their bits.
 */
#include <stdlib.h>

#include "mappings.c"
#include "line.c"
#include "walker.c"
#include "card.c"
#include "times.h"

#define RAM		0x10000000u
#define STAGGER		1088	/* what board memory is shifted by, against aliasing in the cache */
#define COMMAND		0xa8u	/* DMACSR0 */
#define PRICE		256	/* of a transaction, as the chip model has it */
#define WHOLE_MIB	(1024u * 1024u)
#define WHOLE_BUDGET	(16u * WHOLE_MIB)

enum { MODE, PCI_ADDRESS, LOCAL_ADDRESS, SIZE, POINTER, UPPER_ADDRESS, COMMAND_REGISTER, TURNING, OTHERS, REGISTERS };

static uint32_t registers[REGISTERS];

static struct card *make_card(uint8_t *from, uint8_t *to, uint32_t bytes)
{
	struct mappings *memory = mappings_new(), *board = mappings_new();
	struct card *card = calloc(1, sizeof(*card));
	struct walk *channel;

	if (!memory || !board || !card || !mappings_map(memory, RAM, RAM + bytes - 1, from, true, 1) ||
	    !mappings_map(board, 0, bytes - 1, to, true, 1))
		die("making the card");
	card_begin(card, registers, NULL);
	channel = &card->channels[0];
	channel->bus = memory;
	channel->local = board;
	channel->price = PRICE;
	channel->at = (struct channel_places){
		MODE, PCI_ADDRESS, LOCAL_ADDRESS, SIZE, POINTER, UPPER_ADDRESS, COMMAND_REGISTER,
	};
	channel->big_endian_place = TURNING;
	card->at = (struct card_places){ OTHERS, OTHERS, OTHERS };
	card->command_offset = COMMAND;
	card->command_known = 0x1f;
	card->on = card->may_start = card->may_master = card->powered = true;
	registers[PCI_ADDRESS] = RAM;
	registers[SIZE] = bytes;
	registers[COMMAND_REGISTER] = CSR_DONE;
	return card;
}

void time_card(uint32_t bytes, unsigned int count)
{
	const unsigned int turns = bytes < WHOLE_MIB ? WHOLE_MIB / bytes : 1;
	uint8_t *from = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
	uint8_t *to = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096 + 4096);
	double *times = samples(count);
	struct native_part *part;
	unsigned int i, turn;

	if (!from || !to)
		die("card");
	memset(from, 1, bytes);
	memset(to, 2, bytes + STAGGER);
	part = card_part(make_card(from, to + STAGGER, bytes));
	for (i = 0; i < count; i++) {
		double start = now_ns();

		for (turn = 0; turn < turns; turn++) {
			char command = CSR_ENABLE | CSR_START;

			if (!part->access(part, &command, 1, COMMAND, true) || part->work(part, WHOLE_BUDGET) != WORK_NONE)
				die("the transfer was not the card's");
		}
		times[i] = (now_ns() - start) / turns;
	}
	if (memcmp(to + STAGGER, from, bytes) || !(registers[COMMAND_REGISTER] & CSR_DONE))
		die("the transfer did not arrive");
	report("card", times, count);
}
