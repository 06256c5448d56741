// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that meets faults and says what it saw: a line in the kernel's log for each transfer of its program, which
 * is a letter a transfer:
 *
 *   r  a block from the card's memory        w  a block to it
 *   c  a list of two descriptors, with clear count, from the card's memory
 *   m  as r, once bus mastering was turned off and on again
 *   a  as r, with 256 retries counted as a target abort (INTCSR bit 12)
 *   d  as r, in demand mode, from the receive FIFO of a PCI-HPDI32
 *   s  as r, and DMACSR is polled without a bound, as no driver should
 *
 * It waits for DONE and for the interrupt for a while, and then for a while longer: what is late comes in between. A
 * channel that is not done is aborted, as often as that takes; a card that was reset is given its configuration back.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/pci.h>

#define INTCSR 0x68
#define CNTRL 0x6c
#define MBOX3 0x4c
#define DMAMODE0 0x80
#define DMAPADR0 0x84
#define DMALADR0 0x88
#define DMASIZ0 0x8c
#define DMADPR0 0x90
#define DMACSR0 0xa8

#define LENGTH 256
#define HALF (LENGTH / 2)
#define LIST 1024		/* where the descriptors stand in the buffer */
#define TARGET 0x1000		/* local address that w writes to */
#define EMPTY 0xaa
#define SOON msecs_to_jiffies(200)
#define LATER msecs_to_jiffies(1200)
#define SPINS 6000
#define CARDS 16

static char *program[CARDS];
static int programs;
module_param_array(program, charp, &programs, 0444);
MODULE_PARM_DESC(program, "what each card does, a letter a transfer");

struct mishap {
	struct pci_dev *pdev;
	void __iomem *regs;
	u8 __iomem *local;
	u8 *buffer;
	dma_addr_t bus;
	struct completion done;
	atomic_t stray;		/* interrupts without a cause, since the last line */
	struct pci_saved_state *configuration;
};

static int cards;

static irqreturn_t mishap_handler(int irq, void *data)
{
	struct mishap *it = data;
	u32 status = readl(it->regs + INTCSR);

	if (status == ~0 || !(status & BIT(21))) {
		atomic_inc(&it->stray);
		return IRQ_NONE;
	}
	writeb(BIT(0) | BIT(3), it->regs + DMACSR0);
	complete(&it->done);
	return IRQ_HANDLED;
}

static u8 pattern(unsigned int at)
{
	return (at * 3 + 1) & 0x7f;
}

/* What r and c move is in the card's memory, which a reset clears. */
static void fill(struct mishap *it)
{
	int i;

	for (i = 0; i < LENGTH; i++)
		writeb(pattern(i), it->local + i);
}

static void put_list(struct mishap *it)
{
	__le32 *word = (__le32 *)(it->buffer + LIST);
	int i;

	for (i = 0; i < 2; i++, word += 4) {
		word[0] = cpu_to_le32(lower_32_bits(it->bus) + i * HALF);
		word[1] = cpu_to_le32(i * HALF);
		word[2] = cpu_to_le32(HALF);
		word[3] = cpu_to_le32((lower_32_bits(it->bus) + LIST + 16) | BIT(0) | BIT(3) | (i ? BIT(1) : 0));
	}
}

static void prepare(struct mishap *it, char how)
{
	u32 mode = 0x43 | BIT(10) | BIT(17), local = 0, pointer = BIT(3);
	int i;

	for (i = 0; i < LENGTH; i++)
		it->buffer[i] = how == 'w' ? pattern(i) : EMPTY;
	reinit_completion(&it->done);
	if (how == 'w') {
		local = TARGET;
		pointer = 0;
		memset_io(it->local + TARGET, EMPTY, LENGTH);
	} else if (how == 'c') {
		put_list(it);
		mode |= BIT(9) | BIT(16);
		pointer = (lower_32_bits(it->bus) + LIST) | BIT(0);
	} else if (how == 'd') {
		local = 0x18;
		mode |= BIT(11) | BIT(12);
		writel(BIT(2), it->local + 4);
		writel(BIT(5), it->local + 4);
	} else if (how == 'm') {
		pci_clear_master(it->pdev);
		pci_set_master(it->pdev);
	}
	writel(BIT(8) | BIT(18) | (how == 'a' ? BIT(12) : 0), it->regs + INTCSR);
	writel(mode, it->regs + DMAMODE0);
	writel(lower_32_bits(it->bus), it->regs + DMAPADR0);
	writel(local, it->regs + DMALADR0);
	writel(LENGTH, it->regs + DMASIZ0);
	writel(pointer, it->regs + DMADPR0);
}

static bool is_done(struct mishap *it)
{
	u8 csr = readb(it->regs + DMACSR0);

	return csr != 0xff && csr & BIT(4);
}

static bool wait_done(struct mishap *it, unsigned long how_long)
{
	unsigned long end = jiffies + how_long;

	while (!is_done(it)) {
		if (time_after(jiffies, end))
			return is_done(it);
		usleep_range(500, 1000);
	}
	return true;
}

static int wrong_bytes(struct mishap *it, char how)
{
	int i, wrong = 0;

	if (how == 'd')
		return 0;
	for (i = 0; i < LENGTH; i++)
		wrong += (how == 'w' ? readb(it->local + TARGET + i) : it->buffer[i]) != pattern(i);
	return wrong;
}

static int stop(struct mishap *it)
{
	int tries = 0;

	while (!is_done(it) && tries < 3) {
		writeb(0, it->regs + DMACSR0);
		writeb(BIT(2), it->regs + DMACSR0);
		tries++;
	}
	return tries;
}

