/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the card's unit (walker.c, card.c) have to do with each other. */
#ifndef PLX9X5X_LATCH_H
#define PLX9X5X_LATCH_H

#include "card.h"

/* True if a change of the channel's latch changes nothing but its bit of INTCSR, and INTA#. */
bool latch_is_plain(const struct walk *channel);

/* Set the channel's interrupt latch, and what follows from it; `latch_is_plain` was true. */
void latch(struct walk *channel);

/* True if DMAMODE and BIGEND leave all to memory. */
bool walk_is_plain(const struct walk *channel);

/* True if nothing but memory has a say in the transfer that the registers program, and nobody a word about it. */
bool walk_may_start(const struct walk *channel);

/* Begin the programmed transfer; it is lent. */
void walk_start(struct walk *channel);

#endif
