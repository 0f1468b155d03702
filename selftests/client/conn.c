// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections over real sockets; the core's part is played by the test, so that
 * every order of events can be had (peer.h).
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "selftests/client/peer.h"

static struct session session = { .id = 0x1122334455667788, .timeout = 6000 };

/* A sanitizer's allocator keeps what was freed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool measures_memory;
#else
static const bool measures_memory = true;
#endif

static void begin(void)
{
	server_defaults();
	server_start();
	session.heard_ms = 0;
	session.closing = false;
}

static bool test_handshake(void)
{
	struct request *r;
	u8 b[49] = { 0 };
	struct conn *c;
	int fd;

	begin();
	fd = dial();
	jute_put32(b, 45);
	jute_put64(b + 20, 0x77);
	jute_put32(b + 28, 16);
	b[48] = 1;
	for (size_t i = 0; i < sizeof(b); i++)
		CHECK(put_all(fd, b + i, 1));
	/* behind it, before the answer: must wait */
	CHECK(put_request(fd, -2, OP_PING, NULL, 0));
	r = core_next(WAIT_MS);
	CHECK(r && r->kind == REQ_CONNECT && r->len == 45 && !memcmp(r->body, b + 4, 45));
	CHECK(!strncmp(conn_name(r->conn), "/127.0.0.1:", 11));
	CHECK(r->auth->n == 1 && !strcmp(r->auth->ids[0].id, "127.0.0.1"));
	c = conn_get(r->conn);
	request_free(r);
	post_bytes(c, MSG_CONNECTED, b, sizeof(b), &session);
	CHECK(get_all(fd, b, sizeof(b)));
	{
		u64 zxid;
		s32 xid, err;

		CHECK(get_frame(fd, &xid, &zxid, &err));
		CHECK(xid == -2 && zxid == 10 && err == 0 && frame_len == 0);
	}
	CHECK(session.heard_ms > 0);
	hang_up(fd, c);
	server_stop();
	return true;
}

/* Refused by the core: the answer, then the end. */
static bool test_refused(void)
{
	struct conn *c;
	u8 b[41];
	int fd;

	begin();
	fd = dial();
	CHECK(put_connect(fd));
	c = core_accept(NULL);
	CHECK(get_all(fd, b, sizeof(b)) && closed(fd));
	hang_up(fd, c);
	server_stop();
	return true;
}

static bool test_junk(void)
{
	static const struct {
		const char *bytes;
		int len;
	} t[] = {
		{ "GET / HTTP/1.1\r\n\r\n", 18 }, { "\x16\x03\x01\x02\x00\x01\x00", 7 },
		{ "\xff\xff\xff\xff", 4 }, { "\x00\x10\x00\x00", 4 }, { "quit", 4 },
		{ "\0\0\0\0", 4 }, { "\0\0\0\3abc", 7 },
		{ "\0\0\0\x1c" "0123456789012345678901234567", 32 },
	};

	begin();
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		int fd = dial();

		CHECK(put_all(fd, t[i].bytes, t[i].len));
		CHECK(closed(fd));
		close(fd);
	}
	CHECK(!core_next(0));
	server_stop();
	return true;
}

/* Frames of an open connection that end it: too long, negative, no header. */
static bool test_bad_frames(void)
{
	static const struct {
		const char *bytes;
		int len;
	} t[] = {
		{ "\x00\x10\x00\x00", 4 }, { "\x80\x00\x00\x00", 4 }, { "\0\0\0\0", 4 },
		{ "\0\0\0\7" "1234567", 11 },
		{ "\0\0\0\x0c\xff\xff\xff\xfc\0\0\0\x64\0\0\0\0", 16 },	/* half an auth */
	};
	struct conn *c;

	begin();
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		int fd = login(&c, &session);

		CHECK(put_all(fd, t[i].bytes, t[i].len));
		CHECK(closed(fd));
		hang_up(fd, c);
	}
	server_stop();
	return true;
}

