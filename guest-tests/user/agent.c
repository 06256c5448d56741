// SPDX-License-Identifier: GPL-2.0-only
/*
 * plx_test --agent PATH: does what is asked for, a line at a time.
 *
 * For a caller outside the guest who drives the chip through this driver. A
 * request is a number that comes back, a verb, and numbers (0x or decimal):
 *
 *   1 read BAR OFFSET WIDTH               1 ok VALUE
 *   2 write BAR OFFSET WIDTH VALUE        2 ok
 *   3 config-read OFFSET WIDTH            3 ok VALUE
 *   4 config-write OFFSET WIDTH VALUE     4 ok
 *   5 alloc LENGTH                        5 ok HANDLE BUS-ADDRESS
 *   6 free HANDLE                         6 ok
 *   7 get HANDLE OFFSET LENGTH            7 ok HEX
 *   8 put HANDLE OFFSET HEX               8 ok
 *   9 level MILLISECONDS                  9 ok 0|1
 *   10 reset                              10 ok
 *   11 quit                               11 ok
 *
 * or "N error TEXT". A reset is RST#, then every buffer is freed. The first
 * line is the agent's own: "ready 1 DEVICE VENDOR:ID BAR-LENGTH..." or
 * "failed TEXT". Whatever else arrives is answered with "? error TEXT"; a
 * line that is too long is dropped whole, so the next one counts again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plx_test.h"

#define AGENT_PROTOCOL	1
#define DATA_MAX	4096u			/* bytes of one get or put */
#define LINE_SIZE	(2 * DATA_MAX + 128)
#define WORDS_MAX	7
#define AGENT_BUFFERS	64

static int agent_fd;
static struct common_buffer held[AGENT_BUFFERS];	/* order 0: free */
static bool leaving;

/* ------------------------------------------------------------------ */

static void send_line(const char *line, size_t length)
{
	while (length) {
		ssize_t wrote = write(agent_fd, line, length);

		if (wrote < 0 && errno != EINTR) {
			fprintf(stderr, "plx_test: the agent's port is gone: %s\n", strerror(errno));
			exit(1);
		}
		if (wrote > 0) {
			line += wrote;
			length -= wrote;
		}
	}
}

