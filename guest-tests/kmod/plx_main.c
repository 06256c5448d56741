// SPDX-License-Identifier: GPL-2.0-only
/*
 * plx_test - test driver for PLX PCI 9x5x bus-master bridges
 *
 * Binds the bridge, allocates common buffers for it, serves its interrupt, and
 * lets a user program drive both through /dev/plx_testN. Shaped after the
 * kernel's own driver for testing PCI endpoints. It hands bus addresses from
 * user space to the device: for test machines only.
 *
 * With hands_off the program alone touches registers, see plx_agent.c.
 */
#include <linux/dma-mapping.h>
#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "plx_test.h"

/* What the driver must know of a chip before it touches it. */
#define PLX_TEST_ANY_CHIP	BIT(0)	/* the ID stands for no board in particular */
#define PLX_TEST_NO_DAC		BIT(1)	/* no upper half of addresses: a 9080 */

/* The smallest window, which holds all registers that the driver touches. */
#define PLX_TEST_WINDOW		0x100

static DEFINE_IDA(plx_test_ida);

static void plx_take_snapshot(struct plx_test *plx)
{
	struct plx_test_snapshot *snap = &plx->snapshot;
	u32 i;

	snap->mem_words = min_t(u32, plx->bar_len[0] / 4, ARRAY_SIZE(snap->mem));
	for (i = 0; i < snap->mem_words; i++)
		snap->mem[i] = ioread32(plx->bar[0] + i * 4);
	if (!plx->bar[1])
		return;
	snap->io_words = min_t(u32, plx->bar_len[1] / 4, ARRAY_SIZE(snap->io));
	for (i = 0; i < snap->io_words; i++)
		snap->io[i] = ioread32(plx->bar[1] + i * 4);
}

static int plx_map_bars(struct plx_test *plx)
{
	struct pci_dev *pdev = plx->pdev;
	int bar;

	for (bar = 0; bar < PLX_TEST_BARS; bar++) {
		plx->bar_len[bar] = pci_resource_len(pdev, bar);
		if (!plx->bar_len[bar])
			continue;
		plx->bar[bar] = pcim_iomap(pdev, bar, 0);
		if (!plx->bar[bar])
			return dev_err_probe(&pdev->dev, -ENOMEM, "cannot map BAR %d\n", bar);
	}
	if (!plx->bar[0] || plx->bar_len[0] < PLX_TEST_WINDOW)
		return dev_err_probe(&pdev->dev, -ENODEV, "BAR 0 is no register window\n");
	return 0;
}

/* What probe does to the chip when it may: note its registers, bring it to rest. */
static int plx_take_over(struct plx_test *plx)
{
	struct device *dev = &plx->pdev->dev;
	int ret;

	plx_take_snapshot(plx);
	if (plx->snapshot.mem[0] == ~0U)
		return dev_err_probe(dev, -EIO, "the registers read all ones\n");
	ret = plx_quiesce(plx);
	if (ret)
		return dev_err_probe(dev, ret, "a DMA channel does not come to rest\n");
	return 0;
}

static int plx_have_irq(struct plx_test *plx)
{
	/* A handler that only listens cannot say whose a shared interrupt is. */
	if (plx_hands_off)
		return request_irq(plx->irq, plx_agent_isr, IRQF_NO_AUTOEN, PLX_TEST_NAME, plx);
	return request_irq(plx->irq, plx_test_isr, IRQF_SHARED, PLX_TEST_NAME, plx);
}

