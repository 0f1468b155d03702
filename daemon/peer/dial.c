// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connecting to a server: a dial goes in rounds. A round asks for all its addresses
 * anew (it may have moved), and tries them, the next one STAGGER_MS after the one
 * before or as soon as that has failed; the first that is there wins. When all have
 * failed, another round follows a little later, as long as there are tries and time
 * (Learner.LeaderConnector: 5 tries 100 ms apart, within initLimit; here the first ones
 * are closer, as who was just elected opens his port any moment).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "daemon/peer/internal.h"

#define STAGGER_MS	250
#define AGAIN_MIN_MS	5
#define AGAIN_MAX_MS	100	/* leader.connectDelayDuringRetryMs */
#define MORE_MAX	4	/* addresses of a hello */
#define CANDIDATES	16

struct attempt {
	struct watch w;
	struct dial *d;
	u32 nth;
};

struct dial {
	struct list_head node;		/* peers.dials */
	struct dial_params dp;
	char *more;
	u64 until_ms;
	u64 next_ms;			/* when to go on; ~0: something else will tell */
	u32 round;
	u32 asking;			/* lookups under way */
	u32 flying;			/* attempts under way */
	bool refused;			/* all that were tried */
	u32 n, next;			/* candidates */
	char why[NAME_LEN + 64];	/* of the last one that failed */
	struct sockaddr_storage addrs[CANDIDATES];
	struct attempt *tries[CANDIDATES];
	struct lookup *lookups[PEER_ADDRS_MAX + MORE_MAX];
};

/* Notes why the candidate failed. */
static void failed(struct dial *d, u32 nth, const char *what)
{
	char name[NAME_LEN];

	sock_name(&d->addrs[nth], name, sizeof(name));
	snprintf(d->why, sizeof(d->why), "%s: %s", name, what);
	log_debug("server %llu at %s", d->dp.sid, d->why);
}

/* @err: what it failed with; 0: it did not. */
static void attempt_end(struct peers *p, struct dial *d, struct attempt *a, int err)
{
	if (err != ECONNREFUSED)
		d->refused = false;
	d->tries[a->nth] = NULL;
	d->flying--;
	watch_bury(p, &a->w);
}

void dial_end(struct peers *p, struct dial *d)
{
	for (u32 i = 0; i < CANDIDATES; i++)
		if (d->tries[i])
			attempt_end(p, d, d->tries[i], 0);
	for (u32 i = 0; i < PEER_ADDRS_MAX + MORE_MAX; i++)
		if (d->lookups[i])
			d->lookups[i]->owner = NULL;
	list_del(&d->node);
	free(d->more);
	free(d);
}

static void finish(struct peers *p, struct dial *d, int fd, const struct sockaddr_storage *sa)
{
	struct dial_params dp = d->dp;

	if (fd < 0)
		log_ratelimited(LOG_INFO, "the %s port of server %llu cannot be reached: %s",
				dp.port ? "observers'" : dp.quorum ? "quorum" : "election", dp.sid,
				d->why);
	dial_end(p, d);
	dp.done(p, dp.owner, fd, sa);
}

/* ------------------------------------------------------------ addresses */

static void go_on(struct peers *p, struct dial *d, u64 ms)
{
	d->next_ms = ms;
	peers_due(p, ms);
}

static u32 pause_ms(const struct dial *d)
{
	u32 ms = AGAIN_MIN_MS;

	for (u32 i = 1; i < d->round && ms < AGAIN_MAX_MS; i++)
		ms *= 2;
	return ms < AGAIN_MAX_MS ? ms : AGAIN_MAX_MS;
}

/* Something of @d has come to its end: when it goes on. */
static void progress(struct peers *p, struct dial *d)
{
	if (d->next < d->n)
		go_on(p, d, p->now_ms);
	else if (d->flying || d->asking)
		d->next_ms = ~0ULL;
	else if (d->round < d->dp.tries)
		go_on(p, d, p->now_ms + pause_ms(d));
	else
		go_on(p, d, p->now_ms);
}

