/* Which names a damage concerns: one pass over all names, made only when
 * something is damaged. */
#include "fs/verify_state.h"

#include <stdlib.h>
#include <string.h>
#include "tape/buffer.h"
#include "tape/error.h"
#include "tape/text.h"

struct naming {
	struct verify *v;
	struct buffer path;
	struct tree_trail trail;
	uint32_t volume;
	uint64_t position;
};

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int by_content(const void *a, const void *b)
{
	return by_number(&((const struct hurt_content *)a)->content,
			 &((const struct hurt_content *)b)->content);
}

static int path_of(struct naming *n, const struct entry_row *e)
{
	n->path.length = 0;
	if (e->parent == 0)
		return 0;
	return tree_path(n->v->catalog, &n->trail, e->since, e->parent, e->name,
			 e->name_length, &n->path);
}

static int say(struct naming *n, uint32_t session, uint32_t volume,
	       uint64_t position, const char *what)
{
	char *text = text_name(n->path.data, n->path.length);

	if (!text)
		return REEL_ENOMEM;
	verify_say(n->v, n->path.length ? text : ".", session, volume, position,
		   what);
	free(text);
	return 0;
}

static int unseen(void *context, const struct entry_row *e)
{
	struct naming *n = context;
	struct verify *v = n->v;
	uint64_t hash;
	int err;

	/* a root that was not named has no member */
	if (e->parent == 0)
		return 0;
	err = path_of(n, e);
	if (err == REEL_ENOENT)
		return 0;
	if (err)
		return err;
	hash = verify_hash(v, (const char *)n->path.data, n->path.length);
	if (v->seen_count &&
	    bsearch(&hash, v->seen, v->seen_count, sizeof(hash), by_number))
		return 0;
	return say(n, v->session, n->volume, n->position,
		   "its header is damaged");
}

int verify_name_unseen(struct verify *v)
{
	struct naming n = {.v = v};
	uint64_t before = v->result->damaged_files;
	int err;

	for (size_t i = v->bad_count; i-- > 0;) {
		if (v->bad[i].error == REEL_EMEDIUM)
			continue;
		n.volume = v->bad[i].volume;
		n.position = v->bad[i].position;
	}
	if (v->seen_count)
		qsort(v->seen, v->seen_count, sizeof(*v->seen), by_number);
	err = contents_each_name(v->catalog, v->session, unseen, &n);
	buffer_release(&n.path);
	tree_trail_release(&n.trail);
	for (size_t i = 0; i < v->bad_count; i++)
		if (v->result->damaged_files != before)
			v->bad[i].named = true;
	return err;
}

static int hurt_name(void *context, const struct entry_row *e)
{
	struct naming *n = context;
	struct hurt_content key = {.content = e->inode.content}, *h;
	int err;

	if (!e->inode.content)
		return 0;
	h = bsearch(&key, n->v->hurt, n->v->hurt_count, sizeof(key),
		    by_content);
	if (!h)
		return 0;
	err = path_of(n, e);
	if (err)
		return err == REEL_ENOENT ? 0 : err;
	h->named = true;
	return say(n, e->since, h->volume, h->position,
		   "its content is damaged");
}

/* A reading that was withdrawn (MEMBER_AGAIN) is no name's. */
static void say_nameless(struct verify *v)
{
	for (size_t i = 0; i < v->hurt_count; i++)
		if (!v->hurt[i].named)
			verify_say(v, NULL, v->hurt[i].session,
				   v->hurt[i].volume, v->hurt[i].position,
				   "bytes of no file are damaged");
}

int verify_name_hurt(struct verify *v)
{
	struct naming n = {.v = v};
	int err;

	if (!v->hurt_count)
		return 0;
	qsort(v->hurt, v->hurt_count, sizeof(*v->hurt), by_content);
	err = contents_each_name(v->catalog, 0, hurt_name, &n);
	buffer_release(&n.path);
	tree_trail_release(&n.trail);
	if (!err)
		say_nameless(v);
	return err;
}
