// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See admin.h. HTTP is libmicrohttpd's. Its daemons run without threads: ours waits for
 * their descriptors, as the store must know each thread that touches it.
 *
 * Bounds: so many connections and so much memory for each, an idle time, and so many
 * bytes of answers that wait to be sent.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <microhttpd.h>

#include "daemon/admin/admin.h"
#include "daemon/admin/command.h"
#include "daemon/admin/prometheus.h"
#include "daemon/base/log.h"

#define CONNS_MAX	64
#define CONN_MEMORY	(32 * 1024)	/* for a request's head, too */
#define METRICS_IDLE_MS	30000		/* Jetty's own */
#define IDLE_MAX_MS	(3600 * 1000)	/* where it is told to wait for ever */
#define WAITING_MAX	(128 * 1024 * 1024)
#define BLOCK		(32 * 1024)

enum { ADMIN, METRICS, N_SERVERS };

struct admin {
	const struct config *cfg;
	struct client_side *cs;
	struct MHD_Daemon *http[N_SERVERS];	/* NULL: not served */
	pthread_t thread;
	int stop_fd;
	bool stop;		/* atomic */
	u64 waiting;		/* bytes of answers under way; the thread's */
};

/* ------------------------------------------------------------ answers */

/* The body of an answer, until it is sent. */
struct body {
	struct admin *admin;
	struct jw text;
};

static ssize_t body_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct body *b = arg;
	size_t n = b->text.len - pos;

	if (pos >= b->text.len)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n > max)
		n = max;
	memcpy(buf, b->text.buf + pos, n);
	return n;
}

static void body_free(void *arg)
{
	struct body *b = arg;

	b->admin->waiting -= b->text.len;
	jw_free(&b->text);
	free(b);
}

static enum MHD_Result refuse(struct MHD_Connection *conn, int status, const char *title)
{
	struct MHD_Response *r;
	enum MHD_Result rc;
	char text[256];

	snprintf(text, sizeof(text),
		 "<html>\n<head><title>Error %d %s</title></head>\n"
		 "<body><h2>HTTP ERROR %d %s</h2></body>\n</html>\n",
		 status, title, status, title);
	r = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", "text/html;charset=utf-8");
	MHD_add_response_header(r, "Cache-Control", "must-revalidate,no-cache,no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD");
	rc = MHD_queue_response(conn, status, r);
	MHD_destroy_response(r);
	return rc;
}

