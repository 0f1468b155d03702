// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Election connections (QuorumCnxManager): one for each pair of servers. Who opens one
 * says hello. The server of the greater id keeps those that it opened; one that was
 * opened by the smaller is a wish only: it is closed, and the greater one dials back.
 *
 * Of what is to be said to a server only the latest matters (SEND_CAPACITY 1). On a new
 * connection it is said again: the old one may have taken it with it.
 *
 * Unlike there, a wish does not end the connection that it comes beside: the new one
 * does when it is there. And when both begin at once the wish is fulfilled already: beside
 * a connection that is young it is only remembered, should that one fail.
 *
 * Nor does a hello: ids are no secret. Beside a connection that there is another one in
 * its name is a claim. It is told what is to be said, as the connection is, and becomes
 * the connection with its first vote, or when the one that there is ends. Claims have
 * CLAIMS_MAX together; for one more the oldest goes of the server that has the most. Who
 * came when there was none need not be who he says, until he votes: meanwhile the server is
 * asked to connect, once a second. So who only knows our ids cannot keep us apart.
 * (QuorumCnxManager's SendWorker says first what was said last, or what it connects for:
 * a server that has a word for us says it at once.)
 */
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "daemon/peer/internal.h"

#define YOUNG_MS	1000
#define CLAIMS_MAX	64

/* FastLeaderElection and QuorumPeer.OBSERVER_ID: a learner without an id. */
#define NO_ID_JAVA	0x7fffffffffffffffULL
#define NO_ID		(~0ULL)

struct econn;

/* A server that votes were sent to or came from. */
struct epeer {
	struct list_head node;		/* peers.epeers, who was heard of last at the end */
	u64 sid;
	bool anonymous;			/* the number is ours */
	bool unknown;			/* not in the ensemble when it came */
	bool wish;			/* of its, for which it has a connection by now */
	bool told;			/* of its connection on the log, which may have an end */
	char *addrs;			/* as its hello has them */
	struct econn *conn;		/* NULL: none, and no claims */
	struct list_head claims;	/* oldest first */
	u32 n_claims;
	struct dial *dial;		/* NULL: none */
	struct zab_bytes *latest;	/* to be said; NULL: nothing yet */
	u64 told_ms;			/* when it had its last connection */
	u64 gone_ms;			/* when it closed its connection; 0: it did not */
	u64 asked_ms;			/* when it was dialed; 0: never */
};

struct econn {
	struct watch w;
	struct epeer *peer;
	struct list_head node;		/* epeer.claims, if it is one */
	bool claim;
	bool votes;			/* it has */
	struct inbuf in;
	struct share *share;
	bool stalled;
	struct zab_bytes *next;		/* to be sent */
	struct zab_bytes *out;		/* being sent: its length and its bytes */
	size_t sent;
	u64 since_ms;
	char name[NAME_LEN];
};

static struct zab_bytes *bytes_get(struct zab_bytes *b)
{
	if (b)
		__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

static void bytes_put(struct zab_bytes *b)
{
	if (b)
		zab_bytes_put(b);
}

/* ------------------------------------------------------------ servers */

static struct epeer *epeer_find(struct peers *p, u64 sid)
{
	struct epeer *e;

