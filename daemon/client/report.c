// SPDX-License-Identifier: GPL-2.0-or-later
/* See report.h. One thread, a bounded queue under a lock. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/client/report.h"

#define WAITING_MAX	33	/* with the one in work */

struct report {
	struct report *next;
	struct conn *conn;	/* reference */
	void (*say)(struct client_side *cs, struct jw *out);
};

struct reports {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct report *first, **tail;
	u32 n;			/* waiting, or being worked out */
	bool stop;
};

static void report_free(struct report *r)
{
	conn_put(r->conn);
	free(r);
}

/* The text goes to the connection's thread; without memory an empty one does, which
 * closes the connection. */
static void post_text(struct conn *c, const struct jw *out)
{
	struct client_side *cs = conn_side(c);
	size_t len = out->err || out->len > 0x7fffffff ? 0 : out->len;
	struct message *m = malloc(sizeof(*m) + len);

	if (!m && len) {
		len = 0;
		m = malloc(sizeof(*m));
	}
	if (!m) {
		log_ratelimited(LOG_ERROR, "no memory to answer %s", conn_name(c));
		return;
	}
	memset(m, 0, sizeof(*m));
	m->kind = (enum message_kind)MSG_TEXT;
	m->conn = conn_get(c);
	m->len = len;
	if (len)
		memcpy(m->bytes, out->buf, len);
	conn_post(m);
	client_flush(cs);
}

static void run(struct report *r)
{
	struct jw out;

	jw_init(&out, 0);
	r->say(conn_side(r->conn), &out);
	post_text(r->conn, &out);
	jw_free(&out);
	report_free(r);
}

static struct report *take(struct reports *rs)
{
	struct report *r;

	pthread_mutex_lock(&rs->lock);
	while (!rs->first && !rs->stop)
		pthread_cond_wait(&rs->cond, &rs->lock);
	r = rs->stop ? NULL : rs->first;
	if (r) {
		rs->first = r->next;
		if (!rs->first)
			rs->tail = &rs->first;
	}
	pthread_mutex_unlock(&rs->lock);
	return r;
}

static void *report_main(void *arg)
{
	struct reports *rs = arg;
	struct report *r;

	store_thread_init();
	while ((r = take(rs))) {
		run(r);
		pthread_mutex_lock(&rs->lock);
		rs->n--;
		pthread_mutex_unlock(&rs->lock);
	}
	store_thread_exit();
	return NULL;
}

struct reports *reports_new(void)
{
	struct reports *rs = calloc(1, sizeof(*rs));
	sigset_t all, old;
	int err;

	if (!rs)
		return NULL;
	rs->tail = &rs->first;
	pthread_mutex_init(&rs->lock, NULL);
	pthread_cond_init(&rs->cond, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&rs->thread, NULL, report_main, rs);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		free(rs);
		return NULL;
	}
	pthread_setname_np(rs->thread, "reports");
	return rs;
}

void reports_free(struct reports *rs)
{
	struct report *r;

	if (!rs)
		return;
	pthread_mutex_lock(&rs->lock);
	rs->stop = true;
	pthread_cond_signal(&rs->cond);
	pthread_mutex_unlock(&rs->lock);
	pthread_join(rs->thread, NULL);
	while ((r = rs->first)) {
		rs->first = r->next;
		report_free(r);
	}
	pthread_cond_destroy(&rs->cond);
	pthread_mutex_destroy(&rs->lock);
	free(rs);
}

int report_submit(struct reports *rs, struct conn *c,
		  void (*say)(struct client_side *cs, struct jw *out))
{
	struct report *r = calloc(1, sizeof(*r));
	int err = 0;

	if (!r)
		return -ENOMEM;
	r->conn = conn_get(c);
	r->say = say;
	pthread_mutex_lock(&rs->lock);
	if (rs->n >= WAITING_MAX) {
		err = -EBUSY;
	} else {
		*rs->tail = r;
		rs->tail = &r->next;
		rs->n++;
		pthread_cond_signal(&rs->cond);
	}
	pthread_mutex_unlock(&rs->lock);
	if (err)
		report_free(r);
	return err;
}
