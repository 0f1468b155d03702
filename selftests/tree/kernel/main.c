// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The suite as a module: insmod runs it, and its TAP lines go to the kernel's log. A
 * failed run does not load.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/random.h>

#include "bench.h"
#include "zt.h"

static char *only = "";
module_param(only, charp, 0444);
MODULE_PARM_DESC(only, "run the cases whose names contain this");

static ulong seed;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "of the random cases; 0: a new one");

static uint scale = 1;
module_param(scale, uint, 0444);
MODULE_PARM_DESC(scale, "how long cases take");

static uint bench;
module_param(bench, uint, 0444);
MODULE_PARM_DESC(bench, "znodes to fill a tree with before the tests");

static const struct zt_case * const tables[] = { zt_cases, NULL };

static void print(const char *line)
{
	pr_info("%s\n", line);
}

static int __init zt_init(void)
{
	int err = zk_tree_init();

	if (err)
		return err;
	zt_seed = seed ? seed : get_random_u32();
	zt_scale = scale;
	if (bench)
		err = zt_bench(bench);
	if (!err && zt_run(tables, only, print))
		err = -EIO;
	zk_tree_exit();
	return err;
}

static void __exit zt_exit(void)
{
}

module_init(zt_init);
module_exit(zt_exit);
MODULE_DESCRIPTION("Tests of zkern's tree");
MODULE_LICENSE("GPL");
