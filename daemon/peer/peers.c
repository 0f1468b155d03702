// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Life of the network between servers, its thread, and what other threads call: those
 * calls become commands in the inbox.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "daemon/peer/internal.h"

#define EVENTS	64

/* ------------------------------------------------------------ commands */

static struct cmd *cmd_new(enum cmd_type type, u64 link, u64 to, void *arg)
{
	struct cmd *c = calloc(1, sizeof(*c));

	if (c)
		*c = (struct cmd){ .type = type, .link = link, .to = to, .arg = arg };
	return c;
}

static int cmd_push(struct peers *p, enum cmd_type type, u64 link, u64 to, void *arg)
{
	struct cmd *c = cmd_new(type, link, to, arg);

	if (!c)
		return -ENOMEM;
	send_before(p);
	queue_push(&p->inbox, c);
	return 0;
}

/* What a command that came too late holds. Streams and receivers have ended before. */
void cmd_drop(struct cmd *c)
{
	switch (c->type) {
	case CMD_ENSEMBLE:
		ensemble_put(c->arg);
		break;
	case CMD_NOTIFY:
		zab_bytes_put(c->arg);
		break;
	case CMD_CONNECT:
		link_free(c->arg);
		break;
	case CMD_SEND:
		item_free((struct item *)c);
		return;
	default:
		break;
	}
	free(c);
}

static void set_ensemble(struct peers *p, struct ensemble *e, bool in_force)
{
	ensemble_put(p->next);
	p->next = in_force ? NULL : e;
	if (!in_force)
		return;
	ensemble_put(p->ens);
	p->ens = e;
	listen_ensemble(p);
}

const struct peer *peers_find(const struct peers *p, u64 sid)
{
	const struct peer *peer = ensemble_find(p->ens, sid);

	return peer || !p->next ? peer : ensemble_find(p->next, sid);
}

/* First nobody is listened to: who hears that his link is gone does not get another. */
static void open_port(struct peers *p, enum peer_port port)
{
	bool other = port != p->open;

	listen_lead(p, port);
	if (other)
		link_close_in(p);
}

static void run(struct peers *p, struct cmd *c)
{
	switch (c->type) {
	case CMD_ENSEMBLE:
		set_ensemble(p, c->arg, c->to);
		break;
	case CMD_NOTIFY:
		elect_notify(p, c->to, c->arg);
		zab_bytes_put(c->arg);
		break;
	case CMD_LEAD:
		open_port(p, c->to);
		break;
	case CMD_CONNECT:
		link_connect(p, c->arg, c->to);
		break;
	case CMD_SEND:
		link_send(p, (struct item *)c);
		return;
	case CMD_RECEIVE:
		link_receive(p, c->link, c->to);
		break;
	case CMD_CLOSE:
		link_close(p, c->link);
		break;
	case CMD_SETTLED:
		link_settled(p, c->link);
		break;
	case CMD_RESOLVED:
		if (((struct lookup *)c)->owner)
			((struct lookup *)c)->done(p, ((struct lookup *)c)->owner,
						   (struct lookup *)c);
		break;
	case CMD_SENT:
		link_sent(p, (struct stream *)c);
		return;
	case CMD_RECEIVED:
		link_received(p, (struct receiver *)c);
		return;
	}
	free(c);
}

/* ------------------------------------------------------------ the thread */

static void free_dead(struct peers *p)
{
	while (p->dead) {
		struct watch *w = p->dead;

		p->dead = w->dead;
		free(w);
	}
}

static void timers(struct peers *p)
{
	if (p->now_ms < p->due_ms)
		return;
	p->due_ms = ~0ULL;
	listen_timers(p);
	dial_timers(p);
	link_timers(p);
}

static int timeout_ms(struct peers *p)
{
	u64 now = peer_now_ms();

	if (p->due_ms == ~0ULL)
		return -1;
	if (p->due_ms <= now)
		return 0;
	return p->due_ms - now > 60000 ? 60000 : p->due_ms - now;
}

static bool woken(struct peers *p)
{
	return __atomic_load_n(&p->resume, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&p->stopping, __ATOMIC_SEQ_CST);
}

/* The core is woken once for all that came in meanwhile. */
static void wake_core(struct peers *p)
{
	if (p->delivered)
		p->p.wake(p->p.arg);
	p->delivered = false;
}

