/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/zkernN: the file operations that instance.c hangs on the nodes. */
#ifndef ZKERN_DEV_H
#define ZKERN_DEV_H

#include <linux/fs.h>

extern const struct file_operations zkern_dev_fops;

#endif
