/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ZT_KERNEL_BENCH_H
#define ZT_KERNEL_BENCH_H

#include <linux/types.h>

/* Fills a tree with @nodes znodes and tells what they took. */
int zt_bench(u32 nodes);

#endif
