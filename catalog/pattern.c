#include "catalog/pattern.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- one name ---- */

static const struct {
	const char *name;
	int (*is)(int);
} classes[] = {
	{"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank},
	{"cntrl", iscntrl}, {"digit", isdigit}, {"graph", isgraph},
	{"lower", islower}, {"print", isprint}, {"punct", ispunct},
	{"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit},
};
#define CLASSES (sizeof(classes) / sizeof(classes[0]))

/* [:name:] at `at`: how long it is, or 0; *in whether c is of it. */
static size_t class_at(const char *at, unsigned char c, bool *in)
{
	for (size_t n = 0; n < CLASSES; n++) {
		size_t length = strlen(classes[n].name);

		if (!strncmp(at, "[:", 2) &&
		    !strncmp(at + 2, classes[n].name, length) &&
		    !strncmp(at + 2 + length, ":]", 2)) {
			*in = c < 128 && classes[n].is(c);
			return length + 4;
		}
	}
	return 0;
}

/* A set [...] that begins at `at`: the byte behind it, or NULL when it does
 * not end. */
static const char *set_end(const char *at, unsigned char c, bool *fits)
{
	bool negated, in = false, first = true;

	at++;
	negated = *at == '!' || *at == '^';
	at += negated;
	for (; first || *at != ']'; first = false) {
		bool of_class;
		size_t length = class_at(at, c, &of_class);
		unsigned char low, high;

		if (length) {
			in = in || of_class;
			at += length;
			continue;
		}
		at += *at == '\\';
		if (!*at)
			return NULL;
		low = high = (unsigned char)*at++;
		if (at[0] == '-' && at[1] && at[1] != ']') {
			at++;
			at += *at == '\\';
			if (!*at)
				return NULL;
			high = (unsigned char)*at++;
		}
		in = in || (low <= c && c <= high);
	}
	*fits = in != negated;
	return at + 1;
}

/* The pattern behind its first element when that fits the byte, or NULL. */
static const char *one_fits(const char *pattern, char c)
{
	bool fits;

	switch (*pattern) {
	case '?':
		return pattern + 1;
	case '[':
		pattern = set_end(pattern, (unsigned char)c, &fits);
		return pattern && fits ? pattern : NULL;
	case '\\':
		pattern++;
		break;
	}
	return *pattern == c && c ? pattern + 1 : NULL;
}

/* Only the last star is ever tried again: what it takes more of, no earlier
 * star needs to. */
static bool name_fits(const char *pattern, const char *name, size_t length)
{
	const char *star = NULL, *next;
	size_t n = 0, from = 0;

	while (n < length) {
		if (*pattern == '*') {
			star = ++pattern;
			from = n;
		} else if ((next = one_fits(pattern, name[n]))) {
			pattern = next;
			n++;
		} else if (star) {
			pattern = star;
			n = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static bool is_special(char c)
{
	return c == '*' || c == '?' || c == '[';
}

void pattern_plain(const char *name, struct pattern_plain *out)
{
	char run[PATTERN_RUN];
	size_t length = 0;
	bool fits;

	memset(out, 0, sizeof(*out));
	out->plain = true;
	while (*name) {
		if (is_special(*name)) {
			out->plain = false;
			out->tail_length = length = 0;
			name = *name == '[' ? set_end(name, 0, &fits)
					    : name + 1;
			continue;
		}
		name += *name == '\\';
		if (out->plain && out->head_length < sizeof(out->head))
			out->head[out->head_length++] = *name;
		if (length < PATTERN_RUN)
			run[length++] = *name;
		if (length > out->run_length) {
			memcpy(out->run, run, length);
			out->run_length = length;
		}
		if (out->tail_length == sizeof(out->tail))
			memmove(out->tail, out->tail + 1, --out->tail_length);
		out->tail[out->tail_length++] = *name++;
	}
}

/* ---- paths ---- */

static size_t name_length(const char *at, const char *end)
{
	const char *slash = memchr(at, '/', (size_t)(end - at));

	return (size_t)((slash ? slash : end) - at);
}

/* As name_fits, with names for bytes and ** for stars. */
static bool names_fit(const struct pattern *p, const char *path, size_t length)
{
	const char *end = path + length, *from = NULL;
	const char *name = p->names, *star = NULL;
	unsigned left = p->count, left_at_star = 0;

	while (path < end) {
		size_t n = name_length(path, end);

		if (left && !strcmp(name, "**")) {
			name += 3;
			left--;
			star = name;
			left_at_star = left;
			from = path;
		} else if (left && name_fits(name, path, n)) {
			name += strlen(name) + 1;
			left--;
			path += n + (path + n < end);
		} else if (star) {
			n = name_length(from, end);
			from += n + (from + n < end);
			if (from >= end)
				return false;
			path = from;
			name = star;
			left = left_at_star;
		} else {
			return false;
		}
	}
	return !left;
}

bool pattern_fits(const struct pattern *p, const char *path, size_t length)
{
	const char *slash;

	if (p->anchored)
		return names_fit(p, path, length);
	slash = memrchr(path, '/', length);
	return slash ? name_fits(p->names, slash + 1,
				 (size_t)(path + length - slash - 1))
		     : name_fits(p->names, path, length);
}

const char *pattern_last(const struct pattern *p, const char **before)
{
	const char *name = p->names;

	*before = NULL;
	for (unsigned n = 1; n < p->count; n++) {
		*before = strcmp(name, "**") ? name : NULL;
		name += strlen(name) + 1;
	}
	return name;
}

/* ---- parsing ---- */

static const char *name_trouble(const char *name)
{
	bool fits;

	while (*name) {
		if (*name == '[') {
			name = set_end(name, 0, &fits);
			if (!name)
				return "a [ has no ] behind it (write \\[ for "
				       "the character)";
			continue;
		}
		if (*name == '\\' && !*++name)
			return "a \\ has nothing behind it (write \\\\ for "
			       "the character)";
		name++;
	}
	return NULL;
}

/* A \ before the slash that ends a name: the name's length without it. */
static size_t unescaped(const char *name, size_t length)
{
	size_t slashes = 0;

	while (slashes < length && name[length - 1 - slashes] == '\\')
		slashes++;
	return length - slashes % 2;
}

/* A copy with NULs for slashes, without empty names and ** behind **. A slash
 * within [...] parts names too: no name has one. */
static void split(struct pattern *p, const char *text, size_t length)
{
	const char *end = text + length, *before = NULL;
	char *to = p->names;

	while (text < end) {
		size_t all = name_length(text, end);
		size_t n = text + all < end ? unescaped(text, all) : all;
		bool again = n == 2 && before && !strcmp(before, "**") &&
			     !memcmp(text, "**", 2);

		if (n && !again) {
			before = to;
			memcpy(to, text, n);
			to[n] = '\0';
			to += n + 1;
			p->count++;
		}
		text += all + (text + all < end);
	}
}

const char *pattern_parse(struct pattern *p, const char *text, size_t length)
{
	const char *name, *trouble = NULL;

	memset(p, 0, sizeof(*p));
	if (memchr(text, 0, length))
		return "there is a NUL in it";
	if (length && text[length - 1] == '/') {
		p->directories = true;
		length--;
	}
	p->anchored = memchr(text, '/', length);
	p->names = malloc(length + 4);
	if (!p->names)
		return "out of memory";
	split(p, text, length);
	if (p->count && !strcmp(pattern_last(p, &name), "**")) {
		p->below = --p->count;
		if (!p->count) { /* everything */
			strcpy(p->names, "*");
			p->count = 1;
			p->anchored = false;
		}
	}
	if (!p->count)
		trouble = "there is no name in it";
	if (p->count == 2 && !strcmp(p->names, "**")) {
		/* at any depth, as a plain name */
		memmove(p->names, p->names + 3, strlen(p->names + 3) + 1);
		p->count = 1;
		p->anchored = false;
	}
	name = p->names;
	for (unsigned n = 0; !trouble && n < p->count; n++) {
		trouble = name_trouble(name);
		name += strlen(name) + 1;
	}
	if (trouble)
		pattern_release(p);
	return trouble;
}

void pattern_release(struct pattern *p)
{
	free(p->names);
	*p = (struct pattern){0};
}
