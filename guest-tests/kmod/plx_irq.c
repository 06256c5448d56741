// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interrupt handler.
 *
 * INTA# is a level that other functions may share: the handler answers
 * IRQ_NONE unless INTCSR names a cause that is enabled and routed to INTA#.
 * A cause that it cannot clear by itself (a bus error, the board's LINTi#) is
 * masked, else the level would call it for ever.
 */
#include <linux/interrupt.h>

#include "plx_test.h"

#define PLX_GONE		0xffffffffu
#define PLX_MAX_WAIT_MS		(60 * MSEC_PER_SEC)

static bool plx_channel_calls(const struct plx_test *plx, u32 intcsr, unsigned int ch)
{
	return intcsr & PLX_INTCSR_DMA(ch) && intcsr & PLX_INTCSR_DMA_EN(ch) &&
	       plx->mode[ch] & PLX_MODE_INTA;
}

static bool plx_calls(u32 intcsr, u32 active, u32 enable)
{
	return intcsr & active && intcsr & enable;
}

static void plx_serve_channel(struct plx_test *plx, unsigned int ch, bool acknowledge)
{
	struct plx_test_irq_stats *stats = &plx->stats;
	u8 csr = plx_read_csr(plx, ch);

	stats->dmacsr[ch] = csr;
	/* Before the next transfer can be started: which descriptor is it at? */
	stats->padr[ch] = plx_read32(plx, PLX_DMAPADR(ch));
	stats->count[PLX_TEST_IRQ_CHANNEL0 + ch]++;
	if (csr & PLX_CSR_DONE)
		stats->count[PLX_TEST_IRQ_DONE0 + ch]++;
	if (acknowledge)
		plx_write_csr(plx, ch, (csr & PLX_CSR_ENABLE) | PLX_CSR_CLEAR);
}

/**
 * plx_test_isr() - interrupt handler
 * @irq: unused
 * @data: the bridge
 *
 * Return: IRQ_HANDLED if the chip asked for it.
 */
irqreturn_t plx_test_isr(int irq, void *data)
{
	struct plx_test *plx = data;
	struct plx_test_irq_stats *stats = &plx->stats;
	bool acknowledge, dbell, abort, linti;
	u32 intcsr, keep, off = 0;
	unsigned int ch, calls = 0;

	spin_lock(&plx->lock);
	intcsr = plx_read32(plx, PLX_INTCSR);
	if (intcsr == PLX_GONE) {
		stats->count[PLX_TEST_IRQ_ALL_ONES]++;
		goto none;
	}
	if (!(intcsr & PLX_INTCSR_PCI_EN))
		goto none;
	for (ch = 0; ch < PLX_TEST_CHANNELS; ch++)
		if (plx_channel_calls(plx, intcsr, ch))
			calls |= BIT(ch);
	dbell = plx_calls(intcsr, PLX_INTCSR_DBELL, PLX_INTCSR_DBELL_EN);
	abort = plx_calls(intcsr, PLX_INTCSR_ABORT, PLX_INTCSR_ABORT_EN);
	linti = plx_calls(intcsr, PLX_INTCSR_LINTI, PLX_INTCSR_LINTI_EN);
	if (!calls && !dbell && !abort && !linti)
		goto none;

	stats->intcsr = intcsr;
	stats->count[PLX_TEST_IRQ_HANDLED]++;
	if (plx->watch && !stats->watch_seen) {
		stats->watch = READ_ONCE(*plx->watch);
		stats->watch_seen = 1;
	}
	acknowledge = plx->policy.style != PLX_TEST_ISR_MASK;
	if (plx->policy.style == PLX_TEST_ISR_ONE)
		calls &= -calls;
	for (ch = 0; ch < PLX_TEST_CHANNELS; ch++)
		if (calls & BIT(ch))
			plx_serve_channel(plx, ch, acknowledge);
	if (dbell) {
		stats->count[PLX_TEST_IRQ_DOORBELL]++;
		stats->doorbell = plx_read32(plx, PLX_L2PDBELL);
		if (acknowledge)
			plx_write32(plx, PLX_L2PDBELL, stats->doorbell);
	}
	if (abort) {
		stats->count[PLX_TEST_IRQ_ABORT]++;
		off |= PLX_INTCSR_ABORT_EN;
	}
	if (linti) {
		stats->count[PLX_TEST_IRQ_LINTI]++;
		off |= PLX_INTCSR_LINTI_EN;
	}
	if (!acknowledge)
		off = PLX_INTCSR_PCI_EN;
	keep = intcsr & PLX_INTCSR_RW;
	if (off)
		plx_write32(plx, PLX_INTCSR, keep & ~off);
	spin_unlock(&plx->lock);

	wake_up_interruptible(&plx->wait);
	return IRQ_HANDLED;

none:
	stats->count[PLX_TEST_IRQ_NONE]++;
	spin_unlock(&plx->lock);
	return IRQ_NONE;
}

/**
 * plx_irq_reset() - forget what the handler saw
 * @plx: the bridge
 */
void plx_irq_reset(struct plx_test *plx)
{
	unsigned long flags;

	spin_lock_irqsave(&plx->lock, flags);
	memset(&plx->stats, 0, sizeof(plx->stats));
	spin_unlock_irqrestore(&plx->lock, flags);
}

/**
 * plx_irq_policy() - say how the handler acts from now on
 * @plx: the bridge
 * @policy: PLX_TEST_ISR_*, and a dword to look at
 *
 * Return: 0, -EINVAL, or as plx_buffer_span().
 */
int plx_irq_policy(struct plx_test *plx, const struct plx_test_irq_policy *policy)
{
	const u32 *watch = NULL;
	unsigned long flags;

	if (policy->style > PLX_TEST_ISR_ONE || policy->watch_offset % sizeof(u32))
		return -EINVAL;
	if (policy->watch_order) {
		watch = plx_buffer_span(&plx->adapter, policy->watch_order,
					policy->watch_offset, sizeof(u32));
		if (IS_ERR(watch))
			return PTR_ERR(watch);
	}
	spin_lock_irqsave(&plx->lock, flags);
	plx->policy = *policy;
	plx->watch = watch;
	plx->stats.watch_seen = 0;
	spin_unlock_irqrestore(&plx->lock, flags);
	return 0;
}

static u64 plx_irq_count(struct plx_test *plx, u32 counter)
{
	unsigned long flags;
	u64 count;

	spin_lock_irqsave(&plx->lock, flags);
	count = plx->stats.count[counter];
	spin_unlock_irqrestore(&plx->lock, flags);
	return count;
}

/**
 * plx_irq_wait() - sleep until a counter has come far enough
 * @plx: the bridge
 * @wait: which counter, how far, how long
 *
 * Return: 0 also when the time was up, -EINVAL, -ENODEV, or -EINTR.
 */
int plx_irq_wait(struct plx_test *plx, struct plx_test_irq_wait *wait)
{
	unsigned int ms = min_t(u32, wait->timeout_ms, PLX_MAX_WAIT_MS);
	long left;

	if (wait->counter >= PLX_TEST_IRQ_COUNTERS)
		return -EINVAL;
	left = wait_event_interruptible_timeout(plx->wait,
						READ_ONCE(plx->gone) ||
						plx_irq_count(plx, wait->counter) >= wait->target,
						msecs_to_jiffies(ms));
	wait->value = plx_irq_count(plx, wait->counter);
	if (left < 0)
		return -EINTR;
	return READ_ONCE(plx->gone) ? -ENODEV : 0;
}
