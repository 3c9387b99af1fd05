/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names of one load. It asks no name service.
 */
#include "helper/load-names.h"

#include <search.h>

#include "util.h"

struct name {
	const char *text;
	bool user;
	int result;
	uint32_t id;
	char storage[];
};

static int compare(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return x->user != y->user ? (x->user ? 1 : -1) : strcmp(x->text, y->text);
}

int load_names_add(struct load_names *names, bool user, const char *name, int result, uint32_t id)
{
	size_t size = strlen(name) + 1;
	struct name *made = malloc(sizeof(*made) + size), **found;

	if (!made)
		return -ENOMEM;
	*made = (struct name){ made->storage, user, result, id };
	memcpy(made->storage, name, size);
	found = (struct name **)tsearch(made, &names->root, compare);
	if (!found || *found != made)
		free(made);
	return found ? 0 : -ENOMEM;
}

int load_names_find(const struct load_names *names, bool user, const char *name, uint32_t *ret_id)
{
	struct name wanted = { .text = name, .user = user };
	struct name *const *found = (struct name *const *)tfind(&wanted, &names->root, compare);

	if (!found)
		return -EBADMSG;
	if ((*found)->result >= 0)
		*ret_id = (*found)->id;
	return (*found)->result;
}

void load_names_done(struct load_names *names)
{
	tdestroy(names->root, free);
	names->root = NULL;
}
