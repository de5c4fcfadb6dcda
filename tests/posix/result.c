#include "tests/posix/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EXCEPTION_LIMIT 256

struct exception {
	char *name, *reason;
};

struct counts {
	int ok, not_ok, known, skipped;
	int met[EXCEPTION_LIMIT];
};

static struct exception exceptions[EXCEPTION_LIMIT];
static int exception_count;
static struct counts *counts; /* shared by all processes */
static const char *check = "";
static bool verbose;
static bool listed; /* there is a file of exceptions */

static int read_exceptions(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[1024];

	if (!f) {
		perror(path);
		return -1;
	}
	while (exception_count < EXCEPTION_LIMIT &&
	       fgets(line, sizeof(line), f)) {
		char *reason = strstr(line, " -- ");

		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || !line[0])
			continue;
		if (!reason) {
			fprintf(stderr, "%s: no reason: %s\n", path, line);
			fclose(f);
			return -1;
		}
		*reason = '\0';
		exceptions[exception_count].name = strdup(line);
		exceptions[exception_count++].reason = strdup(reason + 4);
	}
	fclose(f);
	return 0;
}

int result_init(const char *path, bool say_all)
{
	verbose = say_all;
	listed = path != NULL;
	setvbuf(stdout, NULL, _IOLBF, 0);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED) {
		perror("mmap");
		return -1;
	}
	return path ? read_exceptions(path) : 0;
}

void result_check(const char *name)
{
	check = name;
}

void result_ok(const char *what)
{
	__atomic_add_fetch(&counts->ok, 1, __ATOMIC_RELAXED);
	if (verbose)
		printf("ok %s: %s\n", check, what);
}

static struct exception *find_exception(const char *name)
{
	for (int i = 0; i < exception_count; i++)
		if (!strncmp(name, exceptions[i].name,
			     strlen(exceptions[i].name)))
			return exceptions + i;
	return NULL;
}

void result_not_ok(const char *what, const char *text)
{
	char name[512];
	struct exception *e;

	snprintf(name, sizeof(name), "%s: %s", check, what);
	e = find_exception(name);
	if (e) {
		__atomic_add_fetch(&counts->known, 1, __ATOMIC_RELAXED);
		counts->met[e - exceptions] = 1;
		if (verbose)
			printf("known %s: %s (%s)\n", name, text, e->reason);
		return;
	}
	__atomic_add_fetch(&counts->not_ok, 1, __ATOMIC_RELAXED);
	printf("not ok %s: %s\n", name, text);
}

void result_skip(const char *what, const char *why)
{
	__atomic_add_fetch(&counts->skipped, 1, __ATOMIC_RELAXED);
	printf("skipped %s: %s: %s\n", check, what, why);
}

void result_lacks(const char *what)
{
	if (listed)
		result_not_ok(what, "not supported");
	else
		result_skip(what, "not supported");
}

int result_end(void)
{
	for (int i = 0; i < exception_count; i++) {
		if (!counts->met[i])
			printf("no exception any more: %s\n",
			       exceptions[i].name);
		free(exceptions[i].name);
		free(exceptions[i].reason);
	}
	if (counts->known)
		printf("%d known exceptions\n", counts->known);
	printf("%d passed, %d failed, %d skipped\n", counts->ok, counts->not_ok,
	       counts->skipped);
	return counts->not_ok || !counts->ok;
}
