// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * server.N and what belongs to it. Whether a configuration is one of an ensemble, of a
 * server by itself, or refused, was seen with QuorumPeerConfig of Apache ZooKeeper 3.8.0;
 * the exceptions are marked.
 */
#include <errno.h>
#include <unistd.h>

#include "selftests/ctl/ctl.h"

#include "daemon/base/config.h"
#include "daemon/zab/ensemble.h"

#define THREE	"initLimit=10\nsyncLimit=5\nserver.1=127.0.0.1:1:2\n" \
		"server.2=127.0.0.2:1:2\nserver.3=127.0.0.3:1:2\n"
#define TWO	"server.1=127.0.0.1:1:2\nserver.2=127.0.0.1:1:2\n"
#define LIMITS	"initLimit=1\nsyncLimit=1\n"

static char text[1024];		/* why */

enum what { REFUSED, ALONE, TOGETHER };

static const struct {
	const char *cfg;	/* after dataDir */
	const char *myid;	/* NULL: no such file */
	enum what what;
	const char *said;	/* of what is refused */
} cases[] = {
	{ "clientPort=5\n", NULL, ALONE, NULL },
	{ "clientPort=5\nserver.1=127.0.0.1:1:2\n", NULL, ALONE, NULL },
	{ "clientPort=5\nserver.1=127.0.0.1:1:2;7\n", NULL, ALONE, NULL },
	{ "clientPort=5\nserver.1=127.0.0.1:1:2\nserver.2=127.0.0.1:3:4:observer\n", "1", REFUSED,
	  "zoo.cfg:3: server.N: there are observers, but one participant" },
	{ "server.2=127.0.0.1:3:4:observer\n", "2", REFUSED,
	  "server.N: there are observers but no participant" },
	{ "standaloneEnabled=false\n", "1", REFUSED,
	  "zoo.cfg:2: standaloneEnabled: is false, but there is no server.N" },
	{ "standaloneEnabled=false\nserver.1=127.0.0.1:1:2\n", "1", REFUSED,
	  "initLimit: is not set" },
	{ "standaloneEnabled=false\nserver.1=127.0.0.1:1:2\n" LIMITS, "1", TOGETHER, NULL },
	{ "standaloneEnabled=false\nserver.1=127.0.0.1:1:2\nserver.2=127.0.0.1:1:2:observer\n"
	  LIMITS, "2", TOGETHER, NULL },
	{ THREE, "1", TOGETHER, NULL },
	{ THREE, "3\n", TOGETHER, NULL },
	{ THREE, "1\n2", TOGETHER, NULL },
	{ THREE, NULL, REFUSED, "myid is missing" },
	{ THREE, "x", REFUSED, "holds no number: x" },
	{ THREE, "", REFUSED, "holds no number" },
	{ THREE, "1 ", REFUSED, "holds no number" },
	{ THREE, " 1", REFUSED, "holds no number" },
	/* QuorumPeer.start() */
	{ THREE, "9", REFUSED, "myid: there is no line server.9" },
	{ THREE, "-1", REFUSED, "myid: there is no line server.-1" },
	{ TWO "initLimit=5\n", "1", REFUSED, "syncLimit: is not set" },
	{ TWO "syncLimit=5\n", "1", REFUSED, "initLimit: is not set" },
	{ TWO "syncLimit=5\ninitLimit=0\n", "1", REFUSED,
	  "zoo.cfg:5: initLimit: is not set, or 0" },
	/* 3.8 takes it, and waits for a negative time */
	{ TWO "syncLimit=5\ninitLimit=-5\n", "1", REFUSED, "initLimit: -5 is not in 0 to" },
	{ TWO "syncLimit=5\ninitLimit=2000000000\n", "1", REFUSED,
	  "initLimit: so many ticks are too long" },
	{ TWO LIMITS, "1", TOGETHER, NULL },
	{ THREE "peerType=observer\n", "1", TOGETHER, NULL },
	{ THREE "peerType=Observer\nserver.4=127.0.0.4:1:2:observer\n", "4", TOGETHER, NULL },
	{ THREE "server.4=127.0.0.4:1:2:observer\n", "4", TOGETHER, NULL },
	{ THREE "peerType=boss\n", "1", REFUSED, "peerType: not one of participant, observer" },
	{ "clientPort=5\npeerType=observer\n", NULL, ALONE, NULL },
	{ THREE "clientPort=9\nserver.1=127.0.0.1:1:2;9\n", "1", TOGETHER, NULL },
	{ THREE "clientPort=9\nserver.1=127.0.0.1:1:2;8\n", "1", REFUSED,
	  "zoo.cfg:7: clientPort: not what server.1 says: 0.0.0.0:9, 0.0.0.0:8" },
	{ THREE "clientPort=9\nserver.2=127.0.0.1:1:2;8\n", "1", TOGETHER, NULL },
	{ THREE "clientPort=9\nclientPortAddress=127.0.0.1\nserver.1=127.0.0.1:1:2;9\n", "1",
	  REFUSED, "not what server.1 says: 127.0.0.1:9, 0.0.0.0:9" },
	{ THREE "clientPort=9\nclientPortAddress=127.0.0.1\nserver.1=127.0.0.1:1:2;127.0.0.1:9\n",
	  "1", TOGETHER, NULL },
	{ THREE "clientPort=9\nclientPortAddress=127.0.0.1\nserver.1=127.0.0.1:1:2;localhost:9\n",
	  "1", TOGETHER, NULL },
	{ THREE "clientPort=9\nserver.1=127.0.0.1:1:2;127.0.0.1:9\n", "1", TOGETHER, NULL },
	{ THREE "version=7\n", "1", TOGETHER, NULL },
	/* 3.8 refuses blanks at the end of the line */
	{ THREE "server.4=127.0.0.4:1:2 \n", "1", TOGETHER, NULL },
	{ THREE "server.4=127.0.0.4:1:2|127.0.0.5:1:2\n", "1", REFUSED,
	  "multiAddress.enabled: is not true" },
	/* 3.8 heeds -Dzookeeper.multiAddress.enabled alone, not the documented key */
	{ THREE "multiAddress.enabled=true\nserver.4=127.0.0.4:1:2|127.0.0.5:1:2\n", "1",
	  TOGETHER, NULL },
	{ THREE "group.1=1:2\n", "1", REFUSED, "zoo.cfg:6: server.3: is not in a group" },
	{ THREE "group.1=1:2:3\n", "1", TOGETHER, NULL },
	{ THREE "group.1=1:2:3\nweight.1=x\n", "1", REFUSED, "zoo.cfg:8: weight.1: not a weight" },
	{ "group.1=1\nclientPort=5\n", "1", REFUSED, "zoo.cfg:2: server.N: there is no server.N" },
	{ "groups.x=5\nclientPort=5\n", NULL, REFUSED, "zoo.cfg:2: groups.x: not of the form" },
	{ THREE "initLimit= 10 \n", "1", TOGETHER, NULL },
	{ THREE "quorumListenOnAllIPs=yes\n", "1", REFUSED, "neither true nor false" },
	/* 3.8 takes any id unless it is asked for TTL nodes; ours are what those can hold */
	{ THREE "server.255=127.0.0.4:1:2\n", "255", REFUSED,
	  "server.255: the id is not in 0 to 254" },
	{ THREE "server.4=127.0.0.4:1\n", "1", REFUSED,
	  "zoo.cfg:7: server.4: not of the form host:port" },
};

