// SPDX-License-Identifier: GPL-2.0-only
/* Resets, power and the bus, at the wrong time. */
#include "wrong.h"

#define LENGTH	256

static int with_ring(struct wrong *w, void (*hurt)(struct wrong *w))
{
	struct wrong_ring *ring = wrong_ring_new(w, false);

	if (!ring)
		return -ENOMEM;
	wrong_ring_start(w, ring);
	wrong_ring_let_run(w);
	hurt(w);
	wrong_recover(w);
	wrong_ring_free(w, ring);
	return 0;
}

static void reset_card(struct wrong *w)
{
	u32 cntrl = readl(w->regs + CNTRL);

	writel(cntrl | CNTRL_RESET, w->regs + CNTRL); /* WRONG: reset-running */
	writel(cntrl, w->regs + CNTRL);
}

/* An error handler resets the chip, whatever it is doing. */
static int reset_running(struct wrong *w)
{
	return with_ring(w, reset_card);
}

static void suspend(struct wrong *w)
{
	pci_clear_master(w->pdev); /* WRONG: master-cleared */
}

/* suspend takes the bus away first. */
static int master_cleared(struct wrong *w)
{
	return with_ring(w, suspend);
}

/* The reset is never let go: its bit does not clear itself. */
static int start_in_reset(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = dma_alloc_coherent(w->dev, LENGTH, &handle, GFP_KERNEL);

	if (!buf)
		return -ENOMEM;
	writel(readl(w->regs + CNTRL) | CNTRL_RESET, w->regs + CNTRL);
	wrong_block(w, LENGTH, DPR_TO_CARD);
	writel(lower_32_bits(handle), w->regs + DMAPADR0);
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: start-in-reset */
	wrong_wait(w, DMACSR0);
	wrong_recover(w);
	dma_free_coherent(w->dev, LENGTH, buf, handle);
	return 0;
}

/* resume writes a register before it has restored the configuration that D3hot took. */
static int resume_early(struct wrong *w)
{
	pci_save_state(w->pdev);
	pci_set_power_state(w->pdev, PCI_D3hot);
	pci_set_power_state(w->pdev, PCI_D0);
	writel(0, w->regs + INTCSR); /* WRONG: resume-early */
	pci_restore_state(w->pdev);
	return 0;
}

/* resume lets the card decode again, by hand, and not master the bus. */
static int resume_unmastered(struct wrong *w)
{
	dma_addr_t handle;
	void *buf = dma_alloc_coherent(w->dev, LENGTH, &handle, GFP_KERNEL);

	if (!buf)
		return -ENOMEM;
	pci_save_state(w->pdev);
	pci_set_power_state(w->pdev, PCI_D3hot);
	pci_set_power_state(w->pdev, PCI_D0);
	pci_write_config_word(w->pdev, PCI_COMMAND, PCI_COMMAND_MEMORY);
	wrong_block(w, LENGTH, DPR_TO_CARD);
	writel(lower_32_bits(handle), w->regs + DMAPADR0);
	writeb(CSR_GO, w->regs + DMACSR0); /* WRONG: resume-unmastered */
	wrong_wait(w, DMACSR0);
	wrong_stop(w, DMACSR0);
	pci_restore_state(w->pdev);
	dma_free_coherent(w->dev, LENGTH, buf, handle);
	return 0;
}

const struct wrong_case wrong_reset[] = {
	{ "reset-running", reset_running },
	{ "master-cleared", master_cleared },
	{ "start-in-reset", start_in_reset },
	{ "resume-early", resume_early },
	{ "resume-unmastered", resume_unmastered },
	{ }
};
