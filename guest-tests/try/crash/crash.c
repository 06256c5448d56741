// SPDX-License-Identifier: GPL-2.0-only
/* A module that does what its parameter says: write to nowhere, warn, or refuse to load. */
#include <linux/module.h>

static char *how = "oops";
module_param(how, charp, 0444);
MODULE_PARM_DESC(how, "oops, warn, or refuse");

static int __init crash_init(void)
{
	if (!strcmp(how, "refuse"))
		return -EXDEV;
	if (!strcmp(how, "warn")) {
		WARN(1, "crash warns\n");
		return 0;
	}
	WRITE_ONCE(*(int *)8, 1);
	return 0;
}
module_init(crash_init);

MODULE_DESCRIPTION("A module that crashes");
MODULE_LICENSE("GPL");