static void answer(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void answer(const char *format, ...)
{
	static char line[LINE_SIZE];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (length > (int)sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	send_line(line, length);
}

/* A number all of it, or false. */
static bool number(const char *word, uint64_t *value)
{
	char *end;

	if (*word < '0' || *word > '9')
		return false;
	errno = 0;
	*value = strtoull(word, &end, 0);
	return !*end && !errno;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool from_hex(const char *word, uint8_t *data, uint32_t *length)
{
	size_t digits = strlen(word), i;

	if (digits % 2 || digits / 2 > DATA_MAX)
		return false;
	for (i = 0; i < digits / 2; i++) {
		int high = nibble(word[2 * i]), low = nibble(word[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		data[i] = high << 4 | low;
	}
	*length = digits / 2;
	return true;
}

static void to_hex(const uint8_t *data, uint32_t length, char *text)
{
	static const char digits[] = "0123456789abcdef";
	uint32_t i;

	for (i = 0; i < length; i++) {
		*text++ = digits[data[i] >> 4];
		*text++ = digits[data[i] & 15];
	}
	*text = 0;
}

static struct common_buffer *find_held(uint64_t handle)
{
	unsigned int i;

	for (i = 0; i < AGENT_BUFFERS; i++)
		if (handle && held[i].order == handle)
			return &held[i];
	return NULL;
}

/* ------------------------------------------------------------------ */
/* The verbs: numbers in, what comes after "ok" out, 0 or -errno        */

static char result[2 * DATA_MAX + 64];

static bool good_width(uint64_t width)
{
	return width == 1 || width == 2 || width == 4;
}

static int do_read(const uint64_t *n)
{
	struct plx_test_access access = { .bar = n[0], .offset = n[1], .width = n[2] };
	int error = good_width(n[2]) ? device_ioctl(PLX_TEST_PEEK, &access) : -EINVAL;

	snprintf(result, sizeof(result), " 0x%" PRIx64, (uint64_t)access.value);
	return error;
}

static int do_write(const uint64_t *n)
{
	struct plx_test_access access = {
		.bar = n[0], .offset = n[1], .width = n[2], .value = n[3],
	};

	return good_width(n[2]) ? device_ioctl(PLX_TEST_POKE, &access) : -EINVAL;
}

static int do_config_read(const uint64_t *n)
{
	struct plx_test_config config = { .offset = n[0], .width = n[1] };
	int error = device_ioctl(PLX_TEST_CONFIG_READ, &config);

	snprintf(result, sizeof(result), " 0x%x", config.value);
	return error;
}

static int do_config_write(const uint64_t *n)
{
	struct plx_test_config config = { .offset = n[0], .width = n[1], .value = n[2] };

	return device_ioctl(PLX_TEST_CONFIG_WRITE, &config);
}

static int do_alloc(const uint64_t *n)
{
	struct common_buffer *buf = NULL;
	unsigned int i;

	for (i = 0; i < AGENT_BUFFERS && !buf; i++)
		if (!held[i].order)
			buf = &held[i];
	if (!buf)
		return -ENFILE;
	if (!buffer_try(n[0], buf)) {
		buf->order = 0;
		return -ENOMEM;
	}
	snprintf(result, sizeof(result), " %u 0x%llx", buf->order,
		 (unsigned long long)buf->logical);
	return 0;
}

static int do_free(const uint64_t *n)
{
	struct common_buffer *buf = find_held(n[0]);
	int error = buf ? buffer_free(buf) : -ENOENT;

	if (!error)
		buf->order = 0;
	return error;
}

static int do_get(const uint64_t *n)
{
	static uint8_t data[DATA_MAX];
	struct plx_test_copy copy = {
		.order = n[0], .offset = n[1], .length = n[2], .data = (uintptr_t)data,
	};
	int error;

	if (n[2] > DATA_MAX)
		return -EMSGSIZE;
	if (!find_held(n[0]))
		return -ENOENT;
	error = device_ioctl(PLX_TEST_BUF_READ, &copy);
	if (error)
		return error;
	result[0] = ' ';
	to_hex(data, copy.length, result + 1);
	return 0;
}

static int do_level(const uint64_t *n)
{
	struct plx_test_level level = { .wait_ms = n[0] };
	int error = device_ioctl(PLX_TEST_LEVEL, &level);

	snprintf(result, sizeof(result), " %u", level.asserted);
	return error;
}

static int do_reset(const uint64_t *n)
{
	/* First the chip, which might still write to what is freed. */
	int error = device_ioctl(PLX_TEST_HOT_RESET, NULL);
	unsigned int i;

	(void)n;
	for (i = 0; i < AGENT_BUFFERS && !error; i++) {
		if (!held[i].order)
			continue;
		error = buffer_free(&held[i]);
		held[i].order = 0;
	}
	return error;
}

static int do_quit(const uint64_t *n)
{
	(void)n;
	leaving = true;
	return 0;
}

static const struct {
	const char *name;
	unsigned int numbers;
	int (*act)(const uint64_t *n);
	uint64_t most;				/* that any of the numbers may be */
} verbs[] = {
	{ "read", 3, do_read, UINT32_MAX },
	{ "write", 4, do_write, UINT32_MAX },
	{ "config-read", 2, do_config_read, UINT32_MAX },
	{ "config-write", 3, do_config_write, UINT32_MAX },
	{ "alloc", 1, do_alloc, UINT32_MAX },
	{ "free", 1, do_free, UINT32_MAX },
	{ "get", 3, do_get, UINT32_MAX },
	{ "level", 1, do_level, 10000 },
	{ "reset", 0, do_reset, 0 },
	{ "quit", 0, do_quit, 0 },
};

/* ------------------------------------------------------------------ */

/* The one verb whose last word is no number. */
static int put_words(char **words, unsigned int count)
{
	static uint8_t data[DATA_MAX];
	struct plx_test_copy copy = { .data = (uintptr_t)data };
	uint64_t handle, offset;

	if (count != 3 || !number(words[0], &handle) || !number(words[1], &offset) ||
	    offset > UINT32_MAX || !from_hex(words[2], data, &copy.length))
		return -EINVAL;
	if (!find_held(handle))
		return -ENOENT;
	copy.order = handle;
	copy.offset = offset;
	return device_ioctl(PLX_TEST_BUF_WRITE, &copy);
}

static int act(char **words, unsigned int count)
{
	uint64_t numbers[WORDS_MAX] = { 0 };
	unsigned int v, i;

	if (!strcmp(words[0], "put"))
		return put_words(words + 1, count - 1);
	for (v = 0; v < ARRAY_SIZE(verbs); v++)
		if (!strcmp(words[0], verbs[v].name))
			break;
	if (v == ARRAY_SIZE(verbs))
		return -ENOSYS;
	if (count - 1 != verbs[v].numbers)
		return -EINVAL;
	for (i = 0; i + 1 < count; i++)
		if (!number(words[i + 1], &numbers[i]) || numbers[i] > verbs[v].most)
			return -EINVAL;
	return verbs[v].act(numbers);
}

static void obey(char *line)
{
	char *words[WORDS_MAX], *rest = line, *word;
	unsigned int count = 0;
	uint64_t sequence;
	int error;

	while (count < WORDS_MAX && (word = strsep(&rest, " ")))
		words[count++] = word;
	if (rest || count < 2 || !number(words[0], &sequence)) {
		answer("? error no request");
		return;
	}
	result[0] = 0;
	error = act(words + 1, count - 1);
	if (error)
		answer("%" PRIu64 " error %s", sequence, strerror(-error));
	else
		answer("%" PRIu64 " ok%s", sequence, result);
}

static void take(char c)
{
	static char line[LINE_SIZE];
	static size_t length;
	static bool unfit;

	if (c != '\n') {
		if (length == sizeof(line) - 1 || c < ' ' || c > '~')
			unfit = true;
		else
			line[length++] = c;
		return;
	}
	line[length] = 0;
	length = 0;
	if (unfit)
		answer("? error a line that is too long, or no text");
	else
		obey(line);
	unfit = false;
}

static void introduce(void)
{
	char lengths[128];
	int bar, used = 0;

	for (bar = 0; bar < PLX_TEST_BARS; bar++)
		used += snprintf(lengths + used, sizeof(lengths) - used, " 0x%llx",
				 (unsigned long long)info.bar_len[bar]);
	answer("ready %d %s %04x:%04x%s", AGENT_PROTOCOL, info.name, info.vendor, info.device,
	       lengths);
}

int agent_run(const char *path)
{
	static char chunk[4096];
	const char *trouble;

	agent_fd = open(path, O_RDWR | O_CLOEXEC);
	if (agent_fd < 0) {
		fprintf(stderr, "plx_test: cannot open %s: %s\n", path, strerror(errno));
		return 1;
	}
	trouble = device_open();
	if (!trouble && !(info.flags & PLX_TEST_HANDS_OFF))
		trouble = "the driver was loaded without hands_off";
	if (trouble) {
		answer("failed %s", trouble);
		return 1;
	}
	introduce();
	while (!leaving) {
		ssize_t i, got = read(agent_fd, chunk, sizeof(chunk));

		if (got < 0 && errno == EINTR)
			continue;
		/* Nobody is at the other end any more. */
		if (got <= 0)
			break;
		for (i = 0; i < got && !leaving; i++)
			take(chunk[i]);
	}
	return 0;
}
