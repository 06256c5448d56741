// SPDX-License-Identifier: GPL-2.0-only
/* A module that does what its parameter says: write to nowhere, warn, refuse to load, or hang. */
#include <linux/completion.h>
#include <linux/kernel.h>
#include <linux/module.h>

static char *how = "oops";
module_param(how, charp, 0444);
MODULE_PARM_DESC(how, "oops, warn, refuse, loop, wait, or say so many lines before a warning");

static DECLARE_COMPLETION(never);

static noinline void crash_loop(void)
{
	for (;;)
		cpu_relax();
}

static noinline void crash_wait(void)
{
	wait_for_completion(&never);
}

static int __init crash_init(void)
{
	unsigned int lines;

	if (!strcmp(how, "refuse"))
		return -EXDEV;
	if (!kstrtouint(how, 0, &lines)) {
		while (lines--)
			pr_warn("crash talks %u\n", lines);
		WARN(1, "crash warns\n");
		return 0;
	}
	if (!strcmp(how, "warn")) {
		WARN(1, "crash warns\n");
		return 0;
	}
	if (!strcmp(how, "loop"))
		crash_loop();
	if (!strcmp(how, "wait"))
		crash_wait();
	WRITE_ONCE(*(int *)8, 1);
	return 0;
}
module_init(crash_init);

MODULE_DESCRIPTION("A module that crashes");
MODULE_LICENSE("GPL");
