// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * obey INTERFACE PATH [INSTANCE]: UDP that comes in by INTERFACE is dropped if it is for
 * the port that the znode PATH names, whatever that is at the moment:
 *
 *   obey eth0 /drop-port &
 *   zkern create /drop-port 5353
 *
 * Root only (CAP_BPF, CAP_NET_ADMIN). Ends, and takes the program away, at SIGINT or
 * SIGTERM, and says how many packets were dropped.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "obey.h"
#include "obey.skel.h"

static int fail(const char *what, int err)
{
	fprintf(stderr, "obey: %s: %s\n", what, strerror(err < 0 ? -err : err));
	return 1;
}

/* Attached until a signal comes: generic XDP, which any interface can. */
static int attached(struct obey *o, int ifindex)
{
	int fd = bpf_program__fd(o->progs.obey), sig, err;
	sigset_t end;

	sigemptyset(&end);
	sigaddset(&end, SIGINT);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	err = bpf_xdp_attach(ifindex, fd, XDP_FLAGS_SKB_MODE | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
	if (err)
		return fail("attaching", err);
	printf("obeying\n");
	fflush(stdout);
	sigwait(&end, &sig);
	err = bpf_xdp_detach(ifindex, XDP_FLAGS_SKB_MODE, NULL);
	printf("%llu dropped\n", (unsigned long long)o->bss->dropped);
	return err ? fail("detaching", err) : 0;
}

int main(int argc, char **argv)
{
	struct obey *o;
	int ifindex, rc;

	if (argc < 3 || argc > 4 || strlen(argv[2]) >= OBEY_PATH) {
		fprintf(stderr, "usage: obey INTERFACE PATH [INSTANCE]\n");
		return 2;
	}
	ifindex = if_nametoindex(argv[1]);
	if (!ifindex)
		return fail(argv[1], errno);
	o = obey__open();
	if (!o)
		return fail("the BPF program", errno);
	strcpy(o->bss->node, argv[2]);
	o->bss->instance = argc > 3 ? atoi(argv[3]) : 0;
	rc = obey__load(o);
	/* without the module, or its BTF, the kernel knows no bpf_zkern_get() */
	rc = rc ? fail("loading the BPF program", rc) : attached(o, ifindex);
	obey__destroy(o);
	return rc;
}
