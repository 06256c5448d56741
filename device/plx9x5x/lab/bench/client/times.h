/* SPDX-License-Identifier: Apache-2.0 */
/* Measurements of one thing, and what is told of them. */
#ifndef PLX_BENCH_TIMES_H
#define PLX_BENCH_TIMES_H

/* vfio_user.c: ends the program with a message */
void die(const char *what) __attribute__((noreturn));

/* times.c */
double now_ns(void);
double *samples(unsigned int count);
void report(const char *name, double *times, unsigned int count);
void report_together(const char *name, double ns, unsigned int count);

#endif