/* The largest frame there may be arrives whole, others around it too. */
static bool test_large_frames(void)
{
	static const u32 sizes[] = { 0, 100, 65523, 65524, 65525, 200000, 0xfffff - 8 };
	static u8 body[0xfffff];
	struct request *r;
	struct conn *c;
	int fd;

	begin();
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = i * 31 + i / 257;
	fd = login(&c, &session);
	for (int i = 0; i < 7; i++) {
		CHECK(put_request(fd, i, OP_CREATE, body, sizes[i]));
		r = core_next(WAIT_MS);
		CHECK(r && r->xid == i && r->op == OP_CREATE && r->len == sizes[i]);
		CHECK(!memcmp(r->body, body, sizes[i]));
		request_free(r);
		post_reply(c, i, 20 + i);
		CHECK(get_frame(fd, NULL, NULL, NULL));
	}
	hang_up(fd, c);
	server_stop();
	return true;
}

/* Many frames in pieces of all sizes. */
static bool test_pieces(void)
{
	static u8 stream[40 * 1000];
	struct conn *c;
	size_t len = 0, piece = 1;
	int fd, n = 0;

	begin();
	fd = login(&c, &session);
	for (n = 0; len + 40 < sizeof(stream); n++) {
		u8 *p = stream + len;

		jute_put32(p, 8 + 4 + 2 + 1);
		jute_put32(p + 4, n);
		jute_put32(p + 8, OP_GETDATA);
		jute_put32(p + 12, 2);
		memcpy(p + 16, "/a", 3);
		len += 19;
	}
	for (size_t at = 0; at < len; at += piece) {
		piece = 1 + at % 61;
		if (piece > len - at)
			piece = len - at;
		CHECK(put_all(fd, stream + at, piece));
	}
	for (int i = 0; i < n; i++) {
		s32 xid, err;

		CHECK(get_frame(fd, &xid, NULL, &err));
		CHECK(xid == i && err == 0 && frame_len == 4 + 5 + ZK_STAT_LEN);
	}
	hang_up(fd, c);
	server_stop();
	return true;
}

/* A read behind a write goes to the core; one alone does not. */
static bool test_order(void)
{
	struct request *r;
	struct conn *c;
	s32 xid;
	int fd;

	begin();
	fd = login(&c, &session);
	CHECK(put_read(fd, 1, OP_GETDATA, "/a", false));
	CHECK(get_frame(fd, &xid, NULL, NULL) && xid == 1);
	CHECK(put_request(fd, 2, OP_CREATE, "x", 1));
	CHECK(put_read(fd, 3, OP_GETDATA, "/a", false));
	CHECK(put_request(fd, 4, OP_PING, NULL, 0));
	CHECK(put_request(fd, 5, OP_SETDATA, "y", 1));
	for (int i = 2; i <= 5; i++) {
		r = core_next(WAIT_MS);
		CHECK(r && r->xid == i && r->kind == REQ_OP && r->session == &session);
		request_free(r);
	}
	for (int i = 2; i <= 5; i++)
		post_reply(c, i, 10);
	for (int i = 2; i <= 5; i++)
		CHECK(get_frame(fd, &xid, NULL, NULL) && xid == i);
	/* a watch is the core's too; after it we are back to answering */
	CHECK(put_read(fd, 6, OP_GETCHILDREN, "/a", true));
	r = core_next(WAIT_MS);
	CHECK(r && r->xid == 6);
	request_free(r);
	post_reply(c, 6, 10);
	CHECK(get_frame(fd, &xid, NULL, NULL) && xid == 6);
	CHECK(put_read(fd, 7, OP_GETCHILDREN, "/a", false));
	CHECK(get_frame(fd, &xid, NULL, NULL) && xid == 7);
	CHECK(!core_next(0));
	/* nothing is answered here for a session that is closing */
	__atomic_store_n(&session.closing, true, __ATOMIC_RELAXED);
	CHECK(put_read(fd, 8, OP_GETDATA, "/a", false));
	r = core_next(WAIT_MS);
	CHECK(r && r->xid == 8);
	request_free(r);
	hang_up(fd, c);
	server_stop();
	return true;
}

