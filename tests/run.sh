#!/bin/bash
# Installs what is missing, builds, runs the unit tests.
set -u
cd "$(dirname "$0")/.."
need="gcc cmake ninja-build pkg-config libfuse3-dev libsqlite3-dev libxxhash-dev libzstd-dev libcunit1-dev"
missing=
for p in $need; do dpkg -s "$p" >/dev/null 2>&1 || missing="$missing $p"; done
if [ -n "$missing" ]; then
	echo "installing:$missing"
	apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing || exit 2
fi
cmake -S . -B build-debug -G Ninja -DCMAKE_BUILD_TYPE=Debug -DREEL_SANITIZE=address,undefined >/dev/null && ninja -C build-debug || exit 2
passed=0 failed=0
for t in build-debug/tests/unit; do
	if timeout 600 "$t"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
