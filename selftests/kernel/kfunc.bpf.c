// SPDX-License-Identifier: GPL-2.0-only
/* Calls each kfunc with what kfunc.c wants, and shows what came. */
#include <linux/bpf.h>
#include <linux/zkern.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

extern int bpf_zkern_get(__u32 instance, const void *path, __u32 path__sz, void *data,
			 __u32 data__sz) __ksym;
extern int bpf_zkern_stat(__u32 instance, const void *path, __u32 path__sz, void *stat,
			  __u32 stat__sz) __ksym;
extern int bpf_zkern_state(__u32 instance, void *state, __u32 state__sz) __ksym;

__u32 instance;
char path[256];
char data[64];
struct zkern_stat stat;
struct zkern_bpf_state state;
int got, got_stat, got_state, got_short;

/* by the tracing program */
__u32 tgid;
__u64 traced;
int got_traced;
char data_traced[64];

SEC("syscall")
int look(void *ctx)
{
	got = bpf_zkern_get(instance, path, sizeof(path), data, sizeof(data));
	got_stat = bpf_zkern_stat(instance, path, sizeof(path), &stat, sizeof(stat));
	got_short = bpf_zkern_stat(instance, path, sizeof(path), &stat, sizeof(stat) - 8);
	got_state = bpf_zkern_state(instance, &state, sizeof(state));
	return 0;
}

/* A tracepoint: with a lock held, and there on kernels too that trace no functions. */
SEC("tp_btf/task_rename")
int on_rename(void *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 != tgid)
		return 0;
	got_traced = bpf_zkern_get(instance, path, sizeof(path), data_traced,
				   sizeof(data_traced));
	traced++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