/*
 * Events that were posted before their transaction was published come before an
 * answer that shows it, later ones after it. They are posted without waking the
 * I/O thread: it has to look by itself.
 */
static bool test_watch_before_data(void)
{
	struct conn *c;
	u64 zxid;
	s32 xid;
	int fd;

	begin();
	fd = login(&c, &session);
	for (u64 z = 11; z < 200; z++) {
		bool ping = z % 3 == 0;

		post_event(c, z, 30, true);
		post_event(c, z, 3000, true);
		post_event(c, z + 1, 44, true);
		test_set(st, "/a", "hello", 5, z);
		if (ping)
			CHECK(put_request(fd, -2, OP_PING, NULL, 0));
		else
			CHECK(put_read(fd, z, OP_GETDATA, "/a", false));
		if (z > 11)	/* the last round's, if the round did not bring it */
			CHECK(get_frame(fd, &xid, NULL, NULL) && xid == -1 &&
			      frame_len == 44 - 20);
		CHECK(get_frame(fd, &xid, NULL, NULL) && xid == -1 && frame_len == 30 - 20);
		CHECK(get_frame(fd, &xid, NULL, NULL) && xid == -1 && frame_len == 3000 - 20);
		CHECK(get_frame(fd, &xid, &zxid, NULL) && zxid == z);
		CHECK(xid == (ping ? -2 : (s32)z));
	}
	hang_up(fd, c);
	server_stop();
	return true;
}

/* An event is not sent before its transaction is published, whoever else is served
 * meanwhile; nor is what was posted after it. */
static bool test_event_waits(void)
{
	struct conn *c;
	u64 zxid;
	s32 xid;
	int fd;

	begin();
	fd = login(&c, &session);
	for (u64 z = 11; z < 60; z++) {
		post_event(c, z, 30, false);
		for (int i = 0; i < 5; i++) {
			CHECK(put_read(fd, i, OP_GETDATA, "/a", false));
			CHECK(get_frame(fd, &xid, &zxid, NULL) && xid == i && zxid == z - 1);
		}
		test_set(st, "/a", "hello", 5, z);
		client_flush(side);
		CHECK(get_frame(fd, &xid, NULL, NULL) && xid == -1);
	}
	post_event(c, 60, 30, false);
	post_close(c);
	CHECK(put_read(fd, 7, OP_GETDATA, "/a", false));
	CHECK(get_frame(fd, &xid, NULL, NULL) && xid == 7);
	test_set(st, "/a", "hello", 5, 60);
	client_flush(side);
	CHECK(get_frame(fd, &xid, NULL, NULL) && xid == -1);
	CHECK(closed(fd));
	hang_up(fd, c);
	server_stop();
	return true;
}

static bool test_auth(void)
{
	static const u8 good[] = "\0\0\0\0\0\0\0\6digest\0\0\0\6joe:pw";
	static const u8 bad[] = "\0\0\0\0\0\0\0\5bogus\0\0\0\6joe:pw";
	struct request *r;
	struct conn *c;
	s32 xid, err;
	u64 zxid;
	int fd;

	begin();
	fd = login(&c, &session);
	CHECK(put_request(fd, XID_AUTH, OP_AUTH, good, sizeof(good) - 1));
	CHECK(get_frame(fd, &xid, &zxid, &err) && xid == XID_AUTH && !zxid && !err);
	CHECK(put_request(fd, 1, OP_CREATE, "x", 1));
	r = core_next(WAIT_MS);
	CHECK(r && r->auth->n == 2);
	request_free(r);
	/* answered at once, although the core has not answered yet */
	CHECK(put_request(fd, XID_AUTH, OP_AUTH, good, sizeof(good) - 1));
	CHECK(get_frame(fd, &xid, &zxid, &err) && xid == XID_AUTH && !err);
	CHECK(put_request(fd, 9, OP_SASL, "\0\0\0\1x", 5));
	CHECK(get_frame(fd, &xid, &zxid, &err) && xid == 9 && !err && frame_len == 4);
	CHECK(put_request(fd, XID_AUTH, OP_AUTH, bad, sizeof(bad) - 1));
	CHECK(get_frame(fd, &xid, &zxid, &err) && xid == XID_AUTH && err == ZAUTHFAILED);
	CHECK(closed(fd));
	hang_up(fd, c);
	server_stop();
	return true;
}

