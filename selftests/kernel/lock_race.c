// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two hosts (instances), each with an owner that plays the recipe, contend for one lock in
 * all ways at once: threads that share it, take it alone, try, wait a little, ask and poll; a
 * process that is killed whatever it is doing; leases that end, owners that go and come back.
 * The resource that the lock guards remembers tokens: LA and LF at every access.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "locks.h"
#include "tap.h"

#define HOSTS	2
#define WORKERS	4		/* of each host */
#define ENOUGH	50		/* times that each host has had it */
#define SECONDS	6
#define HOUR	(3600 * 1000)

static int stop;

static bool stopping(void)
{
	return __atomic_load_n(&stop, __ATOMIC_ACQUIRE);
}

/* ------------------------------------------------------------ the ensemble */

/* A child of the lock's node. */
struct node {
	uint64_t czxid;
	uint32_t mode;
	bool granted, queued, revoked;
};

static pthread_mutex_t ensemble = PTHREAD_MUTEX_INITIALIZER;
static uint64_t zxid = 1000;

static struct host {
	int id, owner, n;
	pthread_t thread;
	struct lcall wish;		/* the newest */
	struct node node;		/* czxid 0: none */
	int had, lapses, deaths;
	bool lapse, die;		/* what is to be done to it */
} hosts[HOSTS];

static bool conflict(const struct node *a, const struct node *b)
{
	return a->czxid && b->czxid && (a->mode == EXCLUSIVE || b->mode == EXCLUSIVE);
}

/* Is there one that has to go before @node, or that waits for it to go? */
static bool others(const struct host *h, bool before)
{
	for (int i = 0; i < HOSTS; i++) {
		bool first = hosts[i].node.czxid < h->node.czxid;

		if (i != h->n && conflict(&hosts[i].node, &h->node) && first == before)
			return true;
	}
	return false;
}

static void play(struct host *h, unsigned int *seed)
{
	struct node *n = &h->node;

	if (!n->czxid)
		return;
	if (!n->granted && !others(h, true)) {
		n->granted = true;
		need(!lo_grant(h->owner, &h->wish, n->czxid), "grant");
	} else if (!n->granted && !n->queued) {
		n->queued = true;
		need(!lo_say(h->owner, &h->wish,
			     (struct zkern_lock_reply){ .kind = ZKERN_LOCK_QUEUED }), "queued");
	}
	if (n->granted && !n->revoked && others(h, false)) {
		n->revoked = true;
		need(!lo_revoke(h->owner, &h->wish, rand_r(seed) % 4, 5), "revoke");
	}
}

/* Takes what there is to be taken. */
static void take(struct host *h, bool *named)
{
	struct lcall c;

	while (lo_polls(h->owner, 0)) {
		need(lo_take(h->owner, &c) == 1, "take");
		if (c.head.base && c.head.base == h->node.czxid) {
			*named = true;		/* as it was, told to a new owner */
			h->wish = c;
			continue;
		}
		h->node = (struct node){ 0 };
		h->wish = c;
		if (c.head.mode)
			h->node = (struct node){ .czxid = ++zxid, .mode = c.head.mode };
	}
}

static void die(struct host *h)
{
	double end = now() + LONG;
	bool named = false;
	int err;

	close(h->owner);
	usleep(2000);
	h->owner = zk_open(h->id, O_RDWR);
	/* a process that has just begun has a copy of the file for a moment */
	while ((err = zk_own(h->owner, NULL)) == -EBUSY && now() < end)
		usleep(1000);
	need(!err, "owner");
	need(!zk_state(h->owner, ZKERN_STATE_STANDALONE, 0), "state");
	need(!lo_lease(h->owner, 0x1000 + h->n, HOUR), "lease");
	/* nodes that nothing is told of are deleted; a wish that is told again makes another */
	if (!h->node.granted)
		h->node = (struct node){ 0 };
	take(h, &named);
	if (!named && h->node.granted)
		h->node = (struct node){ 0 };
	h->deaths++;
}

