/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of plx_test share. */
#ifndef PLX_TEST_H
#define PLX_TEST_H

#include <linux/completion.h>
#include <linux/dma-direction.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "plx_hw.h"
#include "plx_test_uapi.h"

#define PLX_TEST_NAME		"plx_test"

/**
 * struct plx_buffer - one request for a common buffer or to free one
 * @node: in &struct plx_adapter.buffers, oldest first
 * @order: counts requests, from 1
 * @of: number of the allocation that a free meant, 0 if there is none
 * @length: bytes that were asked for
 * @usable: bytes that may be touched: these
 * @pages: pages that were taken, 0 if none
 * @flags: PLX_TEST_REC_*
 * @va: where the CPU sees it; stale once freed
 * @logical: where the device sees it; stale once freed
 * @given: what the caller was told about that
 * @limit: highest address that the adapter had then
 * @pretended: it was not freed when the caller was told so
 * @pfns: page frame behind each page, NULL if there is none
 */
struct plx_buffer {
	struct list_head node;
	u32 order;
	u32 of;
	u32 length;
	u32 usable;
	u32 pages;
	u32 flags;
	void *va;
	dma_addr_t logical;
	dma_addr_t given;
	u64 limit;
	bool pretended;
	unsigned long *pfns;
};

/**
 * struct plx_streaming - memory that is the device's for a while
 * @va: where it is, NULL if there is none
 * @length: its bytes
 * @direction: who reads it
 * @logical: where the device sees it
 */
struct plx_streaming {
	void *va;
	u32 length;
	enum dma_data_direction direction;
	dma_addr_t logical;
};

/**
 * struct plx_adapter - what stands for a Windows DMA_ADAPTER
 * @dev: the device that masters the bus
 * @buffers: every request made through it
 * @streaming: the one mapping of the other kind
 * @orders: how many these are
 * @kept: how many records are kept
 * @limit: highest address that the device drives
 * @broken: 0, or PLX_TEST_BREAK_*: how to be wrong on purpose
 */
struct plx_adapter {
	struct device *dev;
	struct list_head buffers;
	struct plx_streaming streaming;
	u32 orders;
	u32 kept;
	u64 limit;
	u32 broken;
};

/**
 * struct plx_test - one bridge
 * @pdev: the PCI function
 * @misc: /dev/plx_testN
 * @id: that N
 * @has_dac: the chip has DMADAC, for data above 4 GiB
 * @ref: one for the binding, one for the open file
 * @mutex: held by every ioctl, and by remove
 * @gone: the device was unbound
 * @busy: somebody has it open
 * @bar: mapped BARs, NULL if absent
 * @bar_len: their sizes
 * @irq: the interrupt, 0 if none
 * @adapter: makes the common buffers
 * @snapshot: the registers as probe found them
 * @config: configuration space as probe left it; only with hands_off
 * @called: the interrupt came; only with hands_off
 * @lock: guards everything below, and every write to a register
 * @mode: DMAMODE as last written; tells the handler where an interrupt goes
 * @policy: how the handler acts
 * @watch: dword that the handler looks at, or NULL
 * @stats: what the handler saw
 * @wait: woken by the handler
 */
struct plx_test {
	struct pci_dev *pdev;
	struct miscdevice misc;
	char misc_name[24];
	int id;
	bool has_dac;
	struct kref ref;
	struct mutex mutex;
	bool gone;
	bool busy;
	void __iomem *bar[PLX_TEST_BARS];
	resource_size_t bar_len[PLX_TEST_BARS];
	int irq;
	struct plx_adapter adapter;
	struct plx_test_snapshot snapshot;
	struct pci_saved_state *config;
	struct completion called;

	spinlock_t lock;
	u32 mode[PLX_TEST_CHANNELS];
	struct plx_test_irq_policy policy;
	const u32 *watch;
	struct plx_test_irq_stats stats;
	wait_queue_head_t wait;
};

static inline u32 plx_read32(struct plx_test *plx, u32 offset)
{
	return readl(plx->bar[0] + offset);
}

static inline void plx_write32(struct plx_test *plx, u32 offset, u32 value)
{
	writel(value, plx->bar[0] + offset);
}

static inline u8 plx_read_csr(struct plx_test *plx, unsigned int ch)
{
	return readb(plx->bar[0] + PLX_DMACSR(ch));
}

static inline void plx_write_csr(struct plx_test *plx, unsigned int ch, u8 value)
{
	writeb(value, plx->bar[0] + PLX_DMACSR(ch));
}

/* plx_file.c */
extern const struct file_operations plx_test_fops;
void plx_test_release_ref(struct kref *ref);

/* plx_buffer.c */
int plx_address_bits(struct plx_adapter *adapter, u32 bits);
bool plx_translated(struct device *dev);
void *plx_allocate_common_buffer(struct plx_adapter *adapter, u32 length,
				 dma_addr_t *logical, bool cache_enabled);
int plx_free_common_buffer(struct plx_adapter *adapter, u32 length,
			   dma_addr_t logical, void *va, bool cache_enabled);
struct plx_buffer *plx_find_buffer(struct plx_adapter *adapter, u32 order);
struct plx_buffer *plx_buffer_from(struct plx_adapter *adapter, u32 order);
void *plx_buffer_span(struct plx_adapter *adapter, u32 order, u32 offset, u32 length);
void plx_let_go(struct plx_adapter *adapter);
void plx_forget_buffers(struct plx_adapter *adapter);

/* plx_streaming.c */
int plx_streaming_map(struct plx_adapter *adapter, struct plx_test_map *map);
int plx_streaming_unmap(struct plx_adapter *adapter, void __user *data);

/* plx_dma.c */
void plx_note_write(struct plx_test *plx, u32 bar, u32 offset, u32 width);
int plx_start(struct plx_test *plx, const struct plx_test_start *start);
void plx_wait_done(struct plx_test *plx, struct plx_test_done *done);
int plx_abort(struct plx_test *plx, struct plx_test_done *done);
int plx_quiesce(struct plx_test *plx);

/* plx_irq.c */
irqreturn_t plx_test_isr(int irq, void *data);
void plx_irq_reset(struct plx_test *plx);
int plx_irq_policy(struct plx_test *plx, const struct plx_test_irq_policy *policy);
int plx_irq_wait(struct plx_test *plx, struct plx_test_irq_wait *wait);

/* plx_bench.c */
int plx_bench(struct plx_test *plx, struct plx_test_bench *bench);

/* plx_agent.c */
extern bool plx_hands_off;
int plx_agent_probe(struct plx_test *plx);
irqreturn_t plx_agent_isr(int irq, void *data);
int plx_level(struct plx_test *plx, struct plx_test_level *level);
int plx_hot_reset(struct plx_test *plx);

#endif /* PLX_TEST_H */
