/* SPDX-License-Identifier: GPL-2.0-only */
/* What reads of other kernel code (kapi.c) and of BPF programs (bpf.c) share. */
#ifndef ZKERN_KAPI_H
#define ZKERN_KAPI_H

#include <linux/zkern_kapi.h>

#include "access.h"
#include "file.h"

/*
 * RCU: the node at @path as of @at, as zkern_kget() reads it, but for @get's zxid, state
 * and age. @who: NULL: nobody, who may read what the world may. Any context. Errors as
 * there.
 */
int zkern_kread(const struct zkern_at *at, const char *path, u32 path_len,
		const struct zkern_caller *who, struct zkern_kget *get);

/* ------------------------------------------------------------ kapi_watch.c */

/* Nobody is told of @zf's events any more, nor being told. Sleeps. */
void zkern_kevents_end(struct zkern_file *zf);

/* ------------------------------------------------------------ bpf.c */

/* Makes the kfuncs known. Sleeps. Negative errno: there are none. */
int zkern_bpf_init(void);

/* The kfuncs, which only BPF programs call: by the name that is in the module's BTF. */
int bpf_zkern_get(u32 instance, const void *path, u32 path__sz, void *data, u32 data__sz);
int bpf_zkern_stat(u32 instance, const void *path, u32 path__sz, void *stat, u32 stat__sz);
int bpf_zkern_state(u32 instance, void *state, u32 state__sz);

#endif
