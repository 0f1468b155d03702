// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Answers as text in which only what must be equal is left (differ.h says what is
 * normalised). A record that does not have its operation's shape to the last byte
 * is shown as bytes.
 */
#include "differ.h"

#define CLOCK_SLACK_MS	300000	/* a VM's clock may be off */

struct ctx {
	struct differ *d;
	struct dataset *ds;
	struct text *t;
};

/* ------------------------------------------------------------ zxids and times */

static u32 zslot(const struct dataset *ds, u64 z)
{
	u32 i = (z * 0x9e3779b97f4a7c15ULL) >> 32;

	for (i &= ds->zcap - 1; ds->zkey[i] && ds->zkey[i] != z; i = (i + 1) & (ds->zcap - 1))
		;
	return i;
}

u64 zxid_canon(const struct dataset *ds, u64 z)
{
	u32 i;

	if (!ds->zcount || !z)
		return z;
	i = zslot(ds, z);
	return ds->zkey[i] ? ds->zval[i] : z;
}

static void zput(struct dataset *ds, u64 z, u64 first)
{
	struct dataset old = *ds;
	u32 i;

	if (ds->zcount * 2 >= ds->zcap) {
		ds->zcap = ds->zcap ? ds->zcap * 2 : 4096;
		ds->zkey = must(calloc(ds->zcap, sizeof(u64)));
		ds->zval = must(calloc(ds->zcap, sizeof(u64)));
		for (i = 0; i < old.zcap; i++)
			if (old.zkey[i]) {
				u32 k = zslot(ds, old.zkey[i]);

				ds->zkey[k] = old.zkey[i];
				ds->zval[k] = old.zval[i];
			}
		free(old.zkey);
		free(old.zval);
	}
	i = zslot(ds, z);
	ds->zcount += !ds->zkey[i];
	ds->zkey[i] = z;
	ds->zval[i] = first;
}

/* Each zxid of the second data set is paired once, in the order of no matter what. */
bool zxid_pair(struct differ *d, u64 z0, u64 z1)
{
	struct dataset *ds = d->ds[d->ds[0]->second ? 0 : 1];
	u64 first = ds == d->ds[1] ? z0 : z1, second = ds == d->ds[1] ? z1 : z0;

	if (ds->zcap && ds->zkey[zslot(ds, second)])
		return false;
	zput(ds, second, first);
	return true;
}

static void put_zxid(struct ctx *c, u64 z)
{
	t_num(c->t, (s64)z < 0 ? (s64)z : (s64)zxid_canon(c->ds, z));
}

static void put_time(struct ctx *c, u64 zxid, s64 ms)
{
	struct dataset *ds = c->ds;
	u32 n;

	if (!zxid) {
		t_num(c->t, ms);
		return;
	}
	if (zxid >= 1 << 28) {
		t_str(c->t, "?zxid");
		return;
	}
	if (zxid >= ds->ntimes) {
		n = ds->ntimes ? ds->ntimes : 4096;
		while (n <= zxid)
			n *= 2;
		ds->times = must(realloc(ds->times, n * sizeof(s64)));
		memset(ds->times + ds->ntimes, 0, (n - ds->ntimes) * sizeof(s64));
		ds->ntimes = n;
	}
	if (!ds->times[zxid]) {
		if (ms < c->d->started_ms - CLOCK_SLACK_MS || ms > now_ms() + CLOCK_SLACK_MS) {
			t_fmt(c->t, "?time %lld", (long long)ms);
			return;
		}
		ds->times[zxid] = ms;
	}
	if (ds->times[zxid] == ms)
		t_str(c->t, "T");
	else
		t_fmt(c->t, "?time %lld is not its zxid's %lld", (long long)ms,
		      (long long)ds->times[zxid]);
}

static void put_owner(struct ctx *c, u64 sid)
{
	u32 i = c->d->serials;

	if (!sid) {
		t_str(c->t, "0");
		return;
	}
	while (i-- > 0)
		if (c->d->sids[c->ds->second][i] == sid) {
			t_fmt(c->t, "S%u", i);
			return;
		}
	t_fmt(c->t, "0x%llx", (unsigned long long)sid);
}

/* ------------------------------------------------------------ records */

static void put_stat(struct ctx *c, struct jr *r)
{
	static const char *const names[] = { " v", " cv", " av" };
	u64 cz = jr_long(r), mz = jr_long(r);
	s64 ct = jr_long(r), mt = jr_long(r);
	int i;

	if (jr_left(r) < ZK_STAT_LEN - 32) {
		r->err = -EBADMSG;
		return;
	}
	t_str(c->t, " {c");
	put_zxid(c, cz);
	t_str(c->t, " ");
	put_time(c, cz, ct);
	t_str(c->t, " m");
	put_zxid(c, mz);
	t_str(c->t, " ");
	put_time(c, mz, mt);
	for (i = 0; i < 3; i++) {
		t_str(c->t, names[i]);
		t_num(c->t, jr_int(r));
	}
	t_str(c->t, " own ");
	put_owner(c, jr_long(r));
	t_str(c->t, " len ");
	t_num(c->t, jr_int(r));
	t_str(c->t, " ch ");
	t_num(c->t, jr_int(r));
	t_str(c->t, " p");
	put_zxid(c, jr_long(r));
	t_str(c->t, "}");
}

