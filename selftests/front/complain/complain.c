// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that makes the kernel complain as it is told to, so that the VM
 * runner's eye for complaints can be tested. Never loaded outside that test.
 */
#include <linux/module.h>

static char *how = "none";
module_param(how, charp, 0);
MODULE_PARM_DESC(how, "none, warn or oops");

static int __init complain_init(void)
{
	if (!strcmp(how, "oops"))
		return READ_ONCE(*(int *)NULL);
	WARN_ON(!strcmp(how, "warn"));
	return 0;
}

static void __exit complain_exit(void)
{
}

module_init(complain_init);
module_exit(complain_exit);
MODULE_DESCRIPTION("Complains, for the tests of the VM runner");
MODULE_LICENSE("GPL");
