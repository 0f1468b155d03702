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
/*
 * The last use of a handle has returned. Sleeps: for the callback to return, too, which
 * is not called any more then; so not from it.
 */
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

/* @type of the last event that there is: the instance was removed. */
#define ZKERN_KEV_GONE	0

/*
 * Is told of one event: @ev as in the UAPI, @path of ev->path_len bytes, without a NUL.
 * Called from a work item, one event at a time, in their order; may sleep, and use the
 * handle for all but zkern_kclose(). What it reads by zkern_kget() is exact at ev->zxid or
 * later (guarantee G); a read elsewhere may see a change before its event is told.
 * While it is at work events wait in a queue of ZKERN_WATCH_QUEUE_LEN bytes; where that
 * is full ZKERN_EV_OVERFLOW tells that some were left out (guarantee K).
 */
typedef void (*zkern_kevent_fn)(void *arg, const struct zkern_watch_event *ev, const char *path);

/*
 * zkern_kopen() of a handle that can watch: @fn will be called with @arg. Sleeps.
 * Errors as there.
 */
struct zkern_file *zkern_kopen_watching(u32 id, zkern_kevent_fn fn, void *arg);

/*
 * Watches @path, which need not exist, from *@zxid on (may be NULL): the first change after
 * it is told. @kind: ZKERN_WATCH_PERSISTENT, ZKERN_WATCH_RECURSIVE, or ZKERN_WATCH_STATE,
 * which takes no path. With the kernel's own rights, which no ACL binds. Sleeps. Returns 0,
 * -EINVAL (a path that no node can have, another kind, a handle that cannot watch), -ESTALE
 * (there is no tree to be seen: try again when ZKERN_EV_STATE tells of another state),
 * -EDQUOT (the module's watch_file_kb is used up), -ENOMEM, -ENODEV.
 */
int zkern_kwatch(struct zkern_file *zf, u32 kind, const char *path, u32 path_len, u64 *zxid);
/* No more of that; what has happened already may still be told. Sleeps. -ENOENT: none. */
int zkern_kunwatch(struct zkern_file *zf, u32 kind, const char *path, u32 path_len);

#endif
