// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A connected client's bytes, as they are: frames are as the input has them, whole or
 * not. The first byte is the length of the pieces in which they come, 0: all at once.
 */
#include "daemon/proto/jute.h"
#include "selftests/fuzz/drive.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct link *l;
	size_t piece;

	if (!len)
		return 0;
	drive_start();
	l = wire_open();
	link_login(l, 1000);
	piece = *data ? *data : len;
	for (size_t at = 1; at < len && !link_closed(l); at += piece) {
		wire_send(l, data + at, len - at < piece ? len - at : piece);
		drive_pump();
	}
	wire_close(l);
	drive_check();
	return 0;
}
