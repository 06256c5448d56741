// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shortest driver that shows a card's work: one block of DMA from the card's memory, its interrupt, and the count
 * of both in a file of sysfs.
 */
#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/pci.h>

#define INTCSR 0x68
#define DMAMODE0 0x80
#define DMAPADR0 0x84
#define DMALADR0 0x88
#define DMASIZ0 0x8c
#define DMADPR0 0x90
#define DMACSR0 0xa8
#define LENGTH 4096

static bool forget;
module_param(forget, bool, 0444);
MODULE_PARM_DESC(forget, "forget to let the card master the bus");

struct blink {
	void __iomem *regs;
	struct completion done;
	unsigned int interrupts;
};

static irqreturn_t blink_handler(int irq, void *data)
{
	struct blink *blink = data;

	if (!(readl(blink->regs + INTCSR) & BIT(21)))
		return IRQ_NONE;
	writeb(BIT(0) | BIT(3), blink->regs + DMACSR0);
	blink->interrupts++;
	complete(&blink->done);
	return IRQ_HANDLED;
}

static ssize_t interrupts_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct blink *blink = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", blink->interrupts);
}
static DEVICE_ATTR_RO(interrupts);

static struct attribute *blink_attrs[] = { &dev_attr_interrupts.attr, NULL };
ATTRIBUTE_GROUPS(blink);

static int blink_transfer(struct pci_dev *pdev, struct blink *blink)
{
	dma_addr_t bus;
	void *buffer = dmam_alloc_coherent(&pdev->dev, LENGTH, &bus, GFP_KERNEL);

	if (!buffer)
		return -ENOMEM;
	writel(BIT(8) | BIT(18), blink->regs + INTCSR);
	writel(0x43 | BIT(10) | BIT(17), blink->regs + DMAMODE0);
	writel(lower_32_bits(bus), blink->regs + DMAPADR0);
	writel(0, blink->regs + DMALADR0);
	writel(LENGTH, blink->regs + DMASIZ0);
	writel(BIT(3), blink->regs + DMADPR0);
	writeb(BIT(0) | BIT(1), blink->regs + DMACSR0);
	if (wait_for_completion_timeout(&blink->done, 2 * HZ))
		return 0;
	dev_err(&pdev->dev, "no interrupt\n");
	writeb(0, blink->regs + DMACSR0);
	writeb(BIT(2), blink->regs + DMACSR0);
	return -ETIMEDOUT;
}

static int blink_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct blink *blink = devm_kzalloc(&pdev->dev, sizeof(*blink), GFP_KERNEL);
	int error;

	if (!blink)
		return -ENOMEM;
	init_completion(&blink->done);
	pci_set_drvdata(pdev, blink);
	error = pcim_enable_device(pdev);
	if (!error)
		error = pcim_iomap_regions(pdev, BIT(0), "blink");
	if (!error)
		error = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(32));
	if (error)
		return error;
	blink->regs = pcim_iomap_table(pdev)[0];
	if (!forget)
		pci_set_master(pdev);
	error = devm_request_irq(&pdev->dev, pdev->irq, blink_handler, IRQF_SHARED, "blink", blink);
	return error ?: blink_transfer(pdev, blink);
}

static void blink_remove(struct pci_dev *pdev)
{
	struct blink *blink = pci_get_drvdata(pdev);

	writel(0, blink->regs + INTCSR);
}

static const struct pci_device_id blink_ids[] = { { PCI_DEVICE(0x10b5, 0x9601) }, { PCI_DEVICE(0x10b5, 0x5601) }, {} };
MODULE_DEVICE_TABLE(pci, blink_ids);

static struct pci_driver blink_driver = {
	.name = "blink",
	.id_table = blink_ids,
	.probe = blink_probe,
	.remove = blink_remove,
	.dev_groups = blink_groups,
};
module_pci_driver(blink_driver);

MODULE_DESCRIPTION("One block of DMA, one interrupt");
MODULE_LICENSE("GPL");
