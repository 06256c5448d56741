// SPDX-License-Identifier: GPL-2.0-only
/*
 * plx_test [--output PATH] [--list] [--only NAME,..]... [--bench] [--stream MIB] [--break MODE]
 *          [--seed N] [--reboot]
 * plx_test --agent PATH
 *
 * Runs the cases (or the benches) and reports in KTAP to standard output, or
 * to PATH: a file, or a virtio-serial port. Exit code: 0 all passed, 1 one
 * failed or nothing could be run, 4 all skipped, 2 usage.
 *
 * Before each result stands "# time NAME us=N", as the guest's clock saw it.
 *
 * --break spoils the report on purpose, so that whoever reads it can be
 * tested; the spoilt case runs in the middle:
 *   fail      a case that fails
 *   panic     the kernel panics
 *   oops      the driver oopses, the cases go on and pass
 *   hang      a case that never ends
 *   truncate  the program ends without a word
 * or has the driver's AllocateCommonBuffer be wrong all the time:
 *   shim-length    gives whole pages, not the length asked for
 *   shim-limit     gives memory above what the device can address
 *   shim-twice     takes the same free twice
 *   shim-physical  gives the physical address as the logical one
 *
 * --seed repeats the random lengths of a run that reported it.
 *
 * --reboot runs one case alone and then reboots, with its buffers mapped.
 *
 * --agent runs no case: it serves requests that come by PATH, see agent.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plx_test.h"

/* No case comes near; one that does must not stop the run. */
#define CASE_SECONDS	30
#define TESTS_MAX	128
#define CHECKS_SHOWN	12

static const struct {
	const char *title;
	const struct test *tests;
} all_cases[] = {
	{ "BARs, configuration space, registers", register_tests },
	{ "SRAM and common buffers", memory_tests },
	{ "the contract of common buffers", contract_tests },
	{ "block DMA", block_tests },
	{ "scatter-gather chains", chain_tests },
	{ "64-bit addresses, valid bits", long_tests },
	{ "rings, pause, abort", ring_tests },
	{ "interrupt", irq_tests },
	{ "bus mastering off, bus errors", error_tests },
	{ "software reset, local doorbell", last_tests },
};

/* ------------------------------------------------------------------ */
/* The running case                                                    */

static struct {
	const char *name;
	const char *group;
	const char *skip;
	unsigned int failures;
} now;

bool fail_at(const char *file, int line, const char *format, ...)
{
	const char *base = strrchr(file, '/');
	char text[512];
	va_list args;

	now.failures++;
	if (now.failures > CHECKS_SHOWN)
		return false;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	diag("%s:%d: %s", base ? base + 1 : file, line, text);
	return false;
}

void skip_case(const char *why)
{
	now.skip = why;
}

bool case_failed(void)
{
	return now.failures != 0;
}

bool same_at(const char *file, int line, const char *what, uint64_t got, uint64_t want)
{
	if (got == want)
		return true;
	return fail_at(file, line, "%s is 0x%llx, not 0x%llx", what, (unsigned long long)got,
		       (unsigned long long)want);
}

bool same_bytes_at(const char *file, int line, const char *what, const void *got,
		   const void *want, size_t length)
{
	const uint8_t *is = got, *should = want;
	size_t i, first = length, wrong = 0;

	for (i = 0; i < length; i++) {
		if (is[i] == should[i])
			continue;
		if (first == length)
			first = i;
		wrong++;
	}
	if (!wrong)
		return true;
	return fail_at(file, line,
		       "%s: %zu of %zu bytes wrong, the first at %zu: 0x%02x, not 0x%02x",
		       what, wrong, length, first, is[first], should[first]);
}

/* ------------------------------------------------------------------ */
/* Broken on purpose                                                   */

static const struct {
	const char *mode;
	__u32 how;
} broken_shims[] = {
	{ "shim-length", PLX_TEST_BREAK_LENGTH },
	{ "shim-limit", PLX_TEST_BREAK_LIMIT },
	{ "shim-twice", PLX_TEST_BREAK_TWICE },
	{ "shim-physical", PLX_TEST_BREAK_PHYSICAL },
};

