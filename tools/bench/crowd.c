// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The crowd: many sessions and many watches, against any server that speaks
 * ZooKeeper's client protocol. Each scene prints NAME=VALUE for tools/bench/scale.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include "tools/bench/crowd.h"

static const char usage[] =
	"usage: crowd [OPTION]... SCENE HOST:PORT\n"
	"scenes:\n"
	"  watches     --clients N that set --count W watches: on the same --paths P\n"
	"              each (dense), or with --paths 0 no two on the same (sparse);\n"
	"              --kind data|persistent|recursive. Hook: before, after\n"
	"  storm       --clients N watch one node; what its change costs another writer\n"
	"  sessions    --count S, --at-once N of them connected. Hook: before, after, end\n"
	"  reconnect   --clients N, all at once after the hook: restart\n"
	"  ephemerals  --count E of one session, which closes; --batch K are made in one\n"
	"              multi. Hook: restart\n"
	"  hold        --count S connected that stay until this process is ended; tells\n"
	"              after --seconds how many are there; at SIGUSR1 all ping, and it\n"
	"              tells when they are answered\n"
	"  witness     one client that writes; what its writes took is printed, and begun\n"
	"              anew, at each SIGUSR1, and at SIGTERM, which ends it\n"
	"  --hook CMD  is run with the names said above as its last argument\n"
	"  --timeout MS  of sessions, whose clients then ping, each third of it; else\n"
	"              nobody does\n"
	"  --ping MS   how often, after --timeout\n"
	"  --patience S  that is waited for anything (240)\n";

static const struct {
	const char *name;
	void (*play)(struct crowd *c);
} scenes[] = {
	{ "watches", scene_watches },
	{ "storm", scene_storm },
	{ "sessions", scene_sessions },
	{ "reconnect", scene_reconnect },
	{ "ephemerals", scene_ephemerals },
	{ "hold", scene_hold },
	{ "witness", scene_witness },
};

static bool parse_addr(const char *s, struct sockaddr_in *a)
{
	const char *colon = strrchr(s, ':');
	char host[64];

	if (!colon || colon - s >= (long)sizeof(host))
		return false;
	memcpy(host, s, colon - s);
	host[colon - s] = '\0';
	a->sin_family = AF_INET;
	a->sin_port = htons(atoi(colon + 1));
	return inet_pton(AF_INET, host, &a->sin_addr) == 1;
}

static bool parse(int argc, char **argv, struct crowd *c)
{
	static const struct option longs[] = {
		{ "clients", 1, NULL, 'c' }, { "paths", 1, NULL, 'p' },
		{ "count", 1, NULL, 'n' }, { "at-once", 1, NULL, 'a' },
		{ "kind", 1, NULL, 'k' }, { "hook", 1, NULL, 'h' },
		{ "batch", 1, NULL, 'b' }, { "timeout", 1, NULL, 't' },
		{ "ping", 1, NULL, 'i' }, { "seconds", 1, NULL, 's' },
		{ "patience", 1, NULL, 'w' },
		{ NULL, 0, NULL, 0 }
	};
	int o;

	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (o) {
		case 'c':
			c->clients = atoi(optarg);
			break;
		case 'p':
			c->paths = atoi(optarg);
			break;
		case 'n':
			c->count = atoi(optarg);
			break;
		case 'a':
			c->at_once = atoi(optarg);
			break;
		case 'k':
			c->kind = optarg;
			break;
		case 'h':
			c->hook = optarg;
			break;
		case 'b':
			c->batch = atoi(optarg);
			break;
		case 't':
			c->timeout_ms = atoi(optarg);
			c->ping_ms = c->timeout_ms / 3;
			break;
		case 'i':
			c->ping_ms = atoi(optarg);
			break;
		case 's':
			c->seconds = atoi(optarg);
			break;
		case 'w':
			c->patience_s = atoi(optarg);
			break;
		default:
			return false;
		}
	}
	if (argc - optind != 2 || !c->clients || !c->count || !c->at_once ||
	    !c->batch)
		return false;
	c->scene = argv[optind];
	return parse_addr(argv[optind + 1], &c->addr);
}

int main(int argc, char **argv)
{
	struct crowd c = {
		.clients = 1000, .paths = 1000, .count = 1000000, .at_once = 10000,
		.kind = "data", .batch = 1, .timeout_ms = CROWD_SESSION_MS, .seconds = 10,
		.patience_s = 240,
	};

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!parse(argc, argv, &c)) {
		fputs(usage, stderr);
		return 2;
	}
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		if (!strcmp(scenes[i].name, c.scene)) {
			scenes[i].play(&c);
			crowd_close(&c);
			return 0;
		}
	}
	fputs(usage, stderr);
	return 2;
}
