/* Reads files whole, one after the other: readlist LIST DIR. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char line[8192], block[1 << 16];
	FILE *list = argc == 3 ? fopen(argv[1], "r") : NULL;
	ssize_t n;

	if (!list || chdir(argv[2]))
		return 2;
	while (fgets(line, sizeof(line), list)) {
		line[strcspn(line, "\n")] = '\0';
		int fd = open(line, O_RDONLY);

		if (fd < 0) {
			perror(line);
			return 1;
		}
		while ((n = read(fd, block, sizeof(block))) > 0)
			;
		close(fd);
		if (n < 0) {
			perror(line);
			return 1;
		}
	}
	fclose(list);
	return 0;
}
