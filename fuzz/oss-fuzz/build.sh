#!/bin/bash -eu
# Every target, with the corpus of its name if there is one.
cd "$SRC/roadwarrior/fuzz"
cargo fuzz build --fuzz-dir . -O --debug-assertions
for target in $(cargo fuzz list --fuzz-dir .); do
    cp "target/x86_64-unknown-linux-gnu/release/$target" "$OUT/"
    if [ -d "corpus/$target" ]; then
        zip -qj "$OUT/${target}_seed_corpus.zip" "corpus/$target"/*
    fi
done
