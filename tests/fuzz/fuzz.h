/* One entry point for each target, libFuzzer's. Where there is no libFuzzer,
 * replay.c calls it with the files of a corpus. A target stops the program
 * when what it checks does not hold. */
#ifndef REEL_TESTS_FUZZ_H
#define REEL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(x) fuzz_check(!!(x), #x, __FILE__, __LINE__)

void fuzz_check(int holds, const char *what, const char *file, int line);
/* A directory of this process's own, made when first asked for, removed at
 * the end. */
const char *fuzz_place(void);
/* A file in it with these bytes; its path until the next call. */
const char *fuzz_file(const char *name, const void *data, size_t size);

#endif
