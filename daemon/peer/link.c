// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Links: connections between a learner and its leader, on the leader's quorum port.
 * Here are their life, the packets that come in, and their time limits: a link on which
 * nothing is heard for init_ms, later sync_ms, is lost (the socket timeouts of Learner
 * and LearnerHandler). The time in which we ourselves do not read does not count.
 *
 * A link that goes down while a thread uses its socket is only shut down; the thread's
 * last message closes it.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "daemon/peer/internal.h"

/*
 * Half a second (Learner.LeaderConnector), and what is left of finalizeWait where a leader
 * of 3.8 has to wait that long and this server did not.
 */
#define TRIES		12

struct link *link_new(u64 id, bool out)
{
	struct link *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->w.fd = -1;
	l->id = id;
	l->out = out;
	l->share = share_new();
	l->down = event_new(PEER_LINK_DOWN, id, 0);
	if (!l->share || !l->down) {
		link_free(l);
		return NULL;
	}
	return l;
}

void link_free(struct link *l)
{
	share_put(l->share);
	event_drop(l->down);
	inbuf_free(&l->in);
	outq_clear(&l->q);
	free(l);
}

static struct link **bucket(struct peers *p, u64 id)
{
	return &p->by_id[(id ^ id >> 32) % LINK_HASH];
}

struct link *link_find(struct peers *p, u64 id)
{
	struct link *l = *bucket(p, id);

	while (l && l->id != id)
		l = l->chain;
	return l;
}

static void link_add(struct peers *p, struct link *l)
{
	struct link **at = bucket(p, l->id);

	l->chain = *at;
	*at = l;
	list_add_tail(&l->node, &p->links);
	p->n_in += !l->out;
}

/* Not found by its number any more. */
static void link_unhash(struct peers *p, struct link *l)
{
	struct link **at = bucket(p, l->id);

	while (*at && *at != l)
		at = &(*at)->chain;
	if (*at)
		*at = l->chain;
}

/* The last of it, but for its memory. */
static void link_bury(struct peers *p, struct link *l)
{
	tally_drop(p, l);
	share_put(l->share);
	l->share = NULL;
	inbuf_free(&l->in);
	outq_clear(&l->q);
	list_del(&l->node);
	p->n_in -= !l->out;
	watch_bury(p, &l->w);
}

/* Down, for a reason of its own (@say) or because the core says so. */
static void link_end_one(struct peers *p, struct link *l, bool say)
{
	if (l->closing)
		return;
	l->closing = true;
	link_unhash(p, l);
	if (l->dial)
		dial_end(p, l->dial);
	l->dial = NULL;
	share_unstall(p, &l->stalled);
	if (say && (l->up || l->out))
		event_deliver(p, l->down);
	else
		event_drop(l->down);
	l->down = NULL;
	watch_set(p, &l->w, 0);
	if (l->tx || l->rx)
		shutdown(l->w.fd, SHUT_RDWR);
	else
		link_bury(p, l);
}

/* Lost. While a tree is being received that may still come to a good end, which is to
 * be told first. */
static void link_lost(struct peers *p, struct link *l, const char *why)
{
	if (l->closing || l->ending)
		return;
	if (l->settled)
		log_info("link %llx (%s) is lost: %s", l->id, l->name, why);
	else if (l->up)
		log_ratelimited(LOG_INFO, "link %llx (%s) is lost: %s", l->id, l->name, why);
	if (l->rx) {
		l->ending = true;
		shutdown(l->w.fd, SHUT_RDWR);
		return;
	}
	link_end_one(p, l, true);
}

static void link_err(struct peers *p, struct link *l, int err)
{
	link_lost(p, l, err == -EPIPE ? "closed by the other side" : strerror(-err));
}

/* ------------------------------------------------------------ what epoll is to tell */

static bool may_read(const struct link *l)
{
	return !l->stalled && !l->await && !l->rx && !l->rx_wait;
}

