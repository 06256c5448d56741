/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A driver that makes every call that the witness knows, and says on the
 * console what it asked and got, for a test to compare.
 */
#ifndef WATCHED_H
#define WATCHED_H

#include <linux/pci.h>
#include <linux/printk.h>

/* One line: what was done, then numbers. */
#define told(format, ...) pr_warn("watched: " format "\n", ##__VA_ARGS__)

#define DRAM 2
#define REGISTERS 0
#define PORTS 1

int watched_calls(struct pci_dev *pdev);
int watched_access(struct pci_dev *pdev);

#endif
