// SPDX-License-Identifier: GPL-2.0-only
/* Loading and unloading: the order in which the parts come up, and its reverse. */
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "control.h"
#include "dev.h"
#include "instance.h"
#include "netlink.h"

static int __init zkern_init(void)
{
	int err;

	err = zkern_inst_init(&zkern_dev_fops);
	if (err)
		return err;
	err = zkern_netlink_init();
	if (err)
		goto err_inst;
	err = zkern_control_init();
	if (err)
		goto err_netlink;
	return 0;

err_netlink:
	zkern_netlink_exit();
err_inst:
	zkern_inst_exit();
	return err;
}

/* No file of ours is open and no dump runs: each holds the module. */
static void __exit zkern_exit(void)
{
	zkern_control_exit();
	zkern_inst_exit();
	zkern_netlink_exit();
	/* the trees' callbacks are our code */
	rcu_barrier();
}

module_init(zkern_init);
module_exit(zkern_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("ZooKeeper's tree in the kernel");
MODULE_VERSION("0.1.0");
