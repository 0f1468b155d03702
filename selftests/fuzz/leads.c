// SPDX-License-Identifier: GPL-2.0-or-later
/* A leader: what comes from those who want to learn. */
#include "selftests/fuzz/drive.h"
#include "selftests/fuzz/drive_quorum.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	return srv_run(SERVER_LEADS, data, len);
}