static void candidate(struct dial *d, const struct sockaddr_storage *sa)
{
	for (u32 i = 0; i < d->n; i++)
		if (!memcmp(&d->addrs[i], sa, sizeof(*sa)))
			return;
	if (d->n < CANDIDATES)
		d->addrs[d->n++] = *sa;
}

static void resolved(struct peers *p, void *owner, struct lookup *l)
{
	struct dial *d = owner;

	for (u32 i = 0; i < PEER_ADDRS_MAX + MORE_MAX; i++)
		if (d->lookups[i] == l)
			d->lookups[i] = NULL;
	d->asking--;
	for (u32 i = 0; i < l->n; i++)
		candidate(d, &l->addrs[i]);
	if (!l->n) {
		d->refused = false;
		snprintf(d->why, sizeof(d->why), "no address of %.64s", l->host);
		log_ratelimited(LOG_WARN, "server %llu: no address of %s", d->dp.sid, l->host);
	}
	if (d->flying && d->next < d->n && d->next_ms == ~0ULL)
		go_on(p, d, p->now_ms + STAGGER_MS);
	else if (!d->flying)
		progress(p, d);
}

static void add_host(struct peers *p, struct dial *d, const char *host, u16 port)
{
	struct sockaddr_storage sa;
	u32 i = 0;

	if (names_numeric(host, port, &sa)) {
		candidate(d, &sa);
		return;
	}
	while (i < PEER_ADDRS_MAX + MORE_MAX && d->lookups[i])
		i++;
	if (i == PEER_ADDRS_MAX + MORE_MAX)
		return;
	d->lookups[i] = names_ask(p->names, host, port, false, d, resolved);
	d->asking += !!d->lookups[i];
}

/* "host:port|host:port", of a hello: a host may stand in brackets. */
static void add_more(struct peers *p, struct dial *d)
{
	char *text = d->more ? strdup(d->more) : NULL;
	char *rest = text, *addr, *colon, *end;
	struct sockaddr_storage sa;
	unsigned long port;
	int n = 0;

	while (rest && n++ < MORE_MAX && (addr = strsep(&rest, "|"))) {
		colon = strrchr(addr, ':');
		if (!colon)
			continue;
		*colon = 0;
		port = strtoul(colon + 1, &end, 10);
		if (*end || !port || port > 65535)
			continue;
		if (*addr == '[' && colon[-1] == ']') {
			addr++;
			colon[-1] = 0;
		}
		/* any address is none */
		if (!*addr || (names_numeric(addr, port, &sa) &&
			       (!strcmp(addr, "0.0.0.0") || !strcmp(addr, "::") ||
				!strcmp(addr, "0:0:0:0:0:0:0:0"))))
			continue;
		add_host(p, d, addr, port);
	}
	free(text);
}

static u16 port_of(const struct dial *d, const struct peer_addr *a)
{
	return d->dp.port ? d->dp.port : d->dp.quorum ? a->quorum_port : a->election_port;
}

static void begin_round(struct peers *p, struct dial *d)
{
	const struct peer *peer = peers_find(p, d->dp.sid);

	d->round++;
	d->n = d->next = 0;
	d->refused = true;
	for (u32 i = 0; peer && i < peer->n_addrs; i++)
		add_host(p, d, peer->addrs[i].host, port_of(d, &peer->addrs[i]));
	add_more(p, d);
}

/* ------------------------------------------------------------ sockets */

/* On loopback a socket may be given the very port that it connects to, when nobody
 * listens there, and then is connected to itself. */
static bool to_itself(int fd)
{
	struct sockaddr_storage a = { 0 }, b = { 0 };
	socklen_t la = sizeof(a), lb = sizeof(b);

	return !getsockname(fd, (struct sockaddr *)&a, &la) &&
	       !getpeername(fd, (struct sockaddr *)&b, &lb) &&
	       la == lb && !memcmp(&a, &b, la);
}

