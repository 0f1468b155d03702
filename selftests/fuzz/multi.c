// SPDX-License-Identifier: GPL-2.0-or-later
/* A multi's body, and the same body as a multiRead. */
#include "daemon/proto/zookeeper.h"
#include "daemon/proto/jute.h"
#include "selftests/fuzz/drive.h"

static void send_multi(struct link *l, s32 xid, s32 op, const u8 *body, size_t len)
{
	const u8 *p;
	u8 *frame = malloc(8 + len);
	u32 n;

	if (!frame)
		fuzz_fail("no memory");
	jute_put32(frame, xid);
	jute_put32(frame + 4, op);
	memcpy(frame + 8, body, len);
	link_frame(l, frame, 8 + len);
	free(frame);
	drive_pump();
	p = link_next(l, &n);
	if (!p || n < 16 || (s32)jute_get32(p) != xid)
		fuzz_fail("a multi is not answered");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct link *l;

	if (len > 1000000)
		return 0;
	drive_start();
	l = wire_open();
	link_login(l, 1000);
	send_multi(l, 1, OP_MULTI, data, len);
	send_multi(l, 2, OP_MULTIREAD, data, len);
	wire_close(l);
	drive_check();
	return 0;
}
