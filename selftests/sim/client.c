// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Clients, and what they see of a server: a model of daemon/client. A client keeps its
 * session over connections to whatever server lets it in; several requests are under way
 * at a time. What it is told is checked: replies in order, zxids that never go back, no
 * new data of a watched node before the event, a value for each zxid.
 */
#include "selftests/sim/sim.h"

#define CONNS_MAX	65536
#define REGS		6
#define WINDOW		6
#define TIMEOUT_MS	2500
#define PASSWD		16

struct client_side {
	int unused;
};

/* A connection: known to its server until REQ_GONE, here until it is closed. */
struct conn {
	u32 refs;
	struct client_model *cm;
	struct server *sv;
	u32 life;
	bool open;		/* the client's end */
	bool dead;		/* the server is gone */
	bool gone;		/* REQ_GONE was sent */
	struct session *sess;
	u64 last;		/* when the last message arrives */
	bool readonly;		/* there is no quorum */
};

enum wish_kind { WISH_CREATE, WISH_SET, WISH_GET, WISH_WATCH, WISH_EPHEMERAL, WISH_MULTI,
		 WISH_SYNC, WISH_CLOSE, WISH_RECONFIG };

struct pending {
	s32 xid;
	enum wish_kind kind;
	u32 reg;
	u64 done;		/* by then, for anybody */
};

struct client_model {
	struct sim *sim;
	u32 index;
	struct conn *conn;
	bool connected;
	u64 sid;
	u8 passwd[PASSWD];
	u64 last_zxid;
	s32 xid;
	u32 values;
	u32 made;		/* registers that it made sure of */
	struct pending waiting[WINDOW];
	u32 n_waiting;
	bool watched[REGS];
	u64 watched_zxid[REGS];
};

/* By number and not by malloc(): the core hashes their addresses. */
static struct conn pool[CONNS_MAX];
static u32 n_pool;
static struct client_side side;
static struct auth_set *world;

/* ---------------------------------------------------------------- daemon/client.h */

struct conn *conn_get(struct conn *c)
{
	c->refs++;
	return c;
}

void conn_put(struct conn *c)
{
	c->refs--;
}

/* The model's clients are all of the network. */
bool conn_is_device(const struct conn *c)
{
	(void)c;
	return false;
}

struct client_side *conn_side(const struct conn *c)
{
	(void)c;
	return &side;
}

const char *conn_name(const struct conn *c)
{
	(void)c;
	return "a client";
}

void client_flush(struct client_side *cs)
{
	(void)cs;
}

static void blob_drop(struct message *m)
{
	if (m->blob)
		blob_put(m->blob);
	conn_put(m->conn);
	free(m);
}

static void arrive(struct sim *s, struct happening *h);

void conn_post(struct message *m)
{
	struct conn *c = m->conn;
	struct sim *s = c->sv->sim;
	u64 at = s->now + 100 + rnd(s, 500);

	if (c->sv->dead || c->dead) {
		blob_drop(m);
		return;
	}
	if (at < c->last)
		at = c->last;
	c->last = at;
	happen(s, at - s->now, NULL, arrive, m, 0);
}

/* ---------------------------------------------------------------- requests */

static void submit(struct conn *c, enum request_kind kind, s32 xid, s32 op, const void *body,
		   size_t len)
{
	struct request *r = calloc(1, sizeof(*r) + len);

	r->kind = kind;
	r->conn = conn_get(c);
	r->session = c->sess;
	r->auth = auth_set_get(world);
	r->xid = xid;
	r->op = op;
	r->received_ns = (1000000 + c->sv->sim->now / US_MS) * 1000000;
	r->len = len;
	if (len)
		memcpy(r->body, body, len);
	core_submit(c->sv->core, r);
	server_wake(c->sv, 100 + rnd(c->sv->sim, 500));
}

