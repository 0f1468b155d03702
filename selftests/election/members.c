// SPDX-License-Identifier: GPL-2.0-or-later
/* Memberships: their text, and which sets are quorums. */
#include <string.h>

#include "daemon/zab/ensemble.h"
#include "selftests/election/election.h"

/* \n into ends of lines, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] == 'n') {
			*to++ = '\n';
			s++;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static bool text_is(const struct ensemble *e, const char *want)
{
	char *text = ensemble_print(e);
	bool same = text && !strcmp(text, want);

	if (!same)
		printf("# printed: %s\n# wanted: %s\n", text, want);
	free(text);
	return same;
}

static void one_text(char *line)
{
	char *want = strchr(line, '\t'), why[256] = "";
	struct ensemble *e, *again;

	need(want);
	*want++ = '\0';
	want[strcspn(want, "\n")] = '\0';
	unescape(line);
	unescape(want);
	e = ensemble_parse(line, strlen(line), why, sizeof(why));
	if (!strcmp(want, "!")) {
		check(!e && strlen(why) > 10);
		ensemble_put(e);
		return;
	}
	if (!e)
		printf("# %s: %s\n", line, why);
	check(e && text_is(e, want));
	if (!e)
		return;
	/* what is told to others means the same there */
	again = ensemble_parse(want, strlen(want), why, sizeof(why));
	check(again && again->n == e->n && again->version == e->version &&
	      again->groups == e->groups && ensemble_voters(again) == ensemble_voters(e));
	ensemble_put(again);
	ensemble_put(e);
}

void test_texts(void)
{
	static char line[65536];
	FILE *f = fopen(texts_file, "r");
	u32 n = 0;

	need(f);
	while (fgets(line, sizeof(line), f)) {
		if (*line == '#')
			continue;
		one_text(line);
		n++;
	}
	fclose(f);
	check(n > 100);
}

void test_hosts(void)
{
	struct ensemble *e = members("server.7=b.example:2888:3888|[::2]:1:2:observer;[::1]:2181\n"
				     "server.2=10.0.0.1:4:5;2182\nserver.3=c:6:7\nversion=1f\n");
	const struct peer *p = ensemble_find(e, 7);

	check_eq(e->n, 3);
	check_eq(e->version, 0x1f);
	need(p);
	check(p->observer && p->n_addrs == 2);
	check(!strcmp(p->addrs[0].host, "0:0:0:0:0:0:0:2") && p->addrs[0].quorum_port == 1 &&
	      p->addrs[0].election_port == 2);
	check(!strcmp(p->addrs[1].host, "b.example") && p->addrs[1].quorum_port == 2888 &&
	      p->addrs[1].election_port == 3888);
	check(!strcmp(p->client_host, "0:0:0:0:0:0:0:1") && p->client_port == 2181);
	p = ensemble_find(e, 2);
	need(p);
	check(!p->observer && !strcmp(p->client_host, "0.0.0.0") && p->client_port == 2182);
	p = ensemble_find(e, 3);
	need(p);
	check(!p->client_host && !p->client_port);
	check(!ensemble_find(e, 0) && !ensemble_find(e, 4) && !ensemble_find(e, 255) &&
	      !ensemble_find(e, ~0ULL));
	check(ensemble_votes(e, 2) && ensemble_votes(e, 3) && !ensemble_votes(e, 7) &&
	      !ensemble_votes(e, 9));
	check_eq(ensemble_voters(e), 2);
	ensemble_put(e);
}

static void refused(const char *text, const char *want)
{
	char why[256] = "";
	struct ensemble *e = ensemble_parse(text, strlen(text), why, sizeof(why));

	check(!e);
	if (!strstr(why, want))
		printf("# %s: %s\n", text, why);
	check(strstr(why, want));
	ensemble_put(e);
}

/* Many servers, each with a long name: the text grows with them, and no more. */
static void many(void)
{
	static char text[ENSEMBLE_MAX * 300];
	char why[256] = "", *printed;
	size_t n = 0;
	struct ensemble *e;
	u32 i;

	for (i = 0; i < ENSEMBLE_MAX; i++)
		n += snprintf(text + n, sizeof(text) - n, "server.%u=%0240u.example:1:2\n", i, i);
	e = ensemble_parse(text, n, why, sizeof(why));
	check(e && e->n == ENSEMBLE_MAX);
	printed = e ? ensemble_print(e) : NULL;
	check(printed && strlen(printed) > n);
	free(printed);
	ensemble_put(e);
}

