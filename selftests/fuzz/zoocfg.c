// SPDX-License-Identifier: GPL-2.0-or-later
/* zoo.cfg. A refused one must say why. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/base/config.h"
#include "daemon/base/log.h"
#include "selftests/fuzz/drive.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	struct config cfg = { 0 };
	char why[256] = "", path[32];
	int fd = memfd_create("zoo.cfg", MFD_CLOEXEC), rc;

	log_set_level(getenv("FUZZ_LOG") ? LOG_DEBUG : LOG_ERROR);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len || config_default(&cfg))
		fuzz_fail("cannot start");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = config_load(&cfg, path, why, sizeof(why));
	if (rc && !why[0])
		fuzz_fail("refused without a word");
	config_free(&cfg);
	close(fd);
	return 0;
}