/* The connection is over, for this client. */
static void leave(struct client_model *cm)
{
	struct conn *c = cm->conn;

	if (!c)
		return;
	tell(cm->sim, "client %u leaves server %llu", cm->index, c->sv->id);
	cm->sim->counts.unknown += cm->n_waiting;
	cm->n_waiting = 0;
	cm->connected = false;
	cm->conn = NULL;
	memset(cm->watched, 0, sizeof(cm->watched));
	c->open = false;
	if (!c->dead && !c->gone && c->sv->up && c->sv->life == c->life) {
		c->gone = true;
		submit(c, REQ_GONE, 0, 0, NULL, 0);
	}
	conn_put(c);
}

static void connect_one(struct client_model *cm)
{
	struct sim *s = cm->sim;
	struct server *sv = &s->servers[rnd(s, s->n)];
	struct conn *c;
	struct jw w;

	if (!sv->up || sv->dead || n_pool == CONNS_MAX)
		return;
	c = &pool[n_pool++];
	memset(c, 0, sizeof(*c));
	c->refs = 1;
	c->cm = cm;
	c->sv = sv;
	c->life = sv->life;
	c->open = true;
	cm->conn = c;
	s->counts.connects++;
	/* where there is no quorum it is not let in with a session that others know */
	if (sv->cfg.readonly_mode && cm->index % 2 && !rnd(s, 4))
		cm->sid = 0;
	jw_init(&w, 0);
	jw_int(&w, 0);
	jw_long(&w, cm->last_zxid);
	jw_int(&w, TIMEOUT_MS);
	jw_long(&w, cm->sid);
	jw_str(&w, cm->passwd, PASSWD);
	jw_bool(&w, cm->index % 2);
	submit(c, REQ_CONNECT, 0, 0, w.buf, w.len);
	jw_free(&w);
}

static void put_acl(struct jw *w)
{
	jw_bytes(w, txn_open_acl, TXN_OPEN_ACL_LEN);
}

static void put_create(struct jw *w, const char *path, const char *data, s32 flags)
{
	jw_str(w, path, strlen(path));
	jw_str(w, data, strlen(data));
	put_acl(w);
	jw_int(w, flags);
}

static void put_set(struct jw *w, const char *path, const char *data)
{
	jw_str(w, path, strlen(path));
	jw_str(w, data, strlen(data));
	jw_int(w, -1);
}

/* Who votes is another one: each with all its addresses, some as observers. */
static void put_members(struct sim *s, struct jw *w)
{
	u32 first = rnd(s, s->n), most = 50 + rnd(s, 50);
	char text[2048];
	size_t n = 0;

	for (u32 i = 0; i < s->n; i++)
		n += snprintf(text + n, sizeof(text) - n, "server.%u=10.0.0.%u:2888:3888%s\n",
			      i + 1, i + 1, i == first || chance(s, most) ? "" : ":observer");
	jw_int(w, -1);
	jw_int(w, -1);
	jw_str(w, text, n);
	jw_long(w, -1);
}