static char dir[600];

static int read_it(struct config *c, const char *cfg, const char *myid)
{
	char path[700], all[4096];

	snprintf(path, sizeof(path), "%s/myid", dir);
	unlink(path);
	if (myid)
		write_file(path, myid, strlen(myid));
	snprintf(path, sizeof(path), "%s/zoo.cfg", dir);
	snprintf(all, sizeof(all), "dataDir=%s\n%s", dir, cfg);
	write_file(path, all, strlen(all));
	text[0] = '\0';
	need(!config_default(c));
	return config_load(c, path, text, sizeof(text));
}

static enum what what_it_is(int rc, const struct config *c)
{
	if (rc)
		return REFUSED;
	return c->ensemble ? TOGETHER : ALONE;
}

static void one_case(size_t i)
{
	static const char *const words[] = { "refused", "one server", "an ensemble" };
	struct config c;
	int rc = read_it(&c, cases[i].cfg, cases[i].myid);
	enum what got = what_it_is(rc, &c);
	const char *why = rc ? text : "";

	ok(got == cases[i].what && (!cases[i].said || strstr(text, cases[i].said)),
	   "number %zu, %s - %s", i, words[cases[i].what], why);
	config_free(&c);
}

static void test_fields(void)
{
	struct config c;

	ok(!read_it(&c, THREE "server.2=a:1:2;127.0.0.9:77\ncnxTimeout=7\nleaderServes=no\n"
		    "commitLogCount=600\nquorumListenOnAllIPs=true\n"
		    "multiAddress.reachabilityCheckTimeoutMs=300\n", "2"), "an ensemble: %s", text);
	ok(c.ensemble && c.myid == 2 && c.init_limit == 10 && c.sync_limit == 5 &&
	   c.cnx_timeout_ms == 7 && !c.leader_serves && c.commit_log_count == 600 &&
	   c.quorum_listen_all && c.reach_check && c.reach_ms == 300, "its fields");
	ok(c.client_port == 77 && c.client_addr && !strcmp(c.client_addr, "127.0.0.9"),
	   "where its own line says that clients come");
	config_free(&c);
	ok(!read_it(&c, "server.3=h:1:2:participant;0.0.0.0:2299\n", NULL) && !c.ensemble &&
	   c.client_port == 2299, "one server's line may have its client port");
	config_free(&c);
	ok(!read_it(&c, THREE "clientPort=5\nclientPortAddress=127.0.0.1\n"
		    "server.1=127.0.0.1:1:2;localhost:5\n", "1") &&
	   !strcmp(c.client_addr, "localhost"), "by name");
	config_free(&c);
}

