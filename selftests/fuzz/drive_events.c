// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An input as what happens to a server. Its first byte says what the server is like, the
 * next one whether a stream follows, as it comes from the other side of a connection after
 * so many honest packets, in pieces of a certain length; or events, each by a byte and what
 * belongs to it.
 */
#include <string.h>
#include <unistd.h>

#include "daemon/proto/zookeeper.h"
#include "selftests/fuzz/drive_quorum.h"

#define LINKS		4
#define EVENTS_MAX	300

enum happens { RAW, PACKET, TIME, CLOSE, CONNECT, LINK, DISK, VOTE, HONEST, TREE, SPLIT, HELLO,
	       HAPPENS };

struct input {
	const u8 *p;
	size_t len;
	enum srv_role role;
	int links[LINKS];	/* + 1; 0: none */
	u32 stages[LINKS];
	u32 link;
	u32 split;		/* bytes of a piece; 0: whole */
};

static u8 byte(struct input *in)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->p++;
}

static u64 number(struct input *in, u32 n)
{
	u64 v = 0;

	while (n--)
		v = v << 8 | byte(in);
	return v;
}

static const u8 *bytes(struct input *in, size_t *n)
{
	const u8 *p = in->p;

	if (*n > in->len)
		*n = in->len;
	in->p += *n;
	in->len -= *n;
	return p;
}

/* ---------------------------------------------------------------- links */

static void drop(struct input *in, u32 i)
{
	if (in->links[i])
		close(in->links[i] - 1);
	in->links[i] = 0;
	in->stages[i] = 0;
	sock_receiver_looks();
}

/* What the server has connected to, and what is closed. */
static void look(struct input *in)
{
	int fd;

	srv_pump();
	for (u32 i = 0; i < LINKS; i++)
		if (in->links[i] && !sock_drain(in->links[i] - 1))
			drop(in, i);
	while ((fd = sock_accepted()) >= 0) {
		drop(in, 0);
		in->links[0] = fd + 1;
		in->link = 0;
	}
}

/* Another connection to the port that the fuzzer is to try. */
static void connect_one(struct input *in)
{
	bool election = in->role == SERVER_LOOKS;

	drop(in, in->link);
	in->links[in->link] = sock_connect(election ? ELECTION_PORT + 1 : QUORUM_PORT + 1) + 1;
	look(in);
}

static void send_pieces(struct input *in, const u8 *p, size_t len)
{
	size_t n;

	for (; len && in->links[in->link]; p += n, len -= n) {
		n = in->split && in->split < len ? in->split : len;
		sock_send(in->links[in->link] - 1, p, n);
		if (in->split)
			look(in);
	}
	look(in);
}

/* ---------------------------------------------------------------- packets */

/* One of those that mean something now, or nearly. */
static u64 some_zxid(struct input *in)
{
	const struct zab *z = machine();
	u8 how = byte(in);
	s8 delta = byte(in);
	u64 base = 0;

	switch (how % 7) {
	case 0:
		base = zab_last_zxid(z);
		break;
	case 1:
		base = zab_committed(z);
		break;
	case 2:
		base = ZXID(z->epoch, 0);
		break;
	case 3:
		base = ZXID(z->accepted + 1, 0);
		break;
	case 4:
		base = ZXID(EPOCH_OF(zab_last_zxid(z)), 0);
		break;
	case 5:
		base = number(in, 8);
		break;
	}
	return base + delta;
}

static void put_members(struct input *in, struct jw *w)
{
	char text[600];
	size_t n = 0;

	for (u32 i = 1, roles = byte(in); i <= 4; i++, roles >>= 2)
		if (roles & 3)
			n += snprintf(text + n, sizeof(text) - n,
				      "server.%u=127.0.0.1:%u:%u%s\n", i,
				      QUORUM_PORT + i, ELECTION_PORT + i,
				      roles & 1 ? "" : ":observer");
	n += snprintf(text + n, sizeof(text) - n, "version=%llx", some_zxid(in));
	jw_bytes(w, text, n);
}

