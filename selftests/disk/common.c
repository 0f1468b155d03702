// SPDX-License-Identifier: GPL-2.0-or-later
#include "selftests/disk/common.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

/* ------------------------------------------------------------ TAP */

int tap_count, tap_failed;
const char *tap_prefix = "";

static void tap_line(bool good, const char *fmt, va_list ap)
{
	printf("%s%sok %d - ", tap_prefix, good ? "" : "not ", ++tap_count);
	vprintf(fmt, ap);
	putchar('\n');
	tap_failed += !good;
	fflush(stdout);
}

bool tap_say(bool good, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_line(good, fmt, ap);
	va_end(ap);
	if (!good)
		printf("# %s:%d\n", file, line);
	return good;
}

bool tap_is(s64 got, s64 want, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tap_line(got == want, fmt, ap);
	va_end(ap);
	if (got != want)
		printf("# %s:%d: got %lld (%s), wanted %lld\n", file, line, got,
		       got < 0 ? strerror(-got) : "", want);
	return got == want;
}

void tap_bail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("Bail out! %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	exit(1);
}

/* ------------------------------------------------------------ transactions */

void b_header(struct jw *w, u64 session, s32 cxid, u64 zxid, s64 time, s32 type)
{
	jw_long(w, session);
	jw_int(w, cxid);
	jw_long(w, zxid);
	jw_long(w, time);
	jw_int(w, type);
}

void b_path(struct jw *w, const char *path)
{
	jw_str(w, path, strlen(path));
}

void b_acl(struct jw *w, s32 perms, const char *scheme, const char *id)
{
	jw_int(w, 1);
	jw_int(w, perms);
	jw_str(w, scheme, strlen(scheme));
	jw_str(w, id, strlen(id));
}

void b_create(struct jw *w, const char *path, const void *data, s32 len, bool ephemeral,
	      s32 pcversion)
{
	b_path(w, path);
	jw_str(w, data, len);
	b_acl(w, 31, "world", "anyone");
	jw_bool(w, ephemeral);
	jw_int(w, pcversion);
}

void b_digest(struct jw *w, u64 digest)
{
	jw_int(w, 2);
	jw_long(w, digest);
}

struct txn *b_done(struct jw *w)
{
	const char *why = "";
	struct txn *t;
	int rc = txn_decode(w->buf, w->len, &t, &why);

	need(!rc, "a transaction made for a test is not valid: %s", why);
	jw_free(w);
	return t;
}

/* ------------------------------------------------------------ the world */

u32 rnd(u64 *state, u32 below)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (*state >> 33) % below;
}

static void world_add(struct world *w, const char *path, u64 owner)
{
	w->paths = realloc(w->paths, (w->n + 1) * sizeof(*w->paths));
	w->owners = realloc(w->owners, (w->n + 1) * sizeof(*w->owners));
	w->paths[w->n] = strdup(path);
	w->owners[w->n++] = owner;
}

static void world_drop(struct world *w, u32 i)
{
	free(w->paths[i]);
	w->n--;
	w->paths[i] = w->paths[w->n];
	w->owners[i] = w->owners[w->n];
}

/* The tree of a new server, as recovery makes it. */
void world_init(struct world *w, u64 seed)
{
	const struct store_params p = { .kind = "memory" };
	const char *dir = temp_dir(), *why;
	struct disk_params dp = params(dir);
	struct disk_recovery r;
	struct disk *d;
	char text[256];

	memset(w, 0, sizeof(*w));
	w->rnd = seed;
	w->digests = true;
	need(!store_open(&p, &w->st, &why), "store: %s", why);
	need(!disk_open(&dp, &d, text, sizeof(text)), "%s", text);
	need(!disk_recover(d, w->st, &r, text, sizeof(text)), "%s", text);
	free(r.sessions);
	disk_close(d);
	world_add(w, "", 0);
}

void world_free(struct world *w)
{
	while (w->n)
		world_drop(w, w->n - 1);
	free(w->paths);
	free(w->owners);
	w->st->ops->close(w->st);
}

static s32 next_cversion(struct world *w, const char *parent)
{
	struct store_node node;

	need(!w->st->ops->get(w->st, *parent ? parent : "/", *parent ? strlen(parent) : 1,
			      &node, NULL, 0), "no parent %s", parent);
	return node.stat.cversion + 1;
}

