/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The load generator: what its files share. One thread, epoll, any number of
 * connections, each with a fixed number of requests outstanding.
 *
 *   load.c       options, the run, what is printed
 *   load_conn.c  one connection: handshake, requests, replies
 *   measure.c    histogram of latencies; a process's CPU time
 *   failover.c   another program: how long writes pause when the leader is killed
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <linux/types.h>
#include "daemon/proto/jute.h"
#include "daemon/proto/zookeeper.h"

#define MAX_DEPTH	1024
#define MAX_SERVERS	8

enum load_op { LOAD_GET, LOAD_SET, LOAD_CREATE, LOAD_PING };

struct load {
	struct sockaddr_in addrs[MAX_SERVERS];	/* connections take turns */
	unsigned int n_addrs;
	enum load_op op;
	unsigned int conns;
	unsigned int depth;
	unsigned int nodes;	/* get, set: among so many */
	unsigned int parents;	/* below so many */
	unsigned int size;	/* bytes of data */
	u32 run;		/* makes the names of this run's creates */
	u8 *data;
	u64 seed;
	bool sending;		/* false: let what is outstanding come back */
	bool measuring;
	u64 done;		/* while measuring */
	struct hist *hist;
};

/* ------------------------------------------------------------ load_conn.c */

struct conn {
	struct load *load;
	int fd;
	unsigned int id;
	u64 session;
	u8 passwd[ZK_PASSWD_LEN];
	unsigned int out;	/* outstanding */
	u32 xid;		/* of the last request */
	u64 created;
	u64 sent[MAX_DEPTH];	/* ns, by xid % MAX_DEPTH */
	struct jw tx;
	size_t tx_at;
	u8 *rx;
	size_t rx_len;
	size_t rx_cap;
};

/* "ADDRESS:PORT" becomes another one of the servers. -EINVAL; -E2BIG. */
int load_server(struct load *l, const char *s);
/* Connects with one of the servers, by @id, and makes a session (blocking). What it took
 * is freed by conn_close() also if it fails. 0 or -errno. */
int conn_open(struct conn *c, struct load *load, unsigned int id);
/* The same server anew, with the session that was made, if one was. Blocking; -EAGAIN if
 * there is no answer for @wait_ms. */
int conn_again(struct conn *c, unsigned int wait_ms);
int conn_nonblock(struct conn *c);
void conn_close(struct conn *c);
/* Fills up to the depth and writes what can be written. */
int conn_push(struct conn *c);
/* Reads what is there; counts replies; -EPROTO or the errno of a refused request. */
int conn_pull(struct conn *c);
/* Blocking: one request, and its reply. -EREMOTEIO: refused; other -errno. */
int conn_call(struct conn *c);
/* Blocking: makes /bench, the parents and the nodes. */
int conn_prepare(struct conn *c, unsigned int depth);

/* ------------------------------------------------------------ measure.c */

struct hist;

u64 now_ns(void);
struct hist *hist_new(void);
void hist_add(struct hist *h, u64 ns);
/* @p: 0 to 1; upper bound of the bucket, at most 3 % off. */
u64 hist_at(const struct hist *h, double p);
/* CPU time of a process with all its threads that live, ns; 0 if it is gone. */
u64 cpu_of(int pid);

#endif
