// SPDX-License-Identifier: GPL-2.0-only
/*
 * The facts of the guest's kernel: a text by lab/witness/facts.py, which says
 * what its lines are.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "witness.h"

#define MAX_TEXT (1 << 18)
#define MAX_WORDS 4
#define FIRST_LINE "plx9x5x-kernel-facts 1"

struct hook hooks[MAX_HOOKS];
int n_hooks;
struct facts facts;

static const struct {
	const char *name;
	uint64_t *to;
	bool optional;
} offset_names[] = {
	{ "device.init_name", &facts.off.init_name, false },
	{ "device.name", &facts.off.device_name, false },
	{ "pci_dev.dev", &facts.off.pci_dev, false },
	{ "module.state", &facts.off.module_state, false },
	{ "module.name", &facts.off.module_name, false },
	{ "module.core", &facts.off.core, false },
	{ "module.core_size", &facts.off.core_size, false },
	{ "module.init", &facts.off.init, false },
	{ "module.init_size", &facts.off.init_size, false },
	{ "page.size", &facts.off.page, false },
	{ "sg.size", &facts.off.sg, false },
	{ "sg.page_link", &facts.off.page_link, false },
	{ "sg.offset", &facts.off.sg_offset, false },
	{ "sg.length", &facts.off.sg_length, false },
	{ "sg.dma_address", &facts.off.dma_address, false },
	{ "sg.dma_length", &facts.off.dma_length, true },
	{ "sg_table.sgl", &facts.off.sgl, false },
	{ "sg_table.nents", &facts.off.nents, false },
	{ "sg_table.orig_nents", &facts.off.orig_nents, false },
	{ "dma_pool.dev", &facts.off.pool_dev, false },
};

#define N_OFFSETS (sizeof(offset_names) / sizeof(*offset_names))

static bool hexadecimal(const char *word, uint64_t *value)
{
	uint64_t sum = 0;
	size_t n = 0;

	for (; word[n]; n++) {
		char c = word[n];
		unsigned int digit = c >= '0' && c <= '9' ? c - '0' :
				     c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;

		if (digit > 15 || n == 16)
			return false;
		sum = sum << 4 | digit;
	}
	*value = sum;
	return n > 0;
}

static bool add_hook(enum hook_kind kind, char **word)
{
	struct hook *hook = &hooks[n_hooks];

	if (n_hooks == MAX_HOOKS || !hexadecimal(word[2], &hook->address) ||
	    !hexadecimal(word[3], &hook->end) || hook->end <= hook->address)
		return false;
	hook->kind = kind;
	hook->type = kind == H_CALL ? call_type(word[1]) : NULL;
	if (kind == H_CALL && !hook->type)
		return false;
	n_hooks++;
	return true;
}

static bool fact(char **word, int words, uint64_t *known)
{
	uint64_t value;

	if (words == 3 && !strcmp(word[0], "image"))
		return hexadecimal(word[1], &facts.image) &&
		       hexadecimal(word[2], &facts.image_end);
	if (words == 4 && !strcmp(word[0], "call"))
		return add_hook(H_CALL, word);
	if (words == 4 && !strcmp(word[0], "helper"))
		return add_hook(H_HELPER, word);
	if (words == 4 && !strcmp(word[0], "value")) {
		if (!hexadecimal(word[2], &value))
			return false;
		if (!strcmp(word[1], "page_offset_base"))
			facts.page_offset_base = value;
		else if (!strcmp(word[1], "vmemmap_base"))
			facts.vmemmap_base = value;
		return true;
	}
	if (words == 3 && !strcmp(word[0], "offset") &&
	    hexadecimal(word[2], &value) && value < 1 << 16)
		for (size_t i = 0; i < N_OFFSETS; i++)
			if (!strcmp(word[1], offset_names[i].name)) {
				*offset_names[i].to = value;
				*known |= 1ull << i;
				return true;
			}
	return false;
}

static int by_address(const void *left, const void *right)
{
	const struct hook *a = left, *b = right;

	return a->address < b->address ? -1 : a->address > b->address;
}

static bool parse(char *text)
{
	char *rest = NULL, *line = strtok_r(text, "\n", &rest);
	uint64_t known = 0;

	if (!line || strcmp(line, FIRST_LINE)) {
		complain("the facts do not begin with '" FIRST_LINE "'");
		return false;
	}
	for (size_t i = 0; i < N_OFFSETS; i++)
		*offset_names[i].to = UNKNOWN;
	while ((line = strtok_r(NULL, "\n", &rest))) {
		char *word[MAX_WORDS], *more = NULL, kept[64];
		int words = 0;

		strncpy(kept, line, sizeof(kept) - 1);
		kept[sizeof(kept) - 1] = 0;
		for (char *w = strtok_r(line, " ", &more); w;
		     w = strtok_r(NULL, " ", &more))
			if (words < MAX_WORDS)
				word[words++] = w;
		if (!fact(word, words, &known)) {
			complain("a fact is not understood: '%s'", kept);
			return false;
		}
	}
	for (size_t i = 0; i < N_OFFSETS; i++)
		if (!offset_names[i].optional && !(known & 1ull << i)) {
			complain("the facts lack '%s'", offset_names[i].name);
			return false;
		}
	if (!facts.page_offset_base || !facts.vmemmap_base) {
		complain("the facts lack 'page_offset_base' or 'vmemmap_base'");
		return false;
	}
	if (facts.image < 1ull << 63 || facts.image_end <= facts.image) {
		complain("the facts do not say where the kernel lies");
		return false;
	}
	qsort(hooks, n_hooks, sizeof(*hooks), by_address);
	return true;
}

/* From a path, or from a descriptor that QEMU inherited. */
bool facts_read(const char *where)
{
	bool inherited = *where && !where[strspn(where, "0123456789")];
	int fd = inherited ? atoi(where) : open(where, O_RDONLY | O_CLOEXEC);
	char *text = malloc(MAX_TEXT + 1);
	ssize_t got, at = 0;
	bool good;

	if (fd < 0 || !text) {
		complain("the facts at '%s' cannot be read", where);
		free(text);
		return false;
	}
	while ((got = pread(fd, text + at, MAX_TEXT - at, at)) > 0)
		at += got;
	text[at] = 0;
	good = parse(text);
	free(text);
	if (!inherited)
		close(fd);
	return good;
}

/* The last hook that begins at or before `address`. */
static const struct hook *hook_before(uint64_t address)
{
	int low = 0, high = n_hooks;

	while (low < high) {
		int middle = (low + high) / 2;

		if (hooks[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &hooks[low - 1] : NULL;
}

const struct hook *hook_around(uint64_t address)
{
	const struct hook *hook = hook_before(address);

	return hook && address < hook->end ? hook : NULL;
}
