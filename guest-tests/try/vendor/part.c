// SPDX-License-Identifier: GPL-2.0-only
int vendor_answer(void);

int vendor_answer(void)
{
	return 42;
}
