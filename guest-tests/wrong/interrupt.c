// SPDX-License-Identifier: GPL-2.0-only
/* Handlers that do not take their interrupt back, and interrupts that nobody hears. */
#include "wrong.h"

#define LENGTH	64
#define STORM	1500	/* calls after which this one stops what a machine would hang in */
#define HEARD	(HZ / 5)	/* by which an interrupt has come */
#define SLOW	(10 * HZ)	/* a guest whose interrupts come late, on a machine that is busy, storms for so long */

static bool enough(struct wrong *w)
{
	if (++w->calls < STORM)
		return false;
	writel(0, w->regs + INTCSR);
	complete(&w->done);
	return true;
}

/* Says that it was its own, and leaves the cause where it is. */
static irqreturn_t no_ack_handler(int irq, void *data) /* WRONG: no-ack */
{
	struct wrong *w = data;

	if (!(readl(w->regs + INTCSR) & INTCSR_DMA0)) /* WRONG: no-ack */
		return IRQ_NONE;
	enough(w);
	return IRQ_HANDLED;
}

/* Takes the other channel's interrupt back. */
static irqreturn_t other_ack_handler(int irq, void *data)
{
	struct wrong *w = data;

	if (!(readl(w->regs + INTCSR) & (INTCSR_DMA0 | INTCSR_DMA1)))
		return IRQ_NONE;
	if (!enough(w))
		writeb(CSR_CLEAR, w->regs + DMACSR1); /* WRONG: other-ack */
	return IRQ_HANDLED;
}

static irqreturn_t right_handler(int irq, void *data)
{
	struct wrong *w = data;

	if (!(readl(w->regs + INTCSR) & INTCSR_DMA0))
		return IRQ_NONE;
	writeb(CSR_ENABLE | CSR_CLEAR, w->regs + DMACSR0);
	complete(&w->done);
	return IRQ_HANDLED;
}

static int with_handler(struct wrong *w, irq_handler_t handler, u32 mode, unsigned long wait)
{
	dma_addr_t handle;
	void *buf = dma_alloc_coherent(w->dev, LENGTH, &handle, GFP_KERNEL);
	int ret;

	if (!buf)
		return -ENOMEM;
	ret = request_irq(w->pdev->irq, handler, IRQF_SHARED, "wrong", w);
	if (ret)
		goto free;
	writel(INTCSR_PCI | INTCSR_ENABLE0, w->regs + INTCSR);
	wrong_block(w, LENGTH, DPR_TO_CARD);
	writel(mode, w->regs + DMAMODE0); /* WRONG: kept-in */
	writel(lower_32_bits(handle), w->regs + DMAPADR0);
	writeb(CSR_GO, w->regs + DMACSR0);
	ret = wait_for_completion_timeout(&w->done, wait) ? 0 : -ETIMEDOUT;
	writel(0, w->regs + INTCSR);
	wrong_stop(w, DMACSR0);
	free_irq(w->pdev->irq, w);
free:
	dma_free_coherent(w->dev, LENGTH, buf, handle);
	return ret;
}

static int no_ack(struct wrong *w)
{
	return with_handler(w, no_ack_handler, MODE_BLOCK | MODE_DONE_INT | MODE_INTA, SLOW);
}

static int other_ack(struct wrong *w)
{
	return with_handler(w, other_ack_handler, MODE_BLOCK | MODE_DONE_INT | MODE_INTA, SLOW);
}

/* Bit 17 is missing: the interrupt goes to the local side. */
static int kept_in(struct wrong *w)
{
	const u32 mode = MODE_BLOCK | MODE_DONE_INT; /* WRONG: kept-in */

	return with_handler(w, right_handler, mode, HEARD);
}

const struct wrong_case wrong_interrupt[] = {
	{ "no-ack", no_ack },
	{ "other-ack", other_ack },
	{ "kept-in", kept_in, .dirty = true },
	{ }
};
