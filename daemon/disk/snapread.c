// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A snapshot, read (FileSnap.deserialize, SnapStream, DataTree.deserialize):
 *
 *   "ZKSN" int 2 long dbid
 *   int count, (long session, int timeout)*
 *   int count, (long id, vector<ACL>)*
 *   (string path, buffer data, long acl id, StatPersisted)*  string "/"
 *   seal: long Adler-32 of all before it, string "/"
 *   ZxidDigest: long zxid, int version, long digest; seal	(3.6 and later)
 *   long zxid; seal						(3.9 and later)
 *
 * plain or packed (pack.c). Memory grows with what was read, never with what a
 * length in the file claims, and no further than the tree's own bounds.
 *
 * ZooKeeper writes the map of ACLs first and then the nodes while they change, so a
 * node may have an ACL that the map has not: made, or given by a setACL, behind the
 * file's zxid. The log has it. A node made behind that zxid is left to the log, with
 * what is below it; another one is given to nobody until the log says to whom.
 */
#include <linux/types.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <libdeflate.h>

#include "daemon/base/crc32.h"
#include "daemon/base/log.h"
#include "daemon/disk/internal.h"

#define BUF_MIN		(256 * 1024)
#define STAT_LEN	60		/* StatPersisted */
#define ACL_OPEN	(-1LL)		/* ReferenceCountedACLCache */

/* The stream: what was read and not used yet is buf[pos..len). */
struct snap_in {
	struct unpack *from;
	u8 *buf;
	size_t pos, len, cap;
	size_t summed;		/* how far @sum goes */
	u32 sum;
	u64 base;		/* offset of buf[0] in the (unpacked) stream */
	int err;
	bool eof;
	const char *what;	/* is wrong, where there is more to say */
	char *left_out;		/* a node; NULL: none so far */
	size_t left_len;
};

struct acl_entry {
	s64 id;
	u8 *jute;
	u32 len;
};

struct snap_acls {
	struct acl_entry *e;	/* sorted by id once all are read */
	u32 n, cap;
};

/* ---------------------------------------------------------------- the stream */

