/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * ioctl interface of plx_test, the test driver for PLX PCI 9x5x bridges.
 *
 * The driver gives access and mechanism; what is right or wrong is decided by
 * the program that calls it. One process at a time may hold the device open.
 * Every reserved field must be zero.
 */
#ifndef PLX_TEST_UAPI_H
#define PLX_TEST_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define PLX_TEST_ABI		4
#define PLX_TEST_BARS		6
#define PLX_TEST_CHANNELS	2

/* ------------------------------------------------------------------ */
/* The device                                                          */

#define PLX_TEST_BAR_MEM	0x1
#define PLX_TEST_BAR_IO		0x2

/* The driver makes no register access of its own: it was loaded with hands_off. */
#define PLX_TEST_HANDS_OFF	0x1
/* An IOMMU translates for the device: logical addresses are not physical ones. */
#define PLX_TEST_TRANSLATED	0x2

struct plx_test_info {
	__u32 abi;
	__u16 vendor;
	__u16 device;
	__u16 subvendor;
	__u16 subdevice;
	__u8  revision;
	__u8  pin;
	__u16 flags;				/* PLX_TEST_HANDS_OFF, PLX_TEST_TRANSLATED */
	__s32 irq;				/* 0: no interrupt */
	__u32 bar_flags[PLX_TEST_BARS];		/* 0: not there */
	__u64 bar_len[PLX_TEST_BARS];
	__u64 bar_start[PLX_TEST_BARS];
	__u64 dma_mask;
	char  name[32];				/* as in 0000:00:04.0 */
};

/* All registers as they were found, before the driver wrote any. */
struct plx_test_snapshot {
	__u32 mem[128];				/* BAR0, as much as it has */
	__u32 io[64];				/* BAR1 */
	__u32 mem_words;			/* how many are valid */
	__u32 io_words;
};

/* ------------------------------------------------------------------ */
/* Access to BARs and to configuration space                           */

struct plx_test_access {
	__u32 bar;
	__u32 width;				/* 1, 2, 4; 8 in memory BARs */
	__u32 offset;
	__u32 reserved;
	__u64 value;
};

/* One read-modify-write that the interrupt handler cannot get into. */
struct plx_test_rmw {
	__u32 bar;
	__u32 width;
	__u32 offset;
	__u32 reserved;
	__u32 clear;
	__u32 set;
	__u32 old;
	__u32 new_value;
};

/* @count accesses of @width bytes at rising offsets. */
struct plx_test_bulk {
	__u32 bar;
	__u32 width;
	__u32 offset;
	__u32 count;
	__u64 data;				/* user pointer */
};

struct plx_test_config {
	__u32 offset;
	__u32 width;				/* 1, 2, 4 */
	__u32 value;
	__u32 reserved;
};

/* ------------------------------------------------------------------ */
/* Common buffers                                                      */

struct plx_test_alloc {
	__u32 length;				/* in: bytes that are wanted */
	__u32 cache_enabled;			/* in: kept, x86 ignores it */
	__u32 order;				/* out: number of the request */
	__u32 pages;				/* out: pages that it took */
	__u64 va;				/* out: 0 if it failed */
	__u64 logical;				/* out: what the device is given */
};

/* What AllocateCommonBuffer was given and gave back must all come again. */
struct plx_test_free {
	__u32 order;
	__u32 length;
	__u64 va;
	__u64 logical;
	__u32 cache_enabled;
	__u32 reserved;
};

struct plx_test_copy {
	__u32 order;
	__u32 offset;
	__u32 length;
	__u32 reserved;
	__u64 data;				/* user pointer */
};

struct plx_test_fill {
	__u32 order;
	__u32 offset;
	__u32 length;
	__u32 value;				/* one byte */
};

/* 64-bit FNV-1a of a part of a buffer. */
struct plx_test_sum {
	__u32 order;
	__u32 offset;
	__u32 length;
	__u32 reserved;
	__u64 sum;
};

#define PLX_TEST_REC_LIVE	0x1		/* not freed yet */
#define PLX_TEST_REC_FAILED	0x2		/* AllocateCommonBuffer gave NULL */
#define PLX_TEST_REC_CACHED	0x4		/* CacheEnabled was true */
#define PLX_TEST_REC_FREE	0x8		/* a request to free, not to allocate */
#define PLX_TEST_REC_REFUSED	0x10		/* of these, one that freed nothing */
#define PLX_TEST_REC_ZEROED	0x20		/* all of it was 0 when Linux gave it */

/*
 * The record of one request, kept after the buffer was freed. Allocations and
 * frees are counted alike. @order in: the lowest number wanted; out: the one
 * that this is. -ENOENT after the last.
 */