struct flood {
	int fd;
	int n;
	bool ok;
};

static void *send_reads(void *arg)
{
	struct flood *f = arg;

	f->ok = true;
	for (int i = 0; i < f->n && f->ok; i++)
		f->ok = put_read(f->fd, i, OP_GETDATA, "/a", false);
	return NULL;
}

/* Far more answers than fit anywhere, to a client that reads late and slowly: all
 * come, in order, and the server does not hold them meanwhile. */
static bool test_slow_reader(void)
{
	static u8 data[500000];
	struct rusage before, after;
	struct flood f = { .n = 3000 };
	struct conn *c;
	pthread_t t;

	begin();
	test_set(st, "/a", data, sizeof(data), 1);
	f.fd = login(&c, &session);
	getrusage(RUSAGE_SELF, &before);
	if (pthread_create(&t, NULL, send_reads, &f))
		abort();
	for (int i = 0; i < f.n; i++) {
		s32 xid;

		CHECK(get_frame(f.fd, &xid, NULL, NULL) && xid == i);
		CHECK(frame_len == 4 + sizeof(data) + ZK_STAT_LEN);
		if (i == 0)
			usleep(200000);
	}
	pthread_join(t, NULL);
	CHECK(f.ok);
	getrusage(RUSAGE_SELF, &after);
	CHECK(!measures_memory || after.ru_maxrss - before.ru_maxrss < 64 * 1024);
	hang_up(f.fd, c);
	server_stop();
	return true;
}

/* A client that never reads is not read from any more, and holds no memory. */
static bool test_never_reads(void)
{
	static u8 data[100000];
	struct rusage before, after;
	struct pollfd pfd;
	struct conn *c;
	u8 req[19];
	int fd, flags;

	begin();
	test_set(st, "/a", data, sizeof(data), 1);
	fd = login(&c, &session);
	flags = fcntl(fd, F_GETFL);
	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	jute_put32(req, 15);
	jute_put32(req + 4, 1);
	jute_put32(req + 8, OP_GETDATA);
	jute_put32(req + 12, 2);
	memcpy(req + 16, "/a", 3);
	getrusage(RUSAGE_SELF, &before);
	pfd = (struct pollfd){ .fd = fd, .events = POLLOUT };
	/* full for a while: the server has stopped reading */
	while (poll(&pfd, 1, 1000) == 1)
		while (send(fd, req, sizeof(req), MSG_NOSIGNAL) > 0)
			;
	getrusage(RUSAGE_SELF, &after);
	CHECK(!measures_memory || after.ru_maxrss - before.ru_maxrss < 64 * 1024);
	hang_up(fd, c);
	server_stop();
	return true;
}

static bool test_unread_events(void)
{
	struct conn *c;
	int fd;

	begin();
	fd = login(&c, &session);
	for (int i = 0; i < 40000; i++)
		post_event(c, 10, 1000, false);
	CHECK(core_gone(c));
	conn_put(c);
	close(fd);
	server_stop();
	return true;
}

/* What one connection may have at the core is bounded. */
static bool test_outstanding(void)
{
	struct request *r;
	struct conn *c;
	int fd, seen = 0;
	s32 xid;

	begin();
	fd = login(&c, &session);
	for (int i = 0; i < 5000; i++)
		CHECK(put_request(fd, i, OP_SYNC, "\0\0\0\2/a", 6));
	while ((r = core_next(seen < 1000 ? WAIT_MS : 300))) {
		CHECK(r->xid == seen);
		seen++;
		request_free(r);
	}
	CHECK(seen >= 500 && seen <= 1001);
	for (int i = 0; i < 5000; i++) {
		if (i == seen) {
			r = core_next(WAIT_MS);
			CHECK(r && r->xid == seen);
			seen++;
			request_free(r);
		}
		post_reply(c, i, 20);
		CHECK(get_frame(fd, &xid, NULL, NULL) && xid == i);
	}
	hang_up(fd, c);
	server_stop();
	return true;
}

