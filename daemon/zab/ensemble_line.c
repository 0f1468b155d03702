// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lines of a membership, each taken apart into the draft: QuorumPeer.QuorumServer,
 * QuorumHierarchical.parse(), ConfigUtils.getHostAndPort().
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/zab/ensemble_impl.h"

#define WEIGHT_MAX	0x1000000000000LL
#define HOST_MAX	255

static void say(struct draft *d, const char *fmt, va_list ap)
{
	int n;

	n = snprintf(d->why, d->why_len, "%.64s: ", d->key);
	if (n < 0 || (size_t)n >= d->why_len)
		n = 0;
	vsnprintf(d->why + n, d->why_len - n, fmt, ap);
}

int draft_wrong(struct draft *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(d, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int draft_range(struct draft *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(d, fmt, ap);
	va_end(ap);
	return -ERANGE;
}

/* ---------------------------------------------------------------- numbers, words */

/* Long.parseLong(), decimal: a sign, digits, nothing else; @max at most. */
static bool number(const char *s, s64 max, s64 *v)
{
	const char *digits = s + (*s == '-' || *s == '+');
	s64 n = 0;

	if (!*digits)
		return false;
	for (; *digits; digits++) {
		if (*digits < '0' || *digits > '9' || n > (max - (*digits - '0')) / 10)
			return false;
		n = n * 10 + *digits - '0';
	}
	*v = *s == '-' ? -n : n;
	return true;
}

/*
 * String.split(): cuts @s at each @by, in place; empty parts at the end are none. Answers
 * how many there are, up to @max + 1 for too many. An empty @s is one empty part.
 */
static u32 split(char *s, char by, char **parts, u32 max)
{
	size_t len = strlen(s);
	u32 n = 0;

	if (!len) {
		parts[0] = s;
		return 1;
	}
	while (len && s[len - 1] == by)
		s[--len] = '\0';
	while (len) {
		char *end = strchr(s, by);

		if (n == max)
			return max + 1;
		parts[n++] = s;
		if (!end)
			break;
		*end = '\0';
		s = end + 1;
	}
	return n;
}

/* The numbers that Java takes for an IPv4 address: 1.2.3.4, 127.1, 16909060. */
static bool is_ipv4(const char *s, struct in_addr *a)
{
	u64 parts[4], all = 0;
	u32 n = 0, i;

	while (n < 4) {
		u64 v = 0;
		u32 digits = 0;

		for (; *s >= '0' && *s <= '9' && digits < 10; s++, digits++)
			v = v * 10 + *s - '0';
		if (!digits || (*s && *s != '.'))
			return false;
		parts[n++] = v;
		if (!*s)
			break;
		s++;
	}
	if (n == 4 && s[-1] == '.')
		return false;
	for (i = 0; i + 1 < n; i++) {
		if (parts[i] > 255)
			return false;
		all |= parts[i] << (24 - 8 * i);
	}
	if (parts[n - 1] >> (8 * (5 - n)))
		return false;
	a->s_addr = htonl(all | parts[n - 1]);
	return true;
}

/*
 * InetSocketAddress.getHostString() of one made from @host: an address as Java writes
 * it, a name as it is. Those with a scope are left alone: which interfaces there are is
 * not known here.
 */
static char *host_string(const char *host)
{
	char text[64];
	struct in6_addr a6;
	struct in_addr a;
	size_t n = 0;
	int i;

	if (!*host)
		return strdup("localhost");
	if (is_ipv4(host, &a)) {
		inet_ntop(AF_INET, &a, text, sizeof(text));
		return strdup(text);
	}
	if (inet_pton(AF_INET6, host, &a6) != 1)
		return strdup(host);
	if (IN6_IS_ADDR_V4MAPPED(&a6)) {
		inet_ntop(AF_INET, &a6.s6_addr[12], text, sizeof(text));
		return strdup(text);
	}
	for (i = 0; i < 16; i += 2)
		n += snprintf(text + n, sizeof(text) - n, "%s%x", i ? ":" : "",
			      a6.s6_addr[i] << 8 | a6.s6_addr[i + 1]);
	return strdup(text);
}

/* What can be a host at all, and is the same when its text is read again. */
static int check_host(struct draft *d, const char *host)
{
	const char *c;

	for (c = host; *c; c++)
		if ((u8)*c <= ' ' || (u8)*c >= 0x7f || *c == '\\' || c - host == HOST_MAX)
			return draft_wrong(d, "not a host: %.40s", host);
	return 0;
}

/* ---------------------------------------------------------------- server.N */

#define FORM	"not of the form host:port:port[:participant|:observer][;[host:]port]"

static int port_number(struct draft *d, const char *s, u16 *port)
{
	s64 v;

	if (!number(s, INT_MAX, &v))
		return draft_wrong(d, "not a port: %.40s", s);
	if (v < 0 || v > 65535)
		return draft_range(d, "port out of range: %lld", (long long)v);
	*port = v;
	return 0;
}

/* ConfigUtils.getHostAndPort(): [address]:x:y or name:x:y into its parts. */
static int host_and_ports(struct draft *d, char *s, char **parts, u32 max, u32 *n)
{
	char *end;

	if (*s != '[') {
		*n = split(s, ':', parts, max);
		return 0;
	}
	end = strchr(s, ']');
	if (!end)
		return draft_wrong(d, "[ without ]: %.80s", s);
	if (end[1] != ':' || !end[2])
		return draft_wrong(d, "no port after ]: %.80s", s);
	*end = '\0';
	parts[0] = s + 1;
	*n = 1 + split(end + 2, ':', parts + 1, max - 1);
	return 0;
}

static int set_role(struct draft *d, struct peer *p, bool *given, char *word)
{
	size_t n;
	bool observer;

	while (*word == ' ' || *word == '\t')
		word++;
	for (n = strlen(word); n && (word[n - 1] == ' ' || word[n - 1] == '\t'); n--)
		word[n - 1] = '\0';
	observer = !strcasecmp(word, "observer");
	if (!observer && strcasecmp(word, "participant"))
		return draft_wrong(d, "neither participant nor observer: %.40s", word);
	if (*given && observer != p->observer)
		return draft_wrong(d, "its addresses have different roles");
	*given = true;
	p->observer = observer;
	return 0;
}

static int one_address(struct draft *d, struct peer *p, bool *role, char *s)
{
	struct peer_addr a = { 0 };
	char *parts[5];
	u32 n = 0, i;
	int rc = host_and_ports(d, s, parts, 4, &n);

	if (rc)
		return rc;
	if (n < 3 || n > 4)
		return draft_wrong(d, FORM);
	rc = port_number(d, parts[1], &a.quorum_port);
	if (!rc)
		rc = port_number(d, parts[2], &a.election_port);
	if (!rc && a.quorum_port == a.election_port)
		rc = draft_wrong(d, "its two ports are the same: %u", a.quorum_port);
	if (!rc && n == 4)
		rc = set_role(d, p, role, parts[3]);
	if (!rc)
		rc = check_host(d, parts[0]);
	if (rc)
		return rc;
	a.host = host_string(parts[0]);
	if (!a.host)
		return -ENOMEM;
	/* MultipleAddresses is a set */
	for (i = 0; i < p->n_addrs; i++) {
		if (!strcmp(p->addrs[i].host, a.host) &&
		    p->addrs[i].quorum_port == a.quorum_port &&
		    p->addrs[i].election_port == a.election_port) {
			free(a.host);
			return 0;
		}
	}
	p->addrs[p->n_addrs++] = a;
	return 0;
}

static int client_address(struct draft *d, struct peer *p, char *s)
{
	char *parts[4];
	u32 n = 0;
	int rc = host_and_ports(d, s, parts, 3, &n);

	if (!rc && n < 1)
		rc = draft_range(d, FORM);
	if (!rc && n > 2)
		rc = draft_wrong(d, FORM);
	if (!rc)
		rc = port_number(d, parts[n - 1], &p->client_port);
	if (!rc && n == 2)
		rc = check_host(d, parts[0]);
	if (rc)
		return rc;
	p->client_host = host_string(n == 2 ? parts[0] : "0.0.0.0");
	return p->client_host ? 0 : -ENOMEM;
}

void draft_peer_clear(struct peer *p)
{
	u32 i;

	for (i = 0; i < p->n_addrs; i++)
		free(p->addrs[i].host);
	free(p->client_host);
}

static int by_host(const void *a, const void *b)
{
	return strcmp(((const struct peer_addr *)a)->host, ((const struct peer_addr *)b)->host);
}

/* QuorumServer.initializeWithAddressString(); @value is cut up. */
static int server_value(struct draft *d, struct peer *p, char *value)
{
	char *sides[3], *addrs[PEER_ADDRS_MAX];
	u32 n_sides = split(value, ';', sides, 2), n, i;
	bool role = false;
	int rc = 0;

	/* in its order, which tells which mistake is found */
	if (n_sides == 2)
		rc = client_address(d, p, sides[1]);
	if (rc)
		return rc;
	if (n_sides < 1 || n_sides > 2)
		return draft_wrong(d, FORM);
	n = split(sides[0], '|', addrs, PEER_ADDRS_MAX);
	if (n > PEER_ADDRS_MAX)
		return draft_wrong(d, "more than %d addresses", PEER_ADDRS_MAX);
	if (!n)
		return draft_wrong(d, FORM);
	for (i = 0; !rc && i < n; i++)
		rc = one_address(d, p, &role, addrs[i]);
	/* QuorumServer.toString() has them by host */
	if (!rc)
		qsort(p->addrs, p->n_addrs, sizeof(p->addrs[0]), by_host);
	return rc;
}

static int server_line(struct draft *d, const char *value)
{
	const char *text = d->key + strlen("server.");
	struct peer p = { 0 };
	char *copy;
	s64 id;
	int rc;

	if (!number(text, INT_MAX, &id))
		return draft_range(d, "%.40s is not a number", text);
	if (id < 0 || id > ID_MAX)
		return draft_wrong(d, "the id is not in 0 to %d", ID_MAX);
	if (d->is_server[id])
		return draft_wrong(d, "there are two lines of server %lld", (long long)id);
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	rc = server_value(d, &p, copy);
	free(copy);
	if (rc) {
		draft_peer_clear(&p);
		return rc;
	}
	d->peers[id] = p;
	d->is_server[id] = true;
	d->servers[d->n_servers++] = id;
	return 0;
}

/* ---------------------------------------------------------------- group.N, weight.N */

/* The number behind the first dot. */
static int behind_dot(struct draft *d, const char *what, s64 *v)
{
	const char *dot = strchr(d->key, '.');

	if (!dot || strncmp(d->key, what, dot - d->key) || strlen(what) != (size_t)(dot - d->key))
		return draft_wrong(d, "not of the form %s.NUMBER", what);
	if (!number(dot + 1, LLONG_MAX, v))
		return draft_range(d, "%.40s is not a number", dot + 1);
	return 0;
}

static int group_line(struct draft *d, const char *value)
{
	char *copy, *at, *next;
	s64 gid, sid;
	u32 i;
	int rc = behind_dot(d, "group", &gid);

	for (i = 0; !rc && i < d->n_groups; i++)
		if (d->groups[i].id == (u64)gid)
			rc = draft_wrong(d, "there are two lines of group %lld", (long long)gid);
	if (!rc && d->n_groups == ENSEMBLE_MAX)
		rc = draft_wrong(d, "more than %d groups", ENSEMBLE_MAX);
	if (rc)
		return rc;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	for (i = strlen(copy); i && copy[i - 1] == ':'; i--)
		copy[i - 1] = '\0';
	d->groups[d->n_groups].id = gid;
	for (at = copy; !rc && at; at = next) {
		next = strchr(at, ':');
		if (next)
			*next++ = '\0';
		if (!number(at, INT_MAX, &sid))
			rc = draft_range(d, "%.40s is not a number", at);
		else if (sid < 0 || sid > ID_MAX)
			rc = draft_wrong(d, "the id %lld is not in 0 to %d", (long long)sid,
					 ID_MAX);
		else if (d->group_of[sid])
			rc = draft_wrong(d, "server %lld is in multiple groups", (long long)sid);
		if (!rc) {
			d->group_of[sid] = d->n_groups + 1;
			d->grouped[d->n_grouped++] = sid;
		}
	}
	d->n_groups++;
	free(copy);
	return rc;
}

static int weight_line(struct draft *d, const char *value)
{
	s64 sid, v;
	int rc = behind_dot(d, "weight", &sid);

	if (rc)
		return rc;
	if (sid < 0 || sid > ID_MAX)
		return draft_wrong(d, "the id is not in 0 to %d", ID_MAX);
	if (!number(value, WEIGHT_MAX, &v) || v < 0)
		return draft_range(d, "not a weight in 0 to %lld: %.40s", WEIGHT_MAX, value);
	if (d->has_weight[sid])
		return draft_wrong(d, "there are two lines of the weight of server %lld",
			     (long long)sid);
	d->has_weight[sid] = true;
	d->weight[sid] = v;
	d->weighed[d->n_weighed++] = sid;
	return 0;
}

static int version_line(struct draft *d, const char *value)
{
	char *end;

	errno = 0;
	d->version = strtoull(value, &end, 16);
	if (!*value || *end || errno || d->version >> 63 || strspn(value, "-+ \t\n\v\f\r") ||
	    (value[0] == '0' && (value[1] | 0x20) == 'x'))
		return draft_range(d, "not a version, in hexadecimal: %.40s", value);
	return 0;
}

/* ---------------------------------------------------------------- any of them */

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

int draft_line(struct draft *d, const char *value)
{
	if (begins(d->key, "server."))
		return server_line(d, value);
	if (begins(d->key, "group"))
		return group_line(d, value);
	if (begins(d->key, "weight"))
		return weight_line(d, value);
	if (!strcmp(d->key, "version"))
		return version_line(d, value);
	return 0;
}