static s32 children(struct world *w, const char *path, s32 *version, s32 *aversion)
{
	struct store_node node;

	need(!w->st->ops->get(w->st, path, strlen(path), &node, NULL, 0), "no %s", path);
	*version = node.stat.version;
	*aversion = node.stat.aversion;
	return node.stat.num_children;
}

static void some_data(struct world *w, struct jw *out)
{
	u8 b[3000];
	u32 i, n;

	switch (rnd(&w->rnd, 12)) {
	case 0:
		jw_str(out, NULL, -1);
		return;
	case 1:
		jw_str(out, "", 0);
		return;
	case 2:
		n = rnd(&w->rnd, sizeof(b));
		break;
	default:
		n = rnd(&w->rnd, 60);
	}
	for (i = 0; i < n; i++)
		b[i] = rnd(&w->rnd, 256);
	jw_str(out, b, n);
}

static void some_acl(struct world *w, struct jw *out)
{
	char id[32];

	switch (rnd(&w->rnd, 4)) {
	case 0:
		snprintf(id, sizeof(id), "user%u:hash", rnd(&w->rnd, 20));
		b_acl(out, 1 + rnd(&w->rnd, 31), "digest", id);
		break;
	case 1:
		jw_int(out, -1);
		break;
	case 2:
		jw_int(out, 0);
		break;
	default:
		b_acl(out, 31, "world", "anyone");
	}
}

/* One operation's record; returns its type, 0 if none could be found. */
static s32 some_op(struct world *w, struct jw *out, u64 *session)
{
	u32 i = rnd(&w->rnd, w->n), kind = rnd(&w->rnd, 10);
	const char *p = w->paths[i];
	s32 version, aversion, kids;
	char path[512];
	u64 owner = 0;
	s32 type;

	if (kind < 5 || !*p) {
		if (w->owners[i] || strlen(p) > 400)
			return 0;
		snprintf(path, sizeof(path), "%s/n%llx-%u", p, w->zxid, w->n);
		b_path(out, path);
		some_data(w, out);
		some_acl(w, out);
		type = OP_CREATE;
		switch (rnd(&w->rnd, 8)) {
		case 0:
			type = OP_CREATECONTAINER;
			break;
		case 1:
			type = OP_CREATETTL;
			break;
		case 2:
			owner = w->sessions[rnd(&w->rnd, 8)];
			if (owner)
				*session = owner;
			break;
		}
		if (type == OP_CREATE)
			jw_bool(out, owner);
		jw_int(out, next_cversion(w, p));
		if (type == OP_CREATETTL)
			jw_long(out, 1 + rnd(&w->rnd, 1 << 30));
		world_add(w, path, owner);
		return type;
	}
	kids = children(w, p, &version, &aversion);
	b_path(out, p);
	if (kind == 5) {
		if (kids)
			return 0;
		world_drop(w, i);
		return OP_DELETE;
	}
	if (kind == 6) {
		some_acl(w, out);
		jw_int(out, aversion + 1);
		return OP_SETACL;
	}
	some_data(w, out);
	jw_int(out, version + 1);
	return OP_SETDATA;
}

static s32 session_op(struct world *w, struct jw *out, u64 *session)
{
	u32 i = rnd(&w->rnd, 8), k;
	s32 count = 0;

	if (!w->sessions[i]) {
		w->sessions[i] = 0x100000000000000ULL + w->zxid;
		*session = w->sessions[i];
		jw_int(out, 4000 + rnd(&w->rnd, 30000));
		return OP_CREATESESSION;
	}
	*session = w->sessions[i];
	for (k = 0; k < w->n; k++)
		count += w->owners[k] == *session;
	jw_int(out, count);
	for (k = w->n; k-- > 0; ) {
		if (w->owners[k] == *session) {
			b_path(out, w->paths[k]);
			world_drop(w, k);
		}
	}
	w->sessions[i] = 0;
	return OP_CLOSESESSION;
}

/* The record of a transaction that fits the tree. */
static s32 some_record(struct world *w, struct jw *rec, u64 *session)
{
	struct jw sub;
	s32 type;

	for (;;) {
		u32 kind = rnd(&w->rnd, 20);

		rec->len = 0;
		*session = 0x77;
		if (kind == 0) {
			type = session_op(w, rec, session);
		} else if (kind == 1) {
			jw_int(rec, ZNONODE);
			type = OP_ERROR;
		} else if (kind == 2) {
			jw_init(&sub, 0);
			type = some_op(w, &sub, session);
			if (type) {
				jw_int(rec, 2);
				jw_int(rec, OP_CHECK);
				jw_int(rec, 4 + 1 + 4);
				b_path(rec, "/");
				jw_int(rec, -1);
				jw_int(rec, type);
				jw_str(rec, sub.buf, sub.len);
				type = OP_MULTI;
			}
			jw_free(&sub);
		} else {
			type = some_op(w, rec, session);
		}
		if (type)
			return type;
	}
}