static __u32 find_broken_shim(const char *mode)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(broken_shims); i++)
		if (!strcmp(broken_shims[i].mode, mode))
			return broken_shims[i].how;
	return 0;
}

static int ask_kernel(__u32 how)
{
	static const char parameter[] = "/sys/module/plx_test/parameters/allow_break";
	int fd = open(parameter, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1", 1) != 1)
		bail_out("%s: %s", parameter, strerror(errno));
	close(fd);
	return device_ioctl(PLX_TEST_BREAK, &how);
}

static void broken_fail(void)
{
	fail_at(__FILE__, __LINE__, "failed on purpose (--break fail)");
}

static void broken_panic(void)
{
	ask_kernel(PLX_TEST_BREAK_PANIC);
	fail_at(__FILE__, __LINE__, "the kernel did not panic");
}

static void broken_oops(void)
{
	pid_t child = fork();
	int status = 0;

	/* An oops kills whoever was in the kernel: not us. */
	if (!child) {
		ask_kernel(PLX_TEST_BREAK_OOPS);
		_exit(0);
	}
	MUST(CHECK(child > 0 && waitpid(child, &status, 0) == child, "fork: %s", strerror(errno)));
	CHECK(WIFSIGNALED(status), "the kernel did not oops");
}

static void broken_hang(void)
{
	alarm(0);
	for (;;)
		pause();
}

static void broken_truncate(void)
{
	_exit(0);
}

static const struct test broken_tests[] = {
	{ "fail", broken_fail },
	{ "panic", broken_panic },
	{ "oops", broken_oops },
	{ "hang", broken_hang },
	{ "truncate", broken_truncate },
	{ }
};

static const struct test *find_broken(const char *mode)
{
	const struct test *test;

	for (test = broken_tests; test->name; test++)
		if (!strcmp(test->name, mode))
			return test;
	return NULL;
}

/* ------------------------------------------------------------------ */
/* The runner                                                          */

static void overslept(int signal)
{
	(void)signal;
	bail_out("%s took more than %d s", now.name, CASE_SECONDS);
}

static void run_case(const struct test *test)
{
	enum verdict verdict;
	uint64_t began = now_ns();

	now.name = test->name;
	now.skip = NULL;
	now.failures = 0;
	alarm(CASE_SECONDS);
	test->run();
	CHECK(device_rest(), "the chip did not come to rest after the case");
	alarm(0);
	observe_requests();
	if (now.failures > CHECKS_SHOWN)
		diag("... and %u failed checks more", now.failures - CHECKS_SHOWN);
	diag("time %s us=%llu", test->name, (unsigned long long)(now_ns() - began) / 1000);
	verdict = now.failures ? FAIL : now.skip ? SKIP : PASS;
	report_result(test->name, verdict, now.skip);
}

static bool wanted(const char *only, const char *name)
{
	size_t length = strlen(name);
	const char *at;

	for (at = only; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (!strncmp(at, name, length) && (!at[length] || at[length] == ','))
			return true;
	}
	return !only;
}

/* --only may come several times: a kernel command line has no room for commas. */
static const char *join(const char *only, const char *more)
{
	char *both;

	if (!only)
		return more;
	if (asprintf(&both, "%s,%s", only, more) < 0)
		bail_out("out of memory");
	return both;
}

/* @special: run these alone */
static unsigned int collect(struct test *into, const char *only, const struct test *special)
{
	unsigned int i, count = 0;
	const struct test *test;

	for (i = 0; i < (special ? 1 : ARRAY_SIZE(all_cases)); i++)
		for (test = special ? special : all_cases[i].tests; test->name; test++)
			if (count < TESTS_MAX - 1 && wanted(only, test->name))
				into[count++] = *test;
	return count;
}

/* "# group TITLE" comes before the first case of each table. */
static void name_group(const struct test *next)
{
	const struct test *test;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(all_cases); i++)
		for (test = all_cases[i].tests; test->name; test++)
			if (test->run == next->run && now.group != all_cases[i].title) {
				now.group = all_cases[i].title;
				diag("group %s", now.group);
			}
}

