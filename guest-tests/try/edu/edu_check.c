// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asks an edu device (1234:11e8) for all that its specification promises, and tells the answers in a file of sysfs,
 * `report`, a line each: two devices that keep to the specification give the same text. What is read while something
 * runs is not told, since nobody says how long that takes.
 *
 * Source: QEMU, docs/specs/edu.
 */
#include <linux/completion.h>
#include <linux/crc32.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/pci.h>

#define ID 0x00
#define LIVENESS 0x04
#define FACTORIAL 0x08
#define STATUS 0x20
#define STATUS_COMPUTING 0x01
#define STATUS_INTERRUPT 0x80
#define RAISED 0x24
#define RAISE 0x60
#define ACKNOWLEDGE 0x64
#define DMA_SOURCE 0x80
#define DMA_DESTINATION 0x88
#define DMA_COUNT 0x90
#define DMA_COMMAND 0x98
#define DMA_START 1
#define DMA_TO_MEMORY 2
#define DMA_INTERRUPT 4
#define BUFFER 0x40000
#define BUFFER_SIZE 4096
#define ABOVE_MASK BIT_ULL(32)

struct edu {
	struct pci_dev *pdev;
	void __iomem *regs;
	struct completion raised;
	u32 seen;
	u8 *memory;
	dma_addr_t handle;
	char *report;
	int length;
};

static __printf(2, 3) void tell(struct edu *edu, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	edu->length += vscnprintf(edu->report + edu->length, PAGE_SIZE - edu->length, format, args);
	va_end(args);
}

static irqreturn_t edu_interrupt(int irq, void *data)
{
	struct edu *edu = data;
	u32 raised = readl(edu->regs + RAISED);

	if (!raised)
		return IRQ_NONE;
	writel(raised, edu->regs + ACKNOWLEDGE);
	edu->seen = raised;
	complete(&edu->raised);
	return IRQ_HANDLED;
}

/* What the next interrupt was raised with, all ones if none comes. */
static u32 heard(struct edu *edu)
{
	if (!wait_for_completion_timeout(&edu->raised, 5 * HZ))
		return ~0;
	return edu->seen;
}

/* Wait until bits of a register are 0; false if they never are. */
static bool over(struct edu *edu, unsigned int offset, u32 bits)
{
	unsigned long until = jiffies + 5 * HZ;

	for (;;) {
		bool late = time_after(jiffies, until);

		if (!(readl(edu->regs + offset) & bits))
			return true;
		if (late)
			return false;
		usleep_range(100, 200);
	}
}

static void look_at_registers(struct edu *edu)
{
	static const u32 values[] = { 0, 1, 0x12345678, 0xffffffff };
	int i;

	tell(edu, "identification %08x\n", readl(edu->regs + ID));
	writel(0x55, edu->regs + ID);
	tell(edu, "identification once written %08x\n", readl(edu->regs + ID));
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		writel(values[i], edu->regs + LIVENESS);
		tell(edu, "liveness of %08x %08x\n", values[i], readl(edu->regs + LIVENESS));
	}
	writel(0xffffffff, edu->regs + STATUS);
	tell(edu, "status of ones %08x\n", readl(edu->regs + STATUS));
	writel(0, edu->regs + STATUS);
	tell(edu, "status of zeros %08x\n", readl(edu->regs + STATUS));
}

static void compute(struct edu *edu)
{
	static const u32 numbers[] = { 0, 1, 5, 12, 13, 33, 34, 100 };
	int i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		writel(numbers[i], edu->regs + FACTORIAL);
		if (!over(edu, STATUS, STATUS_COMPUTING))
			tell(edu, "it computes for ever\n");
		tell(edu, "factorial of %u %08x\n", numbers[i], readl(edu->regs + FACTORIAL));
	}
	tell(edu, "interrupts that nobody asked for %d\n", completion_done(&edu->raised));
	writel(STATUS_INTERRUPT, edu->regs + STATUS);
	writel(10, edu->regs + FACTORIAL);
	tell(edu, "factorial raises %08x\n", heard(edu));
	tell(edu, "factorial of 10 %08x\n", readl(edu->regs + FACTORIAL));
	tell(edu, "status then %08x\n", readl(edu->regs + STATUS));
	writel(0, edu->regs + STATUS);
}

static void raise(struct edu *edu)
{
	writel(0x5, edu->regs + RAISE);
	tell(edu, "raised with 5 %08x\n", heard(edu));
	writel(0x80000000, edu->regs + RAISE);
	tell(edu, "raised with bit 31 %08x\n", heard(edu));
	tell(edu, "acknowledged %08x\n", readl(edu->regs + RAISED));
	/* Without the handler: values add up, and each is taken back by itself. */
	disable_irq(edu->pdev->irq);
	writel(0x2, edu->regs + RAISE);
	writel(0x4, edu->regs + RAISE);
	tell(edu, "raised with 2 and 4 %08x\n", readl(edu->regs + RAISED));
	writel(0x2, edu->regs + ACKNOWLEDGE);
	tell(edu, "acknowledged 2 %08x\n", readl(edu->regs + RAISED));
	writel(0x8, edu->regs + ACKNOWLEDGE);
	tell(edu, "acknowledged 8 %08x\n", readl(edu->regs + RAISED));
	enable_irq(edu->pdev->irq);
	tell(edu, "what is left raises %08x\n", heard(edu));
	tell(edu, "left then %08x\n", readl(edu->regs + RAISED));
}