static void put_str(struct ctx *c, struct jr *r)
{
	struct jstr s = jr_str(r);

	t_str(c->t, " ");
	t_bytes(c->t, s.p, s.len);
}

static int cmp_jstr(const void *a, const void *b)
{
	const struct jstr *x = a, *y = b;
	s32 n = x->len < y->len ? x->len : y->len;
	int v = n > 0 ? memcmp(x->p, y->p, n) : 0;

	return v ? v : x->len - y->len;
}

/* @parts strings to an entry; sorted by their bytes, lengths and all. */
static void put_set(struct ctx *c, struct jr *r, int parts)
{
	s32 i, n = jr_int(r);
	struct jstr *v;
	int k;

	if (n == -1) {
		t_str(c->t, " null");
		return;
	}
	if (n < 0 || (size_t)n > jr_left(r) / 4) {
		r->err = -EBADMSG;
		return;
	}
	v = must(calloc(n + 1, sizeof(*v)));
	for (i = 0; i < n && !r->err; i++) {
		v[i].p = r->p;
		for (k = 0; k < parts; k++)
			jr_str(r);
		v[i].len = r->p - v[i].p;
	}
	t_fmt(c->t, " %d[", n);
	if (!r->err) {
		qsort(v, n, sizeof(*v), cmp_jstr);
		for (i = 0; i < n; i++) {
			struct jr e;
			struct jstr s;

			jr_init(&e, v[i].p, v[i].len);
			s = jr_str(&e);
			t_str(c->t, " ");
			t_bytes(c->t, s.p, s.len);
			if (parts < 2)
				continue;
			/* whoAmI's: where the servers see one client at two addresses */
			if (!c->d->same_ip && s.len == 2 && !memcmp(s.p, "ip", 2)) {
				t_str(c->t, ":IP");
				continue;
			}
			s = jr_str(&e);
			t_str(c->t, ":");
			t_bytes(c->t, s.p, s.len);
		}
	}
	t_str(c->t, " ]");
	free(v);
}

struct acl {
	s32 perms;
	struct jstr scheme, id;
};

static int cmp_acl(const void *a, const void *b)
{
	const struct acl *x = a, *y = b;
	int v = x->perms - y->perms;

	v = v ? v : cmp_jstr(&x->scheme, &y->scheme);
	return v ? v : cmp_jstr(&x->id, &y->id);
}

static void put_acl(struct ctx *c, struct jr *r)
{
	s32 i, k, n = jr_int(r);
	struct acl *v;

	if (n == -1) {
		t_str(c->t, " null");
		return;
	}
	if (n < 0 || (size_t)n > jr_left(r) / 12) {
		r->err = -EBADMSG;
		return;
	}
	v = must(calloc(n + 1, sizeof(*v)));
	for (i = 0; i < n; i++) {
		v[i].perms = jr_int(r);
		v[i].scheme = jr_str(r);
		v[i].id = jr_str(r);
	}
	for (i = 0; i < n; i = k) {
		for (k = i + 1; k < n && (v[i].perms & AUTH_BIT) &&
		     v[k].perms == v[i].perms; k++)
			;
		qsort(v + i, k - i, sizeof(*v), cmp_acl);
	}
	t_str(c->t, " acl[");
	for (i = 0; i < n && !r->err; i++) {
		t_fmt(c->t, " %d:", v[i].perms);
		t_bytes(c->t, v[i].scheme.p, v[i].scheme.len);
		t_str(c->t, ":");
		t_bytes(c->t, v[i].id.p, v[i].id.len);
	}
	t_str(c->t, " ]");
	free(v);
}

static void put_record(struct ctx *c, s32 op, struct jr *r);

static void put_multi(struct ctx *c, struct jr *r)
{
	for (;;) {
		s32 op = jr_int(r);
		bool done = jr_bool(r);
		s32 err = jr_int(r);

		if (r->err)
			return;
		t_fmt(c->t, " (%d %d %d", op, done, err);
		if (done) {
			t_str(c->t, ")");
			return;
		}
		if (op == OP_ERROR)
			t_fmt(c->t, ": %d", jr_int(r));
		else
			put_record(c, op, r);
		t_str(c->t, ")");
	}
}

