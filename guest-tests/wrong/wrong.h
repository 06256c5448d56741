/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A driver that is wrong in one way at a time: what its files share.
 *
 * A line that is wrong ends in a comment that says WRONG and the name of the switch: corpus.toml says what
 * is said of it, and by that comment which line it is.
 */
#ifndef WRONG_H
#define WRONG_H

#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/pci.h>

/* Registers, from BAR0. */
#define LAS0BA		0x04
#define PROT_AREA	0x0e
#define P2LDBELL	0x60
#define INTCSR		0x68
#define CNTRL		0x6c
#define DMAMODE0	0x80
#define DMAPADR0	0x84
#define DMALADR0	0x88
#define DMASIZ0		0x8c
#define DMADPR0		0x90
#define DMAMODE1	0x94
#define DMADPR1		0xa4
#define DMACSR0		0xa8
#define DMACSR1		0xa9
#define DMADAC0		0xb4

#define INTCSR_PCI	BIT(8)
#define INTCSR_ENABLE0	BIT(18)
#define INTCSR_DMA0	BIT(21)
#define INTCSR_DMA1	BIT(22)

#define CNTRL_RESET	BIT(30)

#define MODE_BLOCK	0x43u		/* 32 bits wide, READY# */
#define MODE_CHAIN	BIT(9)
#define MODE_DONE_INT	BIT(10)
#define MODE_DEMAND	BIT(12)
#define MODE_COUNT	BIT(16)		/* the count is written back */
#define MODE_INTA	BIT(17)
#define MODE_VALID	BIT(20)

#define DPR_PCI		BIT(0)		/* the next descriptor is in host memory */
#define DPR_END		BIT(1)
#define DPR_TO_HOST	BIT(3)
#define DPR_TO_CARD	0u

#define SIZ_VALID	BIT(31)

#define CSR_ENABLE	BIT(0)
#define CSR_START	BIT(1)
#define CSR_ABORT	BIT(2)
#define CSR_CLEAR	BIT(3)
#define CSR_DONE	BIT(4)
#define CSR_GO		(CSR_ENABLE | CSR_START)

struct descriptor {
	__le32 host;
	__le32 local;
	__le32 size;
	__le32 next;
};

struct wrong_case;

struct wrong {
	struct pci_dev *pdev;
	struct device *dev;
	void __iomem *regs;
	void __iomem *memory;		/* the card's, by BAR2 */
	const struct wrong_case *which;
	/* What a switch keeps from probe to remove. */
	void *va;
	dma_addr_t handle;
	struct wrong_ring *ring;
	/* What its handler saw. */
	struct completion done;
	unsigned int calls;
	unsigned int others;
};

/**
 * struct wrong_case - one switch
 * @name: of the module's parameter
 * @probe: what it does when the card is found
 * @remove: what it does when the module goes; may be NULL
 * @dirty: leaves the chip as it is when it goes; the next load tidies up
 */
struct wrong_case {
	const char *name;
	int (*probe)(struct wrong *w);
	void (*remove)(struct wrong *w);
	bool dirty;
};

/* Each file's switches, up to one without a name. */
extern const struct wrong_case wrong_address[];
extern const struct wrong_case wrong_direction[];
extern const struct wrong_case wrong_freed[];
extern const struct wrong_case wrong_books[];
extern const struct wrong_case wrong_left[];
extern const struct wrong_case wrong_order[];
extern const struct wrong_case wrong_reset[];
extern const struct wrong_case wrong_chain[];
extern const struct wrong_case wrong_interrupt[];
extern const struct wrong_case wrong_card[];
extern const struct wrong_case wrong_eeprom[];
extern const struct wrong_case wrong_touch[];
extern const struct wrong_case right_memory[];
extern const struct wrong_case right_lists[];
extern const struct wrong_case right_chip[];
extern const struct wrong_case right_touch[];

/* chip.c */
void wrong_block(struct wrong *w, u32 length, u32 direction);
int wrong_wait(struct wrong *w, u32 csr);
int wrong_stop(struct wrong *w, u32 csr);
int wrong_go(struct wrong *w);
void wrong_recover(struct wrong *w);

/* touch.c: a block of `WRONG_LENGTH` bytes from the card to `va`, which ends with an interrupt; read `early` or not */
#define WRONG_LENGTH	4096
int wrong_by_interrupt(struct wrong *w, irq_handler_t handler, bool early);
irqreturn_t wrong_heard(struct wrong *w);

/* ring.c: a circle of descriptors to the card, which runs until it is stopped */
#define RING_BUFFERS	4
#define RING_BYTES	4096

struct wrong_ring {
	struct descriptor *desc;
	dma_addr_t desc_dma;
	void *buf;
	dma_addr_t buf_dma;
	bool streaming;
};

struct wrong_ring *wrong_ring_new(struct wrong *w, bool streaming);
void wrong_ring_start(struct wrong *w, struct wrong_ring *ring);
void wrong_ring_let_run(struct wrong *w);
void wrong_ring_free(struct wrong *w, struct wrong_ring *ring);

#endif /* WRONG_H */