/* dynamicConfigFile */
static void dynamic(const char *cfg, const char *name, const char *content, enum what what,
		    u64 version, const char *said)
{
	char path[700], all[2048];
	struct config c;
	enum what got;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (content)
		write_file(path, content, strlen(content));
	snprintf(all, sizeof(all), "%sdynamicConfigFile=%s\n", cfg, path);
	got = what_it_is(read_it(&c, all, "1"), &c);
	ok(got == what && strstr(text, said) && (!c.ensemble || c.ensemble->version == version) &&
	   (what == REFUSED || !strcmp(c.dynamic_file, path)), "dynamic: %s, %s: %s", name,
	   content ? "there" : "missing", text);
	config_free(&c);
	unlink(path);
}

static void test_dynamic(void)
{
	dynamic(LIMITS, "dyn", TWO, TOGETHER, 0, "");
	dynamic(LIMITS, "dyn.100000001", TWO "server.3=h:1:2;127.0.0.1:6\n", TOGETHER,
		0x100000001, "");
	dynamic(LIMITS, "dyn.100000001", TWO "server.3=h:1:2;6\\", TOGETHER, 0x100000001, "");
	dynamic(LIMITS, "dyn.next", TWO "group.1=1:2\nweight.2=3\n", TOGETHER, 0, "");
	dynamic("clientPort=5\n", "dyn", "#\n", ALONE, 0, "");
	dynamic("clientPort=5\n", "dyn", "server.1=127.0.0.1:1:2;5\n", ALONE, 0, "");
	dynamic(THREE, "dyn", "server.1=127.0.0.1:1:2\n", REFUSED, 0,
		"zoo.cfg:4: server.1: must be in the file that dynamicConfigFile names");
	dynamic(LIMITS "weight.1=1\n", "dyn", TWO, REFUSED, 0, "weight.1: must be in the file");
	dynamic(LIMITS, "dyn", TWO "version=5\n", REFUSED, 0,
		"dyn:3: the version is in the file's name");
	dynamic(LIMITS, "dyn", TWO "tickTime=5\n", REFUSED, 0, "dyn:3: only server.N");
	dynamic(LIMITS, "dyn", TWO "server.3=x\n", REFUSED, 0, "dyn: server.3: not of the form");
	dynamic(LIMITS, "dyn", TWO "a=\\u1\n", REFUSED, 0, "dyn:3: malformed");
	dynamic(LIMITS, "none", NULL, REFUSED, 0,
		"zoo.cfg:4: dynamicConfigFile: ");
	dynamic("", "dyn", TWO, REFUSED, 0, "initLimit: is not set");
}

void test_members(void)
{
	size_t i;

	snprintf(dir, sizeof(dir), "%s", temp_dir());
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		one_case(i);
	test_fields();
	test_dynamic();
}
