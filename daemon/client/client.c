// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Starting and stopping the client side, and how the core reaches connections.
 *
 * The struct client_side outlives client_stop() as long as anybody has a
 * connection of it, since conn_post() finds the queue through the connection.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/client/report.h"

#define TRACE_MASK	0x132	/* ZooTrace.traceMask */

struct client_side *client_side_get(struct client_side *cs)
{
	__atomic_add_fetch(&cs->refs, 1, __ATOMIC_RELAXED);
	return cs;
}

static void io_free(struct io *io)
{
	device_free(io->device);
	queue_destroy(&io->inbox);
	if (io->epfd >= 0)
		close(io->epfd);
	free(io->in);
	jw_free(&io->out);
}

void client_side_put(struct client_side *cs)
{
	if (__atomic_sub_fetch(&cs->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (u32 i = 0; i < cs->n_io; i++)
		io_free(&cs->io[i]);
	if (cs->listen_fd >= 0)
		close(cs->listen_fd);
	if (cs->spare_fd >= 0)
		close(cs->spare_fd);
	addr_table_free(cs->addrs);
	throttle_destroy(&cs->throttle);
	pthread_mutex_destroy(&cs->lock);
	free(cs);
}

static int io_init(struct io *io, struct client_side *cs)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = io };
	int err;

	io->cs = cs;
	INIT_LIST_HEAD(&io->conns);
	INIT_LIST_HEAD(&io->fresh);
	INIT_LIST_HEAD(&io->draining);
	INIT_LIST_HEAD(&io->work);
	INIT_LIST_HEAD(&io->held);
	INIT_LIST_HEAD(&io->waiting);
	INIT_LIST_HEAD(&io->closing);
	INIT_LIST_HEAD(&io->holders);
	INIT_LIST_HEAD(&io->dead);
	jw_init(&io->out, 0);
	io->epfd = epoll_create1(EPOLL_CLOEXEC);
	err = io->epfd < 0 ? -errno : 0;
	if (queue_init(&io->inbox) || err)
		return err ? err : -errno;
	io->in = malloc(IO_IN_BYTES);
	if (!io->in)
		return -ENOMEM;
	return epoll_ctl(io->epfd, EPOLL_CTL_ADD, queue_fd(&io->inbox), &ev) ? -errno : 0;
}

/* Half the cores, as the core thread and the log thread need some too; and few
 * threads find more to do in each round than many. */
static u32 default_threads(void)
{
	cpu_set_t set;
	u32 n = 1;

	if (!sched_getaffinity(0, sizeof(set), &set))
		n = CPU_COUNT(&set) / 2;
	return n < 1 ? 1 : n > 4 ? 4 : n;
}

static struct client_side *side_new(const struct config *cfg, struct core *core,
				    struct store *st, struct disk *disk)
{
	u32 n = cfg->io_threads ? cfg->io_threads : default_threads();
	struct client_side *cs;

	if (n > IO_MAX_THREADS)
		n = IO_MAX_THREADS;
	cs = calloc(1, sizeof(*cs) + n * sizeof(cs->io[0]));
	if (!cs)
		return NULL;
	cs->refs = 1;
	cs->cfg = cfg;
	cs->confirms = cfg->ensemble && cfg->linearizable_reads;
	cs->core = core;
	cs->st = st;
	cs->disk = disk;
	cs->listen_fd = -1;
	cs->spare_fd = -1;
	cs->started_ms = coarse_ms();
	pthread_mutex_init(&cs->lock, NULL);
	throttle_init(&cs->throttle, cfg, cs->started_ms);
	INIT_LIST_HEAD(&cs->conns);
	cs->addrs = addr_table_new();
	cs->trace_mask = TRACE_MASK;
	cs->io_gen = 1;		/* the threads' counters are of 0: not begun yet */
	for (u32 i = 0; i < n; i++) {
		cs->n_io = i + 1;
		if (!cs->addrs || io_init(&cs->io[i], cs)) {
			client_side_put(cs);
			return NULL;
		}
	}
	return cs;
}

