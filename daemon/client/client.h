/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client side: listener, I/O threads, connections. An I/O thread owns the
 * connections it accepted: it reads and decodes frames, answers plain reads from
 * the store, sends everything else to the core, and writes replies and events in
 * order (daemon/server/request.h says which order).
 */
#ifndef ZKD_CLIENT_CLIENT_H
#define ZKD_CLIENT_CLIENT_H

#include "daemon/server/core.h"

struct client_side;

/* Binds clientPort/clientPortAddress; @why says what failed, naming the address. @disk is
 * for its figures; NULL: there are none. */
int client_start(const struct config *cfg, struct core *core, struct store *st,
		 struct disk *disk, struct client_side **cs, char *why, size_t why_len);
/* Lets nobody in any more; those who are in are served on. Any thread. */
void client_stop_listening(struct client_side *cs);
/* Listens at another address, @host NULL: any, soon; those who are in are served on. Any
 * thread. -ENOMEM. */
int client_move(struct client_side *cs, const char *host, u16 port);
/* Stops listening, closes connections after sending what is queued, joins. The core
 * may be running or stopped already; what it posts after that is dropped. */
void client_stop(struct client_side *cs);
/* Gives @cs back, after client_stop(), when the core calls client_flush() no more. */
void client_free(struct client_side *cs);
/* The port that it listens on (clientPort 0: what the kernel gave). */
u16 client_port(const struct client_side *cs);

/* Core thread: hands a message (malloc'ed, taken over, with its own reference to
 * the conn) to the connection's I/O thread. client_flush() wakes the threads that
 * sleep; the core calls it once per round of its loop, when what the round's events
 * tell of is published. */
void conn_post(struct message *m);
void client_flush(struct client_side *cs);

struct conn *conn_get(struct conn *c);
void conn_put(struct conn *c);
/* The client side that the conn belongs to, valid as long as the conn. */
struct client_side *conn_side(const struct conn *c);
/* Whether it is a file of the device, on this host. */
bool conn_is_device(const struct conn *c);
/* "/127.0.0.1:4711", as ZooKeeper prints it; valid as long as the conn. */
const char *conn_name(const struct conn *c);

#endif