void test_bounds(void)
{
	static char text[400000];
	size_t n = 0;
	u32 i;

	refused("server.255=a:1:2\n", "server.255: the id is not in 0 to 254");
	refused("server.-1=a:1:2\n", "server.-1: the id is not in 0");
	refused("server.99999999999999999999=a:1:2\n", "is not a number");
	refused("server.1=a:1:2\nserver.01=b:1:2\n", "there are two lines of server 1");
	refused("server.1=a b:1:2\n", "server.1: not a host: a b");
	refused("server.1=a\\nserver.2=b:1:2\n", "server.1: not");
	refused("server.1=a\\\\n:1:2\n", "server.1: not a host");
	refused("server.1=[h\xc3\xa4::]:1:2\n", "server.1: not a host");
	refused("server.1=a:1:2:observer\n", "observers but no participant");
	refused("", "there is no server.N");
	refused("group.1=1\nserver.1=a:1:2\nweight.1=-1\n", "weight.1: not a weight");
	refused("group.1=1\nserver.1=a:1:2\nweight.1=999999999999999999\n", "not a weight");
	refused("groups=1\nserver.1=a:1:2\n", "groups: not of the form group.NUMBER");
	refused("server.1=a:1:2\\u00\n", "line 1");
	refused("server.1=a:1:2|b:1:2|c:1:2|d:1:2|e:1:2|f:1:2|g:1:2|h:1:2|i:1:2\n",
		"more than 8 addresses");
	for (i = 0; i < 3000; i++)
		n += snprintf(text + n, sizeof(text) - n, "server.1=host%u:1:2\n", i);
	refused(text, "more than");
	n = snprintf(text, sizeof(text), "server.1=");
	memset(text + n, 'h', 300);
	snprintf(text + n + 300, 10, ":1:2");
	refused(text, "server.1: not a host");
	many();
}

static bool quorum(const struct ensemble *e, const u32 *ids, u32 n)
{
	struct idset s = { 0 };
	u32 i;

	for (i = 0; i < n; i++)
		idset_add(&s, ids[i]);
	return ensemble_quorum(e, &s);
}
#define QUORUM(e, ...)	quorum(e, (u32[]){ __VA_ARGS__ },			\
			       sizeof((u32[]){ __VA_ARGS__ }) / sizeof(u32))

void test_majority(void)
{
	struct ensemble *e = members("server.1=a:1:2\nserver.2=b:1:2\nserver.200=c:1:2\n"
				     "server.4=d:1:2\nserver.5=e:1:2:observer");

	check(!QUORUM(e, 1, 2) && QUORUM(e, 1, 2, 200) && QUORUM(e, 1, 2, 4, 200));
	check(!QUORUM(e, 1, 2, 5) && !QUORUM(e, 1, 2, 9, 10, 11));
	ensemble_put(e);
	e = members("server.1=a:1:2");
	check(QUORUM(e, 1) && !QUORUM(e, 2));
	ensemble_put(e);
}

void test_groups(void)
{
	/* three groups of three, the third without weight; zookeeperHierarchicalQuorums.md */
	struct ensemble *e = members("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n"
				     "server.4=d:1:2\nserver.5=e:1:2\nserver.6=f:1:2\n"
				     "server.7=g:1:2\nserver.8=h:1:2\nserver.9=i:1:2\n"
				     "group.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7:8:9\n"
				     "weight.1=5\nweight.7=0\nweight.8=0\nweight.9=0\n");

	/* of the two groups that count more than half, hence both */
	check(QUORUM(e, 1, 4, 5) && !QUORUM(e, 2, 3, 4, 5) && !QUORUM(e, 1, 4));
	check(!QUORUM(e, 1, 7, 8, 9) && !QUORUM(e, 1, 2, 3));
	check(QUORUM(e, 1, 5, 6, 7, 8, 9));
	ensemble_put(e);
	/* two groups without weight leave one that decides */
	e = members("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n"
		    "group.1=1\ngroup.2=2\ngroup.3=3\nweight.2=0\nweight.3=0\n");
	check(QUORUM(e, 1) && !QUORUM(e, 2, 3));
	ensemble_put(e);
	/* an observer's weight counts in its group, its voice does not: half of it */
	e = members("server.1=a:1:2\nserver.2=b:1:2:observer\ngroup.0=1:2\nweight.2=1\n");
	check(!QUORUM(e, 1, 2));
	ensemble_put(e);
	e = members("server.1=a:1:2\ngroup.1=1\nweight.1=0\n");
	check(!QUORUM(e, 1));
	ensemble_put(e);
}