/* One transfer. */
static void move(struct mishap *it, int number, char how)
{
	bool soon, irq_soon, done, irq;
	__le32 *list = (__le32 *)(it->buffer + LIST);
	u32 status, intcsr, mailbox;
	u16 errors;
	int i, wrong, aborts;

	prepare(it, how);
	writeb(BIT(0) | BIT(1), it->regs + DMACSR0);
	pci_read_config_dword(it->pdev, PCI_VENDOR_ID, &status);
	writel(number, it->regs + MBOX3);
	mailbox = readl(it->regs + MBOX3);
	if (how == 's')
		for (i = 0; i < SPINS && !(readb(it->regs + DMACSR0) & BIT(4)); i++)
			cpu_relax();
	soon = wait_done(it, SOON);
	irq_soon = wait_for_completion_timeout(&it->done, soon ? SOON : 1);
	done = soon || wait_done(it, LATER);
	irq = irq_soon || wait_for_completion_timeout(&it->done, done ? LATER : 1);
	intcsr = readl(it->regs + INTCSR);
	pci_read_config_word(it->pdev, PCI_STATUS, &errors);
	wrong = wrong_bytes(it, how);
	dev_info(&it->pdev->dev,
		 "%d %c soon=%d done=%d irqsoon=%d irq=%d stray=%d errors=%04x intcsr=%08x wrong=%d left=%u,%u id=%08x mbox=%x\n",
		 number, how, soon, done, irq_soon, irq, atomic_xchg(&it->stray, 0), errors & 0xf100, intcsr, wrong,
		 how == 'c' ? le32_to_cpu(list[2]) : 0, how == 'c' ? le32_to_cpu(list[6]) : 0, status, mailbox);
	if (intcsr == ~0) {
		/* Without its configuration the card decodes nothing; it may not be there yet. */
		for (i = 0; i < 100 && readl(it->regs + INTCSR) == ~0; i++) {
			msleep(20);
			pci_load_saved_state(it->pdev, it->configuration);
			pci_restore_state(it->pdev);
		}
		fill(it);
		dev_info(&it->pdev->dev, "%d is back: intcsr=%08x\n", number, readl(it->regs + INTCSR));
	}
	aborts = stop(it);
	if (aborts)
		dev_info(&it->pdev->dev, "%d was aborted %d times, done=%d\n", number, aborts, is_done(it));
	writeb(BIT(3), it->regs + DMACSR0);
	pci_read_config_word(it->pdev, PCI_STATUS, &errors);
	pci_write_config_word(it->pdev, PCI_STATUS, errors);
	if (how == 'd')
		writel(0, it->local + 4);
}

static int mishap_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct mishap *it = devm_kzalloc(&pdev->dev, sizeof(*it), GFP_KERNEL);
	const char *letters = cards < programs ? program[cards] : "";
	int error, i;

	if (!it)
		return -ENOMEM;
	it->pdev = pdev;
	init_completion(&it->done);
	pci_set_drvdata(pdev, it);
	error = pcim_enable_device(pdev);
	if (!error)
		error = pcim_iomap_regions(pdev, BIT(0), "mishap");
	if (!error)
		error = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(32));
	if (error)
		return error;
	it->regs = pcim_iomap_table(pdev)[0];
	if (pci_resource_len(pdev, 2))
		it->local = pcim_iomap(pdev, 2, 0);
	it->buffer = dmam_alloc_coherent(&pdev->dev, 4096, &it->bus, GFP_KERNEL);
	if (!it->buffer)
		return -ENOMEM;
	pci_set_master(pdev);
	dev_info(&pdev->dev, "card %d: device=%04x cntrl=%08x local=%d irq=%d\n", ++cards, pdev->device,
		 readl(it->regs + CNTRL), !!it->local, !!pdev->irq);
	if (!pdev->irq || !it->local)
		return 0;
	error = devm_request_irq(&pdev->dev, pdev->irq, mishap_handler, IRQF_SHARED, "mishap", it);
	if (error)
		return error;
	/* Last of what can fail: nothing but remove gives it back. */
	pci_save_state(pdev);
	it->configuration = pci_store_saved_state(pdev);
	if (!it->configuration)
		return -ENOMEM;
	if (letters[0] != 'd')
		fill(it);
	for (i = 0; letters[i]; i++)
		move(it, i + 1, letters[i]);
	writel(0, it->regs + INTCSR);
	return 0;
}

static void mishap_remove(struct pci_dev *pdev)
{
	struct mishap *it = pci_get_drvdata(pdev);

	writel(0, it->regs + INTCSR);
	pci_load_and_free_saved_state(pdev, &it->configuration);
}

static const struct pci_device_id mishap_ids[] = {
	{ PCI_DEVICE(0x10b5, 0x9601) },
	{ PCI_DEVICE(0x10b5, 0x9656) },
	{ PCI_DEVICE(0x10b5, 0x1234) },
	{ PCI_DEVICE(0x10b5, 0x9080) },
	{}
};
MODULE_DEVICE_TABLE(pci, mishap_ids);

static struct pci_driver mishap_driver = {
	.name = "mishap",
	.id_table = mishap_ids,
	.probe = mishap_probe,
	.remove = mishap_remove,
};
module_pci_driver(mishap_driver);

MODULE_DESCRIPTION("Meets faults, and says what it saw");
MODULE_LICENSE("GPL");