static void put_txn(struct input *in, struct jw *w, u64 zxid)
{
	static const s32 types[] = {
		OP_CREATESESSION, OP_CLOSESESSION, OP_CREATE, OP_DELETE, OP_SETDATA, OP_SETACL,
		OP_MULTI, OP_CREATE2, OP_CREATETTL, OP_CREATECONTAINER, OP_ERROR,
	};
	u8 kind = byte(in);
	size_t n = byte(in);
	const u8 *more = bytes(in, &n);
	struct jw text;

	jw_free(w);
	if (kind % 16 < sizeof(types) / sizeof(types[0])) {
		honest_txn(w, zxid, types[kind % 16], kind & 0x80 ? more : NULL, n);
		return;
	}
	jw_init(&text, 0);
	put_members(in, &text);
	honest_txn(w, zxid, OP_RECONFIG, "", 0);
	jw_str(w, "/zookeeper/config", 17);
	jw_str(w, text.buf, text.len);
	jw_int(w, -1);
	jw_free(&text);
}

static void packet(struct input *in)
{
	s32 type = byte(in) % 24;
	u64 zxid = some_zxid(in);
	u8 what = byte(in);
	bool null = false;
	const u8 *p;
	struct jw w;
	size_t n;

	jw_init(&w, 0);
	switch (what % 7) {
	case 0:
		null = true;
		break;
	case 1:
		n = byte(in);
		p = bytes(in, &n);
		if (n)
			jw_bytes(&w, p, n);
		break;
	case 2:
		if (what & 0x80)
			jw_long(&w, byte(in) % 6);
		put_txn(in, &w, what & 0x40 ? some_zxid(in) : zxid);
		break;
	case 3:		/* LearnerInfo */
		jw_long(&w, byte(in) % 6);
		jw_int(&w, 0x10000);
		jw_long(&w, what & 0x80 ? some_zxid(in) : 0);
		break;
	case 4:
		jw_int(&w, what & 0x80 ? (s32)number(in, 4) : (s32)machine()->ld.own_epoch);
		break;
	case 5:
		put_members(in, &w);
		break;
	case 6:		/* a request: session, cxid, type, body */
		jw_long(&w, what & 0x80 ? number(in, 8) : 0x200000000000000ULL + byte(in) % 16);
		jw_int(&w, byte(in));
		jw_int(&w, (s8)byte(in));
		n = byte(in);
		p = bytes(in, &n);
		jw_bytes(&w, p, n);
		break;
	}
	if (in->links[in->link])
		honest_packet(in->links[in->link] - 1, type, zxid, null ? NULL : w.buf,
			      null ? -1 : (s32)w.len);
	jw_free(&w);
	look(in);
}

/* A snapshot's body: sessions, one ACL, nodes; what of it is as it should be is chosen. */
static void tree(struct input *in)
{
	static const char *const paths[] = { "", "/zookeeper", "/zookeeper/quota", "/a", "/a/b" };
	u8 how = byte(in), n = byte(in) % 8;
	struct jw w;

	jw_init(&w, 0);
	jw_int(&w, n);
	for (u32 i = 0; i < n; i++) {
		jw_long(&w, 0x200000000000000ULL + i * (how & 1 ? 1 : 0));
		jw_int(&w, (s32)some_zxid(in));
	}
	jw_int(&w, 1);
	jw_long(&w, 1);
	jw_bytes(&w, txn_open_acl, TXN_OPEN_ACL_LEN);
	for (u32 i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (how & 2 && byte(in) & 1)
			continue;
		jw_str(&w, paths[i], strlen(paths[i]));
		jw_str(&w, "x", 1);
		jw_long(&w, how & 4 ? byte(in) : i ? 1 : -1);
		for (u32 k = 0; k < 4; k++)	/* czxid, mzxid, ctime, mtime */
			jw_long(&w, how & 8 ? some_zxid(in) : 0);
		for (u32 k = 0; k < 3; k++)
			jw_int(&w, how & 16 ? (s8)byte(in) : 0);
		jw_long(&w, how & 32 ? (u64)number(in, 8) : 0);
		jw_long(&w, 0);
	}
	jw_str(&w, "/", 1);
	if (!(how & 64))
		jw_str(&w, "BenWasHere", 10);
	send_pieces(in, w.buf, w.len);
	jw_free(&w);
}

/* ---------------------------------------------------------------- votes */

