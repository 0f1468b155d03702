// SPDX-License-Identifier: GPL-2.0-or-later
/* Latencies in a histogram of 32 steps an octave; CPU time from the scheduler. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "load.h"

#define SUB	32

struct hist {
	u64 count;
	u64 n[64 * SUB];
};

u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

struct hist *hist_new(void)
{
	return calloc(1, sizeof(struct hist));
}

void hist_add(struct hist *h, u64 ns)
{
	unsigned int top, at = ns;

	if (ns >= SUB) {
		top = 63 - __builtin_clzll(ns);
		at = (top - 4) * SUB + ((ns >> (top - 5)) & (SUB - 1));
	}
	h->n[at]++;
	h->count++;
}

u64 hist_at(const struct hist *h, double p)
{
	u64 want = p * h->count, seen = 0;
	unsigned int i, shift;

	if (want >= h->count)
		want = h->count - 1;
	for (i = 0; i < 64 * SUB; i++) {
		seen += h->n[i];
		if (seen > want)
			break;
	}
	if (i < SUB || i >= 60 * SUB)
		return i;
	shift = i / SUB - 1;
	return ((u64)(SUB + i % SUB) + 1) << shift;
}

u64 cpu_of(int pid)
{
	char path[64];
	unsigned long long ran;
	struct dirent *e;
	u64 sum = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	if (!d)
		return 0;
	while ((e = readdir(d))) {
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", pid, e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%llu", &ran) == 1)
			sum += ran;
		fclose(f);
	}
	closedir(d);
	return sum;
}
