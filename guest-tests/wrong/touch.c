// SPDX-License-Identifier: GPL-2.0-only
/* Memory that driver and card touch at the same time. */
#include "wrong.h"

#define LENGTH	WRONG_LENGTH
#define TURNS	8

/* What the card sends is looked at before it can be there. */
static int read_early(struct wrong *w)
{
	dma_addr_t handle;
	u32 *buf = dma_alloc_coherent(w->dev, LENGTH, &handle, GFP_KERNEL);
	unsigned int i;
	int ret;

	if (!buf)
		return -ENOMEM;
	wrong_block(w, LENGTH, DPR_TO_HOST);
	writel(lower_32_bits(handle), w->regs + DMAPADR0);
	writeb(CSR_GO, w->regs + DMACSR0);
	for (i = 0; i < LENGTH / sizeof(*buf); i++)
		w->others += READ_ONCE(buf[i]); /* WRONG: read-early */
	ret = wrong_wait(w, DMACSR0);
	wrong_stop(w, DMACSR0);
	dma_free_coherent(w->dev, LENGTH, buf, handle);
	return ret;
}

irqreturn_t wrong_heard(struct wrong *w)
{
	if (!(readl(w->regs + INTCSR) & INTCSR_DMA0))
		return IRQ_NONE;
	writeb(CSR_ENABLE | CSR_CLEAR, w->regs + DMACSR0);
	complete(&w->done);
	return IRQ_HANDLED;
}

static irqreturn_t plain_handler(int irq, void *data)
{
	return wrong_heard(data);
}

int wrong_by_interrupt(struct wrong *w, irq_handler_t handler, bool early)
{
	unsigned long flags;
	unsigned int i;
	u32 *buf;
	int ret;

	w->va = buf = dma_alloc_coherent(w->dev, LENGTH, &w->handle, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	ret = request_irq(w->pdev->irq, handler, IRQF_SHARED, "wrong", w);
	if (ret)
		goto free;
	writel(INTCSR_PCI | INTCSR_ENABLE0, w->regs + INTCSR);
	wrong_block(w, LENGTH, DPR_TO_HOST);
	writel(MODE_BLOCK | MODE_DONE_INT | MODE_INTA, w->regs + DMAMODE0);
	writel(lower_32_bits(w->handle), w->regs + DMAPADR0);
	local_irq_save(flags);
	writeb(CSR_GO, w->regs + DMACSR0);
	for (i = 0; early && i < LENGTH / sizeof(*buf); i++)
		w->others += READ_ONCE(buf[i]); /* WRONG: read-before-irq */
	local_irq_restore(flags);
	ret = wait_for_completion_timeout(&w->done, HZ) ? 0 : -ETIMEDOUT;
	writel(0, w->regs + INTCSR);
	wrong_stop(w, DMACSR0);
	free_irq(w->pdev->irq, w);
free:
	dma_free_coherent(w->dev, LENGTH, buf, w->handle);
	return ret;
}

/* The data are used before they are waited for, as under a lock that keeps interrupts off. */
static int read_before_irq(struct wrong *w)
{
	return wrong_by_interrupt(w, plain_handler, true);
}

/* The next samples are written into what the card is sending. */
static int written_busy(struct wrong *w)
{
	struct wrong_ring *ring = wrong_ring_new(w, false);
	u32 *samples;
	unsigned int i;

	if (!ring)
		return -ENOMEM;
	wrong_ring_start(w, ring);
	wrong_ring_let_run(w);
	samples = ring->buf;
	for (i = 0; i < RING_BYTES / sizeof(*samples); i++)
		WRITE_ONCE(samples[i], i); /* WRONG: written-busy */
	wrong_ring_let_run(w);
	wrong_stop(w, DMACSR0);
	wrong_ring_free(w, ring);
	return 0;
}

/* The descriptors of a running list get other addresses, whichever of them the card works on. */
static int descriptor_changed(struct wrong *w)
{
	struct wrong_ring *ring = wrong_ring_new(w, false);
	unsigned int turn, i;

	if (!ring)
		return -ENOMEM;
	wrong_ring_start(w, ring);
	for (turn = 0; turn < TURNS; turn++) {
		wrong_ring_let_run(w);
		for (i = 0; i < RING_BUFFERS; i++) {
			u32 piece = (i + turn) % RING_BUFFERS * (RING_BYTES / RING_BUFFERS);

			WRITE_ONCE(ring->desc[i].host, cpu_to_le32(ring->buf_dma + piece)); /* WRONG: descriptor-changed */
		}
	}
	wrong_ring_let_run(w);
	wrong_stop(w, DMACSR0);
	wrong_ring_free(w, ring);
	return 0;
}

const struct wrong_case wrong_touch[] = {
	{ "read-early", read_early },
	{ "read-before-irq", read_before_irq },
	{ "written-busy", written_busy },
	{ "descriptor-changed", descriptor_changed },
	{ }
};
