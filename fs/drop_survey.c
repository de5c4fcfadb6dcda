/* What the target, the view and the rules have about one name. */
#include "fs/drop_state.h"

#include <string.h>
#include "tape/error.h"

void drop_border_stat(struct stat *st)
{
	*st = (struct stat){
		.st_mode = S_IFDIR | 0555, .st_nlink = 2, .st_ino = 1};
}

void drop_survey_release(struct drop_survey *s)
{
	buffer_release(&s->path);
}

/* 0 also when nothing is there. */
static int look_below(struct drop *d, struct drop_survey *s)
{
	int error =
		drop_look(d, DROP_TARGET, (char *)s->path.data, &s->below_st);

	s->below = !error || error == REEL_EXDEV;
	if (error == REEL_EXDEV)
		drop_border_stat(&s->below_st);
	return s->below || error == REEL_ENOENT || error == REEL_ENOTDIR
		       ? 0
		       : error;
}

static int look(struct drop *d, struct drop_survey *s, bool shows)
{
	enum drop_state state = s->node ? s->node->state : DROP_PLAIN;
	int error = look_below(d, s);

	if (error)
		return error;
	if (state == DROP_OBJECT) {
		s->side = DROP_AREA_SIDE;
		error = drop_look(d, s->side, (char *)s->path.data, &s->st);
		s->there = !error;
		return error == REEL_ENOENT ? 0 : error;
	}
	s->side = DROP_TARGET;
	s->there = state == DROP_PLAIN && shows && s->below;
	s->st = s->below_st;
	return 0;
}

int drop_survey(struct drop *d, uint64_t parent, const char *name,
		struct drop_survey *out)
{
	bool shows;
	int error;

	*out = (struct drop_survey){.name = name};
	pthread_mutex_lock(&d->lock);
	out->up = drop_node_of(d, parent);
	error = drop_path(d, out->up, name, &out->path);
	shows = drop_shows(out->up);
	if (!error)
		out->node = drop_find(d, out->up, name);
	pthread_mutex_unlock(&d->lock);
	return error ? error : look(d, out, shows);
}

int drop_survey_node(struct drop *d, uint64_t id, struct drop_survey *out)
{
	bool shows;
	int error;

	*out = (struct drop_survey){0};
	pthread_mutex_lock(&d->lock);
	out->node = drop_node_of(d, id);
	out->up = out->node->up;
	error = drop_path(d, out->node, NULL, &out->path);
	shows = !out->up || drop_shows(out->up);
	pthread_mutex_unlock(&d->lock);
	if (!error)
		error = look(d, out, shows);
	if (!error && !out->there)
		error = REEL_ESTALE;
	return error;
}

int drop_survey_judge(struct drop *d, const struct drop_survey *s,
		      mode_t wanted, bool same, struct plan_verdict *out)
{
	const struct drop_question q = {
		.up = s->up,
		.path = (char *)s->path.data,
		.wanted = wanted & S_IFMT,
		.lower = s->below ? &s->below_st : NULL,
		.same = same,
		.idle = s->node && s->node->writers,
	};

	if (drop_is_shadow(s->node)) {
		*out = s->node->verdict;
		return 0;
	}
	return drop_judge(d, &q, out);
}

bool drop_is_short(struct drop *d, uint64_t id)
{
	const struct drop_node *n;
	bool is;

	if (d->busy || d->root_count > 1 || plan_has_rules(&d->plan) ||
	    pthread_mutex_trylock(&d->turn))
		return false;
	pthread_mutex_unlock(&d->turn);
	pthread_mutex_lock(&d->lock);
	n = drop_node_of(d, id);
	is = n->state == DROP_PLAIN && !n->shared;
	pthread_mutex_unlock(&d->lock);
	return is;
}

/* With `lock` held. What stands under a name now is another file than the one
 * the kernel knows there: it gets another node. */
static struct drop_node *node_for(struct drop *d, struct drop_survey *s)
{
	struct drop_node *n = drop_find(d, s->up, s->name);

	if (n && n->state == DROP_PLAIN &&
	    (n->device != s->st.st_dev || n->inode != s->st.st_ino) &&
	    n->inode) {
		if (drop_is_shadowed(n)) {
			n = drop_renew(d, n);
		} else {
			drop_detach(d, n);
			n = NULL;
		}
	}
	if (!n)
		n = drop_add(d, s->up, s->name);
	if (n && n->state == DROP_PLAIN) {
		n->device = s->st.st_dev;
		n->inode = s->st.st_ino;
		n->shared = !S_ISDIR(s->st.st_mode) && s->st.st_nlink > 1;
		if (n->shared)
			drop_peer_add(d, n);
	}
	return n;
}

void drop_fill(struct drop *d, const struct drop_survey *s,
	       struct drop_entry *out)
{
	const struct drop_node *n = s->node;

	*out = (struct drop_entry){
		.id = drop_id(d, n),
		.st = s->st,
		.settled = n->state == DROP_PLAIN &&
			   (S_ISDIR(s->st.st_mode) || s->st.st_nlink == 1),
	};
	if (n->state == DROP_OBJECT && n->over && s->below &&
	    S_ISREG(s->below_st.st_mode)) {
		out->st.st_size = s->below_st.st_size;
		out->st.st_blocks = s->below_st.st_blocks;
	}
	drop_number(d, s->side, (char *)s->path.data, &out->st);
}

int drop_known(struct drop *d, struct drop_survey *s, struct drop_entry *out)
{
	struct drop_node *n;

	pthread_mutex_lock(&d->lock);
	n = node_for(d, s);
	if (n) {
		n->lookups++;
		s->node = n;
		drop_fill(d, s, out);
	}
	pthread_mutex_unlock(&d->lock);
	return n ? 0 : REEL_ENOMEM;
}
