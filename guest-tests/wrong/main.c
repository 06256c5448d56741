// SPDX-License-Identifier: GPL-2.0-only
/*
 * wrong - a driver for PLX boards that does one thing wrong, or right, each time that it is loaded
 *
 * bug=NAME has it make a mistake that drivers made, right=NAME do something that looks like one. All of it
 * happens in probe and remove, every wait is bounded, and the chip is brought to rest afterwards: the next
 * load, with another name, starts as the first did.
 */
#include <linux/module.h>

#include "wrong.h"

static char *bug;
module_param(bug, charp, 0444);
MODULE_PARM_DESC(bug, "what to do wrong");

static char *right;
module_param(right, charp, 0444);
MODULE_PARM_DESC(right, "what to do right, although it looks wrong");

static const struct wrong_case *const bugs[] = {
	wrong_address, wrong_direction, wrong_freed, wrong_books, wrong_left, wrong_order,
	wrong_reset, wrong_chain, wrong_interrupt, wrong_card, wrong_eeprom, wrong_touch, NULL
};

static const struct wrong_case *const rights[] = { right_memory, right_lists, right_chip, right_touch, NULL };

static const struct wrong_case nothing = { .name = "nothing" };

static const struct wrong_case *find(const struct wrong_case *const *tables, const char *name)
{
	const struct wrong_case *it;

	for (; *tables; tables++)
		for (it = *tables; it->name; it++)
			if (sysfs_streq(it->name, name))
				return it;
	return NULL;
}

static int wrong_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	const struct wrong_case *which = &nothing;
	struct wrong *w;
	int ret;

	if (bug || right)
		which = bug ? find(bugs, bug) : find(rights, right);
	if (!which)
		return dev_err_probe(&pdev->dev, -EINVAL, "knows no '%s'\n", bug ?: right);
	w = devm_kzalloc(&pdev->dev, sizeof(*w), GFP_KERNEL);
	if (!w)
		return -ENOMEM;
	w->pdev = pdev;
	w->dev = &pdev->dev;
	w->which = which;
	init_completion(&w->done);
	pci_set_drvdata(pdev, w);

	ret = pci_enable_device(pdev);
	if (ret)
		return ret;
	ret = -ENOMEM;
	w->regs = pci_iomap(pdev, 0, 0);
	if (!w->regs)
		goto disable;
	w->memory = pci_iomap(pdev, 2, 0);
	if (!w->memory)
		goto unmap;
	ret = dma_set_mask_and_coherent(w->dev, DMA_BIT_MASK(32));
	if (ret)
		goto unmap;
	wrong_recover(w);
	if (which->probe) {
		ret = which->probe(w);
		/* Said of 0 too: what did nothing, and what was never called, is not accused of nothing. */
		dev_info(w->dev, "%s: %d\n", which->name, ret);
	}
	return 0;

unmap:
	if (w->memory)
		pci_iounmap(pdev, w->memory);
	pci_iounmap(pdev, w->regs);
disable:
	pci_disable_device(pdev);
	return ret;
}

static void wrong_remove(struct pci_dev *pdev)
{
	struct wrong *w = pci_get_drvdata(pdev);

	if (w->which->remove)
		w->which->remove(w);
	if (!w->which->dirty)
		wrong_recover(w);
	pci_iounmap(pdev, w->memory);
	pci_iounmap(pdev, w->regs);
	if (pci_is_enabled(pdev))
		pci_disable_device(pdev);
}

static const struct pci_device_id wrong_ids[] = {
	{ PCI_DEVICE(0x10b5, 0x9601) },
	{ PCI_DEVICE(0x10b5, 0x5601) },
	{ PCI_DEVICE(0x10b5, 0x5406) },
	{ PCI_DEVICE(0x10b5, 0x0401) },
	{ PCI_DEVICE(0x10b5, 0x86e1) },
	{ }
};
MODULE_DEVICE_TABLE(pci, wrong_ids);

static struct pci_driver wrong_driver = {
	.name = "wrong",
	.id_table = wrong_ids,
	.probe = wrong_probe,
	.remove = wrong_remove,
};
module_pci_driver(wrong_driver);

MODULE_DESCRIPTION("A driver that is wrong on purpose, in one way at a time");
MODULE_LICENSE("GPL");