struct plx_test_record {
	__u32 order;
	__u32 length;				/* as asked, or as passed to the free */
	__u32 pages;
	__u32 flags;
	__u64 va;				/* of a free: as passed to it */
	__u64 logical;				/* the mapping's; of a free: as passed */
	__u64 given;				/* what the caller was told it is */
	__u64 limit;				/* highest address of the adapter */
	__u32 usable;				/* bytes that the shim lets the caller touch */
	__u32 of;				/* of a free: number of the allocation, or 0 */
	__u32 pfn_room;				/* in: entries behind @pfns */
	__u32 pfn_count;			/* out: entries written */
	__u64 pfns;				/* user pointer to __u64 */
};

/*
 * A streaming mapping, one at a time: memory that holds @data and is the
 * device's until it is unmapped. What it holds then goes where the unmap says.
 */
struct plx_test_map {
	__u32 length;
	__u32 to_device;			/* 1: the device reads it, 0: it writes it */
	__u64 data;				/* user pointer */
	__u64 logical;				/* out: what the device is given */
	__u64 physical;				/* out: where the memory is */
};

/* ------------------------------------------------------------------ */
/* DMA                                                                 */

#define PLX_TEST_SET_MODE	0x01
#define PLX_TEST_SET_PADR	0x02
#define PLX_TEST_SET_LADR	0x04
#define PLX_TEST_SET_SIZ	0x08
#define PLX_TEST_SET_DPR	0x10
#define PLX_TEST_SET_CSR	0x20
#define PLX_TEST_SET_BLOCK	0x3f		/* all of them */
#define PLX_TEST_SET_CHAIN	0x31		/* mode, first pointer, command */

/* Writes the registers named in @which, the command byte last. */
struct plx_test_start {
	__u32 channel;
	__u32 which;
	__u32 mode;
	__u32 padr;
	__u32 ladr;
	__u32 siz;
	__u32 dpr;
	__u32 csr;
};

/* Polls DMACSR until DONE; @csr tells how that ended. */
struct plx_test_done {
	__u32 channel;
	__u32 timeout_us;
	__u32 csr;
	__u32 polls;
	__u64 elapsed_ns;
};

/* ------------------------------------------------------------------ */
/* Interrupts                                                          */

/* What the handler does with a cause. */
#define PLX_TEST_ISR_ACK	0		/* clears it at the channel */
#define PLX_TEST_ISR_MASK	1		/* clears INTCSR[8], leaves the rest */
#define PLX_TEST_ISR_ONE	2		/* clears one channel's, and goes */

struct plx_test_irq_policy {
	__u32 style;
	/* The handler keeps this dword of a buffer as it finds it; 0: none. */
	__u32 watch_order;
	__u32 watch_offset;
	__u32 reserved;
};

enum plx_test_counter {
	PLX_TEST_IRQ_HANDLED,			/* the handler said: mine */
	PLX_TEST_IRQ_NONE,			/* it said: not mine */
	PLX_TEST_IRQ_ALL_ONES,			/* of these, the chip was gone */
	PLX_TEST_IRQ_CHANNEL0,
	PLX_TEST_IRQ_CHANNEL1,
	PLX_TEST_IRQ_DONE0,			/* of these, with DONE set */
	PLX_TEST_IRQ_DONE1,
	PLX_TEST_IRQ_DOORBELL,
	PLX_TEST_IRQ_ABORT,
	PLX_TEST_IRQ_LINTI,
	PLX_TEST_IRQ_COUNTERS
};

struct plx_test_irq_stats {
	__u64 count[PLX_TEST_IRQ_COUNTERS];
	/* As the handler saw them last. */
	__u32 intcsr;
	__u32 dmacsr[PLX_TEST_CHANNELS];
	__u32 padr[PLX_TEST_CHANNELS];
	__u32 watch;				/* first time since the reset */
	__u32 watch_seen;			/* 1: @watch is valid */
	__u32 doorbell;				/* L2PDBELL */
};

/* Waits until a counter has reached @target; @value tells how far it came. */
struct plx_test_irq_wait {
	__u32 counter;
	__u32 timeout_ms;
	__u64 target;
	__u64 value;
};

/*
 * Whether INTA# is asserted, found without any register access: listens for
 * @wait_ms at most. Only with PLX_TEST_HANDS_OFF.
 */
struct plx_test_level {
	__u32 wait_ms;
	__u32 asserted;
};

/* ------------------------------------------------------------------ */
/* Timing                                                              */

enum plx_test_bench_kind {
	PLX_TEST_BENCH_BAR0_READ,
	PLX_TEST_BENCH_BAR0_WRITE,		/* @n writes, then one read */
	PLX_TEST_BENCH_BAR1_IN,
	PLX_TEST_BENCH_BAR1_OUT,
	PLX_TEST_BENCH_EDU_READ,		/* QEMU's edu device; -ENODEV */
	PLX_TEST_BENCH_EDU_WRITE,
};

struct plx_test_bench {
	__u32 kind;
	__u32 n;
	__u64 issued_ns;			/* until the last access was made */
	__u64 drained_ns;			/* until the read after it */
};

/* ------------------------------------------------------------------ */