static bool link_watch(struct peers *p, struct link *l)
{
	u32 mask = 0;
	int err;

	if (l->closing || l->ending || l->w.fd < 0)
		return false;
	if (may_read(l))
		mask |= EPOLLIN;
	if (l->q.first && !l->tx)
		mask |= EPOLLOUT;
	err = watch_set(p, &l->w, mask);
	if (err)
		link_err(p, l, err);
	return !err;
}

static u32 limit_ms(struct peers *p, const struct link *l)
{
	return l->settled ? p->p.sync_ms : p->p.init_ms;
}

static void heard(struct peers *p, struct link *l)
{
	l->heard_ms = p->now_ms;
	peers_due(p, l->heard_ms + limit_ms(p, l));
}

void link_timers(struct peers *p)
{
	struct link *l, *next;

	list_for_each_entry_safe(l, next, &p->links, node) {
		if (l->closing || l->w.fd < 0 || l->tx || !may_read(l))
			continue;
		if (p->now_ms >= l->heard_ms + limit_ms(p, l))
			link_lost(p, l, "nothing was heard for too long");
		else
			peers_due(p, l->heard_ms + limit_ms(p, l));
	}
}

/* ------------------------------------------------------------ in */

/* The packets at hand as one event. False: stalled, or lost. */
static bool deliver_packets(struct peers *p, struct link *l, u32 len)
{
	struct peer_event *ev;
	u64 cost = sizeof(*ev) + len;

	if (!share_take(p, l->share, cost, p->p.in_max, &l->stalled))
		return false;
	ev = event_of(p, l->share, cost, PEER_PACKETS, l->id, len);
	if (!ev) {
		link_err(p, l, -ENOMEM);
		return false;
	}
	memcpy(ev->bytes, inbuf_at(&l->in), len);
	event_deliver(p, ev);
	return true;
}

/*
 * So many bytes are whole packets, for one event; 0: the first is not all there, ->need
 * says how much of it has to be; -EBADMSG: it is none. Behind SNAP a tree follows, which
 * only the core can say where to put: *@snap.
 */
static ssize_t whole_packets(struct peers *p, struct link *l, bool *snap)
{
	const u8 *at = inbuf_at(&l->in);
	size_t left = inbuf_left(&l->in), len = 0, need = 0;
	struct zab_packet pkt;
	ssize_t n;

	*snap = false;
	l->need = 0;
	while (len < left && !*snap) {
		n = zab_packet_read(at + len, left - len, p->p.max_packet, &pkt, &need);
		if (n <= 0 && !len) {
			l->need = need;
			return n;
		}
		if (n <= 0 || (len && len + n > EVENT_BYTES))
			break;
		len += n;
		*snap = l->out && pkt.type == ZP_SNAP;
	}
	return len;
}

static void parse(struct peers *p, struct link *l)
{
	bool snap;
	ssize_t n;

	while (!l->closing && !l->ending && may_read(l) && inbuf_left(&l->in)) {
		n = whole_packets(p, l, &snap);
		if (n < 0) {
			log_ratelimited(LOG_WARN, "link %llx (%s) sent what is no packet: 0x%08x",
					l->id, l->name, inbuf_left(&l->in) < 4 ? 0 :
					jute_get32(inbuf_at(&l->in)));
			link_lost(p, l, "a bad packet");
			return;
		}
		if (!n || !deliver_packets(p, l, n))
			return;
		tally_received(l, inbuf_at(&l->in), n);
		inbuf_used(&l->in, n);
		l->await = snap;
	}
}

static size_t want(const struct link *l)
{
	size_t have = inbuf_left(&l->in);
	size_t lacks = l->need > have ? l->need - have : 0;
	size_t most = have > READ_CHUNK ? have : READ_CHUNK;

	return lacks > most ? most : lacks < READ_CHUNK ? READ_CHUNK : lacks;
}

static bool write_out(struct peers *p, struct link *l);

