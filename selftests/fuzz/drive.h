/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole server in one thread, for the fuzzers: the daemon's own client side, core,
 * and memory store, but the loops of the I/O thread and of the core thread are turned
 * by hand, and what goes to the log is durable at once. So an input has run its whole
 * course when drive_pump() returns, and the same input does the same again.
 *
 * Beside the connections under test there is always a well-behaved one, the witness:
 * after each input it must find its data, be able to write, and get its answers; else
 * the program aborts. It has super rights and tidies up, so that each input finds the
 * same tree: the root, what a new server has, and /w.
 */
#ifndef FUZZ_DRIVE_H
#define FUZZ_DRIVE_H

#include <stddef.h>
#include <linux/types.h>

struct link;

/* What libFuzzer calls; the replay program too. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t len);

/* Starts the server, once; does nothing later. */
void drive_start(void);
/* A connection to it. */
struct link *wire_open(void);
/* Sends; what the server does not take, as it closed or stopped reading, is dropped. */
void wire_send(struct link *l, const void *p, size_t len);
/* The same with a length before it. */
void link_frame(struct link *l, const void *p, size_t len);
/* A handshake for a new session, answered (unless the server closes). */
void link_login(struct link *l, u32 timeout_ms);
/* The next frame received, without its length: the bytes are good until the next call.
 * NULL: none has come. */
const u8 *link_next(struct link *l, u32 *len);
bool link_closed(const struct link *l);
void wire_close(struct link *l);
/* Turns the loops until nothing moves any more. */
void drive_pump(void);
/* The end of an input, all its links closed: the witness looks after things. */
void drive_check(void);
/* --- util.c */
/* A new directory, removed at exit. */
const char *fuzz_dir(void);
/* Says it and aborts. */
void fuzz_fail(const char *what) __attribute__((noreturn));

/* --- drive_core.c, drive_client.c */
struct core;
struct config;
struct store;
struct disk;
struct disk_recovery;
struct client_side;
struct core *drive_core_new(const struct config *cfg, struct store *st, struct disk *disk,
			    const struct disk_recovery *rec);
/* One round; whether there is more to do. */
bool drive_core_turn(struct core *c);
struct client_side *drive_client_new(const struct config *cfg, struct core *core,
				     struct store *st, struct disk *disk);
bool drive_client_turn(struct client_side *cs);
/* Hands a connected socket to the server, as if it had been accepted. */
void drive_client_take(struct client_side *cs, int fd);
/* Whether a long word is being worked out. */
bool drive_client_reports(struct client_side *cs);
u32 drive_client_conns(struct client_side *cs);

#endif
