/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INTA# as a level, turned into the edges that vfio-user carries: transport/intx.py in C, for whoever drives the line or
 * is told of UNMASK without Python. The rules stand there. cffi reads this file too.
 */
#ifndef PLX9X5X_LINE_H
#define PLX9X5X_LINE_H

#include <stdbool.h>
#include <stdint.h>

/* A library's way to send an edge; 0 if somebody takes it. */
typedef int (*send_edge)(void *context, uint32_t number);

struct line {
    bool level;
    bool masked;
    send_edge trigger; /* NULL: nobody can take an edge */
    void *context;
    uint32_t sent;    /* edges, since the device last had the causes change */
    uint32_t changes; /* of the level, so that whoever looks twice knows whether it has been up all along */
};

/* Drive the line. */
void line_set(struct line *line, bool level);

/* True if the line is up and the client has not been told. */
bool line_due(const struct line *line);

/* Tell it, or try once more to. */
void line_retry(struct line *line);

#endif