/* Over all connections: beyond the limit each gets one at a time. */
static bool test_global_limit(void)
{
	struct request *r, *held[20];
	struct conn *c[3];
	int fd[3], seen = 0;

	server_defaults();
	cfg.global_outstanding = 10;
	server_start();
	for (int i = 0; i < 3; i++)
		fd[i] = login(&c[i], &session);
	for (int i = 0; i < 3; i++) {
		for (int j = 0; j < 100; j++)
			CHECK(put_request(fd[i], j, OP_SYNC, "\0\0\0\2/a", 6));
	}
	for (; seen < 300; seen++) {
		r = core_next(WAIT_MS);
		CHECK(r);
		post_reply(r->conn, r->xid, 20);
		request_free(r);
	}
	for (int i = 0; i < 3; i++) {
		for (int j = 0; j < 100; j++) {
			s32 xid;

			CHECK(get_frame(fd[i], &xid, NULL, NULL) && xid == j);
		}
		CHECK(put_request(fd[i], 1, OP_SYNC, "\0\0\0\2/a", 6));
	}
	for (int i = 0; i < 3; i++)
		for (int j = 2; j < 30; j++)
			CHECK(put_request(fd[i], j, OP_SYNC, "\0\0\0\2/a", 6));
	for (seen = 0; seen < 20 && (r = core_next(seen < 11 ? WAIT_MS : 300)); seen++)
		held[seen] = r;
	CHECK(seen >= 11 && seen <= 14);
	for (int i = 0; i < seen; i++) {
		post_reply(held[i]->conn, held[i]->xid, 20);
		request_free(held[i]);
	}
	for (; seen < 3 * 29; seen++) {
		r = core_next(WAIT_MS);
		CHECK(r);
		post_reply(r->conn, r->xid, 20);
		request_free(r);
	}
	CHECK(!core_next(0));
	for (int i = 0; i < 3; i++)
		hang_up(fd[i], c[i]);
	server_stop();
	return true;
}

/* MSG_CLOSE: what is queued goes out first, nothing after it. */
static bool test_close(void)
{
	struct conn *c;
	s32 xid;
	int fd;

	begin();
	fd = login(&c, &session);
	CHECK(put_request(fd, 1, OP_CLOSESESSION, NULL, 0));
	request_free(core_next(WAIT_MS));
	post_reply(c, 1, 20);
	post_close(c);
	post_event(c, 21, 40, false);
	CHECK(get_frame(fd, &xid, NULL, NULL) && xid == 1);
	CHECK(closed(fd));
	hang_up(fd, c);
	server_stop();
	return true;
}

/* The client goes while it has requests at the core: replies come to nothing. */
static bool test_gone_early(void)
{
	struct linger hard = { .l_onoff = 1 };
	struct request *r;
	struct conn *c;
	int fd;

	begin();
	for (int i = 0; i < 20; i++) {
		fd = login(&c, &session);
		CHECK(put_request(fd, 1, OP_SYNC, "\0\0\0\2/a", 6));
		r = core_next(WAIT_MS);
		CHECK(r && r->xid == 1);
		if (i & 1)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(fd);
		CHECK(core_gone(c));
		post_reply(c, 1, 20);
		post_event(c, 20, 40, false);
		post_close(c);
		request_free(r);
		conn_put(c);
	}
	server_stop();
	return true;
}

static bool test_limits(void)
{
	struct conn *c;
	int a, b, d;

	server_defaults();
	cfg.max_client_cnxns = 2;
	server_start();
	a = login(&c, &session);
	b = dial();
	CHECK(put_all(b, "ru", 2));	/* accepted for sure: it came before */
	d = dial();
	CHECK(closed(d));
	close(d);
	hang_up(a, c);
	a = login(&c, &session);
	hang_up(a, c);
	close(b);
	server_stop();

	server_defaults();
	cfg.max_cnxns = 1;
	server_start();
	a = login(&c, &session);
	d = dial();
	CHECK(closed(d));
	close(d);
	hang_up(a, c);
	server_stop();
	return true;
}

