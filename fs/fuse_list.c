/* Listings of the views. While nothing is asked the leader lists what the walk
 * under way will ask for next (forecast.h): the answer then lies ready. */
#include "fs/mount_state.h"
#include "tape/error.h"

#define AHEAD_SIZE (128u << 10) /* bytes of a page that is made ahead */

int page_put(struct page *p, const char *name, const struct fuse_entry_param *e,
	     uint64_t next)
{
	size_t left = p->room - p->to->length, n;
	char *at = (char *)p->to->data + p->to->length;

	n = p->plus ? fuse_add_direntry_plus(p->request, at, left, name, e,
					     (off_t)next)
		    : fuse_add_direntry(p->request, at, left, name, &e->attr,
					(off_t)next);
	if (n > left)
		return 1;
	p->to->length += n;
	return 0;
}

struct filling {
	struct page page;
	const struct channel *channel;
	struct listing *to;
};

static int put_name(void *context, const char *name, const struct view_entry *e,
		    uint64_t next)
{
	struct filling *f = context;
	struct listing *l = f->to;
	struct fuse_entry_param entry;

	fuse_entry_of(f->channel, &entry, e);
	if (page_put(&f->page, name, &entry, next))
		return 1;
	l->last = next;
	if (e->content && e->fixed_stat)
		push_list_add(&l->small,
			      &(struct push_file){e->id, e->content,
						  (uint64_t)e->st.st_size});
	if (e->id && S_ISDIR(e->st.st_mode) && l->below_count < LISTING_BELOW)
		l->below[l->below_count++] = e->id;
	return 0;
}

/* `request`: NULL ahead of it. */
static int fill_page(struct worker *w, fuse_req_t request, struct listing *l,
		     bool plus, uint64_t id, size_t size, uint64_t offset)
{
	struct filling f = {{request, &l->page, size, plus}, w->channel, l};
	int error;

	if (!offset || l->id != id) {
		l->small.count = 0;
		l->small.bytes = 0;
	}
	l->id = id;
	l->size = size;
	l->page.length = 0;
	l->below_count = 0;
	l->whole = false;
	error = buffer_reserve(&l->page, size);
	if (!error)
		error = view_list(&w->mount->view, w->catalog, id, offset,
				  put_name, &f);
	l->whole = !error;
	if (error < 0)
		l->id = 0;
	return error < 0 ? error : 0;
}

static bool leads(const struct worker *w)
{
	return w->role == WORKER_LEADS;
}

/* The page that it answers from. */
static struct listing *listing_of(struct worker *w)
{
	return leads(w) ? w->channel->lister.asked : &w->listing;
}

/* What was listed ahead, when it is what is asked for. */
static bool take_ahead(struct lister *l, uint64_t id, size_t size)
{
	struct listing *ready = l->ahead;

	if (ready->id != id || ready->size != size)
		return false;
	l->ahead = l->asked;
	l->asked = ready;
	l->ahead->id = 0;
	return true;
}

static bool at_end(const struct listing *l, uint64_t id, uint64_t offset)
{
	return l->id == id && l->whole && l->last == offset && offset;
}

static int walk_page(struct worker *w, fuse_req_t request, uint64_t id,
		     size_t size, uint64_t offset)
{
	struct lister *l = &w->channel->lister;
	int error = 0;

	forecast_asked(&l->forecast, id, !offset);
	if (at_end(l->asked, id, offset)) {
		l->asked->page.length = l->asked->below_count = 0;
	} else if (offset || !take_ahead(l, id, size)) {
		error = fill_page(w, request, l->asked, true, id, size, offset);
	}
	if (!error)
		forecast_given(&l->forecast, l->asked->below,
			       l->asked->below_count);
	l->size = size;
	return error;
}

bool list_is_expected(const struct channel *c)
{
	const struct lister *l = &c->lister;
	uint64_t id = forecast_next(&l->forecast);

	return id && id != l->ahead->id && l->size <= AHEAD_SIZE;
}

void list_ahead(struct worker *w)
{
	struct lister *l = &w->channel->lister;

	if (list_is_expected(w->channel))
		fill_page(w, NULL, l->ahead, true, forecast_next(&l->forecast),
			  l->size, 0);
}

/* At the end of a listing the kernel knows its files: their contents can go
 * ahead of the question for them, of a few while whoever listed them wakes up;
 * of many he would overtake the first. Where another walk came between, they
 * are listed again. The first store ends the lead, and with it the use of the
 * lister. */
static void answer_end(struct worker *w, fuse_req_t request, uint64_t id,
		       size_t size, bool known)
{
	struct listing *l = listing_of(w);
	bool many = known && l->small.count > PUSH_HEAD;
	struct push_list small;
	bool rest;

	if (!many)
		fuse_reply_buf(request, NULL, 0);
	if (!known && fill_page(w, NULL, l, true, id, size, 0))
		return;
	small = l->small;
	l->page.length = 0;
	rest = push_directory(w->mount->push, w->catalog, &small);
	if (many)
		fuse_reply_buf(request, NULL, 0);
	if (rest)
		push_rest(w->mount->push, &small);
}

static void list(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		 bool plus)
{
	struct worker *w = worker_of(request);
	bool walks = plus && view_is_fixed(&w->mount->view, id);
	bool known = listing_of(w)->id == id;
	int error;

	if (walks && leads(w))
		error = walk_page(w, request, id, size, (uint64_t)offset);
	else
		error = fill_page(w, request, listing_of(w), plus, id, size,
				  (uint64_t)offset);
	if (error) {
		fuse_reply_err(request, error_errno(error));
		return;
	}
	const struct buffer *page = &listing_of(w)->page;

	if (walks && !page->length && w->mount->push)
		answer_end(w, request, id, size, known);
	else
		fuse_reply_buf(request, (char *)page->data, page->length);
}

void list_names(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		struct fuse_file_info *file)
{
	(void)file;
	list(request, id, size, offset, false);
}

void list_entries(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		  struct fuse_file_info *file)
{
	(void)file;
	list(request, id, size, offset, true);
}

void lister_init(struct lister *l)
{
	l->asked = &l->pages[0];
	l->ahead = &l->pages[1];
}

void lister_release(struct lister *l)
{
	buffer_release(&l->pages[0].page);
	buffer_release(&l->pages[1].page);
}