static void link_ready(struct peers *p, struct watch *w, u32 events)
{
	struct link *l = container_of(w, struct link, w);
	size_t asked = 0;
	ssize_t n = 1;

	if (events & EPOLLOUT && !write_out(p, l))
		return;
	for (int i = 0; i < 8 && n > 0 && !l->closing && !l->ending && may_read(l); i++) {
		/* less than was asked for was all there was: the set tells of more */
		if ((size_t)n < asked)
			break;
		asked = want(l);
		n = inbuf_read(&l->in, w->fd, asked);
		if (n > 0) {
			heard(p, l);
			parse(p, l);
		}
	}
	if (n < 0)
		link_err(p, l, n);
	else
		link_watch(p, l);
}

void link_resume(struct peers *p)
{
	struct link *l, *next;

	list_for_each_entry_safe(l, next, &p->links, node) {
		if (!l->stalled)
			continue;
		share_unstall(p, &l->stalled);
		heard(p, l);
		parse(p, l);
		link_watch(p, l);
	}
}

/* ------------------------------------------------------------ coming to be */

/* False: it is gone. */
static bool link_up(struct peers *p, struct link *l, int fd, const struct sockaddr_storage *sa)
{
	struct peer_event *ev = event_new(PEER_LINK_UP, l->id, 0);

	l->w = (struct watch){ .fd = fd, .ready = link_ready };
	sock_name(sa, l->name, sizeof(l->name));
	if (!ev) {
		link_err(p, l, -ENOMEM);
		return false;
	}
	l->up = true;
	if (!l->out)
		tally_add(p, l);
	heard(p, l);
	if (l->out)
		log_info("link %llx: connected with the %s %s", l->id,
			 l->master ? "observer master" : "leader", l->name);
	else
		log_ratelimited(LOG_INFO, "link %llx: a learner from %s", l->id, l->name);
	event_deliver(p, ev);
	return link_watch(p, l);
}

static void dialed(struct peers *p, void *owner, int fd, const struct sockaddr_storage *sa)
{
	struct link *l = owner;

	l->dial = NULL;
	if (fd < 0)
		link_lost(p, l, "not reached");
	else if (link_up(p, l, fd, sa))
		write_out(p, l);
}

void link_connect(struct peers *p, struct link *l, u64 to)
{
	struct dial_params dp = {
		.sid = to,
		.quorum = true,
		.port = l->master ? p->p.observer_port : 0,
		.ms = p->p.leader_ms,
		.tries = TRIES,
		.owner = l,
		.done = dialed,
	};

	if (link_find(p, l->id)) {
		log_error("link %llx was asked for twice", l->id);
		link_free(l);
		return;
	}
	link_add(p, l);
	l->dial = dial_new(p, &dp);
	if (!l->dial)
		link_err(p, l, -ENOMEM);
}

void link_accept(struct peers *p, int fd, const struct sockaddr_storage *sa, const u8 *rest,
		 size_t len)
{
	struct link *l = p->n_in < LINKS_MAX ? link_new(++p->next_link, false) : NULL;

	if (!l || inbuf_add(&l->in, rest, len)) {
		log_ratelimited(LOG_WARN, "a learner is turned away: %s",
				p->n_in < LINKS_MAX ? "no memory" : "there are too many");
		if (l)
			link_free(l);
		close(fd);
		return;
	}
	l->master = p->open == PEER_PORT_OBSERVERS;
	link_add(p, l);
	if (!link_up(p, l, fd, sa))
		return;
	parse(p, l);
	link_watch(p, l);
}

/* ------------------------------------------------------------ out */

/* False: it is closed. */
static bool write_out(struct peers *p, struct link *l)
{
	int rc = 0;

	if (l->closing || l->ending)
		return false;
	if (l->w.fd < 0 || l->tx)
		return true;
	rc = outq_write(&l->q, l->w.fd);
	if (rc == 2) {
		rc = stream_start(p, l, outq_take(&l->q));
		p->n_threads += !rc;
	}
	if (rc < 0) {
		link_err(p, l, rc);
		return false;
	}
	return link_watch(p, l);
}

static u64 out_max(const struct peers *p, const struct link *l)
{
	return l->master && !l->out ? p->p.observer_out_max : p->p.out_max;
}