static void ask(struct client_model *cm, enum wish_kind kind, u32 reg)
{
	char path[32], data[32];
	s32 op = OP_SYNC;
	struct jw w;

	snprintf(path, sizeof(path), "/r%u", reg);
	snprintf(data, sizeof(data), "%u.%u", cm->index, ++cm->values);
	jw_init(&w, 0);
	switch (kind) {
	case WISH_CREATE:
		op = OP_CREATE;
		put_create(&w, path, "", 0);
		break;
	case WISH_SET:
		op = OP_SETDATA;
		put_set(&w, path, data);
		break;
	case WISH_GET:
	case WISH_WATCH:
		op = OP_GETDATA;
		jw_str(&w, path, strlen(path));
		jw_bool(&w, kind == WISH_WATCH);
		break;
	case WISH_EPHEMERAL:
		op = OP_CREATE2;
		put_create(&w, "/e-", data, 3);
		break;
	case WISH_MULTI:
		op = OP_MULTI;
		jw_int(&w, OP_SETDATA);
		jw_bool(&w, false);
		jw_int(&w, -1);
		put_set(&w, path, data);
		jw_int(&w, OP_CREATE);
		jw_bool(&w, false);
		jw_int(&w, -1);
		put_create(&w, "/m-", data, 2);
		jw_int(&w, -1);
		jw_bool(&w, true);
		jw_int(&w, -1);
		break;
	case WISH_SYNC:
		jw_str(&w, path, strlen(path));
		break;
	case WISH_CLOSE:
		op = OP_CLOSESESSION;
		break;
	case WISH_RECONFIG:
		op = OP_RECONFIG;
		put_members(cm->sim, &w);
		break;
	}
	cm->waiting[cm->n_waiting++] = (struct pending){
		.xid = ++cm->xid, .kind = kind, .reg = reg, .done = oracle_done(cm->sim),
	};
	cm->sim->counts.requests++;
	tell(cm->sim, "client %u asks server %llu, %d of kind %d", cm->index, cm->conn->sv->id,
	     cm->xid, kind);
	submit(cm->conn, REQ_OP, cm->xid, op, w.buf, w.len);
	jw_free(&w);
}

static enum wish_kind choose(struct sim *s)
{
	static const enum wish_kind kinds[] = {
		WISH_SET, WISH_SET, WISH_SET, WISH_GET, WISH_GET, WISH_GET, WISH_WATCH,
		WISH_WATCH, WISH_EPHEMERAL, WISH_MULTI, WISH_SYNC, WISH_SYNC,
	};

	if (!rnd(s, 400))
		return WISH_CLOSE;
	if (s->reconfig && s->harming && !rnd(s, 100))
		return WISH_RECONFIG;
	return kinds[rnd(s, sizeof(kinds) / sizeof(kinds[0]))];
}

static bool closes(const struct client_model *cm)
{
	return cm->n_waiting && cm->waiting[cm->n_waiting - 1].kind == WISH_CLOSE;
}

static void act(struct sim *s, struct happening *h)
{
	struct client_model *cm = h->p;
	struct conn *c = cm->conn;

	happen(s, 5 * US_MS + rnd(s, 150 * US_MS), NULL, act, cm, 0);
	if (!c) {
		if (!s->clients_rest || cm->sid)
			connect_one(cm);
		return;
	}
	if (!cm->connected || c->dead)
		return;
	/* what the I/O thread does for each packet */
	if (c->sess && c->sv->up && c->sv->paused_until <= s->now)
		c->sess->heard_ms = 1000000 + s->now / US_MS;
	if (s->clients_rest)
		return;
	if (s->harming && !rnd(s, 100)) {
		leave(cm);
		return;
	}
	for (u32 n = rnd(s, 4); n && cm->n_waiting < WINDOW && !closes(cm); n--) {
		if (cm->made < REGS)
			ask(cm, WISH_CREATE, cm->made++);
		else
			ask(cm, choose(s), rnd(s, REGS));
	}
}

/* Nobody waits for ever: the client goes where there may be an answer. */
static void impatience(struct sim *s, struct happening *h)
{
	struct client_model *cm = h->p;
	static u64 since[CLIENTS_MAX_];
	static struct conn *which[CLIENTS_MAX_];

	happen(s, 500 * US_MS, NULL, impatience, cm, 0);
	if (cm->conn && cm->conn == which[cm->index] && (!cm->connected || cm->n_waiting)) {
		if (s->now - since[cm->index] > 2 * US_S) {
			leave(cm);
			which[cm->index] = NULL;
		}
		return;
	}
	which[cm->index] = cm->conn;
	since[cm->index] = s->now;
}

/* ---------------------------------------------------------------- answers */

static void forget(struct client_model *cm)
{
	cm->sid = 0;
	memset(cm->passwd, 0, PASSWD);
	leave(cm);
}

