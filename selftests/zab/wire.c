// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The text of actions. Packets, as decoded from the bytes that are to be sent:
 * ">LINK:TYPE ZXID", for LEADERINFO, ACKEPOCH and the INFOs with their data in
 * brackets, for a REQUEST of more than 20 bytes their number. Others: "log Z", "commit Z",
 * "state S/P", "fail Z", "tree LINK Z", "logs LINK A..B", "close LINK", "accepted E",
 * "current E", "truncate Z", "truncate+reload Z", "receive Z", "up TYPE from SID", "synced",
 * "confirmed N", "connect TO".
 * Votes are passed over. Numbers are hexadecimal, an outgoing link is "out".
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "selftests/zab/wire.h"

static struct {
	char text[1 << 16];
	size_t len;
} said;

static void add(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void add(const char *fmt, ...)
{
	va_list ap;

	if (said.len + 256 > sizeof(said.text))
		return;
	if (said.len)
		said.len += sprintf(said.text + said.len, ", ");
	va_start(ap, fmt);
	said.len += vsnprintf(said.text + said.len, 200, fmt, ap);
	va_end(ap);
}

static const char *link_name(u64 link)
{
	static char name[32];

	if (link & ZAB_LINK_OUT)
		return "out";
	snprintf(name, sizeof(name), "%llx", link);
	return name;
}

static void add_packet(u64 link, const struct zab_packet *p)
{
	s32 most = p->type == ZP_REQUEST ? 20 : 24;
	char data[128] = "";

	check(!p->auth && p->auth_len == 0);
	if (p->len > 0 && p->len <= most && p->type != ZP_PROPOSAL && p->type != ZP_INFORM) {
		size_t n = sprintf(data, " [");

		for (s32 i = 0; i < p->len; i++)
			n += sprintf(data + n, "%02x", p->data[i]);
		sprintf(data + n, "]");
	} else if (p->len > most && p->type == ZP_REQUEST) {
		sprintf(data, " +%d", p->len);
	}
	add(">%s:%s %llx%s", link_name(link), zab_packet_name(p->type), p->zxid, data);
}

static void add_bytes(u64 link, const struct zab_bytes *b)
{
	struct zab_packet p;
	size_t at = 0, need;

	while (at < b->len) {
		ssize_t n = zab_packet_read(b->bytes + at, b->len - at, 1 << 20, &p, &need);

		check(n > 0);
		if (n <= 0)
			return;
		add_packet(link, &p);
		at += n;
	}
}

static void add_action(const struct zab_action *a)
{
	switch (a->type) {
	case ZAB_DO_LOG:
		add("log %llx", a->txn->zxid);
		break;
	case ZAB_DO_COMMIT:
		add("commit %llx", a->txn->zxid);
		break;
	case ZAB_DO_STATE:
		add("state %d/%d", a->state, a->phase);
		break;
	case ZAB_DO_FAIL:
		add("fail %llx", a->zxid);
		break;
	case ZAB_DO_NOTIFY:
		break;
	case ZAB_DO_CONNECT:
		add("connect %llx", a->to);
		break;
	case ZAB_DO_SEND:
		add_bytes(a->link, a->bytes);
		break;
	case ZAB_DO_SEND_TXN:
		add(">%s:%s %llx", link_name(a->link), zab_packet_name(a->packet_type),
		    a->txn->zxid);
		break;
	case ZAB_DO_SEND_HISTORY:
		add("logs %s %llx..%llx%s", link_name(a->link), a->zxid, a->to,
		    a->observer ? " observer" : "");
		break;
	case ZAB_DO_SEND_TREE:
		add("tree %s %llx", link_name(a->link), a->zxid);
		break;
	case ZAB_DO_CLOSE:
		add("close %s", link_name(a->link));
		break;
	case ZAB_DO_SAVE_ACCEPTED:
		add("accepted %llx", a->zxid);
		break;
	case ZAB_DO_SAVE_CURRENT:
		add("current %llx", a->zxid);
		break;
	case ZAB_DO_TRUNCATE:
		add("truncate%s %llx", a->reload ? "+reload" : "", a->zxid);
		break;
	case ZAB_DO_RECEIVE:
		add("receive %llx", a->zxid);
		break;
	case ZAB_DO_PACKET:
		add("up %s from %llx", zab_packet_name(a->packet.type), a->from);
		break;
	case ZAB_DO_MEMBERS:
		add("members %llx%s", a->zxid, a->in_force ? " in force" : "");
		break;
	case ZAB_DO_SYNCED:
		add("synced");
		break;
	case ZAB_DO_ACKED:
		add("acked %llx by %llx at %llu", a->zxid, a->from, a->to);
		break;
	case ZAB_DO_CONFIRMED:
		add("confirmed %llx", a->zxid);
		break;
	}
}

static void drain(struct zab *z)
{
	struct zab_action a;

	while (zab_next(z, &a)) {
		add_action(&a);
		zab_action_drop(&a);
	}
}

void wire_expect_at(struct zab *z, const char *text, const char *file, int line)
{
	drain(z);
	said.text[said.len] = 0;
	if (strcmp(said.text, text) && wrong++ < 10)
		printf("# %s:%d: expected \"%s\"\n#   it is \"%s\"\n", file, line, text, said.text);
	said.len = 0;
}

void wire_skip(struct zab *z)
{
	drain(z);
	said.len = 0;
}

static struct zab *begin(struct zab_event *ev, u32 history)
{
	static const char text[] =
		"server.1=127.0.0.1:1:2:participant\nserver.2=127.0.0.1:3:4:participant\n"
		"server.3=127.0.0.1:5:6:participant\nserver.4=127.0.0.1:7:8:observer\n";
	char why[200];
	struct zab_params p = {
		.myid = 1,
		.ensemble = ensemble_parse(text, strlen(text), why, sizeof(why)),
		.tick_ms = 200,
		.init_limit = 10,
		.sync_limit = 5,
		.history_max = history,
		.history_bytes = 1 << 20,
		.max_packet = 1 << 20,
	};
	struct zab *z = zab_new(&p);

	check(z != NULL);
	ensemble_put(p.ensemble);
	said.len = 0;
	check(!zab_step(z, ev));
	wire_skip(z);
	return z;
}

struct zab *wire_new(u64 zxid, u64 accepted, u64 current, u32 history)
{
	struct zab_event ev = {
		.type = ZAB_EV_START, .zxid = zxid, .accepted = accepted, .current = current,
	};

	return begin(&ev, history);
}

struct zab *wire_new_tail(u64 zxid, u64 last, u64 accepted, u64 current)
{
	struct txn *found[last - zxid];
	struct zab_event ev = {
		.type = ZAB_EV_START, .zxid = zxid, .accepted = accepted, .current = current,
		.found = found, .n_found = last - zxid,
	};
	struct zab *z;

	for (u32 i = 0; i < ev.n_found; i++)
		found[i] = mtxn_new(zxid + i + 1, zxid + i + 1, 0);
	z = begin(&ev, 500);
	for (u32 i = 0; i < ev.n_found; i++)
		txn_put(found[i]);
	return z;
}

void wire_free(struct zab *z)
{
	wire_skip(z);
	zab_free(z);
}

int wire_event(struct zab *z, enum zab_event_type type, u64 link, u64 zxid)
{
	struct zab_event ev = { .type = type, .link = link, .zxid = zxid };
	int rc = zab_step(z, &ev);

	drain(z);
	return rc;
}

int wire_packet(struct zab *z, u64 link, s32 type, u64 zxid, const void *data, s32 len)
{
	struct zab_packet p = { .type = type, .zxid = zxid, .data = data, .len = len };
	struct zab_event ev = { .type = ZAB_EV_PACKET, .link = link, .packet = &p };
	int rc = zab_step(z, &ev);

	drain(z);
	return rc;
}

int wire_txn(struct zab *z, u64 link, s32 type, u64 zxid)
{
	struct txn *t = mtxn_new(zxid, zxid, 0);
	int rc = wire_packet(z, link, type, zxid, t->bytes, t->len);

	txn_put(t);
	return rc;
}

int wire_propose(struct zab *z, u64 zxid)
{
	struct zab_event ev = { .type = ZAB_EV_PROPOSE, .txn = mtxn_new(zxid, zxid, 0) };
	int rc = zab_step(z, &ev);

	drain(z);
	txn_put(ev.txn);
	return rc;
}

enum zab_state wire_vote(struct zab *z, u64 leader, u64 zxid, u64 epoch)
{
	struct zab_vote v = {
		.leader = leader,
		.zxid = zxid,
		.epoch = epoch,
		.round = election_round(z->el),
	};
	struct zab_event ev = { .type = ZAB_EV_VOTE, .vote = &v };

	for (ev.from = 2; ev.from <= 3; ev.from++)
		check(!zab_step(z, &ev));
	ev.type = ZAB_EV_TICK;
	for (int i = 0; i < 10 && zab_state(z) == ZAB_LOOKING; i++) {
		ev.now_ms = zab_deadline(z);
		check(!zab_step(z, &ev));
	}
	return zab_state(z);
}

void wire_elect(struct zab *z, u64 leader)
{
	check_eq(wire_vote(z, leader, leader == 1 ? z->last : ~0ULL >> 2, zab_standing(z)),
		 leader == 1 ? ZAB_LEADING : ZAB_FOLLOWING);
	check_eq(zab_leader(z), leader);
}

static void info(struct zab *z, u64 link, u64 sid, u64 accepted, s32 len)
{
	u8 data[24] = { 0 };

	jute_put64(data, sid);
	jute_put32(data + 8, 0x10000);
	jute_put32(data + 20, ZAB_MARK);
	check(!wire_event(z, ZAB_EV_LINK_UP, link, 0));
	check(!wire_packet(z, link, sid >= 4 && sid <= 9 ? ZP_OBSERVERINFO : ZP_FOLLOWERINFO,
			   accepted << 32, data, len));
}

void wire_info(struct zab *z, u64 link, u64 sid, u64 accepted)
{
	info(z, link, sid, accepted, 24);
}

void wire_info_apache(struct zab *z, u64 link, u64 sid, u64 accepted)
{
	info(z, link, sid, accepted, 20);
}

void wire_ackepoch(struct zab *z, u64 link, s32 current, u64 zxid)
{
	u8 data[4];

	jute_put32(data, current);
	check(!wire_packet(z, link, ZP_ACKEPOCH, zxid, data, 4));
}

void wire_lead(struct zab *z)
{
	u64 last = z->last, current = zab_standing(z);

	wire_elect(z, 1);
	wire_info(z, 2, 2, z->accepted);
	wire_ackepoch(z, 2, current, last);
	check(!wire_packet(z, 2, ZP_ACK, ZXID(zab_epoch(z), 0), NULL, -1));
	check(!wire_event(z, ZAB_EV_TICK, 0, 0));
	check_eq(zab_phase(z), ZAB_BROADCAST);
	wire_skip(z);
}

u64 wire_follow(struct zab *z, u64 epoch)
{
	u8 version[4];

	jute_put32(version, 0x10000);
	wire_elect(z, 2);
	check(!wire_event(z, ZAB_EV_LINK_UP, z->fo.link, 0));
	check(!wire_packet(z, z->fo.link, ZP_LEADERINFO, epoch << 32, version, 4));
	check_eq(zab_phase(z), ZAB_SYNC);
	return z->fo.link;
}

void wire_live(struct zab *z, u64 link, u64 last, u64 epoch)
{
	check(!wire_packet(z, link, ZP_DIFF, last, NULL, -1));
	check(!wire_packet(z, link, ZP_NEWLEADER, epoch << 32, NULL, -1));
	check(!wire_packet(z, link, ZP_UPTODATE, ~0ULL, NULL, -1));
	check_eq(zab_phase(z), ZAB_BROADCAST);
	wire_skip(z);
}
