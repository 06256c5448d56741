// SPDX-License-Identifier: Apache-2.0
/* The clock, and what is told of many measurements of one thing. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client.h"

double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double *samples(unsigned int count)
{
	double *times = calloc(count, sizeof(*times));

	if (!times)
		die("calloc");
	return times;
}

void report(const char *name, double *times, unsigned int count)
{
	double sum = 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		sum += times[i];
	qsort(times, count, sizeof(*times), by_size);
	printf("name=%s n=%u median_ns=%.1f p99_ns=%.1f mean_ns=%.1f\n", name, count, times[count / 2],
	       times[(unsigned int)(count * 0.99)], sum / count);
	free(times);
}

/* What a driver posts in one go, timed together: there is no moment at which a single one is done but the next answer. */
void report_together(const char *name, double ns, unsigned int count)
{
	printf("name=%s n=%u median_ns=%.1f p99_ns=%.1f mean_ns=%.1f\n", name, count, ns / count, ns / count, ns / count);
}
