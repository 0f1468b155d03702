// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who is in the ensemble: its lines taken apart (QuorumPeer.QuorumServer,
 * QuorumHierarchical.parse), and the questions asked of it afterwards. The text that
 * tells it to others is made at once, by ensemble_text.c, as its order depends on what
 * the lines were.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/base/props.h"
#include "daemon/zab/ensemble_impl.h"

#define ID_MAX		(ENSEMBLE_MAX - 1)
#define LINES_MAX	2000		/* of a text */
#define OURS_MAX	(3 * ENSEMBLE_MAX + 1)
#define HOST_MAX	255
#define WEIGHT_MAX	(1LL << 48)

static int wrong(struct draft *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int wrong(struct draft *d, const char *fmt, ...)
{
	va_list ap;
	int n;

	n = snprintf(d->why, d->why_len, "%.64s: ", d->key);
	if (n < 0 || (size_t)n >= d->why_len)
		n = 0;
	va_start(ap, fmt);
	vsnprintf(d->why + n, d->why_len - n, fmt, ap);
	va_end(ap);
	return -EINVAL;
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
			return wrong(d, "not a host: %.40s", host);
	return 0;
}

/* ---------------------------------------------------------------- server.N */

#define FORM	"not of the form host:port:port[:participant|:observer][;[host:]port]"

static int port_number(struct draft *d, const char *s, u16 *port)
{
	s64 v;

	if (!number(s, INT_MAX, &v))
		return wrong(d, "not a port: %.40s", s);
	if (v < 0 || v > 65535)
		return wrong(d, "port out of range: %lld", (long long)v);
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
		return wrong(d, "[ without ]: %.80s", s);
	if (end[1] != ':' || !end[2])
		return wrong(d, "no port after ]: %.80s", s);
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
		return wrong(d, "neither participant nor observer: %.40s", word);
	if (*given && observer != p->observer)
		return wrong(d, "its addresses have different roles");
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
		return wrong(d, FORM);
	rc = port_number(d, parts[1], &a.quorum_port);
	if (!rc)
		rc = port_number(d, parts[2], &a.election_port);
	if (!rc && a.quorum_port == a.election_port)
		rc = wrong(d, "its two ports are the same: %u", a.quorum_port);
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

	if (!rc && (n < 1 || n > 2))
		rc = wrong(d, FORM);
	if (!rc)
		rc = port_number(d, parts[n - 1], &p->client_port);
	if (!rc && n == 2)
		rc = check_host(d, parts[0]);
	if (rc)
		return rc;
	p->client_host = host_string(n == 2 ? parts[0] : "0.0.0.0");
	return p->client_host ? 0 : -ENOMEM;
}

static void peer_clear(struct peer *p)
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

	if (n_sides < 1 || n_sides > 2)
		return wrong(d, FORM);
	n = split(sides[0], '|', addrs, PEER_ADDRS_MAX);
	if (n > PEER_ADDRS_MAX)
		return wrong(d, "more than %d addresses", PEER_ADDRS_MAX);
	if (!n)
		return wrong(d, FORM);
	for (i = 0; !rc && i < n; i++)
		rc = one_address(d, p, &role, addrs[i]);
	if (!rc && n_sides == 2)
		rc = client_address(d, p, sides[1]);
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
		return wrong(d, "%.40s is not a number", text);
	if (id < 0 || id > ID_MAX)
		return wrong(d, "the id is not in 0 to %d", ID_MAX);
	if (d->is_server[id])
		return wrong(d, "there are two lines of server %lld", (long long)id);
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	rc = server_value(d, &p, copy);
	free(copy);
	if (rc) {
		peer_clear(&p);
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
		return wrong(d, "not of the form %s.NUMBER", what);
	if (!number(dot + 1, LLONG_MAX, v))
		return wrong(d, "%.40s is not a number", dot + 1);
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
			rc = wrong(d, "there are two lines of group %lld", (long long)gid);
	if (!rc && d->n_groups == ENSEMBLE_MAX)
		rc = wrong(d, "more than %d groups", ENSEMBLE_MAX);
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
			rc = wrong(d, "%.40s is not a number", at);
		else if (sid < 0 || sid > ID_MAX)
			rc = wrong(d, "the id %lld is not in 0 to %d", (long long)sid, ID_MAX);
		else if (d->group_of[sid])
			rc = wrong(d, "server %lld is in multiple groups", (long long)sid);
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
		return wrong(d, "the id is not in 0 to %d", ID_MAX);
	if (!number(value, WEIGHT_MAX, &v) || v < 0)
		return wrong(d, "not a weight in 0 to %lld: %.40s", WEIGHT_MAX, value);
	if (d->has_weight[sid])
		return wrong(d, "there are two lines of the weight of server %lld",
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
		return wrong(d, "not a version, in hexadecimal: %.40s", value);
	return 0;
}

/* ---------------------------------------------------------------- the whole */

/* What QuorumHierarchical has the defaults of, and checks, when all lines are read. */
static int settle_groups(struct draft *d)
{
	u32 i;

	for (i = 0; i < d->n_servers; i++) {
		u32 id = d->servers[i];

		snprintf(d->own_key, sizeof(d->own_key), "server.%u", id);
		d->key = d->own_key;
		if (d->peers[id].observer)
			continue;
		if (!d->group_of[id])
			return wrong(d, "is not in a group");
		if (!d->has_weight[id]) {
			d->has_weight[id] = true;
			d->weight[id] = 1;
			d->weighed[d->n_weighed++] = id;
		}
	}
	for (i = 0; i < d->n_grouped; i++) {
		u32 id = d->grouped[i];
		struct peer_group *g = &d->groups[d->group_of[id] - 1];

		snprintf(d->own_key, sizeof(d->own_key), "group.%lld", (long long)g->id);
		d->key = d->own_key;
		if (!d->has_weight[id])
			return wrong(d, d->is_server[id] ?
				     "server %u is an observer, and has no weight" :
				     "there is no server %u, nor a weight of it", id);
		g->weight += d->weight[id];
	}
	return 0;
}

static struct ensemble *from_draft(struct draft *d)
{
	struct ensemble *e = calloc(1, sizeof(*e) + d->n_servers * sizeof(e->peers[0]));
	u32 id;

	if (!e)
		return NULL;
	e->refs = 1;
	e->version = d->version;
	e->groups = d->hierarchical;
	if (d->n_groups) {
		e->group = calloc(d->n_groups, sizeof(e->group[0]));
		if (!e->group)
			goto fail;
		memcpy(e->group, d->groups, d->n_groups * sizeof(e->group[0]));
		e->n_groups = d->n_groups;
	}
	e->text = ensemble_text(d);
	if (!e->text)
		goto fail;
	for (id = 0; id <= ID_MAX; id++) {
		struct peer *p = &e->peers[e->n];

		if (!d->is_server[id])
			continue;
		*p = d->peers[id];
		d->is_server[id] = false;	/* its strings have moved */
		p->id = id;
		p->weight = d->hierarchical ? d->weight[id] : 1;
		p->grouped = d->group_of[id];
		p->group = p->grouped ? d->groups[d->group_of[id] - 1].id : 0;
		e->n++;
	}
	return e;
fail:
	free(e->group);
	free(e);
	return NULL;
}

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

static int one_line(struct draft *d, const char *value)
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

static bool given_later(const struct ensemble_line *lines, u32 n, u32 i)
{
	u32 k;

	for (k = i + 1; k < n; k++)
		if (!strcmp(lines[k].key, lines[i].key))
			return true;
	return false;
}

static bool is_ours(const char *key)
{
	return begins(key, "server.") || begins(key, "group") || begins(key, "weight") ||
	       !strcmp(key, "version");
}

static int all_lines(struct draft *d, const struct ensemble_line *lines, u32 n)
{
	u32 i, ours = 0, *order;
	int rc = 0;

	order = calloc(n ? n : 1, sizeof(*order));
	if (!order)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		ours += is_ours(lines[i].key);
	d->key = "server";
	if (ours > OURS_MAX)
		rc = wrong(d, "more than %d lines", OURS_MAX);
	d->n_keys = n - ours;
	for (i = 0, ours = 0; !rc && i < n; i++) {
		if (!is_ours(lines[i].key) || given_later(lines, n, i))
			continue;
		order[ours++] = i;
		d->n_keys++;
	}
	ensemble_hash_order(lines, order, ours, d->n_keys);
	for (i = 0; !rc && i < ours; i++) {
		d->key = lines[order[i]].key;
		d->hierarchical = d->hierarchical || begins(d->key, "group") ||
				  begins(d->key, "weight");
		rc = one_line(d, lines[order[i]].value);
	}
	free(order);
	return rc;
}

static int check_draft(struct draft *d)
{
	u32 i;

	d->key = "server";
	if (!d->n_servers)
		return wrong(d, "there is no server.N");
	for (i = 0; i < d->n_servers; i++)
		if (!d->peers[d->servers[i]].observer)
			return d->hierarchical ? settle_groups(d) : 0;
	return wrong(d, "there are observers but no participant");
}

struct ensemble *ensemble_make(const struct ensemble_line *lines, u32 n, char *why,
			       size_t why_len)
{
	struct draft *d = calloc(1, sizeof(*d));
	struct ensemble *e = NULL;
	int rc = -ENOMEM;
	u32 id;

	if (d) {
		d->why = why;
		d->why_len = why_len;
		rc = all_lines(d, lines, n);
	}
	if (!rc)
		rc = check_draft(d);
	if (!rc)
		e = from_draft(d);
	if (!e && (!rc || rc == -ENOMEM))
		snprintf(why, why_len, "out of memory");
	for (id = 0; d && id <= ID_MAX; id++)
		if (d->is_server[id])
			peer_clear(&d->peers[id]);
	free(d);
	return e;
}

/* ---------------------------------------------------------------- from text */

struct lines {
	struct ensemble_line *list;
	u32 n;
	char bad[128];		/* what is wrong with the syntax */
};

static int take_line(void *arg, int line, char *key, char *value)
{
	struct lines *l = arg;
	struct ensemble_line *new;

	if (!key) {
		snprintf(l->bad, sizeof(l->bad), "line %d: %.80s", line, value);
		return -EINVAL;
	}
	if (l->n == LINES_MAX) {
		snprintf(l->bad, sizeof(l->bad), "more than %d lines", LINES_MAX);
		return -EINVAL;
	}
	if (l->n % 64 == 0) {
		new = realloc(l->list, (l->n + 64) * sizeof(*new));
		if (!new)
			return -ENOMEM;
		l->list = new;
	}
	new = &l->list[l->n];
	new->key = strdup(key);
	new->value = strdup(value);
	l->n++;
	return new->key && new->value ? 0 : -ENOMEM;
}

struct ensemble *ensemble_parse(const char *text, size_t len, char *why, size_t why_len)
{
	struct lines l = { 0 };
	struct ensemble *e = NULL;
	int rc = props_parse(text, len, take_line, &l);
	u32 i;

	if (!rc)
		e = ensemble_make(l.list, l.n, why, why_len);
	else
		snprintf(why, why_len, "%s", rc == -EINVAL ? l.bad : "out of memory");
	for (i = 0; i < l.n; i++) {
		free((char *)l.list[i].key);
		free((char *)l.list[i].value);
	}
	free(l.list);
	return e;
}

/* ---------------------------------------------------------------- questions */

struct ensemble *ensemble_get(struct ensemble *e)
{
	if (e)
		__atomic_add_fetch(&e->refs, 1, __ATOMIC_RELAXED);
	return e;
}

void ensemble_put(struct ensemble *e)
{
	u32 i;

	if (!e || __atomic_sub_fetch(&e->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (i = 0; i < e->n; i++)
		peer_clear(&e->peers[i]);
	free(e->group);
	free(e->text);
	free(e);
}

char *ensemble_print(const struct ensemble *e)
{
	return strdup(e->text);
}

const struct peer *ensemble_find(const struct ensemble *e, u64 id)
{
	u32 low = 0, high = e->n;

	while (low < high) {
		u32 mid = (low + high) / 2;

		if (e->peers[mid].id == id)
			return &e->peers[mid];
		if (e->peers[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

bool ensemble_votes(const struct ensemble *e, u64 id)
{
	const struct peer *p = ensemble_find(e, id);

	return p && !p->observer;
}

u32 ensemble_voters(const struct ensemble *e)
{
	u32 i, n = 0;

	for (i = 0; i < e->n; i++)
		n += !e->peers[i].observer;
	return n;
}

/* QuorumHierarchical.containsQuorum(): groups without any weight are not counted. */
static bool groups_quorum(const struct ensemble *e, const struct idset *s)
{
	u32 i, k, counted = 0, have = 0;

	for (i = 0; i < e->n_groups; i++) {
		u64 weight = 0;

		for (k = 0; k < e->n; k++) {
			const struct peer *p = &e->peers[k];

			if (!p->observer && p->grouped && p->group == e->group[i].id &&
			    idset_has(s, p->id))
				weight += p->weight;
		}
		counted += e->group[i].weight > 0;
		have += weight > e->group[i].weight / 2;
	}
	return have > counted / 2;
}

bool ensemble_quorum(const struct ensemble *e, const struct idset *s)
{
	u32 i, have = 0;

	if (e->groups)
		return groups_quorum(e, s);
	for (i = 0; i < e->n; i++)
		have += !e->peers[i].observer && idset_has(s, e->peers[i].id);
	return have > ensemble_voters(e) / 2;
}