/* No descriptors left: clients are turned away, and taken again afterwards. */
static bool test_no_descriptors(void)
{
	struct rlimit old, now;
	struct conn *c;
	int fd, top, spare;

	begin();
	fd = login(&c, &session);
	hang_up(fd, c);
	/* one more than what is open, for the client's own end */
	top = open("/dev/null", O_RDONLY);
	spare = dup(top);
	close(top);
	close(spare);
	getrlimit(RLIMIT_NOFILE, &old);
	now = old;
	now.rlim_cur = top + 1;
	setrlimit(RLIMIT_NOFILE, &now);
	for (int i = 0; i < 5; i++) {
		fd = dial();
		CHECK(closed(fd));
		close(fd);
	}
	setrlimit(RLIMIT_NOFILE, &old);
	fd = login(&c, &session);
	hang_up(fd, c);
	server_stop();
	return true;
}

static char *ask_word(const char *word, bool half_close)
{
	static char text[65536];
	size_t n = 0;
	ssize_t k;
	int fd = dial();

	if (!put_all(fd, word, strlen(word)))
		abort();
	if (half_close)
		shutdown(fd, SHUT_WR);
	while ((k = recv(fd, text + n, sizeof(text) - 1 - n, 0)) > 0)
		n += k;
	text[n] = 0;
	close(fd);
	return k ? "(not closed)" : text;
}

static bool test_words(void)
{
	struct conn *c;
	char *s;
	int fd;

	begin();
	fd = login(&c, &session);
	CHECK(!strcmp(ask_word("ruok", false), "imok"));
	CHECK(!strcmp(ask_word("ruok\n", true), "imok"));
	CHECK(!strcmp(ask_word("isro", true), "rw"));
	s = ask_word("srvr", true);
	CHECK(!strncmp(s, "Zookeeper version: 3.8.0-", 25));
	CHECK(strstr(s, "\nLatency min/avg/max: 0/0.0/0\nReceived: "));
	CHECK(strstr(s, "\nConnections: 2\nOutstanding: 0\nZxid: 0xa\nMode: standalone\n"
		     "Node count: 10\n"));
	s = ask_word("stat", true);
	CHECK(strstr(s, "\nClients:\n /127.0.0.1:"));
	CHECK(strstr(s, "[1](queued=0,recved=1,sent=1)\n"));
	CHECK(strstr(s, "[0](queued=0,recved=1,sent=0)\n\nLatency"));
	s = ask_word("cons", true);
	CHECK(strstr(s, ",sid=0x1122334455667788,lop=NA,est=") && strstr(s, ",to=6000,"));
	s = ask_word("mntr", true);
	CHECK(strstr(s, "zk_server_state\tstandalone\n") && strstr(s, "\nzk_znode_count\t10\n"));
	CHECK(strstr(s, "\nzk_ephemerals_count\t1\n") && strstr(s, "\nzk_watch_count\t3\n"));
	CHECK(!strcmp(ask_word("gtmk", true), "306"));
	CHECK(!strcmp(ask_word("stmk", true), ""));
	CHECK(strstr(ask_word("conf", true), "\nmaxClientCnxns=60\n"));
	CHECK(!strncmp(ask_word("envi", true), "Environment:\nzookeeper.version=3.8.0", 36));
	CHECK(!strncmp(ask_word("dirs", true), "datadir_size: 0\nlogdir_size: 0\n", 31));
	CHECK(!strcmp(ask_word("crst", true), "Connection stats reset.\n"));
	CHECK(strstr(ask_word("stat", true), "[1](queued=0,recved=0,sent=0)\n"));
	CHECK(!strcmp(ask_word("srst", true), "Server stats reset.\n"));
	hang_up(fd, c);
	server_stop();

	server_defaults();
	cfg.fourlw_whitelist = "ruok, isro";
	server_start();
	CHECK(!strcmp(ask_word("ruok", true), "imok"));
	CHECK(!strcmp(ask_word("isro", true), "rw"));
	CHECK(!strncmp(ask_word("srvr", true), "Zookeeper", 9));
	CHECK(!strcmp(ask_word("mntr", true),
		      "mntr is not executed because it is not in the whitelist.\n"));
	CHECK(!strcmp(ask_word("dump", true),
		      "dump is not executed because it is not in the whitelist.\n"));
	server_stop();
	return true;
}