static void on_connected(struct client_model *cm, const struct message *m)
{
	struct jr r;
	struct jstr pw;
	u64 sid;

	jr_init(&r, m->bytes, m->len);
	jr_int(&r);
	jr_int(&r);
	jr_int(&r);
	sid = jr_long(&r);
	pw = jr_str(&r);
	if (!sid) {
		cm->sim->counts.sessions_lost++;
		forget(cm);
		return;
	}
	cm->sid = sid;
	if (pw.len == PASSWD)
		memcpy(cm->passwd, pw.p, PASSWD);
	cm->conn->sess = m->session;
	cm->conn->readonly = jr_bool(&r);
	if (cm->conn->readonly && !(cm->index % 2))
		wrong(cm->sim, "client %u is served without a quorum", cm->index);
	cm->sim->counts.readers += cm->conn->readonly;
	cm->connected = true;
}

static void on_data(struct client_model *cm, const struct pending *p, struct jr *r)
{
	struct sim *s = cm->sim;
	struct jstr data = jr_str(r);
	u64 mzxid;

	jr_long(r);
	mzxid = jr_long(r);
	if (r->err) {
		wrong(s, "client %u: a reply that ends too soon", cm->index);
		return;
	}
	s->counts.reads++;
	oracle_read(s, p->reg, mzxid, data.p, data.len);
	if (cm->watched[p->reg] && mzxid > cm->watched_zxid[p->reg])
		wrong(s, "client %u sees 0x%llx of /r%u before the event of the watch "
		      "it set at 0x%llx",
		      cm->index, mzxid, p->reg, cm->watched_zxid[p->reg]);
	if (p->kind == WISH_WATCH) {
		cm->watched[p->reg] = true;
		cm->watched_zxid[p->reg] = mzxid;
	}
}

/* Of a server that serves only readers: nothing is done, but its own session's end. */
static void on_refusal(struct client_model *cm, const struct pending *p, s32 err)
{
	s32 want = p->kind == WISH_CLOSE ? ZOK : ZNOTREADONLY;

	if (err != want)
		wrong(cm->sim, "client %u: %d to a reader's request of kind %d", cm->index, err,
		      p->kind);
	if (p->kind == WISH_CLOSE)
		forget(cm);
}

static void on_reply(struct client_model *cm, const struct message *m)
{
	struct sim *s = cm->sim;
	struct pending p;
	struct jr r;
	s32 xid, err;
	u64 zxid;

	jr_init(&r, m->bytes, m->len);
	jr_int(&r);
	xid = jr_int(&r);
	zxid = jr_long(&r);
	err = jr_int(&r);
	tell(s, "client %u is answered %d: zxid 0x%llx, %d", cm->index, xid, zxid, err);
	if (!cm->n_waiting || cm->waiting[0].xid != xid) {
		wrong(s, "client %u: a reply to %d, the next one is %d", cm->index, xid,
		      cm->n_waiting ? cm->waiting[0].xid : -1);
		return;
	}
	p = cm->waiting[0];
	memmove(cm->waiting, cm->waiting + 1, --cm->n_waiting * sizeof(p));
	if ((s64)zxid < (s64)cm->last_zxid)
		wrong(s, "client %u: zxid 0x%llx after 0x%llx", cm->index, zxid, cm->last_zxid);
	cm->last_zxid = zxid;
	if (p.kind == WISH_SYNC)
		return;
	if (p.kind == WISH_GET || p.kind == WISH_WATCH) {
		/* who is content with a server without a quorum gets what it has */
		if (s->linearizable && !cm->conn->readonly && zxid < p.done)
			wrong(s, "client %u reads at 0x%llx, but 0x%llx was acknowledged before "
			      "it asked", cm->index, zxid, p.done);
		s->counts.fresh += s->linearizable && !cm->conn->readonly;
		if (!err)
			on_data(cm, &p, &r);
		return;
	}
	if (cm->conn->readonly) {
		on_refusal(cm, &p, err);
		return;
	}
	if (p.kind == WISH_RECONFIG) {
		*(err ? &s->counts.no_reconfigs : &s->counts.reconfigs) += 1;
		if (err == ZNEWCONFIGNOQUORUM || err == ZRECONFIGINPROGRESS)
			err = 0;
	}
	if (err && err != ZNODEEXISTS && err != ZNONODE && err != ZSESSIONMOVED &&
	    err != ZSESSIONEXPIRED)
		wrong(s, "client %u: error %d to a request of kind %d", cm->index, err, p.kind);
	oracle_acked(s, zxid);
	if (p.kind == WISH_CLOSE && !err)
		forget(cm);
}

