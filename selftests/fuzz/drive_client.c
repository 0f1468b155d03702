// SPDX-License-Identifier: GPL-2.0-or-later
/* The same for the client side, with one I/O thread that is none. The thread that
 * works out the long words is a real one, as it waits for the core. */
#include "daemon/client/client.c"
#include "daemon/client/io.c"
#include "daemon/client/listen.c"
#include "daemon/client/report.c"

#include "selftests/fuzz/drive.h"

struct client_side *drive_client_new(const struct config *cfg, struct core *core,
				     struct store *st, struct disk *disk)
{
	struct client_side *cs = side_new(cfg, core, st, disk);

	if (!cs)
		fuzz_fail("no client side");
	cs->reports = reports_new();
	if (!cs->reports)
		fuzz_fail("no thread for the long words");
	return cs;
}

bool drive_client_turn(struct client_side *cs)
{
	struct epoll_event ev[EVENTS];
	struct io *io = &cs->io[0];
	int n = epoll_wait(io->epfd, ev, EVENTS, 0);

	one_round(io, ev, n < 0 ? 0 : n);
	return n > 0 || !queue_empty(&io->inbox);
}

void drive_client_take(struct client_side *cs, int fd)
{
	struct sockaddr_storage sa = { .ss_family = AF_INET };
	struct sockaddr_in *in = (struct sockaddr_in *)&sa;

	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in->sin_port = htons(4711);
	take_in(cs, fd, &sa);
}

bool drive_client_reports(struct client_side *cs)
{
	bool busy;

	pthread_mutex_lock(&cs->reports->lock);
	busy = cs->reports->n;
	pthread_mutex_unlock(&cs->reports->lock);
	return busy;
}

u32 drive_client_conns(struct client_side *cs)
{
	return cs->n_conns;
}
