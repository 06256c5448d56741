// SPDX-License-Identifier: GPL-2.0-only
/*
 * The plugin's options, and what is instrumented: entries of the kernel's
 * functions that are watched, the places to which their calls return, accesses
 * in watched modules and in the kernel's I/O helpers. Everything else runs as
 * without it.
 *
 * -plugin FILE,facts=FD|PATH[,ring=FD]...[,code=FD][,watch=NAME]...[,check=on]
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "witness.h"

#define EXPORTED __attribute__((visibility("default")))
#define FLUSH_NS 100000000ull
#define END_TRIES 100

EXPORTED int qemu_plugin_version = PLUGIN_API;

/* In one write, so that no other thread's words come between. */
void complain(const char *format, ...)
{
	char text[256] = "witness: ";
	va_list words;
	size_t n;

	va_start(words, format);
	vsnprintf(text + strlen(text), sizeof(text) - strlen(text) - 1, format,
		  words);
	va_end(words);
	n = strlen(text);
	text[n++] = '\n';
	if (write(STDERR_FILENO, text, n) < 0)
		return;		/* nobody can be told */
}

static void translate_module(struct qemu_plugin_tb *tb, uint64_t address)
{
	size_t insns = qemu_plugin_tb_n_insns(tb);
	uint32_t bytes = 0;
	bool handler = false;
	int module, block = -1;

	pthread_mutex_lock(&lock);
	module = module_at(address);
	if (module >= 0) {
		handler = is_handler(address);
		for (size_t i = 0; i < insns; i++)
			bytes += qemu_plugin_insn_size(
				qemu_plugin_tb_get_insn(tb, i));
		block = block_of(module, address, bytes, insns);
	}
	pthread_mutex_unlock(&lock);
	if (block >= 0)
		qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
			tb, INLINE_ADD_U64, block_count(block), 1);
	if (handler)
		qemu_plugin_register_vcpu_insn_exec_cb(
			qemu_plugin_tb_get_insn(tb, 0), handler_enter,
			CB_NO_REGS, (void *)address);
	for (size_t i = 0; module >= 0 && i < insns; i++)
		access_watch(qemu_plugin_tb_get_insn(tb, i), false);
}

static void translate(struct qemu_plugin_tb *tb, void *data)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	bool module = address >= facts.image_end;
	const struct hook *hook;

	(void)data;
	if (address < facts.image || address >= MODULES_END)
		return;
	hook = module ? NULL : hook_around(address);
	if (module || (hook && hook->kind == H_CALL) || returns_to(address))
		qemu_plugin_register_vcpu_tb_exec_cond_cb(
			tb, call_return, CB_R_REGS, COND_NE, calls_open(), 0,
			(void *)address);
	if (module) {
		translate_module(tb, address);
		return;
	}
	if (!hook)
		return;
	if (hook->address == address)
		qemu_plugin_register_vcpu_insn_exec_cb(
			qemu_plugin_tb_get_insn(tb, 0),
			hook->kind == H_CALL ? call_enter : helper_enter,
			CB_R_REGS, (void *)hook);
	if (hook->kind == H_HELPER)
		for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
			access_watch(qemu_plugin_tb_get_insn(tb, i), true);
}

static void on_vcpu(unsigned int vcpu, void *data)
{
	(void)data;
	guest_vcpu(vcpu);
}

/* QEMU's own lock may be held here: never wait for ours. */
static void on_idle(unsigned int vcpu, void *data)
{
	static uint64_t last;
	struct timespec time;
	uint64_t now;

	(void)vcpu;
	(void)data;
	clock_gettime(CLOCK_MONOTONIC, &time);
	now = time.tv_sec * 1000000000ull + time.tv_nsec;
	if (now - __atomic_load_n(&last, __ATOMIC_RELAXED) < FLUSH_NS ||
	    pthread_mutex_trylock(&lock))
		return;
	__atomic_store_n(&last, now, __ATOMIC_RELAXED);
	blocks_flush();
	pthread_mutex_unlock(&lock);
}

static void on_end(void *data)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	int tries = 0;

	(void)data;
	while (pthread_mutex_trylock(&lock))
		if (++tries == END_TRIES)
			return;
		else
			nanosleep(&nap, NULL);
	for (int i = 0; i < n_rings; i++)
		touch_flush(&rings[i]);
	calls_end();
	blocks_flush();
	if (module_seen())	/* else the end makes no kernel the expected one */
		rings_state(STATE_ENDED);
	pthread_mutex_unlock(&lock);
}

static bool option(const char *word, bool *check)
{
	const char *value = strchr(word, '=');
	size_t n = value ? (size_t)(value++ - word) : 0;

	if (n == 5 && !strncmp(word, "facts", n))
		return facts_read(value);
	if (n == 4 && !strncmp(word, "ring", n))
		return ring_add(value);
	if (n == 4 && !strncmp(word, "code", n))
		return code_map(value);
	if (n == 5 && !strncmp(word, "watch", n))
		return modules_watch(value);
	if (!strcmp(word, "check=on"))
		return *check = true;
	complain("no option '%s'; there are facts, ring, code, watch, check",
		 word);
	return false;
}

EXPORTED int qemu_plugin_install(uint64_t id, const struct qemu_info *info,
				 int argc, char **argv)
{
	bool check = false;

	if (strcmp(info->target, "x86_64") || !info->system_emulation) {
		complain("the guest is no x86_64 machine");
		return 1;
	}
	for (int i = 0; i < argc; i++)
		if (!option(argv[i], &check))
			return 1;
	if (check) {	/* only asked whether it loads */
		complain("loads, plugin interface %d", PLUGIN_API);
		return 1;
	}
	if (!n_hooks) {
		complain("give facts=FD or facts=PATH");
		return 1;
	}
	if (!guest_init() || !calls_init()) {
		complain("no memory");
		return 1;
	}
	rings_state(STATE_LOADED);
	qemu_plugin_register_vcpu_init_cb(id, on_vcpu, NULL);
	qemu_plugin_register_vcpu_idle_cb(id, on_idle, NULL);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate, NULL);
	qemu_plugin_register_atexit_cb(id, on_end, NULL);
	return 0;
}