	list_for_each_entry(e, &p->epeers, node)
		if (e->sid == sid)
			return e;
	return NULL;
}

static void claim_add(struct peers *p, struct econn *c)
{
	c->claim = true;
	list_add_tail(&c->node, &c->peer->claims);
	c->peer->n_claims++;
	p->n_claims++;
}

static void claim_del(struct peers *p, struct econn *c)
{
	c->claim = false;
	list_del(&c->node);
	c->peer->n_claims--;
	p->n_claims--;
}

static void econn_close(struct peers *p, struct econn *c)
{
	if (c->claim)
		claim_del(p, c);
	if (c->peer->conn == c)
		c->peer->conn = NULL;
	share_unstall(p, &c->stalled);
	inbuf_free(&c->in);
	share_put(c->share);
	bytes_put(c->next);
	bytes_put(c->out);
	c->next = c->out = NULL;
	watch_bury(p, &c->w);
}

static void epeer_free(struct peers *p, struct epeer *e)
{
	while (!list_empty(&e->claims))
		econn_close(p, list_first_entry(&e->claims, struct econn, node));
	if (e->conn)
		econn_close(p, e->conn);
	if (e->dial)
		dial_end(p, e->dial);
	bytes_put(e->latest);
	p->n_unknown -= e->unknown;
	list_del(&e->node);
	free(e->addrs);
	free(e);
}

/* Of the servers that are in no configuration the one goes that was not heard of for
 * the longest time. */
static void make_room(struct peers *p)
{
	struct epeer *e, *next;

	if (p->n_unknown < UNKNOWN_MAX)
		return;
	list_for_each_entry_safe(e, next, &p->epeers, node) {
		if (e->unknown && peers_find(p, e->sid)) {
			e->unknown = false;
			p->n_unknown--;
		}
		if (e->unknown) {
			log_ratelimited(LOG_WARN, "election: more than %u servers that are not in "
					"the configuration; server %llu is dropped", UNKNOWN_MAX,
					e->sid);
			epeer_free(p, e);
			return;
		}
	}
}

static struct epeer *epeer_get(struct peers *p, u64 sid)
{
	struct epeer *e = epeer_find(p, sid);

