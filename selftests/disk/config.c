// SPDX-License-Identifier: GPL-2.0-or-later
/* zoo.cfg: the properties syntax, the keys, their bounds. */
#include "selftests/disk/common.h"

#include "daemon/base/config.h"

static char text[512];		/* why */

static int load(struct config *cfg, const char *content)
{
	static char file[600];

	if (!file[0])
		snprintf(file, sizeof(file), "%s/zoo.cfg", temp_dir());
	write_file(file, content, strlen(content));
	text[0] = '\0';
	need(!config_default(cfg), "defaults");
	return config_load(cfg, file, text, sizeof(text));
}

static void test_syntax(void)
{
	struct config c;

	is(load(&c, "# comment\n! another \\\n  \n\n dataDir = /a b/c \n"
		    "clientPort:2200\r\n"
		    "tickTime   1500\n"
		    "4lw.commands.whitelist=\\\n    stat, \\\n    ruok\n"
		    "dataLogDir=/x\\u0041\\ty\\=z\\\n"), 0, "a file with everything: %s", text);
	ok(!strcmp(c.data_dir, "/a b/c"), "white space around a value: '%s'", c.data_dir);
	is(c.client_port, 2200, "a colon, and a DOS line end");
	is(c.tick_ms, 1500, "white space between");
	ok(!strcmp(c.fourlw_whitelist, "stat, ruok"), "lines that go on: '%s'",
	   c.fourlw_whitelist);
	ok(!strcmp(c.data_log_dir, "/xA\ty=z"), "escapes: '%s'", c.data_log_dir);
	ok(c.min_session_ms == 3000 && c.max_session_ms == 30000, "timeouts follow the tick");
	config_free(&c);
	is(load(&c, ""), 0, "an empty file");
	ok(c.client_port == 2181 && c.tick_ms == 3000 && c.snap_count == 100000 &&
	   c.prealloc_bytes == 64 << 20 && c.max_buffer == 0xfffff && c.force_sync &&
	   c.digest_enabled && !strcmp(c.data_dir, c.data_log_dir) &&
	   !strcmp(c.fourlw_whitelist, "srvr"), "is the defaults");
	config_free(&c);
	is(load(&c, "zookeeper.snapCount=77\nunknown.key=1\ninitLimit=10\nsyncLimit=5\n"
		    "autopurge.purgeInterval=1\npreAllocSize=100\nforceSync=no\n"
		    "server.1=localhost:2888:3888\nextendedTypesEnabled=true"), 0,
	   "prefix, unknown keys, one server: %s", text);
	ok(c.snap_count == 77 && c.purge_hours == 1 && c.prealloc_bytes == 102400 &&
	   !c.force_sync && c.extended_types, "are read");
	config_free(&c);
	is(load(&c, ""), 0, "an empty file again");
	ok(c.snap_packed == FILE_PLAIN && c.fsync_warn_ms == 1000 && !c.log_bytes_max &&
	   c.room_warn_bytes == DISK_ROOM_AUTO && !c.trust_gaps, "is the disk's defaults");
	config_free(&c);
	is(load(&c, "snapshot.compression.method=GZ\nfsync.warningthresholdms=20\n"
		    "txnLogSizeLimitInKb=64\nzkern.roomWarningInKb=0\nzkern.trustGaps=true\n"), 0,
	   "the disk's keys: %s", text);
	ok(c.snap_packed == FILE_GZIP && c.fsync_warn_ms == 20 && c.log_bytes_max == 65536 &&
	   !c.room_warn_bytes && c.trust_gaps, "are read");
	config_free(&c);
	is(load(&c, "snapshot.compression.method=snappy"), 0, "snappy: %s", text);
	is(c.snap_packed, FILE_SNAPPY, "is read");
	config_free(&c);
	is(load(&c, "snapshot.compression.method=lz4"), 0, "what ZooKeeper does not know: %s",
	   text);
	is(c.snap_packed, FILE_PLAIN, "is not packed");
	config_free(&c);
	is(load(&c, "server.3=h:1:2:participant;0.0.0.0:2299\n"), 0, "a server's own line");
	is(c.client_port, 2299, "may have its client port");
	config_free(&c);
	is(load(&c, "snapCount=1\nautopurge.snapRetainCount=1\nmaxClientCnxns=-1\n"
		    "snapSizeLimitInKb=-1\n"), 0, "values that are raised");
	ok(c.snap_count == 2 && c.purge_retain == 3 && c.max_client_cnxns == 0 &&
	   c.snap_bytes == 0, "to what ZooKeeper takes");
	config_free(&c);
}

static void wrong(const char *content, const char *want)
{
	struct config c;
	int rc = load(&c, content);

	ok(rc < 0 && strstr(text, want), "%s", want);
	if (rc >= 0 || !strstr(text, want))
		printf("# %d: %s\n", rc, text);
	config_free(&c);
}

static void test_errors(void)
{
	struct config c;

	wrong("dataDir=/x\ntickTime=abc\n", "zoo.cfg:2: tickTime: not a number: abc");
	wrong("\n\ntickTime=0\n", "zoo.cfg:3: tickTime: 0 is not in 1 to");
	wrong("clientPort=70000\n", "zoo.cfg:1: clientPort: 70000 is not in 0 to 65535");
	wrong("clientPort=21 81\n", "zoo.cfg:1: clientPort: not a number");
	wrong("extendedTypesEnabled=yes\n", "zoo.cfg:1: extendedTypesEnabled: neither true nor");
	wrong("skipACL=true\n", "zoo.cfg:1: skipACL: neither yes nor no");
	wrong("dataDir=\n", "zoo.cfg:1: dataDir: is empty");
	wrong("server.1=a:1:2\n#\nserver.2=b:1:2\n",
	      "zoo.cfg:3: server.2: ensembles are not supported by this version");
	wrong("dynamicConfigFile=/x\n", "ensembles are not supported");
	wrong("server.1=a:1:2\nstandaloneEnabled=false\n", "ensembles are not supported");
	wrong("minSessionTimeout=9\nmaxSessionTimeout=8\n", "larger than maxSessionTimeout");
	wrong("zkern.store=disk\n", "zkern.store: not one of auto, kernel, memory");
	wrong("zkern.instance=256\n", "zkern.instance: 256 is not in 0 to 255");
	wrong("sessionRequireClientSASLAuth=true\n", "not supported by this version");
	wrong("a=\\u12\n", "zoo.cfg:1: malformed \\uXXXX");
	need(!config_default(&c), "defaults");
	is(config_load(&c, "/nonexistent/zoo.cfg", text, sizeof(text)), -ENOENT, "no file: %s",
	   text);
	config_free(&c);
}

/* Nothing that a file may hold brings it down. */
static void test_noise(void)
{
	static const char alphabet[] = "aA0\\\\u=: \t\n\r#!.\f-server";
	char b[300];
	struct config c;
	u64 state = 1;
	int i, k, odd = 0;

	for (i = 0; i < 5000; i++) {
		int n = rnd(&state, sizeof(b) - 1), rc;

		for (k = 0; k < n; k++)
			b[k] = alphabet[rnd(&state, sizeof(alphabet) - 1)];
		b[n] = '\0';
		rc = load(&c, b);
		odd += rc > 0 || (rc && !text[0]);
		config_free(&c);
	}
	is(odd, 0, "noise is read, or refused with a reason");
}

void test_config(void)
{
	test_syntax();
	test_errors();
	test_noise();
}
