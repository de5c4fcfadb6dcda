#!/bin/sh
# Everything is formatted as .clang-format says; --fix formats it.
cd "$(dirname "$0")/.." || exit 2
format=$(command -v clang-format-14 || command -v clang-format) || {
	echo "clang-format is not installed"
	exit 2
}
if [ "${1:-}" = --fix ]; then
	exec "$format" -i */*.[ch] tests/*/*.[ch]
fi
exec "$format" --dry-run --Werror */*.[ch] tests/*/*.[ch]
