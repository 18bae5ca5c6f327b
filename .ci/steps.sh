# Steps, lanes of steps and their summary, and the copies that the steps work on. `.ci/run` sources this file.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/celery-otel-links-ci.XXXXXX")
readonly only repository work
readonly most_per_step=1500  # seconds
readonly mark="ci-run-$$-$RANDOM" # in the environment of every process that a step starts
started=$SECONDS
lanes=()
at_end=() # commands that stop the servers

export CI=true # what a test needs has to be here
export PIP_DISABLE_PIP_VERSION_CHECK=1 UV_PYTHON_DOWNLOADS=never
export XDG_CACHE_HOME="$work/cache" PIP_CACHE_DIR="$work/cache/pip" UV_CACHE_DIR="$work/cache/uv"
export TMPDIR="$work/tmp" COVERAGE_FILE="$work/coverage/data"
mkdir "$TMPDIR"
unset VIRTUAL_ENV PYTHONPATH PYTEST_ADDOPTS FORCE_COLOR

marked() { # the processes of our steps that still run; with a NAME, those of that step
  local environment
  for environment in /proc/[0-9]*/environ; do
    if grep -zqx "CI_RUN_MARK=$mark-${1:-.*}" "$environment" 2>/dev/null; then
      basename "$(dirname "$environment")"
    fi
  done
}

finish() {
  local left command
  for _ in $(seq 50); do # what is killed may have started something in the meantime, and takes a moment to be gone
    left=$(marked)
    [ -n "$left" ] || break
    kill -KILL $left 2>/dev/null || true
    sleep 0.1
  done
  for command in "${at_end[@]}"; do $command || true; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() { # step NAME COMMAND...: runs it, says how long it took, notes a failure or a process left behind
  local name=$1 begun=$SECONDS good=true left process output="$work/output-$1"
  shift
  # shellcheck disable=SC2254  # a pattern is wanted
  case $name in $only) ;; *) return 0 ;; esac
  printf '\n=== %s (at %d s)\n' "$name" "$((SECONDS - started))"
  # Into a file and not a pipe, which a process left behind would keep open. It is there before `tail` looks for it.
  : >"$output"
  CI_RUN_MARK=$mark-$name timeout --kill-after=10 "$most_per_step" bash -euo pipefail -c '"$@"' _ "$@" \
    >>"$output" 2>&1 </dev/null &
  process=$!
  tail --lines=+1 --follow --sleep-interval=0.5 --pid="$process" "$output" || true # what is shown decides nothing
  wait "$process" || good=false
  cat "$output" >>"$work/log"
  left=$(marked "$name")
  if [ -n "$left" ]; then
    printf 'left running:\n'
    for process in $left; do tr '\0' ' ' <"/proc/$process/cmdline" && echo; done || true
    kill -KILL $left 2>/dev/null || true
    good=false
  fi
  $good || echo "$name" >>"$work/failed"
  printf '=== %s: %s, %d s\n' "$name" "$($good && echo passed || echo FAILED)" "$((SECONDS - begun))"
}

beside() { # beside FUNCTION: runs a lane of steps in the background; what it says is kept for `joined`
  "$1" >"$work/$1" &
  lanes+=("$1:$!")
}

joined() { # waits for the lanes in the background, and shows what they said
  local lane
  for lane in "${lanes[@]}"; do
    wait "${lane#*:}" || echo "${lane%:*}" >>"$work/failed"
    cat "$work/${lane%:*}"
  done
}

count() { # count WORD: the sum over all of pytest's summaries
  { grep -E '^(=+ )?([0-9]+ [a-z]+, )*[0-9]+ [a-z]+.* in [0-9.]+s' "$work/log" || true; } |
    { grep -oE "[0-9]+ $1" || true; } | awk '{ n += $1 } END { print n + 0 }'
}

summary() { # what failed, and the counts; its status is that of the whole run
  local failed_steps passed failed
  touch "$work/log" "$work/failed"
  printf '\n'
  sed 's/^/FAILED: /' "$work/failed"
  failed_steps=$(wc -l <"$work/failed")
  passed=$(count passed) failed=$(($(count failed) + $(count error)))
  [ "$failed_steps" = 0 ] || [ "$failed" != 0 ] || failed=$failed_steps
  echo "$(count rerun) second tries of tests that wait against a clock"
  echo "$passed passed, $failed failed in $((SECONDS - started)) s"
  [ "$failed_steps" = 0 ]
}

copy_to() { # what a fresh clone would hold, the changes that are not committed yet included
  if ! git -C "$repository" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    cp -R "$repository" "$1"
    return
  fi
  mkdir -p "$1"
  (cd "$repository" && git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
    xargs -0 cp --parents -P -t "$1")
}

readme() { # readme NAME [VARIABLE=VALUE...]: the README's command of that name, as it stands there, in a fresh clone
  local name=$1 command clone="$work/clone-$1"
  shift
  command=$(awk -v marker="<!-- command: $name -->" '
    $0 == marker { markers++; state = 1; next }
    state == 1 { if ($0 !~ /^```/) exit 1; state = 2; next }
    state == 2 && /^```/ { state = 0; next }
    state == 2 { lines++; command = $0 }
    END { if (markers != 1 || lines != 1 || command == "") exit 1; print command }
  ' "$repository/README.md") || { echo "README.md has to hold one command for: $name" >&2; return 1; }
  printf '$ %s\n' "$command"
  copy_to "$clone"
  (cd "$clone" && env "$@" bash -c "$command")
  rm -rf "$clone"
}

tox() { # tox ENVIRONMENT [ARGUMENT...]; a test that is marked as waiting against a clock has a second try
  local environment=$1
  shift
  (cd "$work/source" && PATH=$pythons PYTEST_ADDOPTS=--second-try exec "$tools/bin/tox" --workdir "$work/tox" --colored no \
    run -e "$environment" ${1:+--} "$@")
}

versions() { # versions FACTORS ARGUMENTS PYTHON...: these versions, on the first of these Pythons that is here
  local factors=$1 arguments=$2 version
  shift 2
  for version; do
    if PATH=$pythons "python$version" -c '' 2>/dev/null; then
      # shellcheck disable=SC2086  # several arguments are wanted
      tox "py${version/./}-$factors" $arguments
      return
    fi
  done
  echo "NOT RUN: there is none of Python $*"
}

measured() { # measured COMMAND...: what it runs of the package is written down for the step `coverage`
  COVERAGE_PROCESS_START="$work/source/pyproject.toml" "$@"
}

cd "$work"
printf '=== tools (Python %s)\n' "$(python3 -c 'import sys; print(sys.version.split()[0])')"
tools="$work/tools" uv_only="$work/uv-only"
# pyenv's shims are not interpreters; what stands behind them is.
pythons=$(printf '%s:' "${PYENV_ROOT:-${HOME:-/root}/.pyenv}"/versions/3.1[0-9]*/bin)$PATH
python3 -c 'import ensurepip' 2>/dev/null || debian_package python3-venv
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet tox tox-uv uv
mkdir "$uv_only" "$work/coverage"
ln -s "$tools/bin/uv" "$tools/bin/uvx" "$uv_only"
copy_to "$work/source"
export -f copy_to readme tox versions measured
export repository work tools pythons
