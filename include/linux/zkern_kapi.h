/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Znodes for other kernel code.
 *
 * Modules link to these functions (and so hold zkern.ko); BPF programs have the
 * kfuncs of kmod/bpf.c.
 *
 * What is promised is what the UAPI promises of an open device file: a read is exact
 * at one zxid, sees only committed transactions, and through one handle never an older
 * tree than an earlier read did (the UAPI's guarantees A to C).
 */
#ifndef _LINUX_ZKERN_KAPI_H
#define _LINUX_ZKERN_KAPI_H

#include <linux/types.h>
#include <linux/zkern.h>

struct cred;
struct zkern_file;

/**
 * struct zkern_kget - one node, read by zkern_kget().
 * @buf:     room for the data, the caller's; may be NULL if @buf_len is 0
 * @buf_len: bytes in @buf
 * @len:     bytes of data that the node has; also with -EMSGSIZE
 * @state:   enum zkern_state, what the daemon was doing
 * @zxid:    the tree's; also with -ENOENT
 * @age_ms:  how long ago a quorum was heard from, ~0: never
 * @stat:    as clients see it; also with -EMSGSIZE
 */
struct zkern_kget {
	void *buf;
	u32 buf_len;
	u32 len;
	u32 state;
	u64 zxid;
	u64 age_ms;
	struct zkern_stat stat;
};

/*
 * A handle to instance @id, for any number of readers. Sleeps. Returns it or an
 * ERR_PTR: -ENODEV (no such instance), -ENOMEM. The instance may be removed while
 * there are handles: reads then say -ENODEV for ever.
 */
struct zkern_file *zkern_kopen(u32 id);
/* The last use of a handle has returned. Sleeps. */
void zkern_kclose(struct zkern_file *zf);

/*
 * Reads the node at @path (@path_len bytes, absolute, no NUL needed) into @get, of which
 * the caller sets @buf and @buf_len. @cred: whose rights count (schemes uid, gid,
 * world); NULL: the kernel's own, which no ACL binds.
 * Any context but NMI; takes no lock, and copies the data inside one RCU section, so
 * think of what a large @buf costs.
 * Returns 0, -ENOENT, -EINVAL (the path is malformed), -EACCES, -EMSGSIZE (@len says how
 * much there is; nothing was copied), -ESTALE (there is no tree yet, or it is behind what
 * this handle has seen), -ENODEV.
 */
int zkern_kget(struct zkern_file *zf, const char *path, u32 path_len, const struct cred *cred,
	       struct zkern_kget *get);

#endif
