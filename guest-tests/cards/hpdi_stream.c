// SPDX-License-Identifier: GPL-2.0-only
/*
 * Streams words from an HPDI32 by Linux's gsc_hpdi, and compares every one.
 *
 *   hpdi_stream [-b BYTES] [-c CYCLES] [-e BYTES] [-k BYTES] [-n ENDED] [-s counter|prbs] [-w SECONDS]
 *
 * One command without an end for BYTES (-b), then so many cycles (-c) of start,
 * BYTES (-e) and stop, every other one a command that ends by itself. What the
 * card sends is known: word n after a start is n, or word n of PRBS15. The
 * driver's blocks are as long as it makes them, or as -k asks for.
 *
 * Trouble is a line that begins with what it is, and that word is what
 * guest-tests/test_hpdi.py looks for:
 *
 *   WRONG   a word is not what was sent
 *   ERROR   the driver ended the command with an error, or refused it
 *   ENDED   the driver ended a command that had more to come, without an error
 *   SILENT  nothing came for SECONDS (-w)
 *
 * ENDED is what an interrupt comes to that the driver's stop of one command
 * caused and that arrives with the next: it takes it for the end of that one,
 * and then starts the card, of which a block or more may be read before that
 * is seen. A command that is started and stopped in order stops it again; then
 * the one that was ended is repeated, RETRIES times at most, and the last line
 * counts them. With -n the cycles end, early, when so many commands were ended.
 *
 * At last it waits until no interrupt comes any more: one that finds the module
 * loaded again, and its handler there before the rest of the device, is a NULL
 * pointer in the handler.
 *
 * The comedi ABI (64 bits) is declared here, as far as it is used.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define DEVICE		"/dev/comedi0"
#define HANDLER		"pci-hpdi32"	/* in /proc/interrupts */
#define CHANNELS	32u
#define RING_WORDS	65536u		/* the driver's four buffers */
#define PRBS_BITS	32767u
#define CHUNK		65536u
#define RETRIES		100u

#define TRIG_NONE	0x01u
#define TRIG_NOW	0x02u
#define TRIG_COUNT	0x20u
#define TRIG_EXT	0x40u

struct comedi_cmd {
	uint32_t subdev, flags;
	uint32_t start_src, start_arg;
	uint32_t scan_begin_src, scan_begin_arg;
	uint32_t convert_src, convert_arg;
	uint32_t scan_end_src, scan_end_arg;
	uint32_t stop_src, stop_arg;
	uint32_t *chanlist;
	uint32_t chanlist_len;
	int16_t *data;
	uint32_t data_len;
};

struct comedi_insn {
	uint32_t insn, n;
	uint32_t *data;
	uint32_t subdev, chanspec, unused[3];
};

#define INSN_CONFIG		0x0c000003u
#define CONFIG_BLOCK_SIZE	22u

#define COMEDI_CANCEL	_IO('d', 7)
#define COMEDI_CMD	_IOR('d', 9, struct comedi_cmd)
#define COMEDI_INSN	_IOR('d', 12, struct comedi_insn)

enum verdict { GOOD, BAD, REPEAT };

static uint32_t prbs[PRBS_BITS];
static bool counts = true;
static unsigned int patience_s = 10;
static unsigned int commands;
static uint64_t checked;
static int comedi;

