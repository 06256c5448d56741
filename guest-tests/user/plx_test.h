/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * plx_test: the cases that a PLX PCI 9x5x must pass, run in the guest.
 *
 * A case is a function that takes the device at rest and gives it back; the
 * runner brings the chip to rest and frees the buffers after each, whatever
 * happened. A check that fails prints a diagnostic and the case goes on; one
 * that makes the rest pointless returns (the macros with MUST).
 */
#ifndef PLX_TEST_USER_H
#define PLX_TEST_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../kmod/plx_hw.h"
#include "../kmod/plx_poll.h"
#include "../kmod/plx_test_uapi.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define PAGE		4096u
#define SRAM_LEAST	0x20000u	/* bytes that every board has in local space 0 */

enum { CH0 = 0, CH1 = 1 };
enum { MEM = 0, IO = 1, SRAM = 2 };		/* BARs; local space 1 is the next */

/* A bus address that no guest memory answers: in the hole below 4 GiB. */
#define UNMAPPED	0xf8000000u

/* The last case leaves this in P2LDBELL, until the next power-on reset. */
#define DOORBELL_MARK	0x80000001u

/* ------------------------------------------------------------------ */
/* report.c: KTAP                                                      */

enum verdict { PASS, FAIL, SKIP };

void report_open(const char *path);
void report_plan(unsigned int tests);
void report_result(const char *name, enum verdict verdict, const char *why);
void report_totals(void);
int report_exit_code(void);
void diag(const char *format, ...) __attribute__((format(printf, 1, 2)));
void bail_out(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* ------------------------------------------------------------------ */
/* board.c: what is behind the BARs                                    */

/* What the chips differ in. Each is as after power-on on its reference board. */
struct chip {
	const char *name;
	uint16_t id;			/* PCIHIDR[31:16] */
	uint8_t revision;		/* PCIREV */
	uint8_t stepping;		/* PCIHREV */
	uint32_t window;		/* bytes of BAR0 */
	uint16_t status;		/* PCISR at rest */
	uint16_t power;			/* PMC; 0: no list of capabilities */
	uint32_t bigend;		/* BIGEND and the three bytes above it */
	uint32_t cntrl;
	uint32_t intcsr_enables;	/* what software may set there ... */
	uint32_t mode_bits;		/* ... in DMAMODE ... */
	uint32_t siz_bits;		/* ... and in DMASIZ */
	bool has_upper_half;		/* of addresses: DMADAC, DMAMODE[18] */
	bool counts_to_pci;		/* clears the count of descriptors in PCI memory too */
	bool has_valid_bits;		/* DMAMODE[21:20] */
	bool has_abort_address;		/* PABTADR */
};

struct local_memory {
	uint32_t at;			/* local address */
	uint32_t size;			/* 0: there is none */
};

struct board {
	uint16_t device;
	uint16_t subsystem;
	const struct chip *chip;
	struct local_memory memory[2];	/* behind local spaces 0 and 1, whole */
};

extern const struct board *board;
extern const struct chip *chip;
extern struct local_memory space[2];	/* as LASnRR and LASnBA had it at first */

/* What is wrong, or NULL; fewer than @least bytes behind local space 0 are. */
const char *board_find(uint32_t least);
/* Whether the chip has @it; if not, the case is skipped: "the CHIP has no @what". */
bool chip_can(bool it, const char *what);

/* The local address of what BAR2 shows at @offset. */
static inline uint32_t local_at(uint32_t offset)
{
	return space[0].at + offset;
}

/* agent.c: requests from outside; the exit code, once nobody asks any more */

int agent_run(const char *path);

/* ------------------------------------------------------------------ */
/* Inside a case                                                       */

/* Fails the running case; @file and @line say where. Gives false. */
bool fail_at(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void skip_case(const char *why);
bool case_failed(void);
bool same_at(const char *file, int line, const char *what, uint64_t got, uint64_t want);
bool same_bytes_at(const char *file, int line, const char *what, const void *got,
		   const void *want, size_t length);

/* CHECK and the SAME ones note a failure and give back if it held. */
#define CHECK(ok, ...)	((ok) ? true : fail_at(__FILE__, __LINE__, __VA_ARGS__))
#define SAME(what, got, want)		same_at(__FILE__, __LINE__, what, got, want)
#define SAME_BYTES(what, got, want, n)	same_bytes_at(__FILE__, __LINE__, what, got, want, n)
#define MUST(ok) do { if (!(ok)) return; } while (0)

/* ------------------------------------------------------------------ */
/* device.c: the driver's ioctls, which end the program if they fail    */

struct common_buffer {
	uint32_t order;
	uint32_t length;
	uint32_t pages;
	uint64_t logical;	/* below 4 GiB, if the driver is right */
	uint64_t va;
};

extern struct plx_test_info info;

const char *device_open(void);			/* what is wrong, or NULL */
bool device_rest(void);				/* after a case */
int device_ioctl(unsigned long request, void *argument);	/* 0 or -errno */

uint64_t peek(int bar, int width, uint32_t offset);
void poke(int bar, int width, uint32_t offset, uint64_t value);
uint32_t rd32(uint32_t offset);			/* BAR0 */
void wr32(uint32_t offset, uint32_t value);
uint8_t csr(int ch);
void set_csr(int ch, uint8_t value);
void change(uint32_t offset, uint32_t clear, uint32_t set);	/* atomic, BAR0 */
/* @count words of @width bytes through BAR2 or BAR3 */
void local_read(int bar, uint32_t offset, int width, void *data, uint32_t count);
void local_write(int bar, uint32_t offset, int width, const void *data, uint32_t count);
/* the same through BAR2 */
void sram_read(uint32_t offset, int width, void *data, uint32_t count);
void sram_write(uint32_t offset, int width, const void *data, uint32_t count);
uint32_t config_read(uint32_t offset, int width);
void config_write(uint32_t offset, int width, uint32_t value);
void bus_master(bool on);

/* NULL, and the case failed, if there is no memory. */
struct common_buffer *buffer(uint32_t length);
bool buffer_try(uint32_t length, struct common_buffer *buf);	/* not freed for you */
int buffer_free(const struct common_buffer *buf);		/* 0 or -errno */
void buffer_read(const struct common_buffer *buf, uint32_t offset, void *data, uint32_t length);
void buffer_write(const struct common_buffer *buf, uint32_t offset, const void *data,
		  uint32_t length);
void buffer_fill(const struct common_buffer *buf, uint8_t value);
uint64_t buffer_sum(const struct common_buffer *buf, uint32_t offset, uint32_t length);

/* Memory that holds @data and is the device's until it is unmapped; false, and the case failed. */
bool streaming_map(bool to_device, const void *data, uint32_t length, struct plx_test_map *map);
void streaming_unmap(void *data);		/* what it holds then */

void start(const struct plx_test_start *values);
/* Whether DONE came in time; a check of the case. */
bool done_within(int ch, uint32_t ms);
bool abort_channel(int ch);

/* How far the device's addresses reach, until the case ends. */
bool address_bits(unsigned int bits);

void irq_policy(uint32_t style, const struct common_buffer *watch, uint32_t offset);
void irq_reset(void);
struct plx_test_irq_stats irq_stats(void);
uint64_t irq_count(enum plx_test_counter counter);
/* Waits for a counter; gives what it stood at. No check. */
uint64_t irq_wait(enum plx_test_counter counter, uint64_t target, uint32_t ms);

void sleep_ms(unsigned int ms);
uint64_t now_ns(void);

/* Looks every millisecond; whether @over held at the last look, which comes after @ms. */
#define POLL(ms, look, over)	PLX_POLL(now_ns(), (ms) * 1000000ull, look, over, sleep_ms(1))

/* ------------------------------------------------------------------ */
/* observe.c: common buffers as a judge outside wants to see them      */

void observe_begin(void);
void observe_requests(void);	/* those of the case that ended */
void observe_end(void);
void observe_seed(uint32_t seed);
/* @length bytes from @offset as either side has them; whether they agree. */
bool observe_bytes(const struct common_buffer *buf, uint32_t offset, const uint8_t *cpu,
		   const uint8_t *device, uint32_t length);
/* Whether the driver gives the byte after the last. */
void observe_past(const struct common_buffer *buf, bool cpu);
void observe_streaming(const struct plx_test_map *map);
/* Who still reads it although it was freed; NULL: the device was not asked. */
void observe_gone(const struct common_buffer *buf, bool cpu, const bool *device);

/* cases_contract.c: 0 for one that differs every time */
void contract_seed(uint32_t value);

/* ------------------------------------------------------------------ */
/* dma.c: what most DMA cases do                                       */

struct descriptor {
	uint32_t pci;
	uint32_t local;
	uint32_t size;
	uint32_t next;		/* and flags */
};

#define TO_PCI		true
#define TO_LOCAL	false

/* Bytes that differ at every distance up to 64 KiB and more. */
void pattern(void *data, uint32_t length, uint32_t seed);
/* A block, polled; @extra bits for DMAMODE. */
bool block(int ch, bool to_pci, uint32_t pci, uint32_t local, uint32_t length);
bool block_with(int ch, bool to_pci, uint32_t pci, uint32_t local, uint32_t length,
		uint32_t mode);
void start_block(int ch, bool to_pci, uint32_t pci, uint32_t local, uint32_t length,
		 uint32_t mode);
void start_chain(int ch, uint32_t dpr, uint32_t mode);
void put_descriptor(const struct common_buffer *ring, unsigned int index,
		    struct descriptor desc);
struct descriptor get_descriptor(const struct common_buffer *ring, unsigned int index);
uint32_t descriptor_at(const struct common_buffer *ring, unsigned int index);
void enable_irq(int ch);
/* cases_error.c: what a master abort at @address has to leave, then a block that works. */
void after_master_abort(int ch, uint32_t address);
void works_again(int ch);

/*
 * A circular ring of @count descriptors on @ch, each moving @length bytes of
 * @data to local or to PCI; terminal-count flags as in @tc (bit per entry).
 */
struct ring {
	int ch;
	unsigned int count;
	uint32_t length;
	struct common_buffer *table;
	struct common_buffer *data;
};

bool ring_make(struct ring *ring, int ch, bool to_pci, unsigned int count, uint32_t length,
	       uint32_t tc);
void ring_start(const struct ring *ring, uint32_t mode);

/* ------------------------------------------------------------------ */
/* The tables                                                          */

struct test {
	const char *name;
	void (*run)(void);
};

extern const struct test register_tests[];
extern const struct test memory_tests[];
extern const struct test contract_tests[];
extern const struct test reboot_tests[];
extern const struct test block_tests[];
extern const struct test chain_tests[];
extern const struct test long_tests[];
extern const struct test ring_tests[];
extern const struct test irq_tests[];
extern const struct test error_tests[];
extern const struct test last_tests[];
extern const struct test bench_tests[];
extern const struct test stream_tests[];
void stream_size(unsigned int mib);
extern const struct test pause_tests[];

#endif /* PLX_TEST_USER_H */