/* The threads take no signals: those are the main thread's. */
static int start_threads(struct client_side *cs)
{
	sigset_t all, old;
	char name[16];
	int err = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (u32 i = 0; i < cs->n_io && !err; i++) {
		err = -pthread_create(&cs->io[i].thread, NULL, io_main, &cs->io[i]);
		if (err)
			break;
		cs->io[i].running = true;
		snprintf(name, sizeof(name), "io-%u", i);
		pthread_setname_np(cs->io[i].thread, name);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

int client_start(const struct config *cfg, struct core *core, struct store *st,
		 struct disk *disk, struct client_side **out, char *why, size_t why_len)
{
	struct client_side *cs;
	int err;

	signal(SIGPIPE, SIG_IGN);
	access_configure(cfg->skip_acl);
	cs = side_new(cfg, core, st, disk);
	if (!cs) {
		snprintf(why, why_len, "I/O threads: no memory or no descriptors");
		return -ENOMEM;
	}
	err = listen_open(cs, why, why_len);
	if (err) {
		client_side_put(cs);
		return err;
	}
	cs->reports = reports_new();
	err = cs->reports ? device_open(&cs->io[cs->n_io - 1]) : -ENOMEM;
	if (!err)
		err = start_threads(cs);
	if (err) {
		snprintf(why, why_len, "I/O threads: %s", strerror(-err));
		client_stop(cs);
		client_free(cs);
		return err;
	}
	log_debug("serving clients on %s port %u, %u I/O threads",
		  cfg->client_addr ? cfg->client_addr : "*", cs->port, cs->n_io);
	*out = cs;
	return 0;
}

static void drop_messages(struct io *io)
{
	struct message *m = queue_take(&io->inbox), *next;

	for (; m; m = next) {
		next = m->next;
		if ((int)m->kind == MSG_ADOPT)
			conn_discard(m->conn);
		message_free(m);
	}
}

static void send_stop(struct io *io)
{
	struct message *m = calloc(1, sizeof(*m));

	if (!m) {
		log_error("no memory to stop with");
		abort();
	}
	m->kind = (enum message_kind)MSG_STOP;
	queue_push(&io->inbox, m);
}

/* The socket itself stays: the first I/O thread may be about to look at it. */
void client_stop_listening(struct client_side *cs)
{
	pthread_mutex_lock(&cs->lock);
	cs->unheard = true;
	shutdown(cs->listen_fd, SHUT_RD);
	epoll_ctl(cs->io[0].epfd, EPOLL_CTL_DEL, cs->listen_fd, NULL);
	pthread_mutex_unlock(&cs->lock);
}

int client_move(struct client_side *cs, const char *host, u16 port)
{
	size_t len = host ? strlen(host) + 1 : 0;
	struct message *m = calloc(1, sizeof(*m) + len);

	if (!m)
		return -ENOMEM;
	m->kind = (enum message_kind)MSG_MOVE;
	m->zxid = port;
	m->len = len;
	if (len)
		memcpy(m->bytes, host, len);
	queue_push(&cs->io[0].inbox, m);
	return 0;
}

void client_stop(struct client_side *cs)
{
	reports_free(cs->reports);
	for (u32 i = 0; i < cs->n_io; i++)
		if (cs->io[i].running)
			send_stop(&cs->io[i]);
	for (u32 i = 0; i < cs->n_io; i++) {
		if (cs->io[i].running)
			pthread_join(cs->io[i].thread, NULL);
		cs->io[i].running = false;
	}
	if (cs->listen_fd >= 0)
		close(cs->listen_fd);
	cs->listen_fd = -1;
	__atomic_store_n(&cs->stopped, true, __ATOMIC_SEQ_CST);
	for (u32 i = 0; i < cs->n_io; i++)
		drop_messages(&cs->io[i]);
}

void client_free(struct client_side *cs)
{
	client_side_put(cs);
}

u16 client_port(const struct client_side *cs)
{
	return __atomic_load_n(&cs->port, __ATOMIC_RELAXED);
}

struct client_side *conn_side(const struct conn *c)
{
	return c->cs;
}

void conn_post(struct message *m)
{
	struct io *io = m->conn->io;
	struct client_side *cs = client_side_get(io->cs);

	queue_add(&io->inbox, m);
	/* Pairs with client_stop(): one of us finds the message. */
	if (__atomic_load_n(&cs->stopped, __ATOMIC_SEQ_CST))
		drop_messages(io);
	client_side_put(cs);
}

void client_flush(struct client_side *cs)
{
	for (u32 i = 0; i < cs->n_io; i++)
		queue_kick(&cs->io[i].inbox);
}