static void wait_for_more(struct peers *p)
{
	struct epoll_event evs[EVENTS];
	bool sleeps;
	int n;

	wake_core(p);
	sleeps = queue_may_sleep(&p->inbox);
	n = epoll_wait(p->epfd, evs, EVENTS, sleeps && !woken(p) ? timeout_ms(p) : 0);
	if (sleeps)
		queue_awake(&p->inbox);
	p->now_ms = peer_now_ms();
	for (int i = 0; i < n; i++) {
		struct watch *w = evs[i].data.ptr;

		/* an earlier one of these may have ended it */
		if (w->fd >= 0 && w->mask && w != &p->inbox_w)
			w->ready(p, w, evs[i].events);
	}
	wake_core(p);
}

/* Commands are not carried out any more; the threads of links end. */
static void wind_up(struct peers *p)
{
	struct cmd *c, *next;

	listen_end(p);
	elect_end(p);
	while (!link_end(p)) {
		wake_core(p);
		for (c = queue_take(&p->inbox); c; c = next) {
			next = c->next;
			if (c->type == CMD_SENT || c->type == CMD_RECEIVED)
				run(p, c);
			else
				cmd_drop(c);
		}
		if (p->n_threads && queue_may_sleep(&p->inbox)) {
			struct epoll_event ev;

			epoll_wait(p->epfd, &ev, 1, 1000);
			queue_awake(&p->inbox);
		}
	}
	wake_core(p);
	free_dead(p);
}

static void *peers_main(void *arg)
{
	struct peers *p = arg;

	store_thread_init();
	p->now_ms = peer_now_ms();
	while (!__atomic_load_n(&p->stopping, __ATOMIC_SEQ_CST)) {
		struct cmd *c = queue_take(&p->inbox), *next;

		for (; c; c = next) {
			next = c->next;
			run(p, c);
		}
		if (__atomic_exchange_n(&p->resume, false, __ATOMIC_SEQ_CST)) {
			elect_resume(p);
			link_resume(p);
		}
		link_flush_dirty(p);
		timers(p);
		free_dead(p);
		wait_for_more(p);
	}
	wind_up(p);
	store_thread_exit();
	return NULL;
}

/* ------------------------------------------------------------ life */

static void lists_init(struct peers *p)
{
	INIT_LIST_HEAD(&p->dials);
	INIT_LIST_HEAD(&p->listeners);
	INIT_LIST_HEAD(&p->strangers);
	INIT_LIST_HEAD(&p->epeers);
	INIT_LIST_HEAD(&p->links);
	INIT_LIST_HEAD(&p->stats);
	pthread_mutex_init(&p->stats_lock, NULL);
	pthread_mutex_init(&p->gate.lock, NULL);
	pthread_cond_init(&p->gate.over, NULL);
	p->inbox.fd = -1;
	p->epfd = -1;
	p->spare_fd = -1;
	p->due_ms = ~0ULL;
	p->anonymous = ~0ULL - 1;
}

static int open_fds(struct peers *p)
{
	int err;

	p->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (p->epfd < 0)
		return -errno;
	err = queue_init(&p->inbox);
	if (err)
		return err;
	p->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	p->inbox_w.fd = queue_fd(&p->inbox);
	return watch_set(p, &p->inbox_w, EPOLLIN);
}

int peers_start(const struct peers_params *params, struct peers **out, char *why, size_t why_len)
{
	struct peers *p = aligned_alloc(64, (sizeof(*p) + 63) / 64 * 64);
	int err;

	*out = NULL;
	snprintf(why, why_len, "no memory");
	if (!p)
		return -ENOMEM;
	memset(p, 0, sizeof(*p));
	lists_init(p);
	p->p = *params;
	p->p.ensemble = NULL;
	p->ens = ensemble_get(params->ensemble);
	p->now_ms = peer_now_ms();
	err = send_init(p);
	if (!err)
		err = open_fds(p);
	if (err)
		snprintf(why, why_len, "%s", strerror(-err));
	if (!err) {
		p->names = names_new(p);
		err = p->names ? listen_start(p, why, why_len) : -ENOMEM;
	}
	if (!err) {
		p->due_ms = 0;
		err = -pthread_create(&p->thread, NULL, peers_main, p);
		if (err)
			snprintf(why, why_len, "no thread: %s", strerror(-err));
	}
	if (err) {
		listen_end(p);
		free_dead(p);
		peers_free(p);
		return err;
	}
	p->started = true;
	pthread_setname_np(p->thread, "peers");
	*out = p;
	return 0;
}

void peers_stop(struct peers *p)
{
	if (!p || !p->started)
		return;
	pthread_mutex_lock(&p->gate.lock);
	p->gate.link = 0;
	pthread_mutex_unlock(&p->gate.lock);
	__atomic_store_n(&p->stopping, true, __ATOMIC_SEQ_CST);
	queue_kick(&p->inbox);
	pthread_join(p->thread, NULL);
	p->started = false;
}

