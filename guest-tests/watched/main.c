// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading, probing, interrupts; and threads that allocate at the same time on
 * all processors.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/module.h>

#include "watched.h"

#define THREADS 4
#define ROUNDS 200

static int fail;
module_param(fail, int, 0444);
MODULE_PARM_DESC(fail, "1: init fails, 2: the probe does");

static irqreturn_t watched_irq(int irq, void *data)
{
	return IRQ_NONE;
}

static noinline int in_interrupts(struct pci_dev *pdev)
{
	int err;

	told("function in_interrupts %px", in_interrupts);
	err = request_irq(pdev->irq, watched_irq, IRQF_SHARED, "watched-plain", pdev);
	if (err)
		return err;
	told("irq %d %px %px", pdev->irq, watched_irq, pdev);
	free_irq(pdev->irq, pdev);
	told("irq-free %d %px", pdev->irq, pdev);
	err = devm_request_irq(&pdev->dev, pdev->irq, watched_irq, IRQF_SHARED, "watched-devm", &pdev->dev);
	if (err)
		return err;
	told("irq %d %px %px", pdev->irq, watched_irq, &pdev->dev);
	devm_free_irq(&pdev->dev, pdev->irq, &pdev->dev);
	told("irq-free %d %px", pdev->irq, &pdev->dev);
	return 0;
}

static struct completion ended[THREADS];
static struct pci_dev *shared;

/* Odd rounds sleep between, so that the scheduler moves us. */
static noinline int in_thread(void *data)
{
	struct completion *end = data;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		size_t size = PAGE_SIZE << (i % 3);
		dma_addr_t bus;
		void *va = dma_alloc_coherent(&shared->dev, size, &bus, GFP_KERNEL);

		if (!va)
			break;
		if (i % 16 == 1)
			usleep_range(50, 100);
		dma_free_coherent(&shared->dev, size, va, bus);
	}
	complete(end);
	return 0;
}

static noinline int in_threads(struct pci_dev *pdev)
{
	int i, started = 0;

	told("function in_thread %px", in_thread);
	shared = pdev;
	for (i = 0; i < THREADS; i++) {
		struct task_struct *task;

		init_completion(&ended[i]);
		task = kthread_run(in_thread, &ended[i], "watched/%d", i);
		if (IS_ERR(task))
			break;
		started++;
	}
	for (i = 0; i < started; i++)
		wait_for_completion(&ended[i]);
	told("threads %d %d", started, ROUNDS);
	return started == THREADS ? 0 : -ENOMEM;
}

static int watched_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int err = pci_enable_device(pdev);

	if (err)
		return err;
	if (fail == 2) {
		pci_disable_device(pdev);
		return -ENODEV;
	}
	pci_set_master(pdev);
	told("master 1");
	err = watched_calls(pdev);
	if (!err)
		err = in_interrupts(pdev);
	if (!err)
		err = in_threads(pdev);
	if (!err)
		err = watched_access(pdev);
	told("probed %d", err);
	return err;
}

static void watched_remove(struct pci_dev *pdev)
{
	pci_clear_master(pdev);
	pci_disable_device(pdev);
	told("removed");
}

static const struct pci_device_id watched_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_PLX, PCI_ANY_ID) },
	{ }
};
MODULE_DEVICE_TABLE(pci, watched_ids);

static struct pci_driver watched_driver = {
	.name = "watched",
	.id_table = watched_ids,
	.probe = watched_probe,
	.remove = watched_remove,
};

static int __init watched_init(void)
{
	told("init %px", watched_init);
	return fail == 1 ? -EIO : pci_register_driver(&watched_driver);
}
module_init(watched_init);

static void __exit watched_exit(void)
{
	pci_unregister_driver(&watched_driver);
}
module_exit(watched_exit);

MODULE_DESCRIPTION("makes every call that the witness knows");
MODULE_LICENSE("GPL");
