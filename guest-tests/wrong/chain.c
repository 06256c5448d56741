// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors that are not what the chip takes them for. */
#include "wrong.h"

#define LENGTH	64
#define COUNT	4
#define PATIENCE	24	/* waits; each has a limit */

struct chain {
	struct descriptor *desc;
	dma_addr_t dma;
	void *buf;
	dma_addr_t buf_dma;
};

static int chain_new(struct wrong *w, struct chain *chain)
{
	unsigned int i;

	chain->desc = dma_alloc_coherent(w->dev, PAGE_SIZE, &chain->dma, GFP_KERNEL);
	if (!chain->desc)
		return -ENOMEM;
	chain->buf = dma_alloc_coherent(w->dev, COUNT * LENGTH, &chain->buf_dma, GFP_KERNEL);
	if (!chain->buf) {
		dma_free_coherent(w->dev, PAGE_SIZE, chain->desc, chain->dma);
		return -ENOMEM;
	}
	for (i = 0; i < COUNT; i++) {
		u32 next = chain->dma + (i + 1) * sizeof(*chain->desc);

		chain->desc[i].host = cpu_to_le32(chain->buf_dma + i * LENGTH);
		chain->desc[i].local = cpu_to_le32(i * LENGTH);
		chain->desc[i].size = cpu_to_le32(LENGTH);
		chain->desc[i].next = cpu_to_le32(next | DPR_PCI);
	}
	chain->desc[COUNT - 1].next = cpu_to_le32(DPR_PCI | DPR_END);
	return 0;
}

static void chain_free(struct wrong *w, struct chain *chain)
{
	wrong_stop(w, DMACSR0);
	dma_free_coherent(w->dev, COUNT * LENGTH, chain->buf, chain->buf_dma);
	dma_free_coherent(w->dev, PAGE_SIZE, chain->desc, chain->dma);
}

/* For a list as drivers do that have a second or two for all of it. */
static void wait_long(struct wrong *w)
{
	unsigned int i;

	for (i = 0; i < PATIENCE && wrong_wait(w, DMACSR0); i++)
		;
}

/* Bit 0 of the pointer is missing: the chip looks for the list in its own memory. */
static int local_descriptor(struct wrong *w)
{
	struct chain chain;

	if (chain_new(w, &chain))
		return -ENOMEM;
	writel(MODE_BLOCK | MODE_CHAIN, w->regs + DMAMODE0);
	writel(lower_32_bits(chain.dma), w->regs + DMADPR0); /* WRONG: local-descriptor */
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: local-descriptor */
	wrong_wait(w, DMACSR0);
	chain_free(w, &chain);
	return 0;
}

/*
 * A header of 8 bytes before the list: the chip drops the low bits of the pointer, and takes the header for
 * addresses, an address for a size, and the card's address for a pointer.
 */
static int unaligned_list(struct wrong *w)
{
	struct chain chain;

	if (chain_new(w, &chain))
		return -ENOMEM;
	chain.desc[0].local = cpu_to_le32(0x102);
	memmove((void *)chain.desc + 8, chain.desc, COUNT * sizeof(*chain.desc));
	memset(chain.desc, 0, 8);
	writel(MODE_BLOCK | MODE_CHAIN, w->regs + DMAMODE0);
	writel(lower_32_bits(chain.dma + 8) | DPR_PCI, w->regs + DMADPR0); /* WRONG: unaligned-list */
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: unaligned-list */
	wrong_wait(w, DMACSR0);
	chain_free(w, &chain);
	return 0;
}

/* The chip wrote the counts back, and the circle is started again without filling them in. */
static int counts_gone(struct wrong *w)
{
	struct chain chain;

	if (chain_new(w, &chain))
		return -ENOMEM;
	writel(MODE_BLOCK | MODE_CHAIN | MODE_COUNT, w->regs + DMAMODE0);
	writel(lower_32_bits(chain.dma) | DPR_PCI, w->regs + DMADPR0);
	writeb(CSR_GO, w->regs + DMACSR0);
	wrong_wait(w, DMACSR0);
	chain.desc[COUNT - 1].next = cpu_to_le32(lower_32_bits(chain.dma) | DPR_PCI);
	writel(lower_32_bits(chain.dma) | DPR_PCI, w->regs + DMADPR0);
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: counts-gone */
	wait_long(w);
	chain_free(w, &chain);
	return 0;
}

/* One buffer of a list was exchanged, and the list was not written again. */
static int stale_descriptor(struct wrong *w)
{
	struct chain chain;
	dma_addr_t handle;
	void *buf;

	if (chain_new(w, &chain))
		return -ENOMEM;
	buf = dma_alloc_coherent(w->dev, LENGTH, &handle, GFP_KERNEL);
	if (buf) {
		chain.desc[1].host = cpu_to_le32(handle); /* WRONG: stale-descriptor */
		dma_free_coherent(w->dev, LENGTH, buf, handle); /* WRONG: stale-descriptor */
		writel(MODE_BLOCK | MODE_CHAIN, w->regs + DMAMODE0);
		writel(lower_32_bits(chain.dma) | DPR_PCI, w->regs + DMADPR0);
		writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: stale-descriptor */
		wrong_wait(w, DMACSR0);
	}
	chain_free(w, &chain);
	return 0;
}

/* The last descriptor has no end: the chip goes on into what lies behind the list. */
static int no_end(struct wrong *w)
{
	struct chain chain;
	u32 behind;

	if (chain_new(w, &chain))
		return -ENOMEM;
	/* Behind it are zeros, up to the page's end. */
	behind = lower_32_bits(chain.dma + COUNT * sizeof(*chain.desc));
	chain.desc[COUNT - 1].next = cpu_to_le32(behind | DPR_PCI); /* WRONG: no-end */
	writel(MODE_BLOCK | MODE_CHAIN, w->regs + DMAMODE0);
	writel(lower_32_bits(chain.dma) | DPR_PCI, w->regs + DMADPR0);
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: no-end */
	wait_long(w);
	chain_free(w, &chain);
	return 0;
}

/* Addresses and sizes as the processor of the author's machine has them. */
static int big_endian(struct wrong *w)
{
	struct chain chain;
	__be32 *host;

	if (chain_new(w, &chain))
		return -ENOMEM;
	host = (__force __be32 *)&chain.desc[0].host;
	*host = cpu_to_be32(chain.buf_dma); /* WRONG: big-endian */
	writel(MODE_BLOCK | MODE_CHAIN, w->regs + DMAMODE0);
	writel(lower_32_bits(chain.dma) | DPR_PCI, w->regs + DMADPR0);
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: big-endian */
	wrong_wait(w, DMACSR0);
	chain_free(w, &chain);
	return 0;
}

const struct wrong_case wrong_chain[] = {
	{ "local-descriptor", local_descriptor },
	{ "unaligned-list", unaligned_list },
	{ "counts-gone", counts_gone },
	{ "stale-descriptor", stale_descriptor },
	{ "no-end", no_end },
	{ "big-endian", big_endian },
	{ }
};
