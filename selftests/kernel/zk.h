/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device's ioctls with little typing, for the tests. Calls return 0 (or a
 * result) or a negative errno. Nothing here is hidden from a test that wants to
 * make the call itself.
 */
#ifndef ZK_H
#define ZK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/zkern.h>

/* An ioctl that returns -errno. */
int zk_ioctl(int fd, unsigned long cmd, void *arg);

static inline uint64_t ptr(const void *p)
{
	return (uintptr_t)p;
}

/* ------------------------------------------------------------ instances */

int zk_new(uint32_t want, uint32_t uid);		/* number */
int zk_del(uint32_t id, uint32_t flags);
int zk_open(int id, int flags);				/* fd; waits for nothing */
int zk_own(int fd, struct zkern_own *own);		/* @own may be NULL */
int zk_state(int fd, uint32_t state, uint64_t heard_ms);
int zk_info(int fd, struct zkern_info *info);
/* An instance with an owner who says STANDALONE; the owner's fd in *@owner. */
int zk_instance(int *owner);				/* number; or ends the test */

/* ------------------------------------------------------------ transactions */

#define READ	1
#define WRITE	2
#define CREATE	4
#define DELETE	8
#define ADMIN	16
#define ALL	31

/* A jute vector<ACL>. */
struct acl {
	uint32_t len;
	uint8_t bytes[1024];
};

extern const struct acl open_acl;	/* world:anyone, all */

void acl_none(struct acl *acl);
void acl_add(struct acl *acl, uint32_t perms, const char *scheme, const char *id);

/* A growing buffer of records, zkern_txn with their zkern_op, or zkern_node. */
struct batch {
	uint8_t *buf;
	size_t len;
	size_t cap;
	size_t txn;		/* where the last transaction begins */
};

struct zkern_txn *batch_txn(struct batch *b, uint64_t zxid);
/* An operation of the last transaction; the fields may be changed until the next. */
struct zkern_op *batch_op(struct batch *b, uint32_t type, const char *path, const void *data,
			  int32_t data_len, const struct acl *acl, uint64_t owner);
void batch_create(struct batch *b, const char *path, const char *data);
void batch_create_acl(struct batch *b, const char *path, const char *data, const struct acl *acl);
void batch_set(struct batch *b, const char *path, const char *data, int32_t version);
void batch_delete(struct batch *b, const char *path);
struct zkern_node *batch_node(struct batch *b, const char *path, const void *data,
			      int32_t data_len, const struct acl *acl);
void batch_reset(struct batch *b);
void batch_free(struct batch *b);

int zk_apply(int fd, struct batch *b, struct zkern_apply *res);	/* @res may be NULL */
int zk_load(int fd, uint32_t cmd, struct batch *b, struct zkern_load *res);
/* One transaction of one operation; or ends the test. */
void zk_create(int fd, uint64_t zxid, const char *path, const char *data);
void zk_set(int fd, uint64_t zxid, const char *path, const char *data, int32_t version);

uint32_t crc_of(const char *path, const void *data, int32_t len);

/* ------------------------------------------------------------ reading */

/* @get may be NULL; if not, its flags, min_zxid, timeout_ms, max_age_ms count. */
int zk_get(int fd, const char *path, void *buf, uint32_t len, struct zkern_get *get);
int zk_exists(int fd, const char *path, struct zkern_get *get);

/* The next page into list->buf; call until !more. @after: "" begins. */
int zk_children(int fd, const char *path, const char *after, void *buf, uint32_t len,
		struct zkern_list *list);
int zk_snapshot(int fd, const char *path, struct zkern_snapshot *snap);	/* fd */

/* Walks packed entries: the @n-th of a page as a C string in @name. */
const char *entry(const struct zkern_list *list, uint32_t n, char *name, size_t size);

/* ------------------------------------------------------------ processes */

/*
 * Runs @fn in a child with these ids (groups: @gid2 alone); returns what it returns
 * (0 to 127), or a negative number if it did not.
 */
int as_user(uid_t uid, gid_t gid, gid_t gid2, int (*fn)(void *arg), void *arg);

/* Seconds, monotonic. */
double now(void);

/* Seconds that anything may take on this kernel before a test calls it hanging. */
#define LONG	(120 * zk_times())
/* How much slower than usual this kernel is taken to be (tools/vm/vm). */
int zk_times(void);

#endif