void peers_free(struct peers *p)
{
	struct cmd *c, *next;

	if (!p)
		return;
	peers_stop(p);
	names_end(p->names);
	send_free(p);
	for (c = queue_take(&p->inbox); c; c = next) {
		next = c->next;
		cmd_drop(c);
	}
	queue_destroy(&p->inbox);
	if (p->epfd >= 0)
		close(p->epfd);
	if (p->spare_fd >= 0)
		close(p->spare_fd);
	ensemble_put(p->ens);
	ensemble_put(p->next);
	pthread_mutex_destroy(&p->gate.lock);
	pthread_cond_destroy(&p->gate.over);
	pthread_mutex_destroy(&p->stats_lock);
	free(p);
}

u16 peer_election_port(const struct peers *p)
{
	return __atomic_load_n(&p->ports[0], __ATOMIC_ACQUIRE);
}

u16 peer_quorum_port(const struct peers *p)
{
	return __atomic_load_n(&p->ports[1], __ATOMIC_ACQUIRE);
}

/* ------------------------------------------------------------ calls */

int peer_ensemble(struct peers *p, struct ensemble *e, bool in_force)
{
	int err = cmd_push(p, CMD_ENSEMBLE, 0, in_force, ensemble_get(e));

	if (err)
		ensemble_put(e);
	return err;
}

int peer_notify(struct peers *p, u64 to, struct zab_bytes *b)
{
	int err = cmd_push(p, CMD_NOTIFY, 0, to, zab_bytes_get(b));

	if (err)
		zab_bytes_put(b);
	return err;
}

int peer_lead(struct peers *p, enum peer_port port)
{
	return cmd_push(p, CMD_LEAD, 0, port, NULL);
}

int peer_connect(struct peers *p, u64 to, u64 link, bool master)
{
	struct link *l = link_new(link, true);
	int err = -ENOMEM;

	if (l) {
		l->master = master;
		err = cmd_push(p, CMD_CONNECT, link, to, l);
	}
	if (err && l)
		link_free(l);
	return err;
}

int peer_send_history(struct peers *p, u64 link, u64 after, u64 to, bool observer)
{
	struct item *it = item_new(ITEM_HISTORY, link);

	if (!it)
		return -ENOMEM;
	it->zxid = after;
	it->to = to;
	it->observer = observer;
	send_before(p);
	queue_push(&p->inbox, it);
	return 0;
}

int peer_send_tree(struct peers *p, u64 link, u64 zxid, struct store *st,
		   struct store_snap *snap, const struct disk_session *s, u32 n)
{
	struct item *it = item_new(ITEM_TREE, link);

	if (!it)
		return -ENOMEM;
	if (n) {
		it->sessions = malloc(n * sizeof(*s));
		if (!it->sessions) {
			free(it);
			return -ENOMEM;
		}
		memcpy(it->sessions, s, n * sizeof(*s));
	}
	it->zxid = zxid;
	it->st = st;
	it->snap = snap;
	it->n_sessions = n;
	send_before(p);
	queue_push(&p->inbox, it);
	return 0;
}

int peer_receive(struct peers *p, u64 link, u64 zxid)
{
	struct cmd *c = cmd_new(CMD_RECEIVE, link, zxid, NULL);

	if (!c)
		return -ENOMEM;
	pthread_mutex_lock(&p->gate.lock);
	while (p->gate.ending)
		pthread_cond_wait(&p->gate.over, &p->gate.lock);
	p->gate.link = link;
	p->gate.ended = false;
	pthread_mutex_unlock(&p->gate.lock);
	send_before(p);
	queue_push(&p->inbox, c);
	return 0;
}

int peer_close(struct peers *p, u64 link)
{
	struct cmd *c = cmd_new(CMD_CLOSE, link, 0, NULL);
	bool late = false;

	if (!c)
		return -ENOMEM;
	pthread_mutex_lock(&p->gate.lock);
	if (p->gate.link == link) {
		while (p->gate.ending)
			pthread_cond_wait(&p->gate.over, &p->gate.lock);
		late = p->gate.ended;
		p->gate.ended = false;
		p->gate.link = 0;
	}
	pthread_mutex_unlock(&p->gate.lock);
	send_before(p);
	queue_push(&p->inbox, c);
	return late;
}

int peer_settled(struct peers *p, u64 link)
{
	return cmd_push(p, CMD_SETTLED, link, 0, NULL);
}
