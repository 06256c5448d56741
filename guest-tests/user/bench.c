// SPDX-License-Identifier: GPL-2.0-only
/*
 * --bench: how long things take from the guest, as diagnostics:
 *
 *   # bench name=NAME round=R n=N ns_per_op=T
 *
 * N operations took N * T nanoseconds of the guest's clock. There are several
 * rounds of each; whoever reads them takes the median. Names:
 *
 *   bar0_read            readl, the round trip
 *   bar0_write_issued    writel, as the CPU sees it
 *   bar0_write_drained   the same until a readl after the last has its answer
 *   bar1_in, bar1_out    inl and outl
 *   edu_read, edu_write_issued, edu_write_drained
 *                        QEMU's built-in edu device, skipped without one
 *   irq_round_trip       START of a 4-byte block until the waiter runs again
 */
#include <errno.h>

#include "plx_test.h"

#define ROUNDS		7
#define READS		1000
#define WRITES		2000
#define IRQS		100

static void line(const char *name, unsigned int round, uint32_t n, uint64_t ns)
{
	diag("bench name=%s round=%u n=%u ns_per_op=%.1f", name, round, n, (double)ns / n);
}

static void run(uint32_t kind, uint32_t n, const char *issued, const char *drained)
{
	struct plx_test_bench bench = { .kind = kind, .n = n };
	unsigned int round;

	for (round = 1; round <= ROUNDS; round++) {
		int error = device_ioctl(PLX_TEST_BENCH, &bench);

		if (error == -ENODEV) {
			skip_case("no such device");
			return;
		}
		MUST(CHECK(!error, "bench: error %d", -error));
		line(issued, round, n, bench.issued_ns);
		if (drained)
			line(drained, round, n, bench.drained_ns);
	}
}

static void bench_bar0_read(void)
{
	run(PLX_TEST_BENCH_BAR0_READ, READS, "bar0_read", NULL);
}

static void bench_bar0_write(void)
{
	run(PLX_TEST_BENCH_BAR0_WRITE, WRITES, "bar0_write_issued", "bar0_write_drained");
}

static void bench_bar1_in(void)
{
	run(PLX_TEST_BENCH_BAR1_IN, READS, "bar1_in", NULL);
}

static void bench_bar1_out(void)
{
	run(PLX_TEST_BENCH_BAR1_OUT, READS, "bar1_out", NULL);
}

static void bench_edu_read(void)
{
	run(PLX_TEST_BENCH_EDU_READ, 10 * READS, "edu_read", NULL);
}

static void bench_edu_write(void)
{
	run(PLX_TEST_BENCH_EDU_WRITE, 10 * WRITES, "edu_write_issued", "edu_write_drained");
}

static void bench_irq_round_trip(void)
{
	struct common_buffer *buf = buffer(4);
	unsigned int round, i;

	MUST(buf);
	enable_irq(CH0);
	for (round = 1; round <= ROUNDS; round++) {
		uint64_t began;

		irq_reset();
		began = now_ns();
		for (i = 1; i <= IRQS; i++) {
			start_block(CH0, TO_PCI, buf->logical, local_at(0), 4,
				    PLX_MODE_DONE_INT | PLX_MODE_INTA);
			MUST(SAME("interrupts", irq_wait(PLX_TEST_IRQ_DONE0, i, 2000), i));
		}
		line("irq_round_trip", round, IRQS, now_ns() - began);
	}
}

const struct test bench_tests[] = {
	{ "bench_bar0_read", bench_bar0_read },
	{ "bench_bar0_write", bench_bar0_write },
	{ "bench_bar1_in", bench_bar1_in },
	{ "bench_bar1_out", bench_bar1_out },
	{ "bench_edu_read", bench_edu_read },
	{ "bench_edu_write", bench_edu_write },
	{ "bench_irq_round_trip", bench_irq_round_trip },
	{ }
};
