/* Runs a target over the files of its corpus: `replay_NAME DIRECTORY…`. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/fuzz/fuzz.h"

#define INPUT_LIMIT (4u << 20)

/* In memory of exactly its size, for the sanitizer. */
static int run_file(const char *path)
{
	FILE *f = fopen(path, "r");
	uint8_t *all = malloc(INPUT_LIMIT), *data;
	size_t size = f && all ? fread(all, 1, INPUT_LIMIT, f) : 0;

	if (!f || !all || !(data = malloc(size ? size : 1))) {
		fprintf(stderr, "%s: cannot be read\n", path);
		free(all);
		return 1;
	}
	fclose(f);
	memcpy(data, all, size);
	free(all);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

static int run_directory(const char *path, int *count)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	char file[4096];
	int bad = !dir;

	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		/* the last one named is the one that failed */
		printf("%s\n", file);
		fflush(stdout);
		bad |= run_file(file);
		++*count;
	}
	if (dir)
		closedir(dir);
	return bad;
}

int main(int argc, char **argv)
{
	int bad = 0, count = 0;

	for (int n = 1; n < argc; n++)
		bad |= run_directory(argv[n], &count);
	printf("%d passed\n", count);
	return bad || !count;
}