#define PLX_TEST_BREAK_PANIC	1
#define PLX_TEST_BREAK_OOPS	2
/* From here on the shim of AllocateCommonBuffer is wrong, as many a driver is. */
#define PLX_TEST_BREAK_LENGTH	3		/* gives whole pages, not the length */
#define PLX_TEST_BREAK_LIMIT	4		/* keeps the adapter's limit to itself */
#define PLX_TEST_BREAK_TWICE	5		/* takes a free that it took before */
#define PLX_TEST_BREAK_PHYSICAL	6		/* gives the physical address as logical */

#define PLX_TEST_MAGIC		'x'

#define PLX_TEST_INFO		_IOR(PLX_TEST_MAGIC, 0x00, struct plx_test_info)
#define PLX_TEST_SNAPSHOT	_IOR(PLX_TEST_MAGIC, 0x01, struct plx_test_snapshot)
#define PLX_TEST_PEEK		_IOWR(PLX_TEST_MAGIC, 0x02, struct plx_test_access)
#define PLX_TEST_POKE		_IOW(PLX_TEST_MAGIC, 0x03, struct plx_test_access)
#define PLX_TEST_RMW		_IOWR(PLX_TEST_MAGIC, 0x04, struct plx_test_rmw)
#define PLX_TEST_PEEK_BULK	_IOW(PLX_TEST_MAGIC, 0x05, struct plx_test_bulk)
#define PLX_TEST_POKE_BULK	_IOW(PLX_TEST_MAGIC, 0x06, struct plx_test_bulk)
#define PLX_TEST_CONFIG_READ	_IOWR(PLX_TEST_MAGIC, 0x07, struct plx_test_config)
#define PLX_TEST_CONFIG_WRITE	_IOW(PLX_TEST_MAGIC, 0x08, struct plx_test_config)
#define PLX_TEST_BUS_MASTER	_IOW(PLX_TEST_MAGIC, 0x09, __u32)

#define PLX_TEST_ALLOC		_IOWR(PLX_TEST_MAGIC, 0x10, struct plx_test_alloc)
#define PLX_TEST_FREE		_IOW(PLX_TEST_MAGIC, 0x11, struct plx_test_free)
#define PLX_TEST_BUF_READ	_IOW(PLX_TEST_MAGIC, 0x12, struct plx_test_copy)
#define PLX_TEST_BUF_WRITE	_IOW(PLX_TEST_MAGIC, 0x13, struct plx_test_copy)
#define PLX_TEST_BUF_FILL	_IOW(PLX_TEST_MAGIC, 0x14, struct plx_test_fill)
#define PLX_TEST_BUF_SUM	_IOWR(PLX_TEST_MAGIC, 0x15, struct plx_test_sum)
#define PLX_TEST_RECORD		_IOWR(PLX_TEST_MAGIC, 0x16, struct plx_test_record)

/* How many address bits the adapter has: 12 to 32, and 32 to begin with. */
#define PLX_TEST_ADDRESS_BITS	_IOW(PLX_TEST_MAGIC, 0x17, __u32)

#define PLX_TEST_MAP		_IOWR(PLX_TEST_MAGIC, 0x18, struct plx_test_map)
/* A user pointer to as many bytes as were mapped, or 0. */
#define PLX_TEST_UNMAP		_IOW(PLX_TEST_MAGIC, 0x19, __u64)

#define PLX_TEST_START		_IOW(PLX_TEST_MAGIC, 0x20, struct plx_test_start)
#define PLX_TEST_DONE		_IOWR(PLX_TEST_MAGIC, 0x21, struct plx_test_done)
#define PLX_TEST_ABORT		_IOWR(PLX_TEST_MAGIC, 0x22, struct plx_test_done)
#define PLX_TEST_QUIESCE	_IO(PLX_TEST_MAGIC, 0x23)
/* RST# by the bridge above; configuration space is then as probe left it. */
#define PLX_TEST_HOT_RESET	_IO(PLX_TEST_MAGIC, 0x24)

#define PLX_TEST_IRQ_POLICY	_IOW(PLX_TEST_MAGIC, 0x30, struct plx_test_irq_policy)
#define PLX_TEST_IRQ_STATS	_IOR(PLX_TEST_MAGIC, 0x31, struct plx_test_irq_stats)
#define PLX_TEST_IRQ_RESET	_IO(PLX_TEST_MAGIC, 0x32)
#define PLX_TEST_IRQ_WAIT	_IOWR(PLX_TEST_MAGIC, 0x33, struct plx_test_irq_wait)
#define PLX_TEST_LEVEL		_IOWR(PLX_TEST_MAGIC, 0x34, struct plx_test_level)

#define PLX_TEST_BENCH		_IOWR(PLX_TEST_MAGIC, 0x40, struct plx_test_bench)
/* Refused unless the module parameter allow_break is set. */
#define PLX_TEST_BREAK		_IOW(PLX_TEST_MAGIC, 0x4f, __u32)

#endif /* PLX_TEST_UAPI_H */
