// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Linearizable reads (zkern.linearizableReads): a read sees every write that was
 * answered, to whomever on whatever server, before it was sent. It waits until a quorum
 * has confirmed that the leader still led after the read came (daemon/zab/confirm.c),
 * and then for the tree to have what that leader had agreed on by then.
 *
 * Until then it is kept on its client, and with it what the client asks for behind it:
 * replies leave in the order of requests, and a read must not see a later write of its
 * own client. All that is confirmed in a round of the core's loop is let go behind what
 * that round applies.
 *
 * Programs on the host ask for the same by the device (ZKERN_LINEARIZABLE): the kernel
 * counts who asks, and is told how many are answered. It is called only when poll() says
 * that some do; a core that does not sleep calls it at each step of the coarse clock.
 *
 * A single server needs none of this: a write is answered when the tree has it.
 */
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/server/core_impl.h"
#include "daemon/server/read.h"

/* Whoever is served without a quorum has said that any reading will do. */
static bool is_wanted(const struct core *c, const struct request *r)
{
	return c->peers && !c->readonly && c->cfg->linearizable_reads && read_is_read(r->op);
}

bool confirm_keep(struct core *c, struct client *cl, struct request *r)
{
	bool wanted = is_wanted(c, r);

	if (!wanted && !cl->kept)
		return false;
	r->round = wanted ? zab_confirm(c->zab) : 0;
	if (wanted && !r->round) {
		client_close(c, cl);	/* nobody is served now */
		request_free(r);
		return true;
	}
	r->next = NULL;
	if (!cl->kept) {
		cl->kept_tail = &cl->kept;
		list_add_tail(&cl->keeping, &c->keeping);
	}
	*cl->kept_tail = r;
	cl->kept_tail = &r->next;
	return true;
}

static void let_go(struct core *c, struct client *cl)
{
	struct request *r;

	while ((r = cl->kept) && r->round <= c->confirmed) {
		cl->kept = r->next;
		if (!cl->kept)
			list_del_init(&cl->keeping);
		op_go(c, cl, r);
	}
}

/* Takes the kernel's news, and tells it whose answer is there. */
static void tell_local(struct core *c)
{
	int rc = c->st->ops->confirm(c->st, c->local.done, &c->local.asked);

	if (rc)
		log_ratelimited(LOG_ERROR, "cannot answer local programs' linearizable reads: %s",
				strerror(-rc));
}

/* What poll() said when we slept; else the kernel is asked at each step of the clock. */
static bool may_ask(struct core *c)
{
	struct local_asks *l = &c->local;
	bool may = l->polled ? l->told : c->now_ms != l->looked_ms;

	l->looked_ms = c->now_ms;
	l->polled = false;
	l->told = false;
	return may;
}

void confirm_local(struct core *c)
{
	struct local_asks *l = &c->local;

	if (c->ask_fd < 0)
		return;
	if (may_ask(c))
		tell_local(c);
	if (!c->serving)
		l->covers = l->asked;
	if (l->round || l->covers == l->asked)
		return;
	l->round = zab_confirm(c->zab);
	l->covers = l->asked;
	l->agreed = 0;
}

/* The kernel has told them so. */
void confirm_lost(struct core *c)
{
	c->local.round = 0;
}

/* The tree must have what the quorum said before they look at it. */
static void release_local(struct core *c)
{
	struct local_asks *l = &c->local;

	if (!l->round || l->round > c->confirmed)
		return;
	if (!l->agreed)
		l->agreed = zab_committed(c->zab);
	if (c->applied < l->agreed)
		return;
	l->round = 0;
	l->done = l->covers;
	tell_local(c);
}

void confirm_release(struct core *c)
{
	struct list_head todo;
	struct client *cl;

	release_local(c);
	if (c->released == c->confirmed)
		return;
	c->released = c->confirmed;
	INIT_LIST_HEAD(&todo);
	while (!list_empty(&c->keeping)) {
		cl = list_first_entry(&c->keeping, struct client, keeping);
		list_del(&cl->keeping);
		list_add_tail(&cl->keeping, &todo);
	}
	/* one may close another, which takes that off its list */
	while (!list_empty(&todo)) {
		cl = list_first_entry(&todo, struct client, keeping);
		list_del(&cl->keeping);
		list_add_tail(&cl->keeping, &c->keeping);
		let_go(c, cl);
	}
}

void confirm_forget(struct client *cl)
{
	struct request *r;

	list_del_init(&cl->keeping);
	while ((r = cl->kept)) {
		cl->kept = r->next;
		request_free(r);
	}
}