static void introduce(void)
{
	diag("plx_test: %s [%04x:%04x] INT%c, interrupt %d", info.name, info.vendor, info.device,
	     info.pin ? 'A' + info.pin - 1 : '-', info.irq);
	diag("%s, local memory 0x%08x+0x%x", chip->name, space[0].at, space[0].size);
	diag("subsystem %04x:%04x, revision %02x, BARs of %llu, %llu and %llu bytes",
	     info.subvendor, info.subdevice, info.revision, (unsigned long long)info.bar_len[0],
	     (unsigned long long)info.bar_len[1], (unsigned long long)info.bar_len[2]);
	observe_begin();
}

static void usage(void)
{
	fprintf(stderr, "usage: plx_test [--output PATH] [--list] [--only NAME,..] [--bench]\n"
			"                [--stream MIB] [--pause]\n"
			"                [--break fail|panic|oops|hang|truncate|\n"
			"                 shim-length|shim-limit|shim-twice|shim-physical]\n"
			"                [--seed N] [--reboot]\n"
			"       plx_test --agent PATH\n");
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "agent", required_argument, NULL, 'a' },
		{ "output", required_argument, NULL, 'o' },
		{ "only", required_argument, NULL, 'n' },
		{ "break", required_argument, NULL, 'x' },
		{ "bench", no_argument, NULL, 'b' },
		{ "stream", required_argument, NULL, 'm' },
		{ "pause", no_argument, NULL, 'p' },
		{ "list", no_argument, NULL, 'l' },
		{ "seed", required_argument, NULL, 's' },
		{ "reboot", no_argument, NULL, 'r' },
		{ }
	};
	const char *agent = NULL, *output = NULL, *only = NULL, *trouble;
	static struct test tests[TESTS_MAX];
	__u32 broken_shim = 0;
	const struct test *broken = NULL;
	const struct test *special = NULL;
	bool list = false;
	unsigned int i, count;
	static char spoilt[64];
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'a':
			agent = optarg;
			break;
		case 'o':
			output = optarg;
			break;
		case 'n':
			only = join(only, optarg);
			break;
		case 'x':
			broken = find_broken(optarg);
			broken_shim = find_broken_shim(optarg);
			if (!broken && !broken_shim)
				usage();
			break;
		case 'b':
			special = bench_tests;
			break;
		case 'm':
			special = stream_tests;
			stream_size(strtoul(optarg, NULL, 0));
			break;
		case 'p':
			special = pause_tests;
			break;
		case 'r':
			special = reboot_tests;
			break;
		case 'l':
			list = true;
			break;
		case 's':
			contract_seed(strtoul(optarg, NULL, 0));
			break;
		default:
			usage();
		}
	}
	if (optind < argc)
		usage();
	if (agent)
		return agent_run(agent);

	count = collect(tests, only, special);
	if (list) {
		for (i = 0; i < count; i++)
			puts(tests[i].name);
		return 0;
	}
	if (broken) {
		snprintf(spoilt, sizeof(spoilt), "broken_on_purpose_%s", broken->name);
		memmove(&tests[count / 2 + 1], &tests[count / 2],
			(count - count / 2) * sizeof(*tests));
		tests[count / 2] = (struct test){ spoilt, broken->run };
		count++;
	}

	signal(SIGALRM, overslept);
	signal(SIGPIPE, SIG_IGN);
	report_open(output);
	trouble = device_open();
	/* What is timed is timed on cards without local memory as well. */
	if (!trouble)
		trouble = board_find(special == bench_tests ? 0 : SRAM_LEAST);
	if (trouble)
		bail_out("%s", trouble);
	if (!count)
		bail_out("no case of that name: see --list");
	report_plan(count);
	introduce();
	if (broken_shim && ask_kernel(broken_shim))
		bail_out("the driver does not know this way to be wrong");
	device_rest();
	for (i = 0; i < count; i++) {
		name_group(&tests[i]);
		run_case(&tests[i]);
	}
	if (special != reboot_tests)
		observe_end();
	report_totals();
	/* Not by way of exit(), which would close the device and free its buffers. */
	if (special == reboot_tests && reboot(RB_AUTOBOOT))
		bail_out("no reboot: %s", strerror(errno));
	return report_exit_code();
}