static void on_event(struct client_model *cm, const struct message *m)
{
	struct jstr path;
	struct jr r;
	s32 type;
	u32 reg;

	jr_init(&r, m->blob->bytes, m->blob->len);
	jr_int(&r);
	jr_int(&r);
	jr_long(&r);
	jr_int(&r);
	type = jr_int(&r);
	jr_int(&r);
	path = jr_str(&r);
	cm->sim->counts.events++;
	if (r.err || path.len != 3 || path.p[1] != 'r') {
		wrong(cm->sim, "client %u: an event of a path it does not watch", cm->index);
		return;
	}
	reg = path.p[2] - '0';
	if (reg >= REGS || !cm->watched[reg])
		wrong(cm->sim, "client %u: event %d of /r%u, which it does not watch", cm->index,
		      type, reg);
	else
		cm->watched[reg] = false;
}

static void arrive(struct sim *s, struct happening *h)
{
	struct message *m = h->p;
	struct conn *c = m->conn;
	struct client_model *cm = c->cm;

	(void)s;
	if (!c->open || c->dead || cm->conn != c) {
		blob_drop(m);
		return;
	}
	switch (m->kind) {
	case MSG_CONNECTED:
		on_connected(cm, m);
		break;
	case MSG_REPLY:
		on_reply(cm, m);
		break;
	case MSG_EVENT:
		on_event(cm, m);
		break;
	case MSG_CLOSE:
		leave(cm);
		break;
	}
	blob_drop(m);
}

/* ---------------------------------------------------------------- life */

static void server_lost(struct sim *s, struct happening *h)
{
	struct conn *c = h->p;

	(void)s;
	if (c->cm->conn == c)
		leave(c->cm);
	conn_put(c);
}

void clients_server_down(struct server *sv)
{
	struct sim *s = sv->sim;

	for (u32 i = 0; i < n_pool; i++) {
		struct conn *c = &pool[i];

		if (c->sv != sv || c->dead || !c->refs)
			continue;
		c->dead = true;
		c->sess = NULL;
		if (c->open)
			happen(s, rnd(s, 3 * US_MS), NULL, server_lost, conn_get(c), 0);
	}
}

u32 clients_waiting(const struct sim *s)
{
	u32 n = 0;

	for (u32 i = 0; i < s->n_clients; i++)
		n += s->clients[i].n_waiting;
	return n;
}

void clients_init(struct sim *s, u32 n)
{
	world = calloc(1, sizeof(*world) + sizeof(struct auth_id));
	world->refs = 1;
	world->n = 1;
	world->ids[0] = (struct auth_id){ "ip", "10.0.0.100" };
	s->clients = calloc(n, sizeof(*s->clients));
	s->n_clients = n;
	for (u32 i = 0; i < n; i++) {
		s->clients[i].sim = s;
		s->clients[i].index = i;
		happen(s, rnd(s, US_S), NULL, act, &s->clients[i], 0);
		happen(s, 500 * US_MS, NULL, impatience, &s->clients[i], 0);
	}
}

void clients_free_all(struct sim *s)
{
	free(s->clients);
	free(world);
}
