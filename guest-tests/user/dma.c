// SPDX-License-Identifier: GPL-2.0-only
/* Blocks, chains and rings, as most cases want them. */
#include <string.h>

#include "plx_test.h"

/* Far more than any transfer here takes; a stuck one must not stop the run. */
#define BLOCK_MS	5000

void pattern(void *data, uint32_t length, uint32_t seed)
{
	uint8_t *at = data;
	uint32_t i, mix;

	for (i = 0; i < length; i++) {
		mix = (i + 1) * 2654435761u + seed * 40503u;
		at[i] = mix >> 24 ^ mix >> 11;
	}
}

void start_block(int ch, bool to_pci, uint32_t pci, uint32_t local, uint32_t length, uint32_t mode)
{
	struct plx_test_start values = {
		.channel = ch,
		.which = PLX_TEST_SET_BLOCK,
		.mode = PLX_MODE_RESET | mode,
		.padr = pci,
		.ladr = local,
		.siz = length,
		.dpr = to_pci ? PLX_DPR_TO_PCI : 0,
		.csr = PLX_CSR_ENABLE | PLX_CSR_START,
	};

	start(&values);
}

bool block_with(int ch, bool to_pci, uint32_t pci, uint32_t local, uint32_t length, uint32_t mode)
{
	start_block(ch, to_pci, pci, local, length, mode);
	return done_within(ch, BLOCK_MS);
}

bool block(int ch, bool to_pci, uint32_t pci, uint32_t local, uint32_t length)
{
	return block_with(ch, to_pci, pci, local, length, 0);
}

void start_chain(int ch, uint32_t dpr, uint32_t mode)
{
	struct plx_test_start values = {
		.channel = ch,
		.which = PLX_TEST_SET_CHAIN,
		.mode = PLX_MODE_RESET | PLX_MODE_CHAIN | mode,
		.dpr = dpr,
		.csr = PLX_CSR_ENABLE | PLX_CSR_START,
	};

	start(&values);
}

void put_descriptor(const struct common_buffer *ring, unsigned int index, struct descriptor desc)
{
	buffer_write(ring, index * sizeof(desc), &desc, sizeof(desc));
}

struct descriptor get_descriptor(const struct common_buffer *ring, unsigned int index)
{
	struct descriptor desc;

	buffer_read(ring, index * sizeof(desc), &desc, sizeof(desc));
	return desc;
}

uint32_t descriptor_at(const struct common_buffer *ring, unsigned int index)
{
	return ring->logical + index * sizeof(struct descriptor);
}

void enable_irq(int ch)
{
	change(PLX_INTCSR, 0, PLX_INTCSR_PCI_EN | PLX_INTCSR_DMA_EN(ch));
}

bool ring_make(struct ring *ring, int ch, bool to_pci, unsigned int count, uint32_t length,
	       uint32_t tc)
{
	unsigned int i;

	*ring = (struct ring){
		.ch = ch,
		.count = count,
		.length = length,
		.table = buffer(count * sizeof(struct descriptor)),
		.data = buffer(count * length),
	};
	if (!ring->table || !ring->data)
		return false;
	for (i = 0; i < count; i++) {
		uint32_t flags = PLX_DPR_PCI;

		if (to_pci)
			flags |= PLX_DPR_TO_PCI;
		if (tc >> i & 1)
			flags |= PLX_DPR_TC;
		put_descriptor(ring->table, i, (struct descriptor){
			.pci = ring->data->logical + i * length,
			.local = local_at(i * length),
			.size = length,
			.next = descriptor_at(ring->table, (i + 1) % count) | flags,
		});
	}
	return true;
}

void ring_start(const struct ring *ring, uint32_t mode)
{
	start_chain(ring->ch, ring->table->logical | PLX_DPR_PCI, PLX_MODE_INTA | mode);
}
