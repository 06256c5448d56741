/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Registers of the PLX PCI 9080, 9054, 9056, 9656 and PEX 8311, as far as this driver and its
 * test program touch them. Offsets are from BAR0, and the same from BAR1.
 *
 * Typed in from the reference notes, on purpose not generated from the tables
 * of the emulator: two readings of the same facts check each other.
 */
#ifndef PLX_HW_H
#define PLX_HW_H

#define PLX_VENDOR			0x10b5
/* The reference boards */
#define PLX_DEVICE_9080_401B		0x0401
#define PLX_DEVICE_9054_RDK_LITE	0x5406
#define PLX_DEVICE_9056_RDK_LITE	0x5601
#define PLX_DEVICE_9656_RDK_LITE	0x9601
#define PLX_DEVICE_8311_RDK		0x86e1

/* Local configuration */
#define PLX_LAS0RR		0x00
#define PLX_LAS0BA		0x04
#define PLX_MARBR		0x08
#define PLX_BIGEND		0x0c	/* LMISC1, PROT_AREA, LMISC2 above it; not on the 9080 */
#define PLX_EROMRR		0x10
#define PLX_EROMBA		0x14
#define PLX_LBRD0		0x18
#define PLX_DMRR		0x1c
#define PLX_DMLBAM		0x20
#define PLX_DMLBAI		0x24
#define PLX_DMPBAM		0x28
#define PLX_DMCFGA		0x2c
#define PLX_LAS1RR		0xf0
#define PLX_LAS1BA		0xf4
#define PLX_LBRD1		0xf8
#define PLX_DMDAC		0xfc	/* from the 9054 on */
#define PLX_PCIARB		0x100	/* from the 9056 on, as all above 0xff */
#define PLX_PABTADR		0x104

/* Messaging */
#define PLX_OPQIS		0x30
#define PLX_OPQIM		0x34
#define PLX_MQCR		0xc0
#define PLX_QBAR		0xc4
#define PLX_QSR			0xe8

/* Run time */
#define PLX_MBOX0		0x40
#define PLX_MBOX2		0x48
#define PLX_MBOX3		0x4c
#define PLX_MBOX4		0x50
#define PLX_MBOX5		0x54
#define PLX_MBOX7		0x5c
#define PLX_P2LDBELL		0x60
#define PLX_L2PDBELL		0x64
#define PLX_INTCSR		0x68
#define PLX_CNTRL		0x6c
#define PLX_PCIHIDR		0x70
#define PLX_PCIHREV		0x74
#define PLX_MBOX0_ALT		0x78
#define PLX_MBOX1_ALT		0x7c

#define PLX_INTCSR_PCI_EN	0x00000100u	/* INTA#, all sources */
#define PLX_INTCSR_DBELL_EN	0x00000200u
#define PLX_INTCSR_ABORT_EN	0x00000400u
#define PLX_INTCSR_LINTI_EN	0x00000800u
#define PLX_INTCSR_DBELL	0x00002000u
#define PLX_INTCSR_ABORT	0x00004000u
#define PLX_INTCSR_LINTI	0x00008000u
#define PLX_INTCSR_LINTO_EN	0x00010000u
#define PLX_INTCSR_DMA_EN(ch)	(0x00040000u << (ch))
#define PLX_INTCSR_LDBELL	0x00100000u
#define PLX_INTCSR_DMA(ch)	(0x00200000u << (ch))
#define PLX_INTCSR_DM_NOT_ABORTED	0x01000000u
#define PLX_INTCSR_DMA_NOT_ABORTED(ch)	(0x02000000u << (ch))
#define PLX_INTCSR_RESET	0x0f010100u
#define PLX_INTCSR_RW		0x000f1f5fu

#define PLX_CNTRL_RESET		0x40000000u	/* software reset, while set */

/* DMA; @ch is 0 or 1 */
#define PLX_DMAMODE(ch)		(0x80 + 0x14 * (ch))
#define PLX_DMAPADR(ch)		(0x84 + 0x14 * (ch))
#define PLX_DMALADR(ch)		(0x88 + 0x14 * (ch))
#define PLX_DMASIZ(ch)		(0x8c + 0x14 * (ch))
#define PLX_DMADPR(ch)		(0x90 + 0x14 * (ch))
#define PLX_DMACSR(ch)		(0xa8 + (ch))		/* a byte each */
#define PLX_DMAARB		0xac			/* MARBR again */
#define PLX_DMATHR		0xb0
#define PLX_DMADAC(ch)		(0xb4 + 4 * (ch))	/* from the 9054 on */

#define PLX_MODE_RESET		0x00000043u	/* 32 bits wide, READY# */
#define PLX_MODE_CHAIN		0x00000200u
#define PLX_MODE_DONE_INT	0x00000400u
#define PLX_MODE_HOLD_LOCAL	0x00000800u
#define PLX_MODE_DEMAND		0x00001000u	/* DREQ# paces */
#define PLX_MODE_CLEAR_COUNT	0x00010000u
#define PLX_MODE_INTA		0x00020000u	/* else LINTo# */
#define PLX_MODE_DAC_CHAIN	0x00040000u	/* descriptors have an upper half */
#define PLX_MODE_VALID		0x00100000u	/* and a valid bit */
#define PLX_MODE_VALID_STOP	0x00200000u	/* an invalid one ends the run */

#define PLX_DPR_PCI		0x1u	/* the next descriptor is in PCI memory */
#define PLX_DPR_END		0x2u	/* end of chain */
#define PLX_DPR_TC		0x4u	/* interrupt after terminal count */
#define PLX_DPR_TO_PCI		0x8u	/* local to PCI */
#define PLX_DPR_NEXT		0xfffffff0u

#define PLX_SIZ_VALID		0x80000000u

#define PLX_CSR_ENABLE		0x01u
#define PLX_CSR_START		0x02u
#define PLX_CSR_ABORT		0x04u
#define PLX_CSR_CLEAR		0x08u
#define PLX_CSR_DONE		0x10u

/* PCI configuration space, beyond the names that Linux has */
#define PLX_PCISR_ABORTS	0x3800u		/* signalled, received, master */
#define PLX_PCISR_ERRORS	0xf900u		/* all that are W1C */

#endif /* PLX_HW_H */
