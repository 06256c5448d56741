// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hands off: the driver gives access and leaves the registers alone.
 *
 * A program on another machine then makes every access itself, and a trace of
 * the chip shows these and no other. So probe reads nothing, the interrupt
 * handler asks nobody why it was called, and the chip is brought to rest as
 * the bus does it: by RST#, which only needs the bridge above.
 */
#include <linux/delay.h>

#include "plx_test.h"

/* Trst of the PCI specification is a millisecond. */
#define PLX_RESET_US		1000
#define PLX_MAX_LEVEL_MS	10000

bool plx_hands_off;
module_param_named(hands_off, plx_hands_off, bool, 0400);
MODULE_PARM_DESC(hands_off, "make no register access but those a program asks for (default: no)");

/**
 * plx_agent_probe() - what probe does instead of taking the chip over
 * @plx: the bridge, enabled
 *
 * Return: 0, -ENODEV if nothing above the chip can reset it, or -ENOMEM.
 */
int plx_agent_probe(struct plx_test *plx)
{
	struct pci_dev *pdev = plx->pdev;

	if (!pci_upstream_bridge(pdev))
		return dev_err_probe(&pdev->dev, -ENODEV, "hands_off needs a bridge above it\n");
	pci_set_master(pdev);
	pci_save_state(pdev);
	plx->config = pci_store_saved_state(pdev);
	return plx->config ? 0 : -ENOMEM;
}

/**
 * plx_agent_isr() - interrupt handler that only notes the call
 * @irq: the interrupt, which it switches off: the level would call for ever
 * @data: the bridge
 *
 * Return: IRQ_HANDLED; the line is not shared.
 */
irqreturn_t plx_agent_isr(int irq, void *data)
{
	struct plx_test *plx = data;

	disable_irq_nosync(irq);
	complete(&plx->called);
	return IRQ_HANDLED;
}

/**
 * plx_level() - is INTA# asserted?
 * @plx: the bridge
 * @level: how long to listen in, the answer out
 *
 * The interrupt is off but in here, so a level that is up calls at once.
 *
 * Return: 0, -EOPNOTSUPP without hands_off, -ENXIO without an interrupt.
 */
int plx_level(struct plx_test *plx, struct plx_test_level *level)
{
	unsigned int ms = clamp_t(u32, level->wait_ms, 1, PLX_MAX_LEVEL_MS);

	if (!plx_hands_off)
		return -EOPNOTSUPP;
	if (!plx->irq)
		return -ENXIO;
	reinit_completion(&plx->called);
	enable_irq(plx->irq);
	level->asserted = wait_for_completion_timeout(&plx->called, msecs_to_jiffies(ms)) != 0;
	if (level->asserted)
		return 0;
	disable_irq(plx->irq);
	/* It came while it was switched off, and switched itself off once more. */
	if (completion_done(&plx->called)) {
		level->asserted = 1;
		enable_irq(plx->irq);
	}
	return 0;
}

/**
 * plx_hot_reset() - assert RST# on the chip's bus for a moment
 * @plx: the bridge; its bus holds nothing else
 *
 * Configuration space is then as probe left it. The kernel's own function for
 * this waits for a second, as silicon may need; an emulated chip does not.
 *
 * Return: 0, or -EOPNOTSUPP without hands_off.
 */
int plx_hot_reset(struct plx_test *plx)
{
	struct pci_dev *bridge = pci_upstream_bridge(plx->pdev);
	u16 control;
	int ret;

	if (!plx_hands_off || !bridge)
		return -EOPNOTSUPP;
	pci_read_config_word(bridge, PCI_BRIDGE_CONTROL, &control);
	pci_write_config_word(bridge, PCI_BRIDGE_CONTROL, control | PCI_BRIDGE_CTL_BUS_RESET);
	usleep_range(PLX_RESET_US, 2 * PLX_RESET_US);
	pci_write_config_word(bridge, PCI_BRIDGE_CONTROL, control & ~PCI_BRIDGE_CTL_BUS_RESET);

	ret = pci_load_saved_state(plx->pdev, plx->config);
	if (!ret)
		pci_restore_state(plx->pdev);
	return ret;
}
