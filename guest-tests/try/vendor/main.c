// SPDX-License-Identifier: GPL-2.0-only
/* A module of two files that wants no device. */
#include <linux/module.h>

int vendor_answer(void);

static int __init vendor_init(void)
{
	pr_info("vendor: %d\n", vendor_answer());
	return 0;
}
module_init(vendor_init);

static void __exit vendor_exit(void)
{
}
module_exit(vendor_exit);

MODULE_DESCRIPTION("A module of two files");
MODULE_LICENSE("GPL");