/* Stopping sends what is queued, tells the core of each connection, and drops
 * what the core posts afterwards. */
static bool test_stop(void)
{
	struct conn *c;
	s32 xid;
	int fd;

	begin();
	fd = login(&c, &session);
	CHECK(put_request(fd, 1, OP_SYNC, "\0\0\0\2/a", 6));
	request_free(core_next(WAIT_MS));
	post_reply(c, 1, 20);
	client_stop(side);
	CHECK(core_gone(c));
	CHECK(get_frame(fd, &xid, NULL, NULL) && xid == 1);
	CHECK(closed(fd));
	post_event(c, 21, 40, false);
	close(fd);
	client_free(side);
	conn_put(c);
	test_store_close(st);
	return true;
}

/* Random bytes, before and after the handshake, in pieces: nothing to answer, but
 * the server lives. */
static bool test_noise(void)
{
	struct conn *c;
	u8 b[4096];
	int fd;

	begin();
	srandom(12345);
	for (int i = 0; i < 300; i++) {
		size_t n = random() % sizeof(b);

		for (size_t j = 0; j < n; j++)
			b[j] = random();
		if (i % 3 && n >= 16) {	/* plausible frames */
			jute_put32(b, n - 4);
			jute_put32(b + 8, i % 120);
			if (i % 2)
				jute_put32(b + 12, random() % n);
		}
		fd = i % 4 ? login(&c, &session) : dial();
		(void)!put_all(fd, b, n / 2);
		(void)!put_all(fd, b + n / 2, n - n / 2);
		if (i % 4)
			hang_up(fd, c);
		else
			close(fd);
	}
	fd = login(&c, &session);
	CHECK(put_read(fd, 1, OP_GETDATA, "/a", false));
	CHECK(get_frame(fd, NULL, NULL, NULL));
	hang_up(fd, c);
	server_stop();
	return true;
}

/* Who never says what he wants is closed after ten seconds, dripping or not. */
static bool test_silent(void)
{
	int mute, drip;

	begin();
	mute = dial();
	drip = dial();
	CHECK(put_all(drip, "\0\0\0\x2d", 4));
	for (int i = 0; i < 40; i++) {
		char b = 0;

		if (send(drip, &b, 1, MSG_NOSIGNAL) < 0)
			break;
		usleep(500000);
		if (recv(mute, &b, 1, MSG_DONTWAIT) == 0)
			break;
	}
	CHECK(closed(mute) && closed(drip));
	close(mute);
	close(drip);
	server_stop();
	return true;
}

const struct test conn_tests[] = {
	{ "the handshake, byte by byte", test_handshake },
	{ "a refused session", test_refused },
	{ "what is no connect request is closed", test_junk },
	{ "bad frames close", test_bad_frames },
	{ "frames up to the largest", test_large_frames },
	{ "frames in pieces", test_pieces },
	{ "replies in the order of requests", test_order },
	{ "watch events before the data that fired them", test_watch_before_data },
	{ "no watch event before its data is there", test_event_waits },
	{ "authentication", test_auth },
	{ "a slow reader gets everything and costs little", test_slow_reader },
	{ "who never reads is not read from", test_never_reads },
	{ "who does not read his events is closed", test_unread_events },
	{ "requests at the core are bounded", test_outstanding },
	{ "requests of all connections are bounded", test_global_limit },
	{ "closing sends what is queued", test_close },
	{ "a client that goes early", test_gone_early },
	{ "maxClientCnxns and maxCnxns", test_limits },
	{ "no descriptors left", test_no_descriptors },
	{ "four-letter words", test_words },
	{ "stopping", test_stop },
	{ "noise", test_noise },
	{ "who never connects is closed", test_silent },
	{ NULL, NULL },
};