static int in_open(struct snap_in *in, struct disk *d, const struct disk_file *f)
{
	int fd, rc;

	memset(in, 0, sizeof(*in));
	in->sum = ADLER_INIT;
	fd = openat(d->snap_dfd, f->name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	in->buf = malloc(BUF_MIN);
	if (!in->buf) {
		close(fd);
		return -ENOMEM;
	}
	in->cap = BUF_MIN;
	rc = unpack_open(fd, f->how, &in->from);
	if (rc)
		free(in->buf);
	return rc;
}

static void in_close(struct snap_in *in)
{
	unpack_close(in->from);
	free(in->left_out);
	free(in->buf);
}

static void sum_up(struct snap_in *in, size_t to)
{
	in->sum = libdeflate_adler32(in->sum, in->buf + in->summed, to - in->summed);
	in->summed = to;
}

/* Reads some more behind buf[len]. */
static void in_more(struct snap_in *in)
{
	ssize_t r = unpack_read(in->from, in->buf + in->len, in->cap - in->len);

	if (r < 0) {
		in->err = r;
		return;
	}
	if (!r)
		in->eof = true;
	in->len += r;
}

/* Makes room behind buf[len]: drops what was used, else doubles. */
static void in_room(struct snap_in *in)
{
	if (in->pos) {
		sum_up(in, in->pos);
		memmove(in->buf, in->buf + in->pos, in->len - in->pos);
		in->base += in->pos;
		in->len -= in->pos;
		in->pos = 0;
		in->summed = 0;
	}
	if (in->len == in->cap) {
		u8 *b = realloc(in->buf, in->cap * 2);

		if (!b) {
			in->err = -ENOMEM;
			return;
		}
		in->buf = b;
		in->cap *= 2;
	}
}

/* Whether @n bytes are there from buf[pos]; pointers taken before are void. */
static bool in_have(struct snap_in *in, size_t n)
{
	while (!in->err && in->len - in->pos < n) {
		if (in->eof) {
			in->err = -EBADMSG;
			break;
		}
		if (in->len == in->cap || in->pos > in->cap / 2)
			in_room(in);
		if (!in->err)
			in_more(in);
	}
	return !in->err;
}

static const u8 *in_take(struct snap_in *in, size_t n)
{
	const u8 *p;

	if (!in_have(in, n))
		return NULL;
	p = in->buf + in->pos;
	in->pos += n;
	return p;
}

static s32 in_int(struct snap_in *in)
{
	const u8 *p = in_take(in, 4);

	return p ? (s32)jute_get32(p) : 0;
}

static s64 in_long(struct snap_in *in)
{
	const u8 *p = in_take(in, 8);

	return p ? (s64)jute_get64(p) : 0;
}

static int in_bad(struct snap_in *in)
{
	if (!in->err)
		in->err = -EBADMSG;
	return in->err;
}

/* The length of a string or buffer, -1 for null. */
static s32 in_strlen(struct snap_in *in)
{
	s32 n = in_int(in);

	if (n < -1)
		in_bad(in);
	return in->err ? -1 : n;
}

static bool in_at_end(struct snap_in *in)
{
	while (!in->err && in->pos == in->len && !in->eof) {
		in_room(in);
		if (!in->err)
			in_more(in);
	}
	return !in->err && in->pos == in->len;
}

/* ---------------------------------------------------------------- its parts */

static int read_header(struct snap_in *in, struct snap_head *head)
{
	const u8 *p = in_take(in, FILE_HEADER_LEN);

	if (!p)
		return in->err;
	if (jute_get32(p) != SNAP_MAGIC) {
		in->what = "not a snapshot";
		return in_bad(in);
	}
	if (jute_get32(p + 4) != FILE_VERSION) {
		in->what = "of a version that this program does not read";
		return in_bad(in);
	}
	head->dbid = jute_get64(p + 8);
	return 0;
}

static int read_sessions(struct snap_in *in, const struct snap_sink *sink)
{
	s32 count = in_int(in);
	int rc = 0;

	if (!in->err && sink->sessions)
		rc = sink->sessions(sink->arg, count);
	for (; !in->err && !rc && count > 0; count--) {
		u64 id = in_long(in);
		s32 timeout = in_int(in);

		if (!in->err)
			rc = sink->session(sink->arg, id, timeout);
	}
	return in->err ? in->err : rc;
}

/* The bytes of the vector<ACL> at the position, copied. */
static int read_acl(struct snap_in *in, struct acl_entry *e)
{
	size_t start = in->pos, at;
	s32 count;
	int i;

	/* walks ahead with @at; in->pos stays, so that the bytes stay together */
	if (!in_have(in, 4))
		return in->err;
	count = jute_get32(in->buf + in->pos);
	if (count < -1)
		return in_bad(in);
	for (at = 4; count > 0; count--) {
		at += 4;
		for (i = 0; i < 2; i++) {
			s32 n;

			if (!in_have(in, at + 4))
				return in->err;
			n = jute_get32(in->buf + in->pos + at);
			if (n < -1)
				return in_bad(in);
			at += 4 + (n > 0 ? (size_t)n : 0);
			if (at > ZK_ACL_MAX)
				return in_bad(in);
		}
	}
	if (!in_have(in, at))
		return in->err;
	start = in->pos;
	e->jute = malloc(at);
	if (!e->jute)
		return in->err = -ENOMEM;
	memcpy(e->jute, in->buf + start, at);
	e->len = at;
	in->pos += at;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct acl_entry *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int read_acls(struct snap_in *in, const struct snap_sink *sink, struct snap_acls *acls)
{
	s32 count = in_int(in);
	int rc = 0;

	if (!in->err && sink->acls)
		rc = sink->acls(sink->arg, count);
	for (; !in->err && !rc && count > 0; count--) {
		struct acl_entry *e;

		if (acls->n == acls->cap) {
			u32 cap = acls->cap ? acls->cap * 2 : 16;

			e = realloc(acls->e, cap * sizeof(*e));
			if (!e)
				return -ENOMEM;
			acls->e = e;
			acls->cap = cap;
		}
		e = &acls->e[acls->n];
		e->id = in_long(in);
		if (in->err || read_acl(in, e))
			break;
		acls->n++;
		if (sink->acl)
			rc = sink->acl(sink->arg, e->id, e->jute, e->len);
	}
	if (!in->err && acls->n)
		qsort(acls->e, acls->n, sizeof(*acls->e), by_id);
	return in->err ? in->err : rc;
}

static void free_acls(struct snap_acls *acls)
{
	u32 i;

	for (i = 0; i < acls->n; i++)
		free(acls->e[i].jute);
	free(acls->e);
}

/* The ACL of an id of the file's own map; null there means open, as -1 does. */
static int find_acl(const struct snap_acls *acls, s64 id, struct store_rec *rec)
{
	struct acl_entry key = { .id = id };
	const struct acl_entry *e = NULL;

	if (id != ACL_OPEN && acls->n)
		e = bsearch(&key, acls->e, acls->n, sizeof(key), by_id);
	if (id != ACL_OPEN && !e)
		return -ENOENT;
	if (!e || (e->len == 4 && jute_get32(e->jute) == 0xffffffff)) {
		rec->acl = txn_open_acl;
		rec->acl_len = sizeof(txn_open_acl);
	} else {
		rec->acl = e->jute;
		rec->acl_len = e->len;
	}
	return 0;
}

static void get_stat(const u8 *p, struct zk_stat *st)
{
	st->czxid = jute_get64(p);
	st->mzxid = jute_get64(p + 8);
	st->ctime = jute_get64(p + 16);
	st->mtime = jute_get64(p + 24);
	st->version = jute_get32(p + 32);
	st->cversion = jute_get32(p + 36);
	st->aversion = jute_get32(p + 40);
	st->owner = jute_get64(p + 44);
	st->pzxid = jute_get64(p + 52);
	st->num_children = 0;
}

/* What the node adds to the tree's digest, as kmod/tree/digest.c has it. */
static u64 node_digest(const struct store_rec *rec)
{
	static const char quiet[] = "/zookeeper/";
	const struct zk_stat *st = &rec->node.stat;
	u8 b[STAT_LEN];

	if (rec->path_len >= sizeof(quiet) - 1 && !memcmp(rec->path, quiet, sizeof(quiet) - 1))
		return 0;
	jute_put64(b, st->czxid);
	jute_put64(b + 8, st->mzxid);
	jute_put64(b + 16, st->pzxid);
	jute_put64(b + 24, st->ctime);
	jute_put64(b + 32, st->mtime);
	jute_put32(b + 40, st->version);
	jute_put32(b + 44, st->cversion);
	jute_put32(b + 48, st->aversion);
	jute_put64(b + 52, st->owner);
	return crc32_fast(rec->node.crc, b, sizeof(b));
}

/* Whether the node is left to the log: 1, 0, or an error. */
static int leave_out(struct snap_in *in, const struct store_rec *rec, bool stranger, u64 zxid)
{
	char *path;

	if (in->left_out && rec->path_len > in->left_len && rec->path[in->left_len] == '/' &&
	    !memcmp(rec->path, in->left_out, in->left_len))
		return 1;
	if (!stranger || rec->node.stat.czxid <= zxid)
		return 0;
	path = realloc(in->left_out, rec->path_len);
	if (!path)
		return in->err = -ENOMEM;
	memcpy(path, rec->path, rec->path_len);
	in->left_out = path;
	in->left_len = rec->path_len;
	return 1;
}

/*
 * One node: 1, 0 at the end mark, or an error. The whole record is in the buffer
 * before pointers into it are taken.
 */
static int read_node(struct snap_in *in, const struct snap_acls *acls,
		     const struct snap_sink *sink, struct snap_head *head)
{
	/* one entry, world:anyone without a permission: no entry is open to all */
	static const u8 nobody[] = {
		0, 0, 0, 1, 0, 0, 0, 0,
		0, 0, 0, 5, 'w', 'o', 'r', 'l', 'd',
		0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e',
	};
	struct store_rec rec = { 0 };
	s32 path_len, data_len;
	bool stranger;
	const u8 *p;
	size_t d;
	int rc;

	if (!in_have(in, 4))
		return in->err;
	path_len = jute_get32(in->buf + in->pos);
	if (path_len < 0 || path_len > ZK_PATH_MAX)
		return in_bad(in);
	d = 4 + (size_t)path_len;
	if (!in_have(in, d))
		return in->err;
	if (path_len == 1 && in->buf[in->pos + 4] == '/') {
		in->pos += d;
		return 0;
	}
	if (!in_have(in, d + 4))
		return in->err;
	data_len = jute_get32(in->buf + in->pos + d);
	if (data_len < -1 || data_len > ZK_DATA_MAX)
		return in_bad(in);
	d += 4 + (data_len > 0 ? (size_t)data_len : 0);
	if (!in_have(in, d + 8 + STAT_LEN))
		return in->err;
	p = in->buf + in->pos;
	rec.path = path_len ? (const char *)p + 4 : "/";
	rec.path_len = path_len ? path_len : 1;
	rec.data = data_len > 0 ? p + 8 + path_len : NULL;
	rec.node.data_len = data_len;
	rec.node.acl_id = jute_get64(p + d);
	stranger = find_acl(acls, rec.node.acl_id, &rec);
	if (stranger) {
		rec.acl = nobody;
		rec.acl_len = sizeof(nobody);
		head->strangers++;
	}
	get_stat(p + d + 8, &rec.node.stat);
	in->pos += d + 8 + STAT_LEN;
	if (!sink->node && !sink->all)
		return 1;
	if (sink->replayed) {
		rc = leave_out(in, &rec, stranger, head->zxid);
		if (rc)
			return rc;
	}
	rec.node.crc = txn_crc(rec.path, rec.path_len, rec.data, data_len);
	if (sink->all)
		head->sum += node_digest(&rec);
	if (!sink->node)
		return 1;
	rc = sink->node(sink->arg, &rec);
	return rc ? rc : 1;
}

static int check_seal(struct snap_in *in)
{
	u64 sum, want;
	const u8 *p;

	sum_up(in, in->pos);
	sum = in->sum;
	want = in_long(in);
	if (in_strlen(in) == 1)
		p = in_take(in, 1);
	else
		p = NULL;
	if (!in->err && (sum != want || !p || *p != '/')) {
		in->what = "wrong checksum";
		return in_bad(in);
	}
	return in->err;
}

static int read_digest(struct snap_in *in, struct snap_head *head)
{
	if (in_at_end(in))
		return 0;
	head->digest_there = true;
	head->digest_zxid = in_long(in);
	head->digest_version = in_int(in);
	head->digest = in_long(in);
	/* DataTree.deserializeZxidDigest: none, or of before the snapshot */
	head->has_digest = head->digest_zxid && head->digest_zxid >= head->zxid;
	if (check_seal(in))
		return in->err;
	/* nothing changed while it was written */
	if (head->strangers && head->has_digest && head->digest_zxid == head->zxid) {
		in->what = "nodes whose ACL is not in the map";
		return in_bad(in);
	}
	return 0;
}

/* What 3.9 and later have behind the digest. */
static int read_last(struct snap_in *in, struct snap_head *head)
{
	if (!head->digest_there || in_at_end(in))
		return 0;
	head->last_there = true;
	head->last_zxid = in_long(in);
	if (check_seal(in))
		return in->err;
	if (!in_at_end(in)) {
		in->what = "more than a snapshot";
		return in_bad(in);
	}
	return 0;
}

static int read_all(struct snap_in *in, const struct snap_sink *sink, struct snap_acls *acls,
		    struct snap_head *head, const char **part)
{
	int rc;

	*part = "header";
	rc = read_header(in, head);
	if (!rc && sink->begin)
		rc = sink->begin(sink->arg, head);
	if (rc)
		return rc;
	*part = "sessions";
	rc = read_sessions(in, sink);
	if (rc)
		return rc;
	*part = "ACLs";
	rc = read_acls(in, sink, acls);
	if (rc)
		return rc;
	*part = "nodes";
	while ((rc = read_node(in, acls, sink, head)) == 1)
		head->nodes++;
	if (rc)
		return rc;
	*part = "checksum";
	rc = check_seal(in);
	if (rc)
		return rc;
	*part = "digest";
	rc = read_digest(in, head);
	if (rc || !sink->all)
		return rc;
	*part = "end";
	return read_last(in, head);
}

int snap_read(struct disk *d, const struct disk_file *f, const struct snap_sink *sink,
	      struct snap_head *head, char *why, size_t why_len)
{
	struct snap_acls acls = { 0 };
	struct snap_in in;
	const char *part = "";
	int rc;

	memset(head, 0, sizeof(*head));
	head->zxid = f->zxid;
	rc = in_open(&in, d, f);
	if (rc == -EBADMSG)
		return disk_why(why, why_len, rc, "%s/%s: damaged at offset 0: not packed as %s",
				d->snap_path, f->name, pack_ending(f->how));
	if (rc)
		return disk_why(why, why_len, rc, "cannot open %s/%s: %s", d->snap_path, f->name,
				strerror(-rc));
	rc = read_all(&in, sink, &acls, head, &part);
	if (in.err == -EBADMSG)
		disk_why(why, why_len, rc, "%s/%s: damaged before offset %llu%s (%s): %s",
			 d->snap_path, f->name, in.base + in.pos,
			 f->how == FILE_PLAIN ? "" : " of what is packed", part,
			 in.what ? in.what : in.eof ? "it ends too soon" : "malformed");
	else if (rc)
		disk_why(why, why_len, rc, "cannot read %s/%s (%s): %s", d->snap_path, f->name,
			 part, strerror(-rc));
	head->bytes = in.base + in.pos;
	free_acls(&acls);
	in_close(&in);
	return rc;
}