struct txn *world_next(struct world *w)
{
	struct jw rec, all;
	struct zk_txn zk;
	struct txn *t;
	u64 session, digest = 0;
	s32 type;
	int err;

	jw_init(&rec, 0);
	jw_init(&all, 0);
	w->zxid++;
	type = some_record(w, &rec, &session);
	b_header(&all, session, w->zxid, w->zxid, 1700000000000 + w->zxid, type);
	jw_bytes(&all, rec.buf, rec.len);
	if (w->digests) {
		/* once without, to learn the digest */
		need(!txn_decode(all.buf, all.len, &t, NULL), "a random one is not valid");
		txn_to_zk(t, &zk);
		need(w->st->ops->apply(w->st, &zk, 1, &digest, &err) == 1,
		     "a random one does not apply: %s", strerror(-err));
		txn_put(t);
		b_digest(&all, digest);
		t = b_done(&all);
	} else {
		t = b_done(&all);
		txn_to_zk(t, &zk);
		need(w->st->ops->apply(w->st, &zk, 1, NULL, &err) == 1,
		     "a random one does not apply: %s", strerror(-err));
	}
	jw_free(&rec);
	return t;
}

/* ------------------------------------------------------------ directories */

static char *temps[512];
static int n_temps;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void remove_tree(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static pid_t maker;

static void remove_temps(void)
{
	if (getpid() != maker)
		return;
	while (n_temps) {
		remove_tree(temps[--n_temps]);
		free(temps[n_temps]);
	}
}

const char *temp_dir(void)
{
	const char *top = getenv("TMPDIR");
	char *path;

	if (!n_temps) {
		maker = getpid();
		atexit(remove_temps);
	}
	need(n_temps < 512, "too many directories");
	need(asprintf(&path, "%s/zkern-disk-XXXXXX", top ? top : "/tmp") > 0, "memory");
	need(mkdtemp(path), "mkdtemp");
	temps[n_temps++] = path;
	return path;
}

const char *file_in(const char *dir, const char *name)
{
	static char bufs[4][600];
	static int next;
	char *b = bufs[next++ & 3];

	snprintf(b, sizeof(bufs[0]), "%s/version-2/%s", dir, name);
	return b;
}

static int scan(const char *dir, const char *prefix, char *best)
{
	DIR *d = opendir(file_in(dir, ""));
	unsigned long long z, high = 0;
	struct dirent *e;
	int n = 0;

	if (!d)
		return 0;
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, prefix, strlen(prefix)))
			continue;
		z = strtoull(e->d_name + strlen(prefix), NULL, 16);
		if (!n || z >= high) {
			high = z;
			strcpy(best, e->d_name);
		}
		n++;
	}
	closedir(d);
	return n;
}

const char *newest(const char *dir, const char *prefix)
{
	char name[256];

	need(scan(dir, prefix, name), "no %s* in %s", prefix, dir);
	return file_in(dir, name);
}

int count_files(const char *dir, const char *prefix)
{
	char name[256];

	return scan(dir, prefix, name);
}

u8 *read_file(const char *path, size_t *len)
{
	struct stat st;
	u8 *b;
	int fd = open(path, O_RDONLY);

	need(fd >= 0 && !fstat(fd, &st), "%s", path);
	b = malloc(st.st_size + 1);
	need(b && read(fd, b, st.st_size) == st.st_size, "%s", path);
	close(fd);
	*len = st.st_size;
	return b;
}

void write_file(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	need(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && !close(fd), "%s", path);
}

void copy_dir(const char *from, const char *to)
{
	DIR *d = opendir(file_in(from, ""));
	struct dirent *e;

	need(d, "%s", from);
	remove_tree(file_in(to, ""));
	need(!mkdir(file_in(to, ""), 0755), "mkdir");
	while ((e = readdir(d))) {
		size_t len;
		u8 *b;

		if (e->d_name[0] == '.')
			continue;
		b = read_file(file_in(from, e->d_name), &len);
		write_file(file_in(to, e->d_name), b, len);
		free(b);
	}
	closedir(d);
}

/* ------------------------------------------------------------ disks */

