#!/usr/bin/env python3
"""Makes the trees that the benchmark measures on, always the same.

    corpus.py many DIR [SCALE]   277,600 entries: 200,000 files up to 32 KiB
                                 (about 1 GB), 5,000 symlinks, 72,600
                                 directories; four copies of one tree, of
                                 which three have 30 % of the files altered
    corpus.py large DIR          12 files of 50-500 MiB, half random, half
                                 text
    corpus.py broad DIR          100,000 empty files in directories of a
                                 hundred
"""
import os
import random
import sys

WORDS = None


def words(rng):
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    out = []
    for _ in range(6000):
        n = min(2 + int(rng.expovariate(0.25)), 14)
        out.append("".join(rng.choice(letters[:8 + rng.randrange(18)])
                           for _ in range(n)))
    return out


def text(rng, size):
    parts, have = [], 0
    while have < size:
        # common words come often
        line = " ".join(WORDS[int(rng.paretovariate(0.6)) % len(WORDS)]
                        for _ in range(12)) + "\n"
        parts.append(line)
        have += len(line)
    return "".join(parts).encode()[:size]


def binary(rng, size):
    block = rng.randbytes(max(size // 2, 1))
    return (block + bytes(size - len(block)) if size > 1 else block)[:size]


def size_of(rng):
    return min(int(rng.expovariate(1 / 5200)), 32768)


def many(base, scale):
    rng = random.Random(1)
    dirs, files, links = (int(n * scale) for n in (18150, 50000, 1250))
    paths = [""]
    for n in range(dirs - 1):
        above = paths[int(len(paths) * rng.random() ** 0.7)]
        if above.count("/") > 12:
            above = ""
        paths.append(f"{above}{rng.choice(WORDS)[:9]}{n % 97}/")
    plan = []
    for n in range(files):
        plan.append((rng.choice(paths) + f"{rng.choice(WORDS)[:12]}{n}.c",
                     size_of(rng), rng.random() < 0.2, rng.random()))
    for copy in range(4):
        top = os.path.join(base, f"tree{copy}")
        for p in paths:
            os.makedirs(os.path.join(top, p), exist_ok=True)
        for n, (path, size, is_binary, luck) in enumerate(plan):
            altered = copy if copy and (luck * 7919 * copy) % 1 < 0.3 else 0
            content = random.Random(n * 4 + altered)
            data = (binary if is_binary else text)(content, size)
            with open(os.path.join(top, path), "wb") as f:
                f.write(data)
        for n in range(links):
            os.symlink("../" * 2 + plan[n * 7][0],
                       os.path.join(top, f"{paths[n * 3 % dirs]}link{n}"))


def large(base):
    rng = random.Random(2)
    os.makedirs(base, exist_ok=True)
    sample = text(rng, 8 << 20)
    for n in range(12):
        size = (50 + (n * 173) % 450) << 20
        with open(os.path.join(base, f"file{n:02}"), "wb") as f:
            left = size
            while left:
                piece = min(left, 1 << 20)
                if n % 2:
                    at = rng.randrange(len(sample) - (64 << 10))
                    data = b"".join(
                        sample[a:a + 4096] for a in
                        (rng.randrange(len(sample) - 4096)
                         for _ in range(piece // 4096)))
                else:
                    data = rng.randbytes(piece)
                f.write(data[:piece])
                left -= piece


def broad(base):
    for n in range(1000):
        d = os.path.join(base, f"d{n:04}")
        os.makedirs(d)
        for k in range(100):
            open(os.path.join(d, f"file{k:03}"), "w").close()


def main():
    global WORDS
    WORDS = words(random.Random(0))
    kind, base = sys.argv[1], sys.argv[2]
    os.makedirs(base, exist_ok=True)
    if kind == "many":
        many(base, float(sys.argv[3]) if len(sys.argv) > 3 else 1)
    elif kind == "large":
        large(base)
    elif kind == "broad":
        broad(base)
    else:
        sys.exit(__doc__)


main()
