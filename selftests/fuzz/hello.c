// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a client begins with. The first byte says how the rest is taken: below 32, a
 * four-letter word of that number, then the rest; below 128, as it is, in pieces of
 * that length less 31; else as one frame, a connect request.
 */
#include "daemon/proto/jute.h"
#include "selftests/fuzz/drive.h"

static const char *const words[] = {
	"conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "ruok", "stmk", "srvr", "srst",
	"stat", "wchc", "wchp", "wchs", "mntr", "isro", "hash", "zkrn", "GET ", "\x16\x03\x01\x02",
};
#define WORDS	(sizeof(words) / sizeof(words[0]))

static void send_pieces(struct link *l, const u8 *data, size_t len, size_t piece)
{
	while (len) {
		size_t n = len < piece ? len : piece;

		wire_send(l, data, n);
		drive_pump();
		data += n;
		len -= n;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct link *l;

	if (!len)
		return 0;
	drive_start();
	l = wire_open();
	if (*data < 32) {
		wire_send(l, words[*data % WORDS], 4);
		wire_send(l, data + 1, len - 1);
	} else if (*data < 128) {
		send_pieces(l, data + 1, len - 1, *data - 31);
	} else {
		link_frame(l, data + 1, len - 1);
	}
	drive_pump();
	wire_close(l);
	drive_check();
	return 0;
}