struct disk_params params(const char *dir)
{
	struct disk_params p = {
		.data_dir = dir,
		.log_dir = dir,
		.prealloc_bytes = 64 * 1024,
		.max_txn_bytes = 64 * 1024 * 1024,
		.fsync = true,
	};

	return p;
}

int try_open_params(struct try *t, const struct disk_params *p)
{
	const struct store_params sp = { .kind = "memory" };
	const char *why = "";
	int rc;

	memset(t, 0, sizeof(*t));
	rc = disk_open(p, &t->d, t->why, sizeof(t->why));
	if (rc)
		return rc;
	need(!store_open(&sp, &t->st, &why), "store: %s", why);
	return disk_recover(t->d, t->st, &t->r, t->why, sizeof(t->why));
}

int try_open(struct try *t, const char *dir)
{
	struct disk_params p = params(dir);

	return try_open_params(t, &p);
}

static void on_durable(void *arg, u64 zxid)
{
	struct try *t = arg;

	__atomic_store_n(&t->durable, zxid, __ATOMIC_RELEASE);
}

static void on_failed(void *arg, int err, const char *text)
{
	struct try *t = arg;

	(void)text;
	__atomic_store_n(&t->err, err, __ATOMIC_RELEASE);
}

void try_start(struct try *t)
{
	need(!disk_start(t->d, t->r.zxid, on_durable, on_failed, t), "disk_start");
}

void try_close(struct try *t)
{
	disk_close(t->d);
	if (t->st)
		t->st->ops->close(t->st);
	disk_recovery_free(&t->r);
}

void feed(struct try *t, struct world *w, int n)
{
	struct zk_txn zk;
	struct txn *x;
	int err;

	while (n-- > 0) {
		x = world_next(w);
		disk_append(t->d, x);
		txn_to_zk(x, &zk);
		need(t->st->ops->apply(t->st, &zk, 1, NULL, &err) == 1, "apply: %s",
		     strerror(-err));
		txn_put(x);
	}
}

pid_t spawn(const char *what, const char *dir)
{
	/* what it makes is ours to remove: it may be killed */
	const char *tmp = temp_dir();
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		setenv("TMPDIR", tmp, 1);
		execl("/proc/self/exe", "disk", "--child", what, dir, NULL);
		_exit(101);
	}
	return pid;
}

/* ------------------------------------------------------------ comparing */

#define COMPARE_MAX	(8 << 20)

struct compare {
	struct store *other;
	u64 nodes;
	u8 *buf;
};

static int compare_one(void *arg, const struct store_rec *rec)
{
	struct compare *c = arg;
	struct store_node n;
	struct jw acl;
	bool same;

	if (c->other->ops->get(c->other, rec->path, rec->path_len, &n, c->buf, COMPARE_MAX))
		return 1;
	jw_init(&acl, 0);
	same = !c->other->ops->acl(c->other, rec->path, rec->path_len, &n, &acl) &&
	       acl.len == rec->acl_len && !memcmp(acl.buf, rec->acl, acl.len) &&
	       n.data_len == rec->node.data_len && n.crc == rec->node.crc &&
	       !memcmp(&n.stat, &rec->node.stat, sizeof(n.stat)) &&
	       (n.data_len <= 0 || !memcmp(c->buf, rec->data, n.data_len));
	jw_free(&acl);
	if (!same)
		printf("# differs: %.*s\n", (int)rec->path_len, rec->path);
	c->nodes++;
	return !same;
}

int compare_stores(struct store *a, struct store *b)
{
	struct compare c = { .other = b, .buf = malloc(COMPARE_MAX) };
	u64 zxid, digest, nodes, zxid2, digest2, nodes2;
	struct store_snap *s, *s2;
	int rc;

	need(!a->ops->snap_open(a, &s, &zxid, &digest, &nodes), "snapshot");
	need(!b->ops->snap_open(b, &s2, &zxid2, &digest2, &nodes2), "snapshot");
	rc = a->ops->snap_each(s, "/", 1, compare_one, &c);
	if (!rc && (c.nodes != nodes || nodes != nodes2 || zxid != zxid2 || digest != digest2)) {
		printf("# zxid %llx %llx, digest %llx %llx, nodes %llu %llu\n", zxid, zxid2,
		       digest, digest2, nodes, nodes2);
		rc = 1;
	}
	a->ops->snap_close(s);
	b->ops->snap_close(s2);
	free(c.buf);
	return rc;
}
