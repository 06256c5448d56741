// SPDX-License-Identifier: GPL-2.0-only
/* A circle of descriptors: data goes to the card until somebody stops it, as an output board has it. */
#include <linux/delay.h>
#include <linux/slab.h>

#include "wrong.h"

static int have_buffer(struct wrong *w, struct wrong_ring *ring)
{
	if (!ring->streaming) {
		ring->buf = dma_alloc_coherent(w->dev, RING_BYTES, &ring->buf_dma, GFP_KERNEL);
		return ring->buf ? 0 : -ENOMEM;
	}
	ring->buf = kzalloc(RING_BYTES, GFP_KERNEL);
	if (!ring->buf)
		return -ENOMEM;
	ring->buf_dma = dma_map_single(w->dev, ring->buf, RING_BYTES, DMA_TO_DEVICE);
	return dma_mapping_error(w->dev, ring->buf_dma);
}

/**
 * wrong_ring_new() - make a ring
 * @w: the card
 * @streaming: its buffer is ordinary memory that is mapped
 *
 * Return: the ring, or NULL.
 */
struct wrong_ring *wrong_ring_new(struct wrong *w, bool streaming)
{
	struct wrong_ring *ring = kzalloc(sizeof(*ring), GFP_KERNEL);
	unsigned int i;

	if (!ring)
		return NULL;
	ring->streaming = streaming;
	ring->desc = dma_alloc_coherent(w->dev, RING_BUFFERS * sizeof(*ring->desc), &ring->desc_dma,
					GFP_KERNEL);
	if (!ring->desc || have_buffer(w, ring)) {
		wrong_ring_free(w, ring);
		return NULL;
	}
	for (i = 0; i < RING_BUFFERS; i++) {
		u32 next = ring->desc_dma + (i + 1) % RING_BUFFERS * sizeof(*ring->desc);
		u32 piece = RING_BYTES / RING_BUFFERS;

		ring->desc[i].host = cpu_to_le32(ring->buf_dma + i * piece);
		ring->desc[i].local = cpu_to_le32(i * piece);
		ring->desc[i].size = cpu_to_le32(piece);
		ring->desc[i].next = cpu_to_le32(next | DPR_TO_CARD | DPR_PCI);
	}
	return ring;
}

/**
 * wrong_ring_start() - have channel 0 go round
 * @w: the card
 * @ring: not in use
 */
void wrong_ring_start(struct wrong *w, struct wrong_ring *ring)
{
	writel(MODE_BLOCK | MODE_CHAIN, w->regs + DMAMODE0);
	writel(lower_32_bits(ring->desc_dma) | DPR_PCI, w->regs + DMADPR0);
	writeb(CSR_GO, w->regs + DMACSR0);
}

/**
 * wrong_ring_let_run() - give the channel time to go round
 * @w: the card
 */
void wrong_ring_let_run(struct wrong *w)
{
	unsigned int i;

	/* Asleep: an emulator whose guest asks it all the time does little else. */
	for (i = 0; i < 4; i++) {
		readb(w->regs + DMACSR0);
		usleep_range(300, 600);
	}
}

static void free_buffer(struct wrong *w, struct wrong_ring *ring)
{
	if (ring->streaming) {
		if (ring->buf_dma && !dma_mapping_error(w->dev, ring->buf_dma))
			dma_unmap_single(w->dev, ring->buf_dma, RING_BYTES, DMA_TO_DEVICE);
		kfree(ring->buf);
	} else if (ring->buf) {
		dma_free_coherent(w->dev, RING_BYTES, ring->buf, ring->buf_dma);
	}
	ring->buf = NULL;
	ring->buf_dma = 0;
}

/**
 * wrong_ring_free() - let all of it go
 * @w: the card
 * @ring: not in use any more
 */
void wrong_ring_free(struct wrong *w, struct wrong_ring *ring)
{
	free_buffer(w, ring);
	if (ring->desc)
		dma_free_coherent(w->dev, RING_BUFFERS * sizeof(*ring->desc), ring->desc, ring->desc_dma);
	kfree(ring);
}
