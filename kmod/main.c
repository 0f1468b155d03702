// SPDX-License-Identifier: GPL-2.0-only
/* Loading and unloading: the order in which the parts come up, and its reverse. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "control.h"
#include "dev.h"
#include "instance.h"
#include "kapi.h"
#include "netlink.h"
#include "tree/tree.h"

static int __init zkern_init(void)
{
	int err;

	err = zk_tree_init();
	if (err)
		return err;
	err = zkern_inst_init(&zkern_dev_fops);
	if (err)
		goto err_tree;
	err = zkern_netlink_init();
	if (err)
		goto err_inst;
	err = zkern_control_init();
	if (err)
		goto err_netlink;
	err = zkern_bpf_init();
	if (err)
		pr_info("no functions for BPF programs: %d\n", err);
	return 0;

err_netlink:
	zkern_inst_close();
	zkern_netlink_exit();
err_inst:
	zkern_inst_exit();
err_tree:
	zk_tree_exit();
	return err;
}

/* No file of ours is open and no dump runs: each holds the module. */
static void __exit zkern_exit(void)
{
	zkern_control_exit();
	zkern_inst_close();
	zkern_netlink_exit();
	zkern_inst_exit();
	zk_tree_exit();
}

module_init(zkern_init);
module_exit(zkern_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("ZooKeeper's tree in the kernel");
MODULE_VERSION("0.1.0");
