// SPDX-License-Identifier: GPL-2.0-or-later
/* zoo.cfg: the properties syntax, the keys, their bounds. */
#include <errno.h>

#include "selftests/ctl/ctl.h"

#include "daemon/base/config.h"
#include "daemon/disk/disk.h"

static char text[512];		/* why */

#define is(got, want, ...)	ok((long)(got) == (long)(want), __VA_ARGS__)

/* xorshift: the same each time */
static u32 rnd(u64 *state, u32 below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (*state >> 11) % below;
}

static int load(struct config *cfg, const char *content)
{
	static char file[600];

	if (!file[0])
		snprintf(file, sizeof(file), "%s/zoo.cfg", temp_dir());
	write_file(file, content, strlen(content));
	text[0] = '\0';
	need(!config_default(cfg));
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
	wrong("minSessionTimeout=9\nmaxSessionTimeout=8\n", "larger than maxSessionTimeout");
	wrong("zkern.store=disk\n", "zkern.store: not one of auto, kernel, memory");
	wrong("zkern.instance=256\n", "zkern.instance: 256 is not in 0 to 255");
	wrong("sessionRequireClientSASLAuth=true\n", "not supported by this version");
	wrong("a=\\u12\n", "zoo.cfg:1: malformed \\uXXXX");
	need(!config_default(&c));
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

	for (i = 0; i < 1000; i++) {
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

/* All that @content is found wrong with, a finding a line: "LINE LEVEL KEY: TEXT". */
static char *findings(const char *content, const char *const *defines, size_t n)
{
	static char out[16384], file[600];
	const struct config_source src = {
		.file = content ? file : NULL, .defines = defines, .n_defines = n,
	};
	struct config_report rep = { 0 };
	struct config c;
	size_t i;

	out[0] = '\0';
	snprintf(file, sizeof(file), "%s/zoo.cfg", temp_dir());
	if (content)
		write_file(file, content, strlen(content));
	need(!config_default(&c));
	config_read(&c, &src, &rep);
	for (i = 0; i < rep.n; i++)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%d %c %s: %s\n",
			 rep.list[i].line, "NWE"[rep.list[i].level], rep.list[i].key,
			 rep.list[i].text);
	config_report_free(&rep);
	config_free(&c);
	return out;
}

static void found(const char *content, const char *want)
{
	char *got = findings(content, NULL, 0);

	if (!ok(strstr(got, want), "%.*s", (int)strcspn(want, "\n"), want))
		printf("# in: %s# found: %s\n", content, got);
}

static void silent(const char *content, const char *what)
{
	char *got = findings(content, NULL, 0);

	if (!ok(!strstr(got, " W ") && !strstr(got, " E "), "%s", what))
		printf("# found: %s\n", got);
}

static void test_findings(void)
{
	static const char many[] = "tickTime=x\nfoo=1\nsnapCount=y\nclientPort=-1\n";

	found(many, "1 E tickTime: not a number: x\n");
	found(many, "2 W foo: unknown key: ignored\n");
	found(many, "3 E snapCount: not a number: y\n");
	found(many, "4 E clientPort: -1 is not in 0 to 65535\n");
	found("ticktime=2000\n", "1 W ticktime: unknown key: ignored; did you mean tickTime?");
	found("clinetPort=1\n", "did you mean clientPort?");
	found("purgeInterval=1\n", "did you mean autopurge.purgeInterval?");
	found("autopurge.snapRetaincount=5\n", "did you mean autopurge.snapRetainCount?");
	found("zkern.logfile=/x\n", "did you mean zkern.logFile?");
	found("completelyElse=1\n", "completelyElse: unknown key: ignored\n");
	found("tickTime=1\n\ntickTime=2\n", "1 W tickTime: given again in line 3, which holds");
	found("snapCount=1\nzookeeper.snapCount=2\n", "1 W snapCount: given again in line 2");
	found("tickTime=2000 # ms\n", "1 W tickTime: the # is part of the value");
	found("tickTime=2000 \n", "1 N tickTime: blanks after the value");
	found("autopurge.snapRetainCount=2\n",
	      "1 W autopurge.snapRetainCount: 2 is too low, taken as 3");
	found("dataDir=data\n", "1 W dataDir: data is not absolute");
	found("#\nminSessionTimeout=9\nmaxSessionTimeout=8\n",
	      "2 E minSessionTimeout: larger than maxSessionTimeout: 9, 8");
	found("clientPort=2181\nmetricsProvider.httpPort=2181\n",
	      "2 E metricsProvider.httpPort: the same port as clientPort: 2181");
	found("clientPort=2181\nadmin.serverPort=2181\n",
	      "2 E admin.serverPort: the same port as clientPort: 2181");
	found("secureClientPort=2281\n", "1 E secureClientPort: TLS is not supported");
	found("clientPort=1\nsecureClientPort=2281\n", "2 W secureClientPort: ignored: TLS");
	found("peerType=observer\n", "1 W peerType: one server by itself does not observe");
	found("peerType=boss\n", "1 E peerType: not one of participant, observer: boss");
	silent("localSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n",
	       "sessions of one server are there");
	found("localSessionsUpgradingEnabled=true\n",
	      "1 N localSessionsUpgradingEnabled: has no effect without localSessionsEnabled");
	found("DigestAuthenticationProvider.digestAlg=SHA-256\n", "digested by SHA1 alone");
	silent("readonlymode.enabled=true\n", "serving readers is there");
	found("learner.asyncSending=true\n", "1 N learner.asyncSending: has no meaning here");
	found("leader.maxConcurrentSnapSyncs=0\n",
	      "1 E leader.maxConcurrentSnapSyncs: 0 is not in 1 to");
	found("maxConcurrentDiffSyncs=5\n", "reads this only as leader.maxConcurrentDiffSyncs");
	silent("connectToLearnerMasterLimit=5\nelectionPortBindRetry=0\n"
	       "leader.maxConcurrentSnapSyncs=1\nleader.maxConcurrentDiffSyncs=1\n"
	       "leader.ackLoggingFrequency=1\nforceSnapshotSync=true\n",
	       "limits on learners are there");
	found("commitLogCount=5\n", "1 W commitLogCount: 5 is too low, taken as 500");
	found("jvm.pause.monitor=true\n", "there is no Java virtual machine");
	found("connectionMaxTokens=1\n", "reads this only as connection_throttle_tokens");
	found("DigestAuthenticationProvider.superDigest=super:secret\n",
	      "nobody can be that user");
	found("4lw.commands.whitelist=stat, rouk ,*\n", "there is no four-letter word rouk\n");
	found("audit.impl.class=my.Class\n", "1 E audit.impl.class: no classes are loaded");
	found("zkern.logLevel=loud\n", "not one of error, warn, info, debug, trace: loud");
	silent("dataDir=/x\nclientPort=2181\ntickTime=2000\nskipACL=no\nsslQuorum=false\n"
	       "peerType=participant\nelectionAlg=3\nadmin.enableServer=false\n"
	       "4lw.commands.whitelist=stat, ruok,*\nzkern.logLevel=debug\n"
	       "audit.impl.class=org.apache.zookeeper.audit.Slf4jAuditLogger\n"
	       "DigestAuthenticationProvider.superDigest="
	       "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=\n", "what is well is passed over");
}

/* Integer.parseInt and Integer.decode. */
static void test_numbers(void)
{
	struct config c;

	is(load(&c, "snapCount=0x100\nmaxCnxns=010\nglobalOutstandingLimit=#20\n"
		    "maxClientCnxns=010\ntickTime=+2000\n"), 0, "numbers as Java's: %s", text);
	is(c.snap_count, 256, "a system property may be hexadecimal");
	is(c.max_cnxns, 8, "or octal");
	is(c.global_outstanding, 32, "or begin with #");
	ok(c.max_client_cnxns == 10 && c.tick_ms == 2000, "QuorumPeerConfig's are decimal");
	config_free(&c);
	found("maxCnxns=010\n", "1 W maxCnxns: 010 is octal, as in Java: 8");
	wrong("tickTime=0x10\n", "tickTime: not a number: 0x10");
	wrong("snapCount=09\n", "snapCount: not a number: 09");
	wrong("snapCount=99999999999\n", "is not in 2 to 2147483647");
	wrong("snapCount=\n", "not a number");
	wrong("tickTime=--5\n", "not a number");
}

static void test_defines(void)
{
	static const char *const defs[] = {
		"zookeeper.snapCount=5", "jute.maxbuffer=4096", "zkern.logLevel=trace",
		"java.net.preferIPv4Stack", "zookeeper.nosuch=1",
	};
	static char file[600];
	struct config_source src = { .file = file, .defines = defs, .n_defines = 5 };
	struct config_report rep = { 0 };
	struct config c;
	char *got;

	snprintf(file, sizeof(file), "%s/zoo.cfg", temp_dir());
	write_file(file, "snapCount=7\n", 12);
	need(!config_default(&c));
	is(config_read(&c, &src, &rep), 0, "definitions beside a file");
	ok(c.snap_count == 7 && c.max_buffer == 4096 && c.log_level == 4,
	   "are heeded, and the file goes over them");
	config_report_free(&rep);
	config_free(&c);
	got = findings("snapCount=7\n", defs, 5);
	ok(strstr(got, "0 W snapCount: -Dzookeeper.snapCount: the file's line 1 holds"),
	   "which is said");
	ok(strstr(got, "0 W nosuch: unknown key") && strstr(got, "0 N java.net.preferIPv4Stack"),
	   "of the others, too, whether they are known");
}

/* A file of nothing but errors costs no more than it may. */
static void test_bounds(void)
{
	size_t len = 0, room = 900 * 1024;
	char *content = malloc(room + 64);
	struct config_source src = { 0 };
	struct config_report rep = { 0 };
	static char file[600];
	struct config c;
	int i;

	need(content);
	for (i = 0; len < room; i++)
		len += sprintf(content + len, "k%d=1\n", i);
	snprintf(file, sizeof(file), "%s/zoo.cfg", temp_dir());
	write_file(file, content, len);
	free(content);
	src.file = file;
	need(!config_default(&c));
	config_read(&c, &src, &rep);
	ok(rep.n <= 1000 && rep.left_out > 1000, "findings are bounded: %zu, %zu more", rep.n,
	   rep.left_out);
	config_report_free(&rep);
	config_free(&c);
}

void test_config(void)
{
	test_syntax();
	test_errors();
	test_findings();
	test_numbers();
	test_defines();
	test_bounds();
	test_noise();
}