static void *owner_thread(void *arg)
{
	struct host *h = arg;
	unsigned int seed = h->n;
	bool named;

	while (!stopping()) {
		lo_polls(h->owner, 2);
		pthread_mutex_lock(&ensemble);
		if (__atomic_exchange_n(&h->lapse, false, __ATOMIC_ACQ_REL)) {
			need(!lo_lease(h->owner, 0x1000 + h->n, -1), "lease");
			need(!lo_lease(h->owner, 0x1000 + h->n, HOUR), "lease");
			h->lapses++;
		}
		if (__atomic_exchange_n(&h->die, false, __ATOMIC_ACQ_REL))
			die(h);
		take(h, &named);
		play(h, &seed);
		pthread_mutex_unlock(&ensemble);
	}
	return NULL;
}

/* ------------------------------------------------------------ what is guarded */

static struct worker {
	struct host *host;
	pthread_t thread;
	unsigned int seed;
	int fd;
	bool inside;
	struct zkern_lock q;
} workers[HOSTS * WORKERS];

static pthread_mutex_t resource = PTHREAD_MUTEX_INITIALIZER;
static struct zkern_lock last_any, last_alone;
static int again, timedout;
static int accepted, refused, wrong_token, wrong_company, wrong_error;

static bool lost(const struct worker *w)
{
	return lk_held(w->fd, NULL) == -ESTALE;
}

/* Who is inside with a lock that is not lost, must be compatible. */
static void enter(struct worker *w)
{
	bool alone = w->q.mode == EXCLUSIVE;

	pthread_mutex_lock(&resource);
	if (lk_cmp(&w->q, alone ? &last_any : &last_alone) <= 0) {
		refused++;
		wrong_token += !lost(w);
	} else {
		accepted++;
		if (lk_cmp(&w->q, &last_any) > 0)
			last_any = w->q;
		if (alone)
			last_alone = w->q;
	}
	w->inside = true;
	for (struct worker *o = workers; o < workers + HOSTS * WORKERS; o++)
		if (o != w && o->inside && (alone || o->q.mode == EXCLUSIVE) && !lost(o) &&
		    !lost(w))
			wrong_company++;
	pthread_mutex_unlock(&resource);
}

static void leave(struct worker *w)
{
	pthread_mutex_lock(&resource);
	w->inside = false;
	pthread_mutex_unlock(&resource);
}

static int ask(struct worker *w, uint32_t mode)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	int err;

	switch (rand_r(&w->seed) % 6) {
	case 0:
		return lk(w->fd, mode, ZKERN_LOCK_TRY, 200, &w->q);
	case 1:
		err = lk(w->fd, mode, ZKERN_LOCK_ASYNC, 0, &w->q);
		if (err != -EINPROGRESS)
			return err;
		poll(&p, 1, rand_r(&w->seed) % 50);
		err = lk(w->fd, mode, ZKERN_LOCK_ASYNC, 0, &w->q);
		if (err != -EINPROGRESS)
			return err;
		err = lk_un(w->fd);
		return err ? err : -EAGAIN;
	case 2:
		return lk(w->fd, mode, 0, 1 + rand_r(&w->seed) % 10, &w->q);
	case 3:
		return lk(w->fd, mode, ZKERN_LOCK_KILLABLE, 200, &w->q);
	default:
		return lk(w->fd, mode, 0, 200, &w->q);
	}
}

static bool refusal(int err)
{
	__atomic_add_fetch(err == -EAGAIN ? &again : &timedout, 1, __ATOMIC_RELAXED);
	return err == -EAGAIN || err == -ETIMEDOUT || err == -ENOTCONN;
}

