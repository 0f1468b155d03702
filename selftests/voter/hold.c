// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Holds one thread of a process, as a disk does that does not answer: hold PID NAME
 *
 * Prints "held" when the thread of that name stands still, which it does until this ends,
 * or is killed: then this ends, too.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static int is_named(const char *pid, const char *tid, const char *name)
{
	char path[300], comm[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/task/%s/comm", pid, tid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (!fgets(comm, sizeof(comm), f))
		comm[0] = '\0';
	fclose(f);
	comm[strcspn(comm, "\n")] = '\0';
	return !strcmp(comm, name);
}

static pid_t find(const char *pid, const char *name)
{
	char path[300];
	struct dirent *e;
	pid_t tid = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	d = opendir(path);
	while (d && !tid && (e = readdir(d)))
		if (is_named(pid, e->d_name, name))
			tid = atoi(e->d_name);
	if (d)
		closedir(d);
	return tid;
}

int main(int argc, char **argv)
{
	pid_t tid = argc == 3 ? find(argv[1], argv[2]) : 0;
	int status = 0x7f;	/* stopped */

	if (!tid) {
		fprintf(stderr, "hold: no such thread\n");
		return 2;
	}
	if (ptrace(PTRACE_SEIZE, tid, 0, 0) || ptrace(PTRACE_INTERRUPT, tid, 0, 0) ||
	    waitpid(tid, NULL, __WALL) != tid) {
		perror("hold");
		return 1;
	}
	puts("held");
	fflush(stdout);
	while (!WIFEXITED(status) && !WIFSIGNALED(status) &&
	       waitpid(tid, &status, __WALL) == tid)
		;
	return 0;
}
