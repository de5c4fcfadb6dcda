/* Names that are one file of the target (D5), as far as programs have looked
 * them up.
 *
 * Why they may follow when one of them is replaced by a copy: the file itself
 * is not changed. A name is made one of the copy, whose bytes are the same, by
 * a link that is renamed over it, as a program could do that the rules let; it
 * is judged alone, and must be a name of that file at that moment, the copy one
 * by its owner, mode and bytes. What nobody looked up, lies outside, or is kept
 * or delayed by a rule keeps the file as it was. A name that cannot follow
 * stays likewise. */
#include "fs/drop_state.h"

#include "tape/error.h"

static struct drop_node **bucket(struct drop *d, dev_t device, ino_t inode)
{
	uint64_t key = (uint64_t)inode * UINT64_C(0x9e3779b97f4a7c15) + device;

	return &d->peers[(key >> 32) % DROP_PEERS];
}

void drop_peer_remove(struct drop_node *n)
{
	if (!n->peer_link)
		return;
	*n->peer_link = n->peer;
	if (n->peer)
		n->peer->peer_link = n->peer_link;
	n->peer = NULL;
	n->peer_link = NULL;
}

void drop_peer_add(struct drop *d, struct drop_node *n)
{
	struct drop_node **at = bucket(d, n->device, n->inode);

	drop_peer_remove(n);
	n->peer = *at;
	if (n->peer)
		n->peer->peer_link = &n->peer;
	n->peer_link = at;
	*at = n;
}

/* Nodes, which stay until they are forgotten. */
static int find(struct drop *d, const struct drop_node *but,
		const struct stat *st, struct buffer *out)
{
	struct drop_node *n;
	int error = 0;

	pthread_mutex_lock(&d->lock);
	n = *bucket(d, st->st_dev, st->st_ino);
	for (; !error && n; n = n->peer) {
		if (n == but || n->state != DROP_PLAIN || !n->up ||
		    n->inode != st->st_ino || n->device != st->st_dev)
			continue;
		error = buffer_append(out, &n, sizeof(n));
		n->lookups += !error;
	}
	pthread_mutex_unlock(&d->lock);
	return error;
}

static void follow(struct drop *d, struct drop_node *n, const char *first,
		   const struct stat *old, const struct stat *new)
{
	unsigned names = drop_inodes_get(&d->linked, new);
	struct plan_verdict v;
	struct drop_survey s;
	int error = drop_survey_node(d, drop_id(d, n), &s);

	if (!error)
		error = drop_survey_judge(d, &s, old->st_mode, false, &v);
	if (!error && drop_passes(&v) &&
	    !drop_link_over(d, first, (char *)s.path.data, old)) {
		drop_forget_name(d, old);
		drop_inodes_set(&d->linked, new, names ? names + 1 : 2);
		pthread_mutex_lock(&d->lock);
		n->device = new->st_dev;
		n->inode = new->st_ino;
		drop_peer_add(d, n);
		pthread_mutex_unlock(&d->lock);
		drop_redirect(d, n);
	}
	drop_survey_release(&s);
}

int drop_unshare_peers(struct drop *d, struct drop_node *n, const char *path)
{
	struct buffer all = {0};
	struct drop_node **peers;
	struct stat old, new;
	int error = drop_look(d, DROP_TARGET, path, &old);

	if (!error)
		error = find(d, n, &old, &all);
	if (!error)
		error = drop_unshare(d, n, path, false);
	if (!error)
		error = drop_look(d, DROP_TARGET, path, &new);
	peers = (void *)all.data;
	for (size_t i = 0; i < all.length / sizeof(*peers); i++) {
		if (!error && new.st_ino != old.st_ino)
			follow(d, peers[i], path, &old, &new);
		drop_forget(d, drop_id(d, peers[i]), 1);
	}
	buffer_release(&all);
	return error;
}