static void move(struct edu *edu, u64 from, u64 to, u32 count, u32 command)
{
	writeq(from, edu->regs + DMA_SOURCE);
	writeq(to, edu->regs + DMA_DESTINATION);
	writeq(count, edu->regs + DMA_COUNT);
	writel(command | DMA_START, edu->regs + DMA_COMMAND);
	if (command & DMA_INTERRUPT)
		tell(edu, "DMA raises %08x\n", heard(edu));
	if (!over(edu, DMA_COMMAND, DMA_START))
		tell(edu, "DMA goes on for ever\n");
}

static void move_both_ways(struct edu *edu, const char *name, u64 above, u32 interrupt)
{
	u8 *memory = edu->memory;
	u64 handle = edu->handle | above;
	int i;

	for (i = 0; i < BUFFER_SIZE; i++)
		memory[i] = i * 7 + i / 256;
	/* All of the buffer, then 100 bytes of it elsewhere: what is around them stays. */
	move(edu, handle, BUFFER, BUFFER_SIZE, interrupt);
	move(edu, handle + 1000, BUFFER + 10, 100, interrupt);
	memset(memory + BUFFER_SIZE, 0xee, BUFFER_SIZE);
	move(edu, BUFFER + 5, handle + BUFFER_SIZE + 1, 4000, DMA_TO_MEMORY | interrupt);
	tell(edu, "%s: bytes %*phC\n", name, 16, memory + BUFFER_SIZE);
	tell(edu, "%s: sum %08x\n", name, crc32_le(~0, memory, 2 * BUFFER_SIZE));
	tell(edu, "%s: source %llx\n", name, readq(edu->regs + DMA_SOURCE));
	tell(edu, "%s: count %llx\n", name, readq(edu->regs + DMA_COUNT));
	tell(edu, "%s: command %08x\n", name, readl(edu->regs + DMA_COMMAND));
}

static ssize_t report_show(struct device *dev, struct device_attribute *attr, char *out)
{
	struct edu *edu = dev_get_drvdata(dev);

	return sysfs_emit(out, "%s", edu->report);
}
static DEVICE_ATTR_RO(report);

static struct attribute *edu_attrs[] = { &dev_attr_report.attr, NULL };
ATTRIBUTE_GROUPS(edu);

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct edu *edu = devm_kzalloc(&pdev->dev, sizeof(*edu), GFP_KERNEL);
	int err;

	if (!edu)
		return -ENOMEM;
	edu->pdev = pdev;
	edu->report = devm_kzalloc(&pdev->dev, PAGE_SIZE, GFP_KERNEL);
	if (!edu->report)
		return -ENOMEM;
	init_completion(&edu->raised);
	err = pcim_enable_device(pdev);
	if (!err)
		err = pcim_iomap_regions(pdev, BIT(0), "edu_check");
	if (!err)
		err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(28));
	if (err)
		return err;
	edu->regs = pcim_iomap_table(pdev)[0];
	edu->memory = dmam_alloc_coherent(&pdev->dev, 2 * BUFFER_SIZE, &edu->handle, GFP_KERNEL);
	if (!edu->memory)
		return -ENOMEM;
	pci_set_master(pdev);
	err = devm_request_irq(&pdev->dev, pdev->irq, edu_interrupt, IRQF_SHARED, "edu_check", edu);
	if (err)
		return err;
	pci_set_drvdata(pdev, edu);
	tell(edu, "bar %llx\n", (u64)pci_resource_len(pdev, 0));
	look_at_registers(edu);
	compute(edu);
	raise(edu);
	move_both_ways(edu, "polled", 0, 0);
	move_both_ways(edu, "interrupting", 0, DMA_INTERRUPT);
	move_both_ways(edu, "above the mask", ABOVE_MASK, 0);
	tell(edu, "interrupts left over %d\n", completion_done(&edu->raised));
	return 0;
}

static const struct pci_device_id edu_ids[] = { { PCI_DEVICE(0x1234, 0x11e8) }, {} };
MODULE_DEVICE_TABLE(pci, edu_ids);

static struct pci_driver edu_driver = {
	.name = "edu_check",
	.id_table = edu_ids,
	.probe = edu_probe,
	.dev_groups = edu_groups,
};
module_pci_driver(edu_driver);

MODULE_DESCRIPTION("Asks an edu device for what its specification promises");
MODULE_LICENSE("GPL");