void link_send(struct peers *p, struct item *it)
{
	struct link *l = link_find(p, it->cmd.link);

	if (!l) {
		item_free(it);
		return;
	}
	outq_add(&l->q, it);
	if (l->q.held > out_max(p, l)) {
		link_lost(p, l, "it does not take what is sent to it");
		return;
	}
	if (l->dirty)
		return;
	l->dirty = true;
	l->dirty_next = p->dirty;
	p->dirty = l;
}

void link_flush_dirty(struct peers *p)
{
	while (p->dirty) {
		struct link *l = p->dirty;

		p->dirty = l->dirty_next;
		l->dirty = false;
		write_out(p, l);
	}
}

void link_sent(struct peers *p, struct stream *s)
{
	struct link *l = s->link;
	int err = s->err;

	pthread_join(s->thread, NULL);
	p->n_threads--;
	l->tx = NULL;
	tally_streamed(l, s->packets);
	free(s);
	if (l->closing) {
		if (!l->rx)
			link_bury(p, l);
		return;
	}
	heard(p, l);
	if (err)
		link_err(p, l, err);
	else
		write_out(p, l);
}

/* ------------------------------------------------------------ a tree comes in */

static void receive_now(struct peers *p, struct link *l, u64 zxid)
{
	int err;

	l->rx_wait = false;
	l->await = false;
	err = receiver_start(p, l, zxid);
	if (err) {
		link_err(p, l, err);
		return;
	}
	p->n_threads++;
	p->rx = l->rx;
	link_watch(p, l);
}

void link_receive(struct peers *p, u64 id, u64 zxid)
{
	struct link *l = link_find(p, id);

	if (!l || l->rx || l->rx_wait || l->w.fd < 0)
		return;
	l->rx_zxid = zxid;
	l->rx_wait = p->rx;	/* another one is ending */
	if (!l->rx_wait)
		receive_now(p, l, zxid);
}

static void receive_next(struct peers *p)
{
	struct link *l, *next;

	list_for_each_entry_safe(l, next, &p->links, node) {
		if (p->rx)
			return;
		if (l->rx_wait && !l->closing && !l->ending)
			receive_now(p, l, l->rx_zxid);
	}
}

static void received(struct peers *p, struct link *l, struct receiver *r)
{
	bool ending = l->ending;

	l->ending = false;
	l->in = r->in;
	memset(&r->in, 0, sizeof(r->in));
	if (!r->err || r->disk) {
		r->event->type = r->err ? PEER_RECEIVE_FAILED : PEER_RECEIVED;
		r->event->err = r->err;
		event_deliver(p, r->event);
		r->event = NULL;
	}
	if (r->err || ending) {
		link_lost(p, l, r->disk ? "the tree cannot be stored" :
			  r->err == -EBADMSG ? "it sent what is no tree" :
			  r->err ? strerror(-r->err) : "it was to be closed");
		return;
	}
	heard(p, l);
	parse(p, l);
	link_watch(p, l);
}

void link_received(struct peers *p, struct receiver *r)
{
	struct link *l = r->link;

	pthread_join(r->thread, NULL);
	p->n_threads--;
	p->rx = NULL;
	l->rx = NULL;
	if (!l->closing)
		received(p, l, r);
	else if (!l->tx)
		link_bury(p, l);
	inbuf_free(&r->in);
	event_drop(r->event);
	free(r);
	receive_next(p);
}

/* ------------------------------------------------------------ the core's word */

void link_settled(struct peers *p, u64 id)
{
	struct link *l = link_find(p, id);

	if (!l)
		return;
	l->settled = true;
	__atomic_store_n(&l->stats.settled, 1, __ATOMIC_RELAXED);
	heard(p, l);
}

void link_close(struct peers *p, u64 id)
{
	struct link *l = link_find(p, id);

	if (l)
		link_end_one(p, l, false);
}

void link_close_in(struct peers *p)
{
	struct link *l, *next;

	list_for_each_entry_safe(l, next, &p->links, node)
		if (!l->out)
			link_end_one(p, l, true);
}

bool link_end(struct peers *p)
{
	struct link *l, *next;

	list_for_each_entry_safe(l, next, &p->links, node)
		link_end_one(p, l, false);
	return !p->n_threads;
}
