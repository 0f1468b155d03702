// SPDX-License-Identifier: GPL-2.0-or-later
/* A server that looks for a leader: what comes to its election port. */
#include "selftests/fuzz/drive.h"
#include "selftests/fuzz/drive_quorum.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	return srv_run(SERVER_LOOKS, data, len);
}