static void *worker_thread(void *arg)
{
	struct worker *w = arg;
	int err;

	while (!stopping()) {
		err = ask(w, rand_r(&w->seed) % 3 ? EXCLUSIVE : SHARED);
		if (err) {
			if (!refusal(err)) {
				printf("# asked: %d\n", err);
				__atomic_add_fetch(&wrong_error, 1, __ATOMIC_RELAXED);
			}
			continue;
		}
		enter(w);
		if (!(rand_r(&w->seed) % 4))
			usleep(rand_r(&w->seed) % 1000);
		leave(w);
		__atomic_add_fetch(&w->host->had, 1, __ATOMIC_RELAXED);
		err = lk_un(w->fd);
		if (err && err != -ESTALE) {
			printf("# given back: %d\n", err);
			__atomic_add_fetch(&wrong_error, 1, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

/* ------------------------------------------------------------ what happens to them */

static pid_t victim(int id)
{
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	close_range(3, ~0u, 0);
	fd = zk_open(id, O_RDWR);
	fd = lk_open(fd, "/race");
	for (;;) {
		lk(fd, EXCLUSIVE, 0, 0, NULL);
		lk_un(fd);
	}
}

static bool enough(void)
{
	for (int i = 0; i < HOSTS; i++)
		if (__atomic_load_n(&hosts[i].had, __ATOMIC_RELAXED) < ENOUGH)
			return false;
	return true;
}

static void chaos(void)
{
	double begin = now();
	unsigned int seed = 7;
	int kills = 0;
	pid_t pid;

	while (now() < begin + SECONDS || (!enough() && now() < begin + LONG)) {
		struct host *h = &hosts[rand_r(&seed) % HOSTS];

		pid = victim(h->id);
		need(pid > 0, "fork");
		usleep(rand_r(&seed) % 30000);
		kill(pid, SIGKILL);
		need(waitpid(pid, NULL, 0) == pid, "wait");
		kills++;
		if (!(rand_r(&seed) % 4))
			__atomic_store_n(&h->lapse, true, __ATOMIC_RELEASE);
		if (!(rand_r(&seed) % 8))
			__atomic_store_n(&h->die, true, __ATOMIC_RELEASE);
	}
	ok(enough(), "each host gets the lock");
	printf("# %d accepted, %d refused; %d times it was not to be had, %d not in time\n",
	       accepted, refused, again, timedout);
	printf("# %d nodes made, %d processes killed\n", (int)zxid - 1000, kills);
}

static void host_begin(struct host *h, int n)
{
	h->n = n;
	h->id = zk_instance(&h->owner);
	zk_create(h->owner, 100, "/race", "");
	need(!lo_lease(h->owner, 0x1000 + n, HOUR), "lease");
	need(!pthread_create(&h->thread, NULL, owner_thread, h), "thread");
}

static void worker_begin(struct worker *w, struct host *h, int n)
{
	int fd = zk_open(h->id, O_RDWR | O_CLOEXEC);

	w->host = h;
	w->seed = 100 + n;
	w->fd = lk_open(fd, "/race");
	need(fd >= 0 && w->fd >= 0, "lock file");
	close(fd);
	need(!pthread_create(&w->thread, NULL, worker_thread, w), "thread");
}

int main(void)
{
	for (int i = 0; i < HOSTS; i++)
		host_begin(&hosts[i], i);
	for (int i = 0; i < HOSTS * WORKERS; i++)
		worker_begin(&workers[i], &hosts[i % HOSTS], i);
	chaos();
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < HOSTS * WORKERS; i++)
		need(!pthread_join(workers[i].thread, NULL), "join");
	for (int i = 0; i < HOSTS; i++)
		need(!pthread_join(hosts[i].thread, NULL), "join");
	is(wrong_company, 0, "LA: nobody has it beside one who has it alone");
	is(wrong_token, 0, "LF: no token goes backwards, but of who has lost it");
	is(wrong_error, 0, "no call fails that should not");
	for (int i = 0; i < HOSTS; i++) {
		printf("# host %d: had %d, leases ended %d, owners gone %d\n", i, hosts[i].had,
		       hosts[i].lapses, hosts[i].deaths);
		close(hosts[i].owner);
	}
	for (int i = 0; i < HOSTS * WORKERS; i++)
		close(workers[i].fd);
	for (int i = 0; i < HOSTS; i++)
		is(zk_del(hosts[i].id, 0), 0, "the instance goes");
	return tap_end();
}
