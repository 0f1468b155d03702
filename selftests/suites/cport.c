// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded into the C client's tests, which know their server's port by heart:
 * a connection to TEST_PORT of the loopback goes to the port in ZKERN_SUITE_PORT.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TEST_PORT 22181

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	static int (*next)(int, const struct sockaddr *, socklen_t);
	const char *port = getenv("ZKERN_SUITE_PORT");
	struct sockaddr_in to;

	if (!next)
		next = (__typeof__(next))dlsym(RTLD_NEXT, "connect");
	if (!port || addr->sa_family != AF_INET || len < sizeof(to))
		return next(fd, addr, len);
	memcpy(&to, addr, sizeof(to));
	if (to.sin_port == htons(TEST_PORT))
		to.sin_port = htons(atoi(port));
	return next(fd, (struct sockaddr *)&to, sizeof(to));
}
