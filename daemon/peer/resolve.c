// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of servers. getaddrinfo() may block for half a minute and cannot be called
 * off, so each name is asked for by a thread of its own, which nobody waits for: what
 * it found comes into the inbox, or is thrown away if peers have stopped meanwhile.
 *
 * struct names is shared by those threads (references, the lock).
 */
#include <netdb.h>
#include <stdlib.h>

#include "daemon/peer/internal.h"

#define ASKING_MAX	64	/* names asked for at once */

struct names {
	pthread_mutex_t lock;
	u32 refs;
	struct peers *p;	/* NULL: it has stopped */
};

static void names_put(struct names *n)
{
	bool last;

	pthread_mutex_lock(&n->lock);
	last = !--n->refs;
	pthread_mutex_unlock(&n->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&n->lock);
	free(n);
}

struct names *names_new(struct peers *p)
{
	struct names *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	pthread_mutex_init(&n->lock, NULL);
	n->refs = 1;
	n->p = p;
	return n;
}

void names_end(struct names *n)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->p = NULL;
	pthread_mutex_unlock(&n->lock);
	names_put(n);
}

static u32 ask(const char *host, u16 port, int flags, struct sockaddr_storage *addrs, u32 max)
{
	struct addrinfo hints = { .ai_flags = flags, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list, *ai;
	char service[8];
	u32 n = 0;

	snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(host, service, &hints, &list))
		return 0;
	for (ai = list; ai && n < max; ai = ai->ai_next) {
		if (ai->ai_family != AF_INET && ai->ai_family != AF_INET6)
			continue;
		memset(&addrs[n], 0, sizeof(addrs[n]));
		memcpy(&addrs[n++], ai->ai_addr, ai->ai_addrlen);
	}
	freeaddrinfo(list);
	return n;
}

bool names_numeric(const char *host, u16 port, struct sockaddr_storage *sa)
{
	return ask(host, port, AI_NUMERICHOST | AI_NUMERICSERV, sa, 1);
}

u32 names_resolve(const char *host, u16 port, struct sockaddr_storage *sas)
{
	return ask(host, port, AI_NUMERICSERV | AI_PASSIVE, sas, ADDRS_MAX);
}

static void *lookup_main(void *arg)
{
	struct lookup *l = arg;
	struct names *n = l->names;
	int flags = AI_NUMERICSERV | (l->passive ? AI_PASSIVE : 0);

	l->n = ask(l->host, l->port, flags, l->addrs, ADDRS_MAX);
	pthread_mutex_lock(&n->lock);
	if (n->p)
		queue_push(&n->p->inbox, l);
	else
		free(l);
	pthread_mutex_unlock(&n->lock);
	names_put(n);
	return NULL;
}

struct lookup *names_ask(struct names *n, const char *host, u16 port, bool passive,
			 void *owner,
			 void (*done)(struct peers *p, void *owner, struct lookup *l))
{
	struct lookup *l = calloc(1, sizeof(*l));
	pthread_t thread;
	bool full;

	if (!l)
		return NULL;
	l->cmd.type = CMD_RESOLVED;
	l->names = n;
	l->owner = owner;
	l->done = done;
	l->port = port;
	l->passive = passive;
	snprintf(l->host, sizeof(l->host), "%s", host);
	pthread_mutex_lock(&n->lock);
	full = n->refs > ASKING_MAX;
	n->refs += !full;
	pthread_mutex_unlock(&n->lock);
	if (!full && !pthread_create(&thread, NULL, lookup_main, l)) {
		pthread_detach(thread);
		return l;
	}
	log_ratelimited(LOG_WARN, "cannot ask for the address of %s: %s", host,
			full ? "too many names are asked for" : "no thread");
	if (!full)
		names_put(n);
	free(l);
	return NULL;
}
