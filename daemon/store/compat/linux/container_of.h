/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COMPAT_LINUX_CONTAINER_OF_H
#define COMPAT_LINUX_CONTAINER_OF_H

#include <stddef.h>

#ifndef container_of
#define container_of(ptr, type, member) ({				\
	void *__mptr = (void *)(ptr);					\
									\
	(type *)((char *)__mptr - offsetof(type, member));		\
})
#endif

#endif
