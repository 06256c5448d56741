// SPDX-License-Identifier: GPL-2.0-only
/* Starting, awaiting and stopping the two DMA channels. */
#include <linux/delay.h>
#include <linux/ktime.h>

#include "plx_poll.h"
#include "plx_test.h"

/* A chip that is gone reads all ones; DMACSR[7:5] always read 0. */
#define PLX_CSR_GONE		0xff

#define PLX_ABORT_US		10000
#define PLX_MAX_WAIT_US		(60 * USEC_PER_SEC)

/**
 * plx_note_write() - look again at what the handler depends on
 * @plx: the bridge
 * @bar: that was written to
 * @offset: of the write
 * @width: bytes written
 *
 * Context: @plx->lock held.
 */
void plx_note_write(struct plx_test *plx, u32 bar, u32 offset, u32 width)
{
	unsigned int ch;

	/* Nobody depends on it then, and the look is a register access. */
	if (bar > 1 || plx_hands_off)
		return;
	for (ch = 0; ch < PLX_TEST_CHANNELS; ch++) {
		bool mode = offset < PLX_DMAMODE(ch) + 4 && offset + width > PLX_DMAMODE(ch);
		bool reset = offset < PLX_CNTRL + 4 && offset + width > PLX_CNTRL;

		if (mode || reset)
			plx->mode[ch] = plx_read32(plx, PLX_DMAMODE(ch));
	}
}

/**
 * plx_start() - program a channel
 * @plx: the bridge
 * @start: which registers, and their values
 *
 * Descriptors and data must be in memory before; writel() orders them.
 *
 * Return: 0 or -EINVAL.
 */
int plx_start(struct plx_test *plx, const struct plx_test_start *start)
{
	unsigned int ch = start->channel;
	unsigned long flags;

	if (ch >= PLX_TEST_CHANNELS || start->which & ~PLX_TEST_SET_BLOCK)
		return -EINVAL;

	spin_lock_irqsave(&plx->lock, flags);
	if (start->which & PLX_TEST_SET_MODE) {
		plx->mode[ch] = start->mode;
		plx_write32(plx, PLX_DMAMODE(ch), start->mode);
	}
	if (start->which & PLX_TEST_SET_PADR)
		plx_write32(plx, PLX_DMAPADR(ch), start->padr);
	if (start->which & PLX_TEST_SET_LADR)
		plx_write32(plx, PLX_DMALADR(ch), start->ladr);
	if (start->which & PLX_TEST_SET_SIZ)
		plx_write32(plx, PLX_DMASIZ(ch), start->siz);
	if (start->which & PLX_TEST_SET_DPR)
		plx_write32(plx, PLX_DMADPR(ch), start->dpr);
	if (start->which & PLX_TEST_SET_CSR)
		plx_write_csr(plx, ch, start->csr);
	spin_unlock_irqrestore(&plx->lock, flags);
	return 0;
}

static bool plx_rests(u8 csr)
{
	return csr & PLX_CSR_DONE || csr == PLX_CSR_GONE;
}

static u8 plx_look(struct plx_test *plx, struct plx_test_done *done)
{
	done->polls++;
	return plx_read_csr(plx, done->channel);
}

/**
 * plx_wait_done() - poll a channel until DONE
 * @plx: the bridge
 * @done: channel and limit in, the last DMACSR and the effort out
 */
void plx_wait_done(struct plx_test *plx, struct plx_test_done *done)
{
	u64 limit_ns = (u64)min_t(u32, done->timeout_us, PLX_MAX_WAIT_US) * NSEC_PER_USEC;
	u64 start = ktime_get_ns();

	done->polls = 0;
	PLX_POLL(ktime_get_ns(), limit_ns, done->csr = plx_look(plx, done),
		 plx_rests(done->csr) || signal_pending(current), cond_resched());
	done->elapsed_ns = ktime_get_ns() - start;
}

/**
 * plx_abort() - pause a channel, abort it, wait for DONE
 * @plx: the bridge
 * @done: channel in, the last DMACSR and the effort out
 *
 * Pause and abort are one write, as comedi does it; the interrupt that an
 * abort raises stays for the handler.
 *
 * Return: 0, -ETIMEDOUT, or -ENODEV if the chip does not answer.
 */
int plx_abort(struct plx_test *plx, struct plx_test_done *done)
{
	unsigned long flags;

	spin_lock_irqsave(&plx->lock, flags);
	plx_write_csr(plx, done->channel, PLX_CSR_ABORT);
	spin_unlock_irqrestore(&plx->lock, flags);

	done->timeout_us = PLX_ABORT_US;
	plx_wait_done(plx, done);
	if (done->csr == PLX_CSR_GONE)
		return -ENODEV;
	return done->csr & PLX_CSR_DONE ? 0 : -ETIMEDOUT;
}

/**
 * plx_quiesce() - bring the chip to rest, whatever it was doing
 * @plx: the bridge
 *
 * Interrupts off, both channels aborted and acknowledged, errors and doorbell
 * cleared, DMA registers as after reset, bus mastering and the master
 * interrupt enable on; with an error bus mastering stays off.
 *
 * Return: 0, or the first error of an abort.
 */
int plx_quiesce(struct plx_test *plx)
{
	unsigned long flags;
	unsigned int ch;
	u16 status;
	u32 bells;
	int ret = 0;

	spin_lock_irqsave(&plx->lock, flags);
	plx_write32(plx, PLX_INTCSR, 0);
	spin_unlock_irqrestore(&plx->lock, flags);

	/* A held software reset would keep everything below from working. */
	plx_write32(plx, PLX_CNTRL, plx_read32(plx, PLX_CNTRL) & ~PLX_CNTRL_RESET);

	for (ch = 0; ch < PLX_TEST_CHANNELS; ch++) {
		struct plx_test_done done = { .channel = ch };
		int err = plx_abort(plx, &done);

		ret = ret ?: err;
		spin_lock_irqsave(&plx->lock, flags);
		plx_write_csr(plx, ch, PLX_CSR_CLEAR);
		/* First the mode: in valid mode the registers change places. */
		plx->mode[ch] = PLX_MODE_RESET;
		plx_write32(plx, PLX_DMAMODE(ch), PLX_MODE_RESET);
		plx_write32(plx, PLX_DMAPADR(ch), 0);
		plx_write32(plx, PLX_DMALADR(ch), 0);
		plx_write32(plx, PLX_DMASIZ(ch), 0);
		plx_write32(plx, PLX_DMADPR(ch), 0);
		if (plx->has_dac)
			plx_write32(plx, PLX_DMADAC(ch), 0);
		spin_unlock_irqrestore(&plx->lock, flags);
	}

	pci_read_config_word(plx->pdev, PCI_STATUS, &status);
	if (status & PLX_PCISR_ERRORS)
		pci_write_config_word(plx->pdev, PCI_STATUS, PLX_PCISR_ERRORS);
	bells = plx_read32(plx, PLX_L2PDBELL);
	if (bells)
		plx_write32(plx, PLX_L2PDBELL, bells);
	/* A channel that does not stop must not reach memory any more. */
	if (ret)
		pci_clear_master(plx->pdev);
	else
		pci_set_master(plx->pdev);

	spin_lock_irqsave(&plx->lock, flags);
	plx->policy = (struct plx_test_irq_policy){ .style = PLX_TEST_ISR_ACK };
	plx->watch = NULL;
	plx_write32(plx, PLX_INTCSR, PLX_INTCSR_PCI_EN | PLX_INTCSR_LINTO_EN);
	spin_unlock_irqrestore(&plx->lock, flags);
	return ret;
}
