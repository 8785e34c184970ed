#!/usr/bin/env bash
# Take the newest signed release, and go back to the one before when it is not well. See docs/operating.md, "Updating".
#
#   $ASSAY_ROOT/repository.git    a bare clone; its `origin` is where releases come from
#   $ASSAY_ROOT/releases/TAG      a release with its own .venv, never changed once it runs
#   $ASSAY_ROOT/current           symbolic link to the one that runs
#   $ASSAY_ROOT/refused           tags that were tried and were not well, a line each
#
# Exit status: 0 nothing to do, or updated; 1 refused, or rolled back; 2 settings. Variables: docker/systemd/update.env.
set -euo pipefail

say() { echo "assay update: $*" >&2; }
end() { say "$1"; exit "$2"; }

for name in ASSAY_ROOT ASSAY_SIGNERS ASSAY_UNITS ASSAY_HEALTH; do
  [[ -n "${!name:-}" ]] || end "set $name (docker/systemd/update.env)" 2
done
[[ -s "$ASSAY_SIGNERS" ]] || end "ASSAY_SIGNERS $ASSAY_SIGNERS: no such file, or an empty one: who may sign a release?" 2
[[ -L "$ASSAY_ROOT/current" ]] || end "$ASSAY_ROOT/current is not a link to a release: install the first one by hand" 2
cd "$ASSAY_ROOT"
exec 9> update.lock
flock -n 9 || end "another update is at work" 1

git() { command git --git-dir="$ASSAY_ROOT/repository.git" "$@"; }
old=$(basename "$(readlink current)")
touch refused

# Started again by systemd (Restart=always): stopping is all that this user may do, and all that is needed.
restart() {
  if [[ -n "${ASSAY_RESTART:-}" ]]; then bash -c "$ASSAY_RESTART"; return; fi
  local unit pid
  for unit in $ASSAY_UNITS; do
    pid=$(systemctl show --property MainPID --value "$unit")
    if (( pid > 0 )); then kill -TERM "$pid"; fi
  done
}

healthy() {
  local ends=$((SECONDS + ${ASSAY_PATIENCE:-900}))
  sleep "${ASSAY_PAUSE:-10}" # the old process must not answer for the new one
  until bash -c "$ASSAY_HEALTH" > /dev/null 2>&1; do
    (( SECONDS < ends )) || return 1
    sleep 1
  done
}

switch() { ln -sfn "releases/$1" current.new && mv -Tf current.new current; }

git fetch --quiet --tags origin || end "tags cannot be fetched, or one was moved: nothing is changed" 1
if [[ -n "${ASSAY_PIN:-}" ]]; then new=$ASSAY_PIN
else new=$(git tag --list 'v[0-9]*' --sort=-version:refname | grep -vxFf refused | grep -v -- - | head -n 1 || true); fi
[[ -n "$new" && "$new" != "$old" ]] || exit 0

# A tag that names another version inside was renamed: an old release, signed once, is not a new one.
[[ "$(git cat-file -t "refs/tags/$new" 2> /dev/null)" == tag ]] || end "$new is not a signed tag: refused" 1
[[ "$(git cat-file tag "refs/tags/$new" | sed -n 's/^tag //p;/^$/q')" == "$new" ]] || end "$new was signed under another name: refused" 1
git -c gpg.format=ssh -c gpg.ssh.allowedSignersFile="$ASSAY_SIGNERS" verify-tag "refs/tags/$new" 2> /dev/null \
  || end "$new is not signed by anybody in $ASSAY_SIGNERS: refused" 1
git merge-base --is-ancestor "refs/tags/$old^{commit}" "refs/tags/$new^{commit}" || end "$new does not follow $old: refused" 1

say "building $new beside $old"
rm -rf "releases/$new"
git worktree prune
if ! { git worktree add --quiet --detach "releases/$new" "refs/tags/$new" \
  && (cd "releases/$new" && bash -c "${ASSAY_SETUP:-make setup && .venv/bin/assay doctor}") >&2; }; then
  echo "$new" >> refused
  end "$new cannot be built, or its doctor finds faults: $old goes on" 1
fi
if [[ -n "${ASSAY_BACKUP:-}" ]]; then bash -c "$ASSAY_BACKUP" >&2 || end "the backup failed: $old goes on" 1; fi

switch "$new"
restart
if healthy; then
  for path in releases/*; do # the one that runs and the one before stay
    tag=$(basename "$path")
    [[ "$tag" == "$new" || "$tag" == "$old" ]] || git worktree remove --force "$path"
  done
  end "$new runs" 0
fi
echo "$new" >> refused
switch "$old"
restart
healthy || end "$new was not well, and $old is not either: look at both logs" 1
end "$new was not well: back on $old; it is not tried again (remove its line from $ASSAY_ROOT/refused)" 1
