// SPDX-License-Identifier: GPL-2.0-only
/* What is done to the chip in an order that is right, and looks as if it were not. */
#include "wrong.h"

#define LENGTH	64
#define WAIT	(HZ / 4)

/* On a shared line it is called for others too, reads the chip and says that it was not its own. */
static irqreturn_t shared_handler(int irq, void *data)
{
	struct wrong *w = data;

	w->calls++;
	if (!(readl(w->regs + INTCSR) & INTCSR_DMA0)) {
		w->others++;
		return IRQ_NONE;
	}
	writeb(CSR_ENABLE | CSR_CLEAR, w->regs + DMACSR0);
	complete(&w->done);
	return IRQ_HANDLED;
}

static int shared_interrupt(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = dma_alloc_coherent(w->dev, LENGTH, &handle, GFP_KERNEL);
	unsigned int i;
	int ret;

	if (!buf)
		return -ENOMEM;
	ret = request_irq(w->pdev->irq, shared_handler, IRQF_SHARED, "wrong", w);
	if (ret)
		goto free;
	/* As another device on the line would have it called. */
	for (i = 0; i < 3; i++)
		shared_handler(w->pdev->irq, w);
	writel(INTCSR_PCI | INTCSR_ENABLE0, w->regs + INTCSR);
	for (i = 0; i < 3; i++) {
		wrong_block(w, LENGTH, DPR_TO_HOST);
		writel(MODE_BLOCK | MODE_DONE_INT | MODE_INTA, w->regs + DMAMODE0);
		writel(lower_32_bits(handle), w->regs + DMAPADR0);
		writeb(CSR_GO, w->regs + DMACSR0);
		if (!wait_for_completion_timeout(&w->done, WAIT))
			ret = -ETIMEDOUT;
		wrong_stop(w, DMACSR0);
	}
	writel(0, w->regs + INTCSR);
	free_irq(w->pdev->irq, w);
free:
	dma_free_coherent(w->dev, LENGTH, buf, handle);
	return ret;
}

/* Paused, left so for a while, continued, paused and aborted. */
static int abort_order(struct wrong *w)
{
	struct wrong_ring *ring = wrong_ring_new(w, false);
	int ret;

	if (!ring)
		return -ENOMEM;
	wrong_ring_start(w, ring);
	writeb(0, w->regs + DMACSR0);
	wrong_ring_let_run(w);
	writeb(CSR_ENABLE, w->regs + DMACSR0);
	wrong_ring_let_run(w);
	ret = wrong_stop(w, DMACSR0);
	wrong_ring_free(w, ring);
	return ret;
}

/* Both channels at once, on one buffer: one reads, the other has ended long ago. */
static int two_channels(struct wrong *w)
{
	struct wrong_ring *ring = wrong_ring_new(w, false);
	int ret;

	if (!ring)
		return -ENOMEM;
	wrong_ring_start(w, ring);
	writel(MODE_BLOCK, w->regs + DMAMODE1);
	writel(lower_32_bits(ring->buf_dma), w->regs + DMAMODE1 + 4);
	writel(0, w->regs + DMAMODE1 + 8);
	writel(LENGTH, w->regs + DMAMODE1 + 12);
	writel(DPR_TO_CARD, w->regs + DMADPR1);
	writeb(CSR_GO, w->regs + DMACSR1);
	ret = wrong_wait(w, DMACSR1);
	wrong_stop(w, DMACSR1);
	wrong_stop(w, DMACSR0);
	wrong_ring_free(w, ring);
	return ret;
}

/* Aborts of channels that do nothing, acknowledgements of nothing, a reset of a card at rest. */
static int cautious(struct wrong *w)
{
	wrong_stop(w, DMACSR0);
	wrong_stop(w, DMACSR1);
	writeb(CSR_CLEAR, w->regs + DMACSR0);
	wrong_recover(w);
	wrong_recover(w);
	return 0;
}

const struct wrong_case right_chip[] = {
	{ "shared-interrupt", shared_interrupt },
	{ "abort-order", abort_order },
	{ "two-channels", two_channels },
	{ "cautious", cautious },
	{ }
};