	if (e) {
		list_del(&e->node);
		list_add_tail(&e->node, &p->epeers);
		return e;
	}
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->sid = sid;
	INIT_LIST_HEAD(&e->claims);
	e->unknown = !peers_find(p, sid);
	if (e->unknown)
		make_room(p);
	p->n_unknown += e->unknown;
	list_add_tail(&e->node, &p->epeers);
	return e;
}

/* ------------------------------------------------------------ out */

static void dial_peer(struct peers *p, struct epeer *e);

/* Without memory it is not said: the election takes its time then. */
static void absent(struct peers *p, struct epeer *e)
{
	struct peer_event *ev;

	if (!ensemble_find(p->ens, e->sid))
		return;
	ev = event_new(PEER_ABSENT, 0, 0);
	if (!ev)
		return;
	ev->from = e->sid;
	event_deliver(p, ev);
}

/* A server that runs keeps its connection. (Its port may still be open as it ends.) */
static void gone(struct peers *p, struct epeer *e)
{
	e->gone_ms = p->now_ms;
	absent(p, e);
}

/*
 * What was sent does not arrive: it is said again over another address, now, not at the
 * next vote that is due. (QuorumCnxManager looks every time that it is to connect whether
 * the address still can be reached.)
 */
static bool has_other_way(struct peers *p, const struct epeer *e, int err)
{
	const struct peer *peer = peers_find(p, e->sid);

	return p->p.reach_ms && peer && peer->n_addrs > 1 && err != -EPIPE &&
	       err != -ECONNRESET && err != -EBADMSG;
}

/* @c is the connection from now on, instead of the one that there is. */
static void econn_stands(struct peers *p, struct econn *c)
{
	struct epeer *e = c->peer;

	if (c->claim)
		claim_del(p, c);
	if (e->conn)
		econn_close(p, e->conn);
	e->conn = c;
	c->since_ms = p->now_ms;
	e->wish = false;
	e->gone_ms = 0;
	e->told = p->now_ms >= e->told_ms + YOUNG_MS && !e->unknown;
	if (e->told)
		log_info("election: connected with server %llu (%s)", e->sid, c->name);
	else
		log_ratelimited(LOG_INFO, "election: connected with server %llu (%s)%s", e->sid,
				c->name, e->unknown ? ", which is not in the configuration" :
				", once more");
	e->told_ms = p->now_ms;
}

static void econn_fail(struct peers *p, struct econn *c, int err)
{
	struct epeer *e = c->peer;

	if (c->claim) {
		econn_close(p, c);
		return;
	}
	if (e->told)
		log_info("election: the connection with server %llu (%s) is over: %s", e->sid,
			 c->name, err == -EPIPE ? "closed by it" : strerror(-err));
	econn_close(p, c);
	if (!list_empty(&e->claims))
		econn_stands(p, list_last_entry(&e->claims, struct econn, node));
	if (e->wish || has_other_way(p, e, err))
		dial_peer(p, e);
	else if (!e->conn && (err == -EPIPE || err == -ECONNRESET))
		gone(p, e);
	e->wish = false;
}

static int send_some(struct econn *c)
{
	u8 head[4];
	struct iovec iov[2];
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t body = c->sent > 4 ? c->sent - 4 : 0, first = c->sent < 4 ? c->sent : 4;
	ssize_t n;

	jute_put32(head, c->out->len);
	iov[0] = (struct iovec){ head + first, 4 - first };
	iov[1] = (struct iovec){ c->out->bytes + body, c->out->len - body };
	n = sendmsg(c->w.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->sent += n;
	if (c->sent == 4 + (size_t)c->out->len) {
		bytes_put(c->out);
		c->out = NULL;
		c->sent = 0;
	}
	return 1;
}

static u32 econn_mask(const struct econn *c)
{
	return (c->stalled ? 0 : EPOLLIN) | (c->out ? EPOLLOUT : 0);
}

/* False: it is closed. */
static bool econn_write(struct peers *p, struct econn *c)
{
	int rc = 1;

	while (rc > 0 && (c->out || c->next)) {
		if (!c->out) {
			c->out = c->next;
			c->next = NULL;
		}
		rc = send_some(c);
	}
	if (rc >= 0)
		rc = watch_set(p, &c->w, econn_mask(c));
	if (rc < 0)
		econn_fail(p, c, rc);
	return rc >= 0;
}

/* What is to be said. False: it is closed. */
static bool econn_say(struct peers *p, struct econn *c)
{
	bytes_put(c->next);
	c->next = bytes_get(c->peer->latest);
	return econn_write(p, c);
}

/* ------------------------------------------------------------ in */

/* False: stalled. */
static bool deliver_vote(struct peers *p, struct econn *c, const u8 *body, u32 len)
{
	struct zab_vote v;
	struct peer_event *ev;

	if (zab_vote_read(body, len, &v)) {
		/* FastLeaderElection passes over what is too short, and goes on */
		log_ratelimited(LOG_WARN, "election: server %llu sent %u bytes that are no vote",
				c->peer->sid, len);
		return true;
	}
	if (c->claim)
		econn_stands(p, c);
	c->votes = true;
	if (!share_take(p, c->share, sizeof(*ev) + len, VOTES_IN_MAX, &c->stalled))
		return false;
	ev = event_of(p, c->share, sizeof(*ev) + len, PEER_VOTE, 0, len);
	if (!ev)
		return true;	/* it will be said again */
	ev->from = c->peer->sid;
	ev->vote = v;
	memcpy(ev->bytes, body, len);
	if (v.config)
		ev->vote.config = (const char *)ev->bytes + ((const u8 *)v.config - body);
	event_deliver(p, ev);
	return true;
}

/* 0; -EBADMSG: it is closed behind this. */
static int econn_parse(struct peers *p, struct econn *c)
{
	while (!c->stalled && inbuf_left(&c->in) >= 4) {
		s32 len = jute_get32(inbuf_at(&c->in));

		if (len <= 0 || len > VOTE_MAX) {
			log_ratelimited(LOG_WARN, "election: server %llu (%s) sent a length of %d",
					c->peer->sid, c->name, len);
			return -EBADMSG;
		}
		if (inbuf_left(&c->in) < 4 + (size_t)len)
			return 0;
		if (deliver_vote(p, c, inbuf_at(&c->in) + 4, len))
			inbuf_used(&c->in, 4 + (size_t)len);
	}
	return 0;
}

static size_t econn_want(const struct econn *c)
{
	size_t have = inbuf_left(&c->in);
	size_t whole = have < 4 ? 4 : 4 + (size_t)jute_get32(inbuf_at(&c->in));
	size_t most = have > 4096 ? have : 4096;

	/* As it comes, never just because a length says so. */
	return whole - have > most ? most : whole - have < 4096 ? 4096 : whole - have;
}

static void econn_ready(struct peers *p, struct watch *w, u32 events)
{
	struct econn *c = container_of(w, struct econn, w);
	ssize_t n = 0;

	if (events & EPOLLOUT && !econn_write(p, c))
		return;
	for (int i = 0; i < 16 && !c->stalled && n >= 0; i++) {
		n = inbuf_read(&c->in, c->w.fd, econn_want(c));
		if (!n)
			break;
		if (n > 0)
			n = econn_parse(p, c);
	}
	if (n >= 0)
		n = watch_set(p, &c->w, econn_mask(c));
	if (n < 0)
		econn_fail(p, c, n);
}

void elect_resume(struct peers *p)
{
	struct epeer *e;

	list_for_each_entry(e, &p->epeers, node) {
		struct econn *c = e->conn;
		int err;

		if (!c || !c->stalled)
			continue;
		share_unstall(p, &c->stalled);
		err = econn_parse(p, c);
		if (!err)
			err = watch_set(p, &c->w, econn_mask(c));
		if (err)
			econn_fail(p, c, err);
	}
}

/* ------------------------------------------------------------ connections */

/* For one more. It may have spoken by now. */
static void claims_make_room(struct peers *p)
{
	struct epeer *e, *most = NULL;

	if (p->n_claims < CLAIMS_MAX)
		return;
	list_for_each_entry(e, &p->epeers, node)
		if (!most || e->n_claims > most->n_claims)
			most = e;
	econn_ready(p, &list_first_entry(&most->claims, struct econn, node)->w, EPOLLIN);
	if (p->n_claims < CLAIMS_MAX)
		return;
	log_ratelimited(LOG_WARN, "election: too many say that they are server %llu and do not "
			"vote", most->sid);
	econn_close(p, list_first_entry(&most->claims, struct econn, node));
}

/* @fd is the connection with @e from now on, or a claim beside it: if it was @dialed it is
 * the server's. Takes it over. */
static void econn_begin(struct peers *p, struct epeer *e, int fd, const struct sockaddr_storage *sa,
			bool dialed, const u8 *rest, size_t len)
{
	const struct peer *peer = peers_find(p, e->sid);
	unsigned int dead_ms = p->p.reach_ms && peer && peer->n_addrs > 1 ?
			       p->p.reach_ms : 2 * p->p.connect_ms;
	struct econn *c = calloc(1, sizeof(*c));
	int err;

	if (c)
		c->share = share_new();
	if (!c || !c->share || inbuf_add(&c->in, rest, len)) {
		if (c)
			share_put(c->share);
		free(c);
		close(fd);
		return;
	}
	/* A machine that is gone without a word must not keep votes for a quarter of an
	 * hour. */
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof(dead_ms));
	c->w = (struct watch){ .fd = fd, .ready = econn_ready };
	c->peer = e;
	sock_name(sa, c->name, sizeof(c->name));
	if (!dialed)
		claims_make_room(p);
	if (e->conn && !dialed)
		claim_add(p, c);
	else
		econn_stands(p, c);
	if (!econn_say(p, c))
		return;
	err = econn_parse(p, c);
	if (!err)
		err = watch_set(p, &c->w, econn_mask(c));
	if (err)
		econn_fail(p, c, err);
}

static int say_hello(struct peers *p, int fd)
{
	char addrs[ZE_HELLO_MAX];
	struct zab_hello h = {
		.version = p->p.multi_address ? ZE_V2 : ZE_V1,
		.sid = p->p.myid,
		.addrs = addrs,
	};
	struct jw w;
	int err;

	listen_hello(p, addrs, sizeof(addrs));
	h.len = strlen(addrs);
	jw_init(&w, 0);
	zab_hello_write(&w, &h);
	err = w.err;
	/* a fresh socket has room for it */
	if (!err && send(fd, w.buf, w.len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)w.len)
		err = -EIO;
	jw_free(&w);
	return err;
}

static void dialed(struct peers *p, void *owner, int fd, const struct sockaddr_storage *sa)
{
	struct epeer *e = owner;

	e->dial = NULL;
	if (fd == -ECONNREFUSED)
		absent(p, e);
	if (fd < 0)
		return;
	if (say_hello(p, fd) || e->sid > p->p.myid)
		close(fd);	/* it dials back */
	else
		econn_begin(p, e, fd, sa, true, NULL, 0);
}

static void dial_peer(struct peers *p, struct epeer *e)
{
	struct dial_params dp = {
		.sid = e->sid,
		.more = e->addrs,
		.ms = p->p.connect_ms,
		.tries = 1,
		.owner = e,
		.done = dialed,
	};

	if (e->dial || e->anonymous)
		return;
	if (!e->addrs && !peers_find(p, e->sid))
		return;
	e->dial = dial_new(p, &dp);
	e->asked_ms = p->now_ms;
}

/* To all who say that they are @e. True: one of them is known to be, or it was asked to
 * connect a moment ago. */
static bool say_all(struct peers *p, struct epeer *e)
{
	struct econn *c, *next, *conn = e->conn;

	list_for_each_entry_safe(c, next, &e->claims, node)
		econn_say(p, c);
	/* if that fails what is to be done then is done */
	return conn && (!econn_say(p, conn) || conn->votes || e->sid < p->p.myid ||
			(e->asked_ms && p->now_ms - e->asked_ms < YOUNG_MS));
}

void elect_notify(struct peers *p, u64 to, struct zab_bytes *b)
{
	struct epeer *e = epeer_find(p, to);

	if (!e && !peers_find(p, to)) {
		log_ratelimited(LOG_WARN, "election: no server %llu", to);
		return;
	}
	if (to == p->p.myid)
		return;
	if (!e)
		e = epeer_get(p, to);
	if (!e)
		return;
	bytes_put(e->latest);
	e->latest = bytes_get(b);
	if (say_all(p, e))
		return;
	if (e->gone_ms && p->now_ms - e->gone_ms < YOUNG_MS)
		absent(p, e);
	dial_peer(p, e);
}

void elect_hello(struct peers *p, int fd, const struct sockaddr_storage *sa,
		 const struct zab_hello *h, const u8 *rest, size_t len)
{
	bool anonymous = h->sid == NO_ID || h->sid == NO_ID_JAVA;
	u64 sid = anonymous ? p->anonymous-- : h->sid;
	struct epeer *e;
	char name[NAME_LEN];

	sock_name(sa, name, sizeof(name));
	if (!anonymous && sid > NO_ID_JAVA) {
		log_ratelimited(LOG_WARN, "election: %s says that it is server %lld", name,
				(s64)sid);
		close(fd);
		return;
	}
	if (sid == p->p.myid) {
		log_ratelimited(LOG_WARN, "election: %s says that it is server %llu, as we are",
				name, sid);
		close(fd);
		return;
	}
	e = epeer_get(p, sid);
	if (!e) {
		close(fd);
		return;
	}
	e->anonymous = anonymous;
	if (h->addrs && h->len) {
		free(e->addrs);
		e->addrs = strndup(h->addrs, h->len);
	}
	if (sid < p->p.myid) {
		close(fd);
		e->wish = e->conn && p->now_ms - e->conn->since_ms < YOUNG_MS;
		if (!e->wish)
			dial_peer(p, e);
	} else {
		econn_begin(p, e, fd, sa, false, rest, len);
	}
}

void elect_end(struct peers *p)
{
	while (!list_empty(&p->epeers))
		epeer_free(p, list_first_entry(&p->epeers, struct epeer, node));
}
