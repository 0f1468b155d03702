// SPDX-License-Identifier: GPL-2.0-or-later
/* See peer.h. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "selftests/client/peer.h"

struct config cfg;
struct store *st;
struct client_side *side;
u8 *frame_body;
u32 frame_len;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static struct request *first, **tail = &first;

/* ------------------------------------------------------------ the core's part */

void core_submit(struct core *c, struct request *r)
{
	(void)c;
	pthread_mutex_lock(&lock);
	r->next = NULL;
	*tail = r;
	tail = &r->next;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&lock);
}

struct ensemble *core_members(struct core *c)
{
	(void)c;
	return NULL;	/* one server */
}

void core_stats(struct core *c, struct core_stats *s)
{
	(void)c;
	memset(s, 0, sizeof(*s));
	s->watches = 3;
	s->watched_paths = 2;
	s->watchers = 1;
}

struct request *core_next(int ms)
{
	struct timespec ts;
	struct request *r;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += ms % 1000 * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&lock);
	while (!first && !pthread_cond_timedwait(&cond, &lock, &ts))
		;
	r = first;
	if (r) {
		first = r->next;
		if (!first)
			tail = &first;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

void request_free(struct request *r)
{
	auth_set_put(r->auth);
	conn_put(r->conn);
	free(r);
}

static void post(struct message *m, bool quiet)
{
	conn_get(m->conn);
	conn_post(m);
	if (!quiet)
		client_flush(side);
}

static struct message *message_new(struct conn *c, enum message_kind kind, u32 len)
{
	struct message *m = calloc(1, sizeof(*m) + len);

	if (!m)
		abort();
	m->kind = kind;
	m->conn = c;
	m->len = len;
	return m;
}

void post_bytes(struct conn *c, enum message_kind kind, const void *p, u32 len,
		struct session *s)
{
	struct message *m = message_new(c, kind, len);

	memcpy(m->bytes, p, len);
	m->session = s;
	post(m, false);
}

void post_reply(struct conn *c, s32 xid, u64 zxid)
{
	u8 b[20];

	jute_put32(b, 16);
	jute_put32(b + 4, xid);
	jute_put64(b + 8, zxid);
	jute_put32(b + 16, 0);
	post_bytes(c, MSG_REPLY, b, sizeof(b), NULL);
}

void post_event(struct conn *c, u64 zxid, u32 len, bool quiet)
{
	struct message *m = message_new(c, MSG_EVENT, 0);

	m->blob = calloc(1, sizeof(*m->blob) + len);
	if (!m->blob)
		abort();
	m->blob->refs = 1;
	m->blob->len = len;
	jute_put32(m->blob->bytes, len - 4);
	jute_put32(m->blob->bytes + 4, XID_NOTIFICATION);
	jute_put64(m->blob->bytes + 8, ~0ULL);
	m->zxid = zxid;
	post(m, quiet);
}

void post_close(struct conn *c)
{
	post(message_new(c, MSG_CLOSE, 0), false);
}

struct conn *core_accept(struct session *s)
{
	struct request *r = core_next(WAIT_MS);
	struct conn *c;
	u8 b[41] = { 0 };

	if (!r || r->kind != REQ_CONNECT) {
		printf("# no connect request came\n");
		abort();
	}
	c = conn_get(r->conn);
	request_free(r);
	jute_put32(b, 37);
	jute_put32(b + 8, s ? s->timeout : 0);
	jute_put64(b + 12, s ? s->id : 0);
	jute_put32(b + 20, 16);
	post_bytes(c, MSG_CONNECTED, b, sizeof(b), s);
	return c;
}

bool core_gone(struct conn *c)
{
	struct request *r;

	while ((r = core_next(WAIT_MS))) {
		bool gone = r->kind == REQ_GONE && r->conn == c;

		request_free(r);
		if (gone)
			return true;
	}
	return false;
}

/* ------------------------------------------------------------ the server */

void server_defaults(void)
{
	memset(&cfg, 0, sizeof(cfg));
	cfg.client_addr = "127.0.0.1";
	cfg.data_dir = "/nonexistent";
	cfg.max_client_cnxns = 60;
	cfg.max_buffer = 0xfffff;
	cfg.global_outstanding = 1000;
	cfg.sessionless_ms = 10000;
	cfg.listen_backlog = -1;
	cfg.large_threshold = -1;
	cfg.fourlw_whitelist = "*";
	cfg.io_threads = 2;
}

void server_start(void)
{
	char why[256];

	st = test_store();
	if (client_start(&cfg, NULL, st, NULL, &side, why, sizeof(why))) {
		printf("# %s\n", why);
		abort();
	}
}

void server_stop(void)
{
	struct request *r;

	client_stop(side);
	while ((r = core_next(0)))
		request_free(r);
	client_free(side);
	test_store_close(st);
	free(frame_body);
	frame_body = NULL;
}

/* ------------------------------------------------------------ a client */

int dial(void)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET, .sin_port = htons(client_port(side)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct timeval tv = { .tv_sec = WAIT_MS / 1000 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		perror("# connect");
		abort();
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	return fd;
}

bool put_all(int fd, const void *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		p = (const char *)p + n;
		len -= n;
	}
	return true;
}

bool get_all(int fd, void *p, size_t len)
{
	while (len) {
		ssize_t n = recv(fd, p, len, 0);

		if (n <= 0)
			return false;
		p = (char *)p + n;
		len -= n;
	}
	return true;
}

bool closed(int fd)
{
	char b;
	ssize_t n = recv(fd, &b, 1, 0);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

bool put_connect(int fd)
{
	u8 b[49] = { 0 };

	jute_put32(b, 45);
	jute_put32(b + 16, 6000);
	jute_put32(b + 28, 16);
	return put_all(fd, b, sizeof(b));
}

int login(struct conn **c, struct session *s)
{
	int fd = dial();
	u8 b[41];

	if (!put_connect(fd))
		abort();
	*c = core_accept(s);
	if (!get_all(fd, b, sizeof(b)))
		abort();
	return fd;
}

void hang_up(int fd, struct conn *c)
{
	close(fd);
	if (!core_gone(c))
		abort();
	conn_put(c);
}

bool put_request(int fd, s32 xid, s32 op, const void *body, u32 len)
{
	u8 b[12];

	jute_put32(b, 8 + len);
	jute_put32(b + 4, xid);
	jute_put32(b + 8, op);
	return put_all(fd, b, sizeof(b)) && put_all(fd, body, len);
}

bool put_read(int fd, s32 xid, s32 op, const char *path, bool watch)
{
	struct jw w;
	bool ok;

	jw_init(&w, 0);
	jw_int(&w, 0);
	jw_int(&w, xid);
	jw_int(&w, op);
	jw_str(&w, path, strlen(path));
	jw_bool(&w, watch);
	jute_put32(w.buf, w.len - 4);
	ok = put_all(fd, w.buf, w.len);
	jw_free(&w);
	return ok;
}

bool get_frame(int fd, s32 *xid, u64 *zxid, s32 *err)
{
	u8 b[20];
	u8 *body;

	if (!get_all(fd, b, sizeof(b)))
		return false;
	frame_len = jute_get32(b) - 16;
	body = realloc(frame_body, frame_len + 1);
	if (!body)
		abort();
	frame_body = body;
	if (xid)
		*xid = jute_get32(b + 4);
	if (zxid)
		*zxid = jute_get64(b + 8);
	if (err)
		*err = jute_get32(b + 16);
	return get_all(fd, frame_body, frame_len);
}
