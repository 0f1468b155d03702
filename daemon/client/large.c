// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Long answers: the children of a node that has a million, a getData of many MiB.
 * 3.8 sends them whatever their length, and so do we, but not all at once: the memory
 * of those under way is taken from one budget, and who finds it spent waits for his
 * turn. One is always under way, however long, so that each gets its turn.
 *
 * An answer is made at once if it is no longer than ANSWER_SMALL. Else the connection
 * takes what it will need from the budget (large_take()), the answer is made, and
 * nothing else is read from the client until it is sent. What a request's answer may
 * be is guessed, from the node, where it cannot be tried: the core's. Who does not
 * fetch his answer is closed when others are waiting.
 *
 * The budget is an atomic; all else belongs to the I/O thread.
 */
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/client/internal.h"

#define CHILD_BYTES	256		/* of a name, on a guess */
#define HOLD_MS		10000		/* to fetch a long answer, and a ms more for each */
#define HOLD_BYTES_MS	1024		/* so many bytes, while others wait */

/* The path that a read begins with; "" is the root. */
static struct jstr path_of(const u8 *body, u32 len)
{
	struct jstr path;
	struct jr in;

	jr_init(&in, body, len);
	path = jr_str(&in);
	if (!path.len)
		path = (struct jstr){ (const u8 *)"/", 1 };
	return path;
}

u64 large_guess(const struct conn *c, s32 op, const u8 *body, u32 len)
{
	struct store *st = c->cs->st;
	struct store_node node;
	struct jstr path;

	switch (op) {
	case OP_GETEPHEMERALS:
	case OP_MULTIREAD:
		return ANSWER_UNKNOWN;
	case OP_GETDATA:
	case OP_GETCHILDREN:
	case OP_GETCHILDREN2:
		break;
	default:
		return 0;
	}
	path = path_of(body, len);
	if (path.len < 0 || path.p[0] != '/' ||
	    st->ops->get(st, (const char *)path.p, path.len, &node, NULL, 0))
		return 0;
	if (op == OP_GETDATA)
		return node.data_len > 0 ? node.data_len : 0;
	return (u64)node.stat.num_children * CHILD_BYTES;
}

static bool grant(struct client_side *cs, u64 bytes)
{
	u64 used = __atomic_load_n(&cs->large_bytes, __ATOMIC_RELAXED);

	do {
		if (used && used + bytes > LARGE_SUM)
			return false;
	} while (!__atomic_compare_exchange_n(&cs->large_bytes, &used, used + bytes, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

bool large_take(struct conn *c, u64 bytes, const u8 *body, u32 len)
{
	struct jstr path = path_of(body, len);
	size_t n = path.len < 0 ? 0 : path.len;

	if (!bytes)
		bytes = ANSWER_SMALL;
	c->wants_large = !grant(c->cs, bytes);
	if (c->wants_large) {
		c->io->large_refused = true;
		conn_wait(c);
		return false;
	}
	c->large = bytes;
	c->large_ms = c->io->now_ms;
	if (n > sizeof(c->large_path) - 1)
		n = sizeof(c->large_path) - 1;
	memcpy(c->large_path, path.p ? path.p : (const u8 *)"", n);
	c->large_path[n] = 0;
	list_add_tail(&c->hold, &c->io->holders);
	return true;
}

void large_made(struct conn *c, u64 bytes)
{
	__atomic_add_fetch(&c->cs->large_bytes, bytes - c->large, __ATOMIC_RELAXED);
	c->large = bytes;
	c->large_ms = c->io->now_ms;
	if (bytes > ANSWER_SMALL)
		log_ratelimited(LOG_WARN, "%s: a long answer: %llu bytes, about %s; most clients "
				"take 1048575 (their jute.maxbuffer)", c->name,
				bytes, c->large_path);
}

void large_drop(struct conn *c)
{
	if (!c->large)
		return;
	__atomic_sub_fetch(&c->cs->large_bytes, c->large, __ATOMIC_RELAXED);
	c->large = 0;
	list_del_init(&c->hold);
}

void large_expire(struct io *io)
{
	struct conn *c, *next;

	if (__atomic_load_n(&io->cs->large_bytes, __ATOMIC_RELAXED) <= LARGE_SUM / 2)
		return;
	list_for_each_entry_safe(c, next, &io->holders, hold) {
		if (io->now_ms - c->large_ms <= HOLD_MS + c->large / HOLD_BYTES_MS)
			continue;
		log_ratelimited(LOG_WARN, "closing %s: it does not fetch its answer of %llu bytes, "
				"about %s, and others wait", c->name,
				c->large, c->large_path);
		conn_close(c);
	}
}
