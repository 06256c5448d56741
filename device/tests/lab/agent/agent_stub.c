// SPDX-License-Identifier: Apache-2.0
/* Stands for the driver below the agent: a device of 64 bytes of memory, and common buffers of malloc(). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plx_test.h"

struct plx_test_info info;
static uint8_t registers[64];
static struct { uint8_t *bytes; uint32_t length; } made[256];
static uint32_t orders;

const char *device_open(void)
{
	const char *trouble = getenv("STUB_TROUBLE");

	if (trouble)
		return trouble;
	strcpy(info.name, "0000:01:00.0");
	info.vendor = 0x10b5;
	info.device = 0x9601;
	info.bar_len[0] = sizeof(registers);
	info.flags = getenv("STUB_HANDS_ON") ? 0 : PLX_TEST_HANDS_OFF;
	return NULL;
}

bool buffer_try(uint32_t length, struct common_buffer *buf)
{
	if (!length || length > 1 << 20 || orders >= 255)
		return false;
	orders++;
	made[orders].bytes = malloc(length);
	memset(made[orders].bytes, 0xa5, length);
	made[orders].length = length;
	*buf = (struct common_buffer){ .order = orders, .length = length, .logical = orders << 12 };
	return true;
}

int buffer_free(const struct common_buffer *buf)
{
	free(made[buf->order].bytes);
	made[buf->order].bytes = NULL;
	return 0;
}

static int copy(const struct plx_test_copy *c, bool write)
{
	uint8_t *bytes = c->order < 256 ? made[c->order].bytes : NULL;

	if (!bytes)
		return -ENOENT;
	if (c->offset > made[c->order].length || c->length > made[c->order].length - c->offset)
		return -ERANGE;
	if (write)
		memcpy(bytes + c->offset, (void *)(uintptr_t)c->data, c->length);
	else
		memcpy((void *)(uintptr_t)c->data, bytes + c->offset, c->length);
	return 0;
}

int device_ioctl(unsigned long request, void *argument)
{
	struct plx_test_access *access = argument;
	bool inside;

	switch (request) {
	case PLX_TEST_PEEK:
	case PLX_TEST_POKE:
		inside = !access->bar && access->offset < 64 && access->width <= 64 - access->offset;
		if (!inside)
			return -ERANGE;
		if (request == PLX_TEST_POKE)
			memcpy(registers + access->offset, &access->value, access->width);
		else
			memcpy(&access->value, registers + access->offset, access->width);
		return 0;
	case PLX_TEST_CONFIG_READ:
		((struct plx_test_config *)argument)->value = 0x10b5;
		return 0;
	case PLX_TEST_BUF_READ:
		return copy(argument, false);
	case PLX_TEST_BUF_WRITE:
		return copy(argument, true);
	case PLX_TEST_LEVEL:
		((struct plx_test_level *)argument)->asserted = registers[63];
		return 0;
	case PLX_TEST_HOT_RESET:
		memset(registers, 0, sizeof(registers));
		return 0;
	default:
		return -ENOTTY;
	}
}

int main(int argc, char **argv)
{
	return argc == 2 ? agent_run(argv[1]) : 2;
}
