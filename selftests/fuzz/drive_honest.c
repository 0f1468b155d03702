// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What other servers say that follow the protocol. They know what the server's machine
 * knows, so they need not listen: what the server sends is read and dropped.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/proto/zookeeper.h"
#include "selftests/fuzz/drive_quorum.h"

#define STEP_MS		50
#define STEPS_MAX	1200	/* a minute of the server's time */
#define ROUND_STEPS	40
#define PEERS		3	/* 2, 3, 4 */
#define MEMORY_MAX	(64u << 20)

/* Of the sanitizer; NULL: there is none. */
size_t __sanitizer_get_current_allocated_bytes(void);
#pragma weak __sanitizer_get_current_allocated_bytes

static int econns[PEERS];	/* + 1; 0: none */

void honest_packet(int fd, s32 type, u64 zxid, const void *data, s32 len)
{
	const struct zab_packet pkt = { .type = type, .zxid = zxid, .data = data, .len = len };
	struct jw w;

	jw_init(&w, 0);
	zab_packet_write(&w, &pkt);
	sock_send(fd, w.buf, w.len);
	jw_free(&w);
}

/* ---------------------------------------------------------------- votes */

void honest_drain(void)
{
	for (u32 i = 0; i < PEERS; i++) {
		if (!econns[i] || sock_drain(econns[i] - 1))
			continue;
		close(econns[i] - 1);
		econns[i] = 0;
	}
}

int honest_econn(u64 sid)
{
	static const char addr[] = "127.0.0.1:3999";
	struct zab_hello h = {
		.version = ZE_V1, .sid = sid, .addrs = addr, .len = sizeof(addr) - 1,
	};
	int *c = &econns[sid - 2];
	struct jw w;

	if (*c)
		return *c - 1;
	*c = sock_connect(ELECTION_PORT + 1) + 1;
	if (!*c)
		fuzz_fail("nobody listens on the election port");
	jw_init(&w, 0);
	zab_hello_write(&w, &h);
	sock_send(*c - 1, w.buf, w.len);
	jw_free(&w);
	return *c - 1;
}

void honest_vote(u64 sid, u64 leader, u32 rounds)
{
	const struct zab *z = machine();
	struct zab_vote v = {
		.state = PEER_LOOKING, .leader = leader, .zxid = zab_last_zxid(z),
		.round = election_round(z->el) + rounds, .epoch = zab_standing(z),
	};
	int fd = honest_econn(sid);
	struct jw w;

	jw_init(&w, 0);
	jw_int(&w, 0);
	zab_vote_write(&w, &v);
	jute_put32(w.buf, w.len - 4);
	sock_send(fd, w.buf, w.len);
	jw_free(&w);
}

bool honest_elect(u64 leader)
{
	enum zab_state want = leader == 1 ? ZAB_LEADING :
			      server.observer ? ZAB_OBSERVING : ZAB_FOLLOWING;

	sock_welcome(leader != 1);
	for (u32 i = 0; i < STEPS_MAX; i++) {
		if (zab_state(machine()) == want && zab_phase(machine()) == ZAB_DISCOVERY &&
		    zab_leader(machine()) == leader)
			return true;
		if (zab_state(machine()) == ZAB_LOOKING) {
			/* who gets nowhere begins anew: what a liar said is of another round */
			honest_vote(2, leader, i % ROUND_STEPS == ROUND_STEPS - 1);
			honest_vote(3, leader, 0);
		}
		srv_pass(STEP_MS);
	}
	return false;
}

/* ---------------------------------------------------------------- a follower */

static void put_request(struct jw *w, s32 cxid)
{
	jw_init(w, 0);
	jw_long(w, 0x200000000000000ULL + cxid);
	jw_int(w, cxid);
	jw_int(w, OP_CREATESESSION);
	jw_int(w, 1000);
}

void honest_follower(int fd, u64 sid, u32 *stage)
{
	struct zab *z = machine();
	struct jw w;
	u8 info[24];

	switch (*stage) {
	case 0:
		jute_put64(info, sid);
		jute_put32(info + 8, ZAB_PROTOCOL);
		jute_put64(info + 12, 0);
		/* server 2 is a zkernd */
		jute_put32(info + 20, ZAB_MARK);
		honest_packet(fd, sid == 4 ? ZP_OBSERVERINFO : ZP_FOLLOWERINFO,
			      ZXID(z->accepted, 0), info, sid == 2 ? 24 : 20);
		break;
	case 1:
		jute_put32(info, z->ld.own_epoch);
		honest_packet(fd, ZP_ACKEPOCH, z->ld.own_last, info, 4);
		break;
	case 2:		/* of NEWLEADER, */
	case 3:		/* and of UPTODATE */
		honest_packet(fd, ZP_ACK, ZXID(z->epoch, 0), NULL, -1);
		break;
	default:
		if (*stage % 3 == 0) {
			put_request(&w, *stage);
			honest_packet(fd, ZP_REQUEST, ~0ULL, w.buf, w.len);
			jw_free(&w);
		} else if (*stage % 3 == 1) {
			honest_packet(fd, ZP_ACK, zab_last_zxid(z), NULL, -1);
		} else {
			honest_packet(fd, ZP_PING, zab_last_zxid(z), NULL, -1);
		}
	}
	++*stage;
}