static void hello(struct input *in)
{
	struct zab_hello h = { .version = byte(in) % 2 ? ZE_V1 : ZE_V2, .sid = byte(in) % 7 };
	size_t n = byte(in);
	struct jw w;

	if (h.sid == 6)
		h.sid = number(in, 8);
	h.addrs = (const char *)bytes(in, &n);
	h.len = n;
	jw_init(&w, 0);
	zab_hello_write(&w, &h);
	send_pieces(in, w.buf, w.len);
	jw_free(&w);
}

/* On the connection at hand, or as an honest server's. */
static void vote(struct input *in)
{
	u8 how = byte(in), sid = 2 + byte(in) % 3;
	struct zab_vote v = {
		.state = byte(in) % 5, .leader = byte(in) % 6, .zxid = some_zxid(in),
		.round = election_round(machine()->el) + (s8)byte(in),
		.epoch = zab_standing(machine()) + (s8)byte(in),
	};
	struct jw w, text;

	jw_init(&text, 0);
	if (how & 1) {
		put_members(in, &text);
		v.config = (const char *)text.buf;
		v.config_len = text.len;
	}
	jw_init(&w, 0);
	jw_int(&w, 0);
	zab_vote_write(&w, &v);
	jute_put32(w.buf, w.len - 4);
	if (how & 2)
		sock_send(honest_econn(sid), w.buf, w.len);
	else
		send_pieces(in, w.buf, w.len);
	look(in);
	jw_free(&w);
	jw_free(&text);
}

/* ---------------------------------------------------------------- all of it */

static void honest(struct input *in)
{
	u32 i = in->link;

	if (in->role == SERVER_LOOKS) {
		honest_vote(2 + byte(in) % 3, 1 + byte(in) % 4, 0);
	} else if (in->links[i] && in->role == SERVER_LEADS) {
		honest_follower(in->links[i] - 1, 2 + i % 3, &in->stages[i]);
	} else if (in->links[i]) {
		honest_leader(in->links[i] - 1, &in->stages[i]);
	}
	look(in);
}

static void one(struct input *in)
{
	const u8 *p;
	size_t n;

	switch (byte(in) % HAPPENS) {
	case RAW:
		n = byte(in);
		p = bytes(in, &n);
		send_pieces(in, p, n);
		break;
	case PACKET:
		packet(in);
		break;
	case TIME:
		n = byte(in);
		srv_pass(n < 128 ? n : 20 * n);
		look(in);
		break;
	case CLOSE:
		drop(in, in->link);
		look(in);
		break;
	case CONNECT:
		connect_one(in);
		break;
	case LINK:
		in->link = byte(in) % LINKS;
		break;
	case DISK:
		srv_hold_disk(byte(in) % 2);
		look(in);
		break;
	case VOTE:
		vote(in);
		break;
	case HONEST:
		honest(in);
		break;
	case TREE:
		tree(in);
		break;
	case SPLIT:
		in->split = byte(in) % 32;
		break;
	case HELLO:
		hello(in);
		break;
	}
}

int srv_run(enum srv_role role, const u8 *data, size_t len)
{
	struct input in = { .p = data, .len = len, .role = role };
	u8 like = byte(&in), stream = byte(&in);
	u32 n = 0;

	server.observer = role == SERVER_FOLLOWS && like & 1;
	srv_start(server.observer, like & 2, like & 4);
	sock_welcome(true);
	if (role == SERVER_LEADS && !honest_elect(1))
		fuzz_fail("it does not lead");
	if (role == SERVER_FOLLOWS && !honest_elect(2))
		fuzz_fail("it does not follow");
	look(&in);
	if (role != SERVER_FOLLOWS)
		connect_one(&in);
	/* the server has a quorum, and the fuzzer comes second */
	if (role == SERVER_LEADS && like & 8) {
		for (u32 i = 0; i < 4; i++)
			honest(&in);
		in.link = 1;
		connect_one(&in);
	}
	if (stream & 0x80) {
		for (u32 i = stream & 7; i; i--)
			honest(&in);
		in.split = stream >> 3 & 15;
		send_pieces(&in, in.p, in.len);
		in.len = 0;
	}
	while (in.len && n++ < EVENTS_MAX)
		one(&in);
	for (u32 i = 0; i < LINKS; i++)
		drop(&in, i);
	honest_check();
	honest_end();
	srv_stop();
	return 0;
}
