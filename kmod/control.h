/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/zkern: makes and removes instances. */
#ifndef ZKERN_CONTROL_H
#define ZKERN_CONTROL_H

int zkern_control_init(void);
void zkern_control_exit(void);

#endif
