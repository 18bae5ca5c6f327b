# The servers and programs that tests need: those that are here, or Debian's. `.ci/run` sources this file.

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

debian_package() { # RUNLEVEL=1 keeps it from starting a service
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  printf '\n=== installing %s\n' "$1"
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive sh -c \
    'apt-get update -qq && apt-get install -qq -y --no-install-recommends "$0"' "$1" >"$work/apt.log" 2>&1 ||
    { tail -20 "$work/apt.log"; return 1; }
}

program() { # program COMMAND: has to be there, or is installed from the Debian package of that name
  command -v "$1" >/dev/null || debian_package "$1" || echo "There is no $1, and it could not be installed."
}

rabbitmq() { # a RabbitMQ has to answer; where none does, Debian's is installed and runs until we are done
  if [ -n "${OTEL_LINKS_TEST_RABBITMQ:-}" ] || answers 5672; then
    return
  fi
  if [ ! -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; then
    debian_package rabbitmq-server || return 0
  fi
  if ! answers 5672 && [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; then
    mkdir -p "$work/rabbitmq"
    local epmd_was_up=false
    ! answers 4369 || epmd_was_up=true
    (
      cd "$work/rabbitmq"
      export HOME=$PWD RABBITMQ_NODENAME=ci@localhost RABBITMQ_MNESIA_BASE=$PWD RABBITMQ_LOG_BASE=$PWD
      export RABBITMQ_ENABLED_PLUGINS_FILE=$PWD/plugins RABBITMQ_NODE_IP_ADDRESS=127.0.0.1
      exec setsid /usr/lib/rabbitmq/bin/rabbitmq-server >"$work/rabbitmq/out" 2>&1 </dev/null
    ) &
    at_end+=("stop_rabbitmq $! $epmd_was_up")
    for _ in $(seq 60); do
      ! answers 5672 || return 0
      sleep 1
    done
    tail -20 "$work/rabbitmq/out"
  fi
  answers 5672 || echo "No RabbitMQ answers, and none could be started."
}

stop_rabbitmq() { # stop_rabbitmq PID EPMD_WAS_UP
  kill -TERM -- "-$1" 2>/dev/null
  for _ in $(seq 20); do
    kill -0 -- "-$1" 2>/dev/null || break
    sleep 0.5
  done
  kill -KILL -- "-$1" 2>/dev/null
  $2 || epmd -kill >/dev/null 2>&1
}

postgresql() { # as above
  if [ -n "${OTEL_LINKS_TEST_POSTGRES:-}" ] || answers 5432; then
    return
  fi
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || debian_package postgresql || return 0
  local home="$work/postgresql" bin
  bin=$(dirname "$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | tail -1)")
  # It does not run as root, and whom it runs as has to reach its folder.
  install -d -o postgres "$home"
  chmod o+x "$work"
  {
    runuser -u postgres -- "$bin/initdb" -D "$home" -A trust -U postgres &&
      runuser -u postgres -- "$bin/pg_ctl" -D "$home" -w -l "$home/out" -o "-h 127.0.0.1 -k $home" start
  } >"$work/postgresql.log" 2>&1 || { tail -20 "$work/postgresql.log"; return 0; }
  at_end+=("runuser -u postgres -- $bin/pg_ctl -D $home -m immediate stop")
}