/* Takes @out over. */
static enum MHD_Result answer(struct admin *a, struct MHD_Connection *conn, struct jw *out,
			      const char *type)
{
	struct body *b = out->err ? NULL : malloc(sizeof(*b));
	struct MHD_Response *r;
	enum MHD_Result rc;

	if (!b) {
		jw_free(out);
		return refuse(conn, MHD_HTTP_INTERNAL_SERVER_ERROR, "Out Of Memory");
	}
	b->admin = a;
	b->text = *out;
	a->waiting += out->len;
	r = MHD_create_response_from_callback(out->len, BLOCK, body_read, b, body_free);
	if (!r) {
		body_free(b);
		return MHD_NO;
	}
	MHD_add_response_header(r, "Content-Type", type);
	rc = MHD_queue_response(conn, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return rc;
}

/* ------------------------------------------------------------ requests */

/* Of a path below the commands' URL: what follows, without its slash; or NULL. */
static const char *below(const char *url, const char *path)
{
	size_t n = strlen(url);

	if (strncmp(path, url, n) || (path[n] && path[n] != '/'))
		return NULL;
	return path + n + (path[n] == '/');
}

static enum MHD_Result run_command(struct admin *a, struct MHD_Connection *conn,
				   const char *name)
{
	const char *mask = MHD_lookup_connection_value(conn, MHD_GET_ARGUMENT_KIND,
						       "traceMask");
	struct jw out;

	jw_init(&out, 0);
	if (*name)
		command_run(a->cs, name, mask, &out);
	else
		command_index(a->cfg->admin_url, &out);
	return answer(a, conn, &out, *name ? "application/json" : "text/html;charset=utf-8");
}

/* name[]=... of the query: those alone, if there is one. */
struct filter {
	struct MHD_Connection *conn;
	const char *name;
	bool any, hit;
};

static enum MHD_Result each_argument(void *arg, enum MHD_ValueKind kind, const char *key,
				     const char *value)
{
	struct filter *f = arg;

	(void)kind;
	if (!strcmp(key, "name[]") && value && *value) {
		f->any = true;
		f->hit |= !strcmp(value, f->name);
	}
	return MHD_YES;
}

static bool wanted(void *arg, const char *name)
{
	struct filter f = { .conn = arg, .name = name };

	MHD_get_connection_values(f.conn, MHD_GET_ARGUMENT_KIND, each_argument, &f);
	return !f.any || f.hit;
}

static enum MHD_Result show_metrics(struct admin *a, struct MHD_Connection *conn)
{
	struct jw out;

	jw_init(&out, 0);
	prometheus_text(a->cs, wanted, conn, &out);
	return answer(a, conn, &out, "text/plain; version=0.0.4; charset=utf-8");
}

static bool readable(const char *method)
{
	return !strcmp(method, MHD_HTTP_METHOD_GET) || !strcmp(method, MHD_HTTP_METHOD_HEAD);
}

/* The library calls this first with the head alone; that a body, which nobody reads, is
 * there does not matter then. */
static enum MHD_Result on_command(void *arg, struct MHD_Connection *conn, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_size, void **state)
{
	struct admin *a = arg;
	const char *name = below(a->cfg->admin_url, url);

	(void)version;
	(void)data;
	(void)data_size;
	(void)state;
	if (!name)
		return refuse(conn, MHD_HTTP_NOT_FOUND, "Not Found");
	if (!readable(method))
		return refuse(conn, MHD_HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed");
	if (a->waiting > WAITING_MAX)
		return refuse(conn, MHD_HTTP_SERVICE_UNAVAILABLE, "Service Unavailable");
	return run_command(a, conn, name);
}

static enum MHD_Result on_metrics(void *arg, struct MHD_Connection *conn, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_size, void **state)
{
	struct admin *a = arg;

	(void)version;
	(void)data;
	(void)data_size;
	(void)state;
	if (strcmp(url, "/metrics"))
		return refuse(conn, MHD_HTTP_NOT_FOUND, "Not Found");
	if (!readable(method))
		return refuse(conn, MHD_HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed");
	if (a->waiting > WAITING_MAX)
		return refuse(conn, MHD_HTTP_SERVICE_UNAVAILABLE, "Service Unavailable");
	return show_metrics(a, conn);
}

static void on_library_log(void *arg, const char *fmt, va_list ap)
{
	char text[256];
	size_t n;

	(void)arg;
	vsnprintf(text, sizeof(text), fmt, ap);
	n = strlen(text);
	while (n && text[n - 1] == '\n')
		text[--n] = 0;
	log_ratelimited(LOG_DEBUG, "http: %s", text);
}

/* ------------------------------------------------------------ listening */

static int listen_at(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, off = 0, err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (!bind(fd, ai->ai_addr, ai->ai_addrlen) && !listen(fd, CONNS_MAX))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* The descriptor, or negative errno with the reason in @why. */
static int listen_on(const char *host, u32 port, const char **why)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	struct addrinfo *list, *ai;
	char service[16];
	int rc, fd = -EADDRNOTAVAIL;

	snprintf(service, sizeof(service), "%u", port);
	rc = getaddrinfo(host ? host : "0.0.0.0", service, &hints, &list);
	if (rc) {
		*why = gai_strerror(rc);
		return -EADDRNOTAVAIL;
	}
	for (ai = list; ai && fd < 0; ai = ai->ai_next)
		fd = listen_at(ai);
	freeaddrinfo(list);
	*why = fd < 0 ? strerror(-fd) : "";
	return fd;
}

static u32 port_of(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len))
		return 0;
	return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port :
		     ((struct sockaddr_in *)&sa)->sin_port);
}

/* A socket of @what at @host and @port that is served from now on, or NULL, and a
 * warning that says why. */
