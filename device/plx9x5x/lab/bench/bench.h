/* SPDX-License-Identifier: Apache-2.0 */
/* What the peer and the client agree on: the few registers of a PLX that a driver's transfer touches. Offsets from BAR0. */
#ifndef PLX_BENCH_H
#define PLX_BENCH_H

#define BAR0_SIZE		512
#define BAR1_SIZE		256
#define LOCAL_SIZE		(128 * 1024)	/* local memory at 0, BAR2 shows it */

#define L2PDBELL		0x64
#define INTCSR			0x68
#define INTCSR_RESET		0x0f010100u
#define INTCSR_PCI_EN		0x00000100u
#define INTCSR_DMA_EN(ch)	(0x00040000u << (ch))
#define INTCSR_DMA(ch)		(0x00200000u << (ch))

#define CHANNELS		2
#define CHANNEL_STRIDE		0x14
#define DMAMODE			0x80
#define DMAPADR			0x84
#define DMALADR			0x88
#define DMASIZ			0x8c
#define DMADPR			0x90
#define DMACSR			0xa8		/* a byte for each channel */

#define MODE_RESET		0x00000043u
#define MODE_CHAIN		0x00000200u
#define MODE_DONE_INT		0x00000400u
#define MODE_INTA		0x00020000u

#define SIZ_MASK		0x007fffffu

#define DPR_PCI			0x1u		/* the descriptor is in guest memory */
#define DPR_END			0x2u
#define DPR_TO_PCI		0x8u
#define DPR_NEXT		0xfffffff0u

#define CSR_ENABLE		0x01u
#define CSR_START		0x02u
#define CSR_ABORT		0x04u
#define CSR_CLEAR		0x08u
#define CSR_DONE		0x10u

#endif