static void put_record(struct ctx *c, s32 op, struct jr *r)
{
	switch (op) {
	case OP_CREATE:
	case OP_SYNC:
		put_str(c, r);
		break;
	case OP_CREATE2:
	case OP_CREATECONTAINER:
	case OP_CREATETTL:
	case OP_GETDATA:
		put_str(c, r);
		put_stat(c, r);
		break;
	case OP_EXISTS:
	case OP_SETDATA:
	case OP_SETACL:
		put_stat(c, r);
		break;
	case OP_GETACL:
		put_acl(c, r);
		put_stat(c, r);
		break;
	case OP_GETCHILDREN:
	case OP_GETEPHEMERALS:
		put_set(c, r, 1);
		break;
	case OP_GETCHILDREN2:
		put_set(c, r, 1);
		put_stat(c, r);
		break;
	case OP_WHOAMI:
		put_set(c, r, 2);
		break;
	case OP_GETALLCHILDRENNUMBER:
	case OP_ADDWATCH:
		t_fmt(c->t, " %d", jr_int(r));
		break;
	case OP_MULTI:
	case OP_MULTIREAD:
		put_multi(c, r);
		break;
	}
}

/* ------------------------------------------------------------ frames */

/* An answer to an unknown operation has zxid -1 as well, but no body. */
bool frame_is_event(const u8 *p, u32 len)
{
	return len > 16 && jute_get32(p) == 0xffffffff && jute_get64(p + 4) == ~0ULL;
}

void canon(struct differ *d, int side, struct slot *s, s32 op, bool loose, const u8 *p,
	   u32 len, struct text *t)
{
	struct ctx c = { d, d->ds[side], t };
	bool event = frame_is_event(p, len);
	u64 zxid;
	struct jr r;
	s32 err;
	u32 keep;

	t_reset(t);
	jr_init(&r, p, len);
	t_str(t, event ? "event xid " : "xid ");
	t_num(t, jr_int(&r));
	zxid = jr_long(&r);
	if ((s64)zxid > (s64)s->last_zxid[c.ds->second])
		s->last_zxid[c.ds->second] = zxid;
	/* both count alike: the last zxid is the same, whatever it stands for */
	if (!loose)
		t_fmt(t, " zxid %lld", (long long)zxid);
	err = jr_int(&r);
	t_str(t, " err ");
	t_num(t, err);
	keep = t->len;
	if (event) {
		t_fmt(t, " type %d", jr_int(&r));
		t_fmt(t, " state %d", jr_int(&r));
		put_str(&c, &r);
	} else if (!err || (op == OP_MULTIREAD && jr_left(&r))) {
		/* multiRead that stops half-way has what was read so far besides the error */
		put_record(&c, op, &r);
	}
	if (r.err || jr_left(&r)) {
		t->len = keep;
		t_str(t, " bytes ");
		if (len > 16)
			t_bytes(t, p + 16, len - 16);
	}
}

/* ------------------------------------------------------------ actions as text */

static const char *const kind_name[A_KINDS] = {
	"open", "", "raw bytes", "drop", "reconnect", "expire", "hello", "word", "barrier",
	"walk", "restart", "concurrent", "close" };

/* Data, ACL, flags and TTL of a create; false: it is cut. */
static bool describe_create(s32 op, struct jr *r, struct text *t)
{
	static struct differ d;
	struct ctx c = { &d, NULL, t };
	struct jstr data = jr_str(r);

	t_fmt(t, " data of %d", data.len);
	put_acl(&c, r);
	t_fmt(t, " flags %d", jr_int(r));
	if (op == OP_CREATETTL)
		t_fmt(t, " ttl %lld", (long long)jr_long(r));
	return !r->err;
}

static bool is_create(s32 op)
{
	return op == OP_CREATE || op == OP_CREATE2 || op == OP_CREATECONTAINER ||
	       op == OP_CREATETTL;
}

static void describe_request(const struct action *a, struct text *t)
{
	struct jr r;
	struct jstr path;

	t_str(t, op_name(a->op));
	jr_init(&r, a->body, a->len);
	if (a->op == OP_MULTI || a->op == OP_MULTIREAD || a->op == OP_SETWATCHES ||
	    a->op == OP_SETWATCHES2 || a->op == OP_AUTH || a->len < 4) {
		t_str(t, " ");
		t_bytes(t, a->body, a->len);
		return;
	}
	path = jr_str(&r);
	if (!r.err) {
		t_str(t, " ");
		t_bytes(t, path.p, path.len);
	}
	if (is_create(a->op) && !r.err) {
		struct jr rest = r;
		u32 was = t->len;

		if (describe_create(a->op, &rest, t))
			return;
		t->len = was;
	}
	if (jr_left(&r)) {
		t_str(t, " + ");
		t_bytes(t, r.p, r.end - r.p);
	}
}

void describe(const struct action *a, struct text *t)
{
	t_fmt(t, "slot %u ", a->slot);
	if (a->kind == A_REQ) {
		describe_request(a, t);
		if (a->xid)
			t_fmt(t, " xid %d", a->xid);
		if (a->flags & F_CLOSES)
			t_str(t, " closes");
	} else {
		t_fmt(t, "%s %lld ", kind_name[a->kind], (long long)a->value);
		if (a->len)
			t_bytes(t, a->body, a->len);
	}
}