/* ---------------------------------------------------------------- a leader */

void honest_txn(struct jw *w, u64 zxid, s32 type, const void *more, size_t len)
{
	jw_init(w, 0);
	jw_long(w, 0x200000000000000ULL + (u32)zxid);
	jw_int(w, 0);
	jw_long(w, zxid);
	jw_long(w, 1700000000000);
	jw_int(w, type);
	if (more)
		jw_bytes(w, more, len);
	else
		jw_int(w, 1000);
}

static u64 next_zxid(const struct zab *z)
{
	u64 last = zab_last_zxid(z);

	return EPOCH_OF(last) == z->epoch ? last + 1 : ZXID(z->epoch, 1);
}

static void next_txn(int fd, s32 type)
{
	u64 zxid = next_zxid(machine());
	struct jw w;

	honest_txn(&w, zxid, OP_CREATESESSION, NULL, 0);
	honest_packet(fd, type, zxid, w.buf, w.len);
	jw_free(&w);
}

void honest_leader(int fd, u32 *stage)
{
	struct zab *z = machine();
	u8 version[4];

	switch (*stage) {
	case 0:
		jute_put32(version, ZAB_PROTOCOL);
		honest_packet(fd, ZP_LEADERINFO, ZXID(z->accepted + 1, 0), version, 4);
		break;
	case 1:
		honest_packet(fd, ZP_DIFF, zab_last_zxid(z), NULL, -1);
		break;
	case 2:
		honest_packet(fd, ZP_NEWLEADER, ZXID(z->epoch, 0), NULL, -1);
		break;
	case 3:
		honest_packet(fd, ZP_UPTODATE, ~0ULL, NULL, -1);
		break;
	default:
		if (*stage % 3 == 2)
			honest_packet(fd, ZP_PING, zab_last_zxid(z), NULL, -1);
		else if (server.observer)
			next_txn(fd, ZP_INFORM);
		else if (*stage % 3 == 1)
			next_txn(fd, ZP_PROPOSAL);
		else
			honest_packet(fd, ZP_COMMIT, zab_last_zxid(z), NULL, -1);
	}
	++*stage;
}

/* ---------------------------------------------------------------- the ensemble */

/* The server in BROADCAST, and what is written there. */
static bool serves(int fd, bool leads)
{
	u64 before = zab_committed(machine());
	u32 stage = 0;

	for (u32 i = 0; i < 16; i++) {
		if (leads)
			honest_follower(fd, 2, &stage);
		else
			honest_leader(fd, &stage);
		srv_pass(1);
		sock_drain(fd);
	}
	return zab_phase(machine()) == ZAB_BROADCAST && zab_committed(machine()) > before &&
	       server.core->applied == zab_committed(machine());
}

static void leads_again(void)
{
	int fd = -1;

	if (!honest_elect(1))
		fuzz_fail("it does not become the leader any more");
	fd = sock_connect(QUORUM_PORT + 1);
	if (fd < 0)
		fuzz_fail("the leader does not listen on its quorum port");
	if (!serves(fd, true))
		fuzz_fail("it leads, but takes no writes any more");
	close(fd);
}

static void follows_again(void)
{
	int fd = -1;

	if (!honest_elect(2))
		fuzz_fail("it does not follow any more");
	for (u32 i = 0; i < 200 && fd < 0; i++) {
		srv_pass(STEP_MS);
		fd = sock_accepted();
	}
	if (fd < 0)
		fuzz_fail("it does not connect with its leader");
	if (!serves(fd, false))
		fuzz_fail("it follows, but does not serve");
	close(fd);
}

void honest_end(void)
{
	for (u32 i = 0; i < PEERS; i++)
		if (econns[i])
			close(econns[i] - 1);
	memset(econns, 0, sizeof(econns));
}

static bool fits(void)
{
	const struct zab *z = machine();

	return !zab_ensemble(z)->version && !zab_next_ensemble(z) && z->accepted < EPOCH_MAX - 4;
}

void honest_check(void)
{
	static size_t least;
	size_t bytes;
	int fd;

	srv_hold_disk(false);
	srv_pass(1);
	if (drive_peers_in(server.peers))
		fuzz_fail("events of peers are left");
	bytes = 0;
	if (__sanitizer_get_current_allocated_bytes)
		bytes = __sanitizer_get_current_allocated_bytes();
	if (!least || bytes < least)
		least = bytes;
	if (bytes > least + MEMORY_MAX)
		fuzz_fail("it holds too much memory");
	/* who promised the last epoch that there is follows nobody any more, and other members
	 * are others than these here */
	if (fits() && !server.observer)
		leads_again();
	while ((fd = sock_accepted()) >= 0)
		close(fd);
	if (fits())
		follows_again();
}