static int plx_test_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct device *dev = &pdev->dev;
	struct plx_test *plx;
	int ret;

	/* The cases of the program know these boards; an agent's caller knows his. */
	if (id->driver_data & PLX_TEST_ANY_CHIP && !plx_hands_off)
		return -ENODEV;
	plx = kzalloc(sizeof(*plx), GFP_KERNEL);
	if (!plx)
		return -ENOMEM;
	plx->pdev = pdev;
	plx->has_dac = !(id->driver_data & PLX_TEST_NO_DAC);
	kref_init(&plx->ref);
	mutex_init(&plx->mutex);
	spin_lock_init(&plx->lock);
	init_waitqueue_head(&plx->wait);
	init_completion(&plx->called);
	plx->adapter.dev = dev;
	plx->adapter.limit = DMA_BIT_MASK(32);
	INIT_LIST_HEAD(&plx->adapter.buffers);

	ret = pcim_enable_device(pdev);
	if (ret) {
		dev_err_probe(dev, ret, "cannot enable the device\n");
		goto put;
	}
	ret = pci_request_regions(pdev, PLX_TEST_NAME);
	if (ret)
		goto put;
	ret = plx_map_bars(plx);
	if (ret)
		goto put;
	/* The chip has 32 address lines; its upper half is only for data. */
	ret = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(32));
	if (ret) {
		dev_err_probe(dev, ret, "no 32-bit DMA\n");
		goto put;
	}

	ret = plx_hands_off ? plx_agent_probe(plx) : plx_take_over(plx);
	if (ret)
		goto put;

	plx->irq = pdev->irq;
	if (plx->irq) {
		ret = plx_have_irq(plx);
		if (ret) {
			dev_err_probe(dev, ret, "cannot have interrupt %d\n", plx->irq);
			goto stop;
		}
	} else {
		dev_warn(dev, "no interrupt\n");
	}

	plx->id = ida_alloc(&plx_test_ida, GFP_KERNEL);
	if (plx->id < 0) {
		ret = plx->id;
		goto release_irq;
	}
	snprintf(plx->misc_name, sizeof(plx->misc_name), PLX_TEST_NAME "%d", plx->id);
	plx->misc = (struct miscdevice){
		.minor = MISC_DYNAMIC_MINOR,
		.name = plx->misc_name,
		.parent = dev,
		.mode = 0600,
		.fops = &plx_test_fops,
	};
	pci_set_drvdata(pdev, plx);
	ret = misc_register(&plx->misc);
	if (ret) {
		dev_err_probe(dev, ret, "cannot make /dev/%s\n", plx->misc_name);
		goto free_id;
	}
	if (plx_hands_off)
		dev_info(dev, "/dev/%s, hands off, interrupt %d\n", plx->misc_name, plx->irq);
	else
		dev_info(dev, "/dev/%s, chip %08x, interrupt %d\n", plx->misc_name,
			 plx->snapshot.mem[PLX_PCIHIDR / 4], plx->irq);
	return 0;

free_id:
	ida_free(&plx_test_ida, plx->id);
release_irq:
	if (plx->irq)
		free_irq(plx->irq, plx);
stop:
	pci_clear_master(pdev);
put:
	kref_put(&plx->ref, plx_test_release_ref);
	return ret;
}

static void plx_test_remove(struct pci_dev *pdev)
{
	struct plx_test *plx = pci_get_drvdata(pdev);

	misc_deregister(&plx->misc);
	/* Lets a sleeper go, who holds the mutex. */
	WRITE_ONCE(plx->gone, true);
	wake_up_interruptible(&plx->wait);

	mutex_lock(&plx->mutex);
	if (plx_hands_off) {
		plx_hot_reset(plx);
	} else {
		plx_quiesce(plx);
		writel(0, plx->bar[0] + PLX_INTCSR);
	}
	if (plx->irq)
		free_irq(plx->irq, plx);
	pci_clear_master(pdev);
	plx_let_go(&plx->adapter);
	plx_forget_buffers(&plx->adapter);
	mutex_unlock(&plx->mutex);

	ida_free(&plx_test_ida, plx->id);
	kref_put(&plx->ref, plx_test_release_ref);
}

static const struct pci_device_id plx_test_ids[] = {
	{ PCI_DEVICE(PLX_VENDOR, PLX_DEVICE_9080_401B), .driver_data = PLX_TEST_NO_DAC },
	{ PCI_DEVICE(PLX_VENDOR, PLX_DEVICE_9054_RDK_LITE) },
	{ PCI_DEVICE(PLX_VENDOR, PLX_DEVICE_9056_RDK_LITE) },
	{ PCI_DEVICE(PLX_VENDOR, PLX_DEVICE_9656_RDK_LITE) },
	{ PCI_DEVICE(PLX_VENDOR, PLX_DEVICE_8311_RDK) },
	{ PCI_DEVICE(PLX_VENDOR, PCI_ANY_ID), .driver_data = PLX_TEST_ANY_CHIP },
	{ }
};
MODULE_DEVICE_TABLE(pci, plx_test_ids);

static struct pci_driver plx_test_driver = {
	.name = PLX_TEST_NAME,
	.id_table = plx_test_ids,
	.probe = plx_test_probe,
	.remove = plx_test_remove,
};
module_pci_driver(plx_test_driver);

MODULE_DESCRIPTION("Test driver for PLX PCI 9x5x bus-master bridges");
MODULE_LICENSE("GPL");
