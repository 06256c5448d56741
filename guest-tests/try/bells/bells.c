// SPDX-License-Identifier: GPL-2.0-only
/*
 * What samples of interrupts do, with a board that answers (docs/local-cpu.md): ring a doorbell and wait for the one
 * that comes back, mail a word and read the answer, have LINTi# driven. A file of sysfs says what came.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/pci.h>

#define MBOX2 0x48
#define MBOX6 0x58
#define P2LDBELL 0x60
#define L2PDBELL 0x64
#define INTCSR 0x68
#define DOORBELL_ENABLE BIT(9)
#define LINTI_ENABLE BIT(11)
#define DOORBELL_ACTIVE BIT(13)
#define LINTI_ACTIVE BIT(15)

#define CPU_STATUS 0x08
#define CPU_ENABLE 0x0c
#define CPU_DELAY 0x10
#define CPU_KICK 0x14
#define KICKED BIT(0)

struct bells {
	void __iomem *regs;
	void __iomem *cpu;
	struct completion done;
	u32 rang;
	unsigned int kicks;
};

static irqreturn_t bells_handler(int irq, void *data)
{
	struct bells *bells = data;
	u32 status = readl(bells->regs + INTCSR);

	if (status & DOORBELL_ACTIVE) {
		bells->rang = readl(bells->regs + L2PDBELL);
		writel(bells->rang, bells->regs + L2PDBELL);
	} else if (status & LINTI_ACTIVE) {
		writel(KICKED, bells->cpu + CPU_STATUS);
		bells->kicks++;
	} else {
		return IRQ_NONE;
	}
	complete(&bells->done);
	return IRQ_HANDLED;
}

static ssize_t heard_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct bells *bells = dev_get_drvdata(dev);
	u32 answer;

	reinit_completion(&bells->done);
	writel(0x5, bells->regs + P2LDBELL);
	if (!wait_for_completion_timeout(&bells->done, HZ))
		return -ETIMEDOUT;

	writel(0x12345678, bells->regs + MBOX2);
	msleep(20);
	answer = readl(bells->regs + MBOX6);

	reinit_completion(&bells->done);
	writel(KICKED, bells->cpu + CPU_ENABLE);
	writel(500, bells->cpu + CPU_DELAY);
	writel(KICKED, bells->cpu + CPU_KICK);
	if (!wait_for_completion_timeout(&bells->done, HZ))
		return -ETIMEDOUT;
	return sysfs_emit(buf, "bells %#x, mail %#x, kicks %u\n", bells->rang, answer, bells->kicks);
}
static DEVICE_ATTR_RO(heard);

static struct attribute *bells_attrs[] = { &dev_attr_heard.attr, NULL };
ATTRIBUTE_GROUPS(bells);

static int bells_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct bells *bells = devm_kzalloc(&pdev->dev, sizeof(*bells), GFP_KERNEL);
	int error;

	if (!bells)
		return -ENOMEM;
	init_completion(&bells->done);
	pci_set_drvdata(pdev, bells);
	error = pcim_enable_device(pdev);
	error = error ?: pcim_iomap_regions(pdev, BIT(0) | BIT(3), "bells");
	if (error)
		return error;
	bells->regs = pcim_iomap_table(pdev)[0];
	bells->cpu = pcim_iomap_table(pdev)[3];
	error = devm_request_irq(&pdev->dev, pdev->irq, bells_handler, IRQF_SHARED, "bells", bells);
	if (error)
		return error;
	writel(readl(bells->regs + INTCSR) | DOORBELL_ENABLE | LINTI_ENABLE, bells->regs + INTCSR);
	return 0;
}

static void bells_remove(struct pci_dev *pdev)
{
	struct bells *bells = pci_get_drvdata(pdev);

	writel(readl(bells->regs + INTCSR) & ~(DOORBELL_ENABLE | LINTI_ENABLE), bells->regs + INTCSR);
}

static const struct pci_device_id bells_ids[] = { { PCI_DEVICE(0x10b5, 0x9601) }, { PCI_DEVICE(0x10b5, 0x5406) }, {} };
MODULE_DEVICE_TABLE(pci, bells_ids);

static struct pci_driver bells_driver = {
	.name = "bells",
	.id_table = bells_ids,
	.probe = bells_probe,
	.remove = bells_remove,
	.dev_groups = bells_groups,
};
module_pci_driver(bells_driver);

MODULE_DESCRIPTION("Doorbells, a mailbox and LINTi# of a board that answers");
MODULE_LICENSE("GPL");
