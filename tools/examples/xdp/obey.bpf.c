// SPDX-License-Identifier: GPL-2.0-only
/*
 * An XDP program that obeys a znode: UDP to the port that the node names, as decimal
 * digits, is dropped. No node, no digits: all pass.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "obey.h"

extern int bpf_zkern_get(__u32 instance, const void *path, __u32 path__sz, void *data,
			 __u32 data__sz) __ksym;

/* not const: the kernel of 6.1 hands kfuncs only what a program may write */
char node[OBEY_PATH];
__u32 instance;
__u64 dropped;

/* The port that @text names; 0: none. */
static __always_inline __u32 port_of(const char *text, int len)
{
	__u32 port = 0;

	for (int i = 0; i < OBEY_DIGITS; i++) {
		if (i >= len)
			break;
		if (text[i] < '0' || text[i] > '9')
			return 0;
		port = port * 10 + text[i] - '0';
	}
	return port;
}

static __always_inline struct udphdr *udp_of(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) ||
	    ip->protocol != IPPROTO_UDP || ip->ihl != 5)
		return NULL;
	udp = (void *)(ip + 1);
	return (void *)(udp + 1) > end ? NULL : udp;
}

SEC("xdp")
int obey(struct xdp_md *ctx)
{
	struct udphdr *udp = udp_of(ctx);
	char text[OBEY_DIGITS] = "";
	__u32 port;
	int len;

	if (!udp)
		return XDP_PASS;
	len = bpf_zkern_get(instance, node, sizeof(node), text, sizeof(text));
	if (len <= 0)
		return XDP_PASS;
	port = port_of(text, len);
	if (!port || bpf_ntohs(udp->dest) != port)
		return XDP_PASS;
	__sync_fetch_and_add(&dropped, 1);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
