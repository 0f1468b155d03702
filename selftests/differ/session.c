// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions made, moved, lost and taken up again; first bytes of all sorts; servers
 * restarted by whoever started us (its end of the agreement: it reads
 * "restart kill|stop|swap" from our output, does so, and writes the ports of the two
 * servers, the control's first).
 */
#include <unistd.h>
#include "differ.h"

/* ------------------------------------------------------------ handshakes */

/* What a server answered to a connect request; the session id if it gave one. */
static u64 read_response(struct conn *c, struct text *t)
{
	u8 want[ZK_PASSWD_LEN];
	struct jstr passwd;
	struct jr r;
	u64 sid;

	t_reset(t);
	if (!conn_wait(c, 1)) {
		t_str(t, "no answer");
		return 0;
	}
	if (!c->nframes) {
		t_str(t, "closed");
		return 0;
	}
	jr_init(&r, conn_frame(c, 0), c->frames[0].len);
	t_fmt(t, "proto %d", jr_int(&r));
	t_fmt(t, " timeout %d", jr_int(&r));
	sid = jr_long(&r);
	passwd = jr_str(&r);
	session_password(sid, want);
	t_fmt(t, " session %s", sid ? "given" : "0");
	if (passwd.len == ZK_PASSWD_LEN && !memcmp(passwd.p, want, ZK_PASSWD_LEN) && sid)
		t_str(t, " right");
	else
		t_bytes(t, passwd.p, passwd.len);
	t_fmt(t, " left %zu", jr_left(&r));
	if (jr_left(&r))
		t_fmt(t, " ro %d", jr_bool(&r));
	conn_consume(c);
	return sid;
}

/* Both answers; false if they gave no session. The session ids by side. */
static bool shake(struct differ *d, struct conn *c, u64 *sid)
{
	static struct text t[SIDES];
	int side;

	for (side = 0; side < SIDES; side++)
		sid[side] = read_response(&c[side], &t[side]);
	if (strcmp(t[0].s, t[1].s))
		differs(d, d->nacts - 1, "the handshake", t[0].s, t[1].s);
	return sid[0];
}

static void both_close(struct differ *d, struct conn *c)
{
	int side;

	for (side = 0; side < SIDES; side++)
		if (!conn_wait_eof(&c[side]))
			differs(d, d->nacts - 1, "the end of a connection",
				side ? "closed" : "open", side ? "open" : "not asked");
}

void do_open(struct differ *d, u32 n, s32 timeout)
{
	struct slot *s = &d->slots[n];
	static const u8 none[ZK_PASSWD_LEN];
	u64 sid[SIDES];
	int side;

	if (s->live)
		return;
	memset(s->last_zxid, 0, sizeof(s->last_zxid));
	for (side = 0; side < SIDES; side++) {
		conn_open(&s->c[side], d->port[side]);
		connect_request(&s->c[side].out, 0, timeout, 0, none, true);
		conn_flush(&s->c[side]);
	}
	if (!shake(d, s->c, sid))
		differs(d, d->nacts - 1, "a new session", "refused", "refused");
	s->serial = d->serials++;
	for (side = 0; side < SIDES; side++) {
		u64 **all = &d->sids[ds_of(d, side)];

		s->sid[ds_of(d, side)] = sid[side];
		*all = must(realloc(*all, d->serials * sizeof(**all)));
		(*all)[s->serial] = sid[side];
	}
	s->live = true;
	s->up = true;
	s->nq = 0;
	s->acl_set = false;
	s->xid = 0;
}

/* The request for each kind of reconnect. */
static void recon_request(struct differ *d, struct slot *s, int side, enum recon how,
			  struct jw *w)
{
	u32 ds = ds_of(d, side);
	u64 sid = s->sid[ds], zxid = s->last_zxid[ds];
	u8 passwd[ZK_PASSWD_LEN];

	session_password(sid, passwd);
	if (how == RECON_PASSWORD)
		passwd[5] ^= 1;
	if (how == RECON_SESSION) {
		sid ^= 0x123456;
		session_password(sid, passwd);
	}
	if (how == RECON_FUTURE)
		zxid = 1ULL << 40;
	connect_request(w, zxid, 200000, sid, passwd, how != RECON_OLD);
}

/* A second connection for the session; the older one must be closed by the server where
 * the second is heard at all. */
void do_recon(struct differ *d, u32 n, enum recon how)
{
	static struct conn c[SIDES];
	struct slot *s = &d->slots[n];
	u64 sid[SIDES];
	bool ok, was_up = s->up;
	int side;

	if (!s->live)
		return;
	for (side = 0; side < SIDES; side++) {
		c[side].fd = -1;
		conn_open(&c[side], d->port[side]);
		recon_request(d, s, side, how, &c[side].out);
		conn_flush(&c[side]);
	}
	ok = shake(d, c, sid);
	if (!ok)
		both_close(d, c);
	if (was_up && how != RECON_SESSION && how != RECON_FUTURE) {
		both_close(d, s->c);
		compare_frames(d, n, false, false);
		slot_down(s);
	}
	if (ok) {
		for (side = 0; side < SIDES; side++) {
			struct conn old = s->c[side];

			if (sid[side] != s->sid[ds_of(d, side)])
				differs(d, d->nacts - 1, "the session taken up", "", "");
			s->c[side] = c[side];
			c[side] = old;
		}
		s->up = true;
	}
	conn_close(&c[0]);
	conn_close(&c[1]);
	if (!ok && how == RECON_RIGHT)
		s->live = false;
}

/* ------------------------------------------------------------ expiry */

/* Is the node at @path gone at this server? Asked through the walker's connection. */
static bool gone(struct differ *d, int side, const struct action *a)
{
	struct conn *c = &d->slots[WALKER].c[side];
	struct jw body;
	bool yes;

	jw_init(&body, 0);
	jw_str(&body, a->body, a->len);
	jw_bool(&body, false);
	put_frame(&c->out, 1, OP_EXISTS, body.buf, body.len);
	jw_free(&body);
	conn_flush(c);
	if (!conn_wait(c, 1) || !c->nframes)
		differs(d, d->nacts - 1, "waiting for an expiry", side ? "" : "no answer",
			side ? "no answer" : "");
	yes = (s32)jute_get32(conn_frame(c, 0) + 12) == ZNONODE;
	conn_consume(c);
	return yes;
}

void do_expire(struct differ *d, u32 n, const struct action *a)
{
	struct slot *s = &d->slots[n];
	s64 end = now_ms() + ANSWER_MS;
	int side;

	if (!s->live)
		return;
	barrier(d, false);
	slot_drop(d, n);
	s->live = false;
	for (side = 0; side < SIDES; side++) {
		while (!gone(d, side, a)) {
			if (now_ms() > end)
				differs(d, d->nacts - 1, "an expiry", side ? "gone" : "not gone",
					side ? "not gone" : "");
			usleep(50000);
		}
	}
	barrier(d, true);
}

/* ------------------------------------------------------------ first bytes */

void do_hello(struct differ *d, const struct action *a)
{
	static struct conn c[SIDES];
	static struct text t[SIDES];
	int side;

	for (side = 0; side < SIDES; side++) {
		c[side].fd = -1;
		c[side].plain = true;
		conn_open(&c[side], d->port[side]);
		conn_send(&c[side], a->body, a->len);
	}
	both_close(d, c);
	for (side = 0; side < SIDES; side++) {
		t_reset(&t[side]);
		t_bytes(&t[side], c[side].buf, c[side].len);
		conn_close(&c[side]);
	}
	if (strcmp(t[0].s, t[1].s))
		differs(d, d->nacts - 1, "the answer to first bytes", t[0].s, t[1].s);
}

/* The figures in a four-letter word's answer that must be equal. (The approximate data
 * size counts a path's characters there, its bytes here.) */
static void common_lines(const char *s, struct text *t)
{
	static const char *const keys[] = {
		"imok", "rw", "Zxid:", "Mode:", "Node count:", "zk_znode_count\t",
		"zk_ephemerals_count\t", "zk_server_state\t", "zk_watch_count\t" };
	const char *line;
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		for (line = s; *line; line += strcspn(line, "\n"), line += *line == '\n')
			if (!strncmp(line, keys[i], strlen(keys[i])))
				t_fmt(t, "%.*s\n", (int)strcspn(line, "\n"), line);
}

/* Counts of what goes with a closed connection lag behind: asked again for a while. */
void do_word(struct differ *d, const struct action *a)
{
	static struct conn c[SIDES];
	static struct text t[SIDES];
	s64 end = now_ms() + 20000;
	int side;

	do {
		for (side = 0; side < SIDES; side++) {
			c[side].fd = -1;
			c[side].plain = true;
			conn_open(&c[side], d->port[side]);
			conn_send(&c[side], a->body, a->len);
			conn_wait_eof(&c[side]);
			t_reset(&t[side]);
			t_str(&t[side], "");
			if (c[side].len == c[side].cap)
				c[side].len--;
			c[side].buf[c[side].len] = 0;
			common_lines((char *)c[side].buf, &t[side]);
			conn_close(&c[side]);
		}
		if (!strcmp(t[0].s, t[1].s))
			return;
		usleep(50000);
	} while (now_ms() < end);
	differs(d, d->nacts - 1, "a four-letter word", t[0].s, t[1].s);
}

/* ------------------------------------------------------------ restarts */

static void log_in(struct differ *d)
{
	struct jw w;

	jw_init(&w, 0);
	body_auth(&w, "digest", SUPER_AUTH);
	slot_request(d, WALKER, &(struct action){ .op = OP_AUTH, .xid = XID_AUTH,
		     .body = w.buf, .len = w.len }, d->nacts - 1);
	slot_flush(d, WALKER, false, false);
	jw_free(&w);
}

void do_restart(struct differ *d, enum restart how)
{
	static const char *const names[] = { "kill", "stop", "swap" };
	unsigned int a, b;
	char line[64];
	u32 n;

	barrier(d, false);
	for (n = 0; n < SLOTS; n++)
		slot_down(&d->slots[n]);
	printf("restart %s\n", names[how]);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin) || sscanf(line, "%u %u", &a, &b) != 2)
		die("no servers after a restart");
	d->port[0] = a;
	d->port[1] = b;
	if (how == RESTART_SWAP) {
		struct dataset *ds = d->ds[0];

		d->ds[0] = d->ds[1];
		d->ds[1] = ds;
	}
	do_recon(d, WALKER, RECON_RIGHT);
	if (!d->slots[WALKER].up)
		differs(d, d->nacts - 1, "the session after a restart", "gone", "gone");
	log_in(d);
	walk(d, NULL, NULL);
}

void open_walker(struct differ *d)
{
	do_open(d, WALKER, 10 * 60 * 1000);
	log_in(d);
}