static struct MHD_Daemon *serve(struct admin *a, const char *what, const char *host, u32 port,
				u64 idle_ms, MHD_AccessHandlerCallback fn)
{
	struct MHD_Daemon *d;
	const char *why;
	int fd = listen_on(host, port, &why);

	if (fd < 0) {
		log_warn("%s: cannot listen on %s:%u: %s; going on without", what,
			 host ? host : "*", port, why);
		return NULL;
	}
	port = port_of(fd);
	if (!idle_ms || idle_ms > IDLE_MAX_MS)
		idle_ms = IDLE_MAX_MS;
	d = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, fn, a,
			     MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
			     MHD_OPTION_LISTEN_SOCKET, fd,
			     MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNS_MAX,
			     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONN_MEMORY,
			     MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)((idle_ms + 999) / 1000),
			     MHD_OPTION_END);
	if (!d) {
		log_warn("%s: cannot start on %s:%u; going on without", what,
			 host ? host : "*", port);
		close(fd);
		return NULL;
	}
	log_info("%s: serving %s:%u", what, host ? host : "*", port);
	return d;
}

/* ------------------------------------------------------------ the thread */

static int wait_ms(struct admin *a)
{
	u64 least = ~0ULL;

	for (int i = 0; i < N_SERVERS; i++) {
		MHD_UNSIGNED_LONG_LONG ms;

		if (a->http[i] && MHD_get_timeout(a->http[i], &ms) == MHD_YES && ms < least)
			least = ms;
	}
	return least == ~0ULL ? -1 : least > 60000 ? 60000 : (int)least;
}

static void *admin_main(void *arg)
{
	struct pollfd fds[N_SERVERS + 1];
	struct admin *a = arg;

	store_thread_init();
	fds[N_SERVERS] = (struct pollfd){ .fd = a->stop_fd, .events = POLLIN };
	for (int i = 0; i < N_SERVERS; i++) {
		const union MHD_DaemonInfo *info = a->http[i] ?
			MHD_get_daemon_info(a->http[i], MHD_DAEMON_INFO_EPOLL_FD) : NULL;

		fds[i] = (struct pollfd){ .fd = info ? info->epoll_fd : -1, .events = POLLIN };
	}
	while (!__atomic_load_n(&a->stop, __ATOMIC_ACQUIRE)) {
		poll(fds, N_SERVERS + 1, wait_ms(a));
		for (int i = 0; i < N_SERVERS; i++)
			if (a->http[i])
				MHD_run(a->http[i]);
	}
	store_thread_exit();
	return NULL;
}

static int start_thread(struct admin *a)
{
	sigset_t all, old;
	int rc;

	a->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->stop_fd < 0)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = -pthread_create(&a->thread, NULL, admin_main, a);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!rc)
		pthread_setname_np(a->thread, "admin");
	else
		close(a->stop_fd);
	return rc;
}

static void free_all(struct admin *a)
{
	for (int i = 0; i < N_SERVERS; i++)
		if (a->http[i])
			MHD_stop_daemon(a->http[i]);
	free(a);
}

struct admin *admin_start(const struct config *cfg, struct client_side *cs)
{
	struct admin *a;
	int rc;

	if (!cfg->admin_enable && !cfg->prometheus)
		return NULL;
	a = calloc(1, sizeof(*a));
	if (!a) {
		log_warn("admin server: out of memory");
		return NULL;
	}
	a->cfg = cfg;
	a->cs = cs;
	if (cfg->admin_enable)
		a->http[ADMIN] = serve(a, "admin server", cfg->admin_addr, cfg->admin_port,
				       cfg->admin_idle_ms, on_command);
	if (cfg->prometheus)
		a->http[METRICS] = serve(a, "metrics", cfg->metrics_addr, cfg->metrics_port,
					 METRICS_IDLE_MS, on_metrics);
	rc = a->http[ADMIN] || a->http[METRICS] ? start_thread(a) : -ENOENT;
	if (!rc)
		return a;
	if (rc != -ENOENT)
		log_warn("admin server: cannot start its thread: %s", strerror(-rc));
	free_all(a);
	return NULL;
}

void admin_stop(struct admin *a)
{
	u64 one = 1;

	if (!a)
		return;
	__atomic_store_n(&a->stop, true, __ATOMIC_RELEASE);
	while (write(a->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(a->thread, NULL);
	close(a->stop_fd);
	free_all(a);
}
