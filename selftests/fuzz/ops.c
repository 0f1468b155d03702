// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests of two connected clients in well-formed frames; only their bodies, and
 * their order, come from the input. It is a row of
 *
 *   u8 operation, u8 flags, u16 length, body
 *
 * The answers are checked: whole frames, in the order of the requests.
 */
#include "daemon/proto/zookeeper.h"
#include "daemon/proto/jute.h"
#include "selftests/fuzz/drive.h"

#define OTHER	1	/* flag: of the second client */
#define LATER	2	/* more is sent before the server runs */
#define GONE	4	/* the client goes after it, and another comes */

struct user {
	struct link *l;
	s32 xid;	/* sent last */
	s32 seen;	/* answered last */
};

static const s32 ops[] = {
	OP_CREATE, OP_DELETE, OP_EXISTS, OP_GETDATA, OP_SETDATA, OP_GETACL, OP_SETACL,
	OP_GETCHILDREN, OP_SYNC, OP_PING, OP_GETCHILDREN2, OP_CHECK, OP_MULTI, OP_CREATE2,
	OP_RECONFIG, OP_CHECKWATCHES, OP_REMOVEWATCHES, OP_CREATECONTAINER, OP_DELETECONTAINER,
	OP_CREATETTL, OP_MULTIREAD, OP_AUTH, OP_SETWATCHES, OP_SASL, OP_GETEPHEMERALS,
	OP_GETALLCHILDRENNUMBER, OP_SETWATCHES2, OP_ADDWATCH, OP_WHOAMI, OP_CREATESESSION,
	OP_CLOSESESSION, OP_ERROR,
};
#define OPS	(sizeof(ops) / sizeof(ops[0]))

static void come(struct user *u)
{
	u->l = wire_open();
	u->xid = u->seen = 0;
	link_login(u->l, 1000);
}

static void look(struct user *u)
{
	const u8 *p;
	u32 len;
	s32 xid;

	while ((p = link_next(u->l, &len))) {
		if (len < 16)
			fuzz_fail("a short answer");
		xid = jute_get32(p);
		if (xid <= 0)
			continue;
		if (xid > u->xid)
			fuzz_fail("an answer to nothing");
		if (xid <= u->seen)
			fuzz_fail("answers out of order");
		u->seen = xid;
	}
}

static void send_op(struct user *u, s32 op, const u8 *body, size_t len)
{
	static u8 frame[8 + 65536];
	s32 xid = op == OP_AUTH || op == OP_SASL ? XID_AUTH : op == OP_PING ? XID_PING : ++u->xid;

	jute_put32(frame, xid);
	jute_put32(frame + 4, op);
	memcpy(frame + 8, body, len);
	link_frame(u->l, frame, 8 + len);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct user users[2];

	drive_start();
	come(&users[0]);
	come(&users[1]);
	while (len >= 4) {
		struct user *u = &users[data[1] & OTHER];
		size_t n = data[2] << 8 | data[3];
		s32 op = data[0] < OPS ? ops[data[0]] : data[0];

		if (n > len - 4)
			n = len - 4;
		send_op(u, op, data + 4, n);
		if (!(data[1] & (LATER | GONE))) {
			drive_pump();
			look(u);
		}
		if (data[1] & GONE || link_closed(u->l)) {
			wire_close(u->l);
			come(u);
		}
		data += 4 + n;
		len -= 4 + n;
	}
	drive_pump();
	look(&users[0]);
	look(&users[1]);
	wire_close(users[0].l);
	wire_close(users[1].l);
	drive_check();
	return 0;
}
