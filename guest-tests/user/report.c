// SPDX-License-Identifier: GPL-2.0-only
/*
 * KTAP, version 1. Diagnostics come before the line they belong to. Each line
 * is one write(), so that what was said survives a crash of the guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plx_test.h"

static int report_fd = STDOUT_FILENO;
static unsigned int reported, totals[3];

static void put(const char *line, size_t length)
{
	while (length) {
		ssize_t wrote = write(report_fd, line, length);

		if (wrote < 0 && errno != EINTR) {
			fprintf(stderr, "plx_test: cannot write the report: %s\n", strerror(errno));
			_exit(1);
		}
		if (wrote > 0) {
			line += wrote;
			length -= wrote;
		}
	}
}

static void put_line(const char *prefix, const char *format, va_list args)
{
	char line[1024];
	int used = snprintf(line, sizeof(line), "%s", prefix);
	int more = vsnprintf(line + used, sizeof(line) - used - 1, format, args);
	size_t length = used + (more > 0 ? more : 0);

	if (length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	put(line, length);
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_line("", format, args);
	va_end(args);
}

void report_open(const char *path)
{
	if (path) {
		report_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (report_fd < 0) {
			fprintf(stderr, "plx_test: cannot open %s: %s\n", path, strerror(errno));
			exit(1);
		}
	}
	say("KTAP version 1");
}

void report_plan(unsigned int tests)
{
	say("1..%u", tests);
}

void diag(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_line("# ", format, args);
	va_end(args);
}

void bail_out(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_line("Bail out! ", format, args);
	va_end(args);
	exit(1);
}

void report_result(const char *name, enum verdict verdict, const char *why)
{
	totals[verdict]++;
	reported++;
	if (verdict == SKIP)
		say("ok %u %s # SKIP %s", reported, name, why);
	else
		say("%s %u %s", verdict == PASS ? "ok" : "not ok", reported, name);
}

void report_totals(void)
{
	say("# Totals: pass:%u fail:%u xfail:0 xpass:0 skip:%u error:0",
	    totals[PASS], totals[FAIL], totals[SKIP]);
}

int report_exit_code(void)
{
	if (totals[FAIL])
		return 1;
	return totals[PASS] ? 0 : 4;
}