static void attempt_ready(struct peers *p, struct watch *w, u32 events)
{
	struct attempt *a = container_of(w, struct attempt, w);
	struct dial *d = a->d;
	struct sockaddr_storage sa = d->addrs[a->nth];
	socklen_t len = sizeof(int);
	int err = 0, fd;

	(void)events;
	if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (!err && to_itself(w->fd))
		err = ECONNREFUSED;
	if (err) {
		failed(d, a->nth, strerror(err));
		attempt_end(p, d, a, err);
		progress(p, d);
		return;
	}
	fd = w->fd;
	watch_set(p, w, 0);
	w->fd = -1;
	finish(p, d, fd, &sa);
}

static void attempt_start(struct peers *p, struct dial *d)
{
	u32 nth = d->next++;
	const struct sockaddr_storage *sa = &d->addrs[nth];
	struct attempt *a = calloc(1, sizeof(*a));
	int fd, err = 0;

	if (!a) {
		d->refused = false;
		return;
	}
	fd = socket(sa->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err = errno;
		log_ratelimited(LOG_WARN, "server %llu: no socket: %s", d->dp.sid, strerror(err));
	}
	a->w = (struct watch){ .fd = fd, .ready = attempt_ready };
	a->d = d;
	a->nth = nth;
	d->tries[nth] = a;
	d->flying++;
	if (fd >= 0)
		sock_options(fd, p->p.keepalive && !d->dp.quorum);
	/* Of one that is connected at once the set tells as of any other. */
	if (!err && connect(fd, (const struct sockaddr *)sa, sock_len(sa)) && errno != EINPROGRESS)
		err = errno;
	else if (!err)
		err = -watch_set(p, &a->w, EPOLLOUT);
	if (err) {
		failed(d, nth, strerror(err));
		attempt_end(p, d, a, err);
	}
}

/* ------------------------------------------------------------ its course */

/* May end @d. */
static void step(struct peers *p, struct dial *d)
{
	if (p->now_ms >= d->until_ms) {
		for (u32 i = 0; i < CANDIDATES; i++)
			if (d->tries[i])
				failed(d, i, "no answer in time");
		if (d->asking)
			snprintf(d->why, sizeof(d->why), "its name is not resolved in time");
		finish(p, d, -ETIMEDOUT, NULL);
		return;
	}
	if (p->now_ms < d->next_ms) {
		peers_due(p, d->next_ms < d->until_ms ? d->next_ms : d->until_ms);
		return;
	}
	d->next_ms = ~0ULL;
	peers_due(p, d->until_ms);
	if (!d->flying && !d->asking && d->next == d->n) {
		if (d->round >= d->dp.tries) {
			finish(p, d, d->refused && d->n ? -ECONNREFUSED : -EHOSTUNREACH, NULL);
			return;
		}
		begin_round(p, d);
	}
	while (d->next < d->n) {
		u32 before = d->flying;

		attempt_start(p, d);
		if (d->flying > before)
			break;
	}
	if (d->next < d->n)
		go_on(p, d, p->now_ms + STAGGER_MS);
	else
		progress(p, d);
}

void dial_timers(struct peers *p)
{
	struct dial *d, *next;

	list_for_each_entry_safe(d, next, &p->dials, node)
		step(p, d);
}

struct dial *dial_new(struct peers *p, const struct dial_params *dp)
{
	struct dial *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->dp = *dp;
	if (dp->more) {
		d->more = strdup(dp->more);
		if (!d->more) {
			free(d);
			return NULL;
		}
	}
	d->dp.more = NULL;
	strcpy(d->why, "no address is known");
	d->until_ms = p->now_ms + dp->ms;
	list_add_tail(&d->node, &p->dials);
	go_on(p, d, p->now_ms);
	return d;
}
