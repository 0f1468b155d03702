/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ZT_LINUX_ERR_H
#define ZT_LINUX_ERR_H

/* Our kthread_run() returns no error pointers. */
#define IS_ERR_OR_NULL(p)	(!(p))

#endif
