/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What this plugin calls of QEMU's plugin interface, version 7, in our own
 * words: QEMU's header needs glib's, which the host may not have. Symbols are
 * QEMU's own, and those of the glib that it has loaded. The version is in the
 * plugin's symbol qemu_plugin_version: a QEMU that speaks another one refuses
 * the file and says so.
 */
#ifndef WITNESS_QEMU_API_H
#define WITNESS_QEMU_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef PLUGIN_API
#define PLUGIN_API 7
#endif
#if PLUGIN_API != 7
#error "the calls below are those of version 7"
#endif

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
struct qemu_plugin_register;
struct qemu_plugin_scoreboard;

/* A number for each virtual CPU: a field of the scoreboard's entries. */
struct per_vcpu {
	struct qemu_plugin_scoreboard *board;
	size_t offset;
};

struct qemu_info {
	const char *target;
	struct {
		int min, cur;
	} version;
	bool system_emulation;
	int smp_vcpus, max_vcpus;
};

/* The heads of glib's two arrays, which are all that its users may touch. */
struct byte_array {
	uint8_t *data;
	unsigned int len;
};

struct any_array {
	char *data;
	unsigned int len;
};

struct register_descriptor {
	struct qemu_plugin_register *handle;
	const char *name;
	const char *feature;
	bool is_readonly;
};

enum value_type { VALUE_U8, VALUE_U16, VALUE_U32, VALUE_U64, VALUE_U128 };

struct mem_value {
	enum value_type type;
	union {
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
		uint64_t u64;
		struct {
			uint64_t low, high;
		} u128;
	} data;
};

enum { CB_NO_REGS, CB_R_REGS };
enum { MEM_READ = 1, MEM_WRITE, MEM_READ_WRITE };
enum { COND_NE = 3 };
enum { INLINE_ADD_U64 };

typedef void vcpu_cb(unsigned int vcpu, void *data);
typedef void mem_cb(unsigned int vcpu, uint32_t info, uint64_t vaddr,
		    void *data);

extern struct byte_array *g_byte_array_new(void);
extern struct byte_array *g_byte_array_set_size(struct byte_array *array,
						unsigned int length);
extern char *g_array_free(struct any_array *array, int free_segment);

extern void qemu_plugin_register_vcpu_init_cb(uint64_t id, vcpu_cb *cb,
					      void *data);
extern void qemu_plugin_register_vcpu_idle_cb(uint64_t id, vcpu_cb *cb,
					      void *data);
extern void qemu_plugin_register_vcpu_tb_trans_cb(
	uint64_t id, void (*cb)(struct qemu_plugin_tb *tb, void *data),
	void *data);
extern void qemu_plugin_register_atexit_cb(uint64_t id,
					   void (*cb)(void *data), void *data);

extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
extern size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn,
				    void *to, size_t length);

extern void qemu_plugin_register_vcpu_insn_exec_cb(
	struct qemu_plugin_insn *insn, vcpu_cb *cb, int flags, void *data);
extern void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
					     mem_cb *cb, int flags, int rw,
					     void *data);
extern void qemu_plugin_register_vcpu_tb_exec_cond_cb(
	struct qemu_plugin_tb *tb, vcpu_cb *cb, int flags, int cond,
	struct per_vcpu number, uint64_t with, void *data);
extern void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
	struct qemu_plugin_tb *tb, int op, struct per_vcpu number,
	uint64_t value);

extern bool qemu_plugin_mem_is_store(uint32_t info);
extern unsigned int qemu_plugin_mem_size_shift(uint32_t info);
extern struct mem_value qemu_plugin_mem_get_value(uint32_t info);
extern struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info,
							 uint64_t vaddr);
extern bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *where);
extern uint64_t
qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *where);

extern struct any_array *qemu_plugin_get_registers(void);
extern bool qemu_plugin_read_register(struct qemu_plugin_register *handle,
				      struct byte_array *into);
extern bool qemu_plugin_read_memory_vaddr(uint64_t vaddr,
					  struct byte_array *into,
					  size_t length);
extern bool qemu_plugin_translate_vaddr(uint64_t vaddr, uint64_t *physical);

extern struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
extern uint64_t qemu_plugin_u64_sum(struct per_vcpu number);
extern void qemu_plugin_u64_set(struct per_vcpu number, unsigned int vcpu,
				uint64_t value);

#endif
