#!/bin/sh
# Plays `seaworthy` for the checks that start a program: the link's name says what is broken.
SCRIPTED_BROKEN="$(basename "$0")" SCRIPTED_ARGS="$*" \
    exec "$(dirname "$0")/test-binary" --exact --quiet --nocapture \
    support::process::plays_the_server_when_started_by_the_script