static void say(const char *what, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(const char *what, const char *format, ...)
{
	va_list args;

	printf("%s: command %u: ", what, commands);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

/* x^15 + x^14 + 1 from all ones; the first of 32 bits is the highest. */
static void fill_prbs(void)
{
	uint32_t state = 0x7fff, word, i, bit;

	for (i = 0; i < PRBS_BITS; i++) {
		for (word = 0, bit = 0; bit < 32; bit++) {
			word = word << 1 | (state >> 14 & 1);
			state = (state << 1 | ((state >> 14 ^ state >> 13) & 1)) & 0x7fff;
		}
		prbs[i] = word;
	}
}

static uint32_t sent(uint64_t position)
{
	return counts ? (uint32_t)position : prbs[position % PRBS_BITS];
}

/* How often the driver's handler was called, all processors; 0 if it cannot be said. */
static unsigned long handled(void)
{
	char line[512], *at, *end;
	unsigned long sum = 0;
	FILE *file = fopen("/proc/interrupts", "r");

	while (file && fgets(line, sizeof(line), file)) {
		if (!strstr(line, HANDLER))
			continue;
		at = strchr(line, ':');
		while (at) {
			unsigned long one = strtoul(++at, &end, 10);

			if (end == at || (*end != ' ' && *end != '\t'))
				break;
			sum += one;
			at = end;
		}
	}
	if (file)
		fclose(file);
	return sum;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static bool start(uint32_t words)
{
	static uint32_t channels[CHANNELS];
	struct comedi_cmd cmd = {
		.start_src = TRIG_NOW,
		.scan_begin_src = TRIG_EXT,
		.convert_src = TRIG_NOW,
		.scan_end_src = TRIG_COUNT, .scan_end_arg = CHANNELS,
		.stop_src = words ? TRIG_COUNT : TRIG_NONE, .stop_arg = words,
		.chanlist = channels, .chanlist_len = CHANNELS,
	};
	unsigned int i;

	for (i = 0; i < CHANNELS; i++)
		channels[i] = i;
	if (!ioctl(comedi, COMEDI_CMD, &cmd))
		return true;
	say("ERROR", "the driver refused to start: %s", strerror(errno));
	return false;
}

/* The driver's answer to success is the length, as if that were an errno. */
static bool set_block(uint32_t bytes)
{
	uint32_t words[] = { CONFIG_BLOCK_SIZE, bytes };
	struct comedi_insn insn = { .insn = INSN_CONFIG, .n = 2, .data = words };

	if (ioctl(comedi, COMEDI_INSN, &insn) >= 0)
		return true;
	say("ERROR", "blocks of %u bytes: %s", bytes, strerror(errno));
	return false;
}

static bool compare(const uint32_t *words, size_t count, uint64_t position)
{
	uint32_t expected, jump;
	const char *why = "";
	size_t i;

	for (i = 0; i < count && words[i] == sent(position + i); i++)
		;
	checked += 4 * i;
	if (i == count)
		return true;
	expected = sent(position + i);
	jump = words[i] - expected;
	if (counts && jump >= 0x80000000u)
		why = ": the driver took a block before the card had filled it";
	else if (counts && jump % RING_WORDS == 0)
		why = ": the card filled a block anew before the driver took it, whose handler came too late for the rate";
	else if (counts)
		why = ": words are missing";
	say("WRONG", "byte %" PRIu64 " has %#x, and %#x was sent%s",
	    4 * (position + i), words[i], expected, why);
	return false;
}

/* Take `bytes` of a command that runs; `finite`: then it has to end. */
static enum verdict take(uint64_t bytes, bool finite)
{
	static uint32_t data[CHUNK / 4];
	unsigned long before = handled();
	uint64_t taken = 0;

	for (;;) {
		struct pollfd ready = { .fd = comedi, .events = POLLIN };
		uint64_t left = bytes - taken;
		ssize_t got;

		if (!left && !finite)
			return GOOD;
		if (poll(&ready, 1, patience_s * 1000) == 0) {
			say("SILENT", "nothing came for %u s after %" PRIu64 " of %" PRIu64 " bytes; "
			    "%lu interrupts before the command, %lu now",
			    patience_s, taken, bytes, before, handled());
			return BAD;
		}
		got = read(comedi, data, left && left < CHUNK ? left : CHUNK);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			say("ERROR", "%s after %" PRIu64 " of %" PRIu64 " bytes: the kernel's words say why",
			    strerror(errno), taken, bytes);
			return BAD;
		}
		if (got == 0 && !left)
			return GOOD;
		if (got == 0) {
			say("ENDED", "by itself after %" PRIu64 " of %" PRIu64 " bytes: the driver took an interrupt "
			    "of the command before for the end of this one", taken, bytes);
			return REPEAT;
		}
		if (got % 4 || (uint64_t)got > left) {
			say("WRONG", "%zd bytes came where %" PRIu64 " were left", got, left);
			return BAD;
		}
		if (!compare(data, got / 4, taken / 4))
			return BAD;
		taken += got;
	}
}

static void quiet(void)
{
	unsigned long before, after = handled();
	unsigned int turns = 0;

	do {
		before = after;
		usleep(50000);
		after = handled();
	} while (after != before && ++turns < 100);
}

static enum verdict command(uint64_t bytes, bool finite)
{
	enum verdict verdict;

	commands++;
	if (!start(finite ? bytes / 4 : 0))
		return BAD;
	verdict = take(bytes, finite);
	if (ioctl(comedi, COMEDI_CANCEL, 0) && verdict == GOOD) {
		say("ERROR", "it could not be stopped: %s", strerror(errno));
		return BAD;
	}
	return verdict;
}

static uint64_t number(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || value < 0 || value > 1e15) {
		fprintf(stderr, "hpdi_stream: '%s' is no number of what is asked for\n", text);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	uint64_t bytes = 1 << 20, each = 1 << 16, cycles = 10, i;
	unsigned int repeated = 0, block = 0, enough = 0;
	double began;
	int option;

	while ((option = getopt(argc, argv, "b:c:e:k:n:s:w:")) != -1)
		switch (option) {
		case 'b':
			bytes = number(optarg) / 4 * 4;
			break;
		case 'c':
			cycles = number(optarg);
			break;
		case 'e':
			each = number(optarg) / 4 * 4;
			break;
		case 'k':
			block = number(optarg);
			break;
		case 'n':
			enough = number(optarg);
			break;
		case 's':
			counts = strcmp(optarg, "prbs") != 0;
			break;
		case 'w':
			patience_s = number(optarg);
			break;
		default:
			fprintf(stderr, "usage: hpdi_stream [-b BYTES] [-c CYCLES] [-e BYTES] [-k BYTES] "
				"[-n ENDED] [-s counter|prbs] [-w SECONDS]\n");
			return 2;
		}
	fill_prbs();
	comedi = open(DEVICE, O_RDWR);
	if (comedi < 0) {
		say("ERROR", DEVICE ": %s", strerror(errno));
		return 1;
	}
	if (block && !set_block(block))
		return 1;
	began = now();
	for (i = 0; i <= cycles && repeated <= RETRIES;) {
		enum verdict verdict = i ? command(each, i & 1) : command(bytes, false);

		if (verdict == BAD)
			return 1;
		if (verdict == REPEAT) {
			repeated++;
			if (command(0, false) != GOOD)
				return 1;
			if (repeated == enough)
				cycles = i ? i - 1 : 0;
			continue;
		}
		if (!i)
			printf("stream: %" PRIu64 " bytes in %.1f s, %lu interrupts\n", bytes, now() - began, handled());
		fflush(stdout);
		i++;
	}
	quiet();
	printf("%s: %" PRIu64 " bytes compared, %" PRIu64 " cycles, %u repeated, %.1f s, %lu interrupts\n",
	       i > cycles ? "good" : "bad", checked, cycles, repeated, now() - began, handled());
	return i <= cycles;
}
