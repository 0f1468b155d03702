// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * btfids MODULE VMLINUX: writes the BTF ids of functions into a module's .BTF_ids, where
 * the kernel looks for them (include/linux/btf_ids.h). The kernel's own build does this
 * with a program that Debian's headers do not come with.
 *
 * A symbol in that section says what is wanted by its name: __BTF_ID__func__NAME__N one
 * id, __BTF_ID__set8__NAME a count that precedes pairs of an id and flags, which the
 * kernel wants sorted. The byte order is this machine's.
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTION		".BTF_ids"
#define FUNC		"__BTF_ID__func__"
#define SET8		"__BTF_ID__set8__"

struct pair {
	uint32_t id;
	uint32_t flags;
};

struct module {
	const char *path;
	Elf *elf;
	Elf_Data *ids;		/* of SECTION */
	size_t ids_index;
	Elf_Scn *symtab;
	struct btf *btf;
};

static int complain(const struct module *m, const char *what, const char *why)
{
	fprintf(stderr, "btfids: %s: %s: %s\n", m->path, what, why);
	return -1;
}

static int find_sections(struct module *m)
{
	Elf_Scn *scn = NULL;
	size_t names;
	GElf_Shdr sh;

	if (elf_getshdrstrndx(m->elf, &names))
		return complain(m, "sections", elf_errmsg(-1));
	while ((scn = elf_nextscn(m->elf, scn))) {
		if (!gelf_getshdr(scn, &sh))
			return complain(m, "sections", elf_errmsg(-1));
		if (sh.sh_type == SHT_SYMTAB)
			m->symtab = scn;
		if (strcmp(elf_strptr(m->elf, names, sh.sh_name), SECTION))
			continue;
		m->ids = elf_getdata(scn, NULL);
		m->ids_index = elf_ndxscn(scn);
	}
	if (!m->symtab)
		return complain(m, "symbols", "there are none");
	return 0;
}

/* Where in the section the symbol's bytes are; NULL: not all of them are in it. */
static void *place(const struct module *m, const GElf_Sym *sym, size_t least)
{
	if (sym->st_size < least || sym->st_value > m->ids->d_size ||
	    sym->st_size > m->ids->d_size - sym->st_value)
		return NULL;
	return (char *)m->ids->d_buf + sym->st_value;
}

static int put_func(struct module *m, const GElf_Sym *sym, const char *name)
{
	uint32_t *at = place(m, sym, sizeof(*at));
	const char *end = strstr(name, "__");
	char func[256];
	int id;

	/* a name may have "__" within: the number is behind the last one */
	for (const char *p = end; p; p = strstr(p + 1, "__"))
		end = p;
	if (!at || !end || (size_t)(end - name) >= sizeof(func))
		return complain(m, name, "no such symbol was expected");
	memcpy(func, name, end - name);
	func[end - name] = '\0';
	id = btf__find_by_name_kind(m->btf, func, BTF_KIND_FUNC);
	if (id < 0)
		return complain(m, func, "not in the BTF");
	*at = id;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int put_set(struct module *m, const GElf_Sym *sym, const char *name)
{
	struct pair *at = place(m, sym, sizeof(*at));
	uint32_t n = sym->st_size / sizeof(*at) - 1;

	if (!at || sym->st_size % sizeof(*at))
		return complain(m, name, "a set of another form than expected");
	at->id = n;
	qsort(at + 1, n, sizeof(*at), by_id);
	return 0;
}

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* First all ids, then the sets, which are sorted by them. */
static int put_all(struct module *m, bool sets)
{
	Elf_Data *syms = elf_getdata(m->symtab, NULL);
	GElf_Shdr sh;
	GElf_Sym sym;
	const char *name;
	int rc = 0;

	if (!syms || !gelf_getshdr(m->symtab, &sh))
		return complain(m, "symbols", elf_errmsg(-1));
	for (int i = 0; !rc && gelf_getsym(syms, i, &sym); i++) {
		name = elf_strptr(m->elf, sh.sh_link, sym.st_name);
		if (!name || sym.st_shndx != m->ids_index)
			continue;
		if (!sets && begins(name, FUNC))
			rc = put_func(m, &sym, name + strlen(FUNC));
		else if (sets && begins(name, SET8))
			rc = put_set(m, &sym, name + strlen(SET8));
	}
	return rc;
}

static int resolve(struct module *m, const char *vmlinux)
{
	struct btf *base = btf__parse(vmlinux, NULL);

	if (!base)
		return complain(m, vmlinux, "no BTF");
	m->btf = btf__parse_split(m->path, base);
	if (!m->btf) {
		btf__free(base);
		return complain(m, "BTF", strerror(errno));
	}
	int rc = put_all(m, false);

	if (!rc)
		rc = put_all(m, true);
	btf__free(m->btf);
	btf__free(base);
	if (rc)
		return rc;
	elf_flagdata(m->ids, ELF_C_SET, ELF_F_DIRTY);
	elf_flagelf(m->elf, ELF_C_SET, ELF_F_LAYOUT);
	if (elf_update(m->elf, ELF_C_WRITE) < 0)
		return complain(m, "writing", elf_errmsg(-1));
	return 0;
}

int main(int argc, char **argv)
{
	struct module m = { .path = argv[1] };
	int fd, rc;

	if (argc != 3) {
		fprintf(stderr, "usage: btfids MODULE VMLINUX\n");
		return 2;
	}
	elf_version(EV_CURRENT);
	fd = open(m.path, O_RDWR);
	if (fd < 0) {
		complain(&m, "opening", strerror(errno));
		return 1;
	}
	m.elf = elf_begin(fd, ELF_C_RDWR, NULL);
	rc = m.elf ? find_sections(&m) : complain(&m, "ELF", elf_errmsg(-1));
	if (!rc && m.ids)
		rc = resolve(&m, argv[2]);
	elf_end(m.elf);
	close(fd);
	return rc ? 1 : 0;
}
