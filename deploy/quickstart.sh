#!/usr/bin/env bash
# From a bare clone to a served model: installs the packages, builds, serves the demonstration model on
# free loopback ports, streams a continuation, asks over HTTP, scores minimal pairs, shows a few metrics. Leaves nothing
# running, unless called with --keep: then it says how to go on and how to stop the server.
set -euo pipefail
cd "$(dirname "$0")/.."

keep=no
for argument in "$@"; do
  case "$argument" in
    --keep) keep=yes ;;
    --help | -h) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    *) echo "quickstart: unknown argument $argument; it takes --keep" >&2; exit 2 ;;
  esac
done

say() { printf '\n== %s\n' "$*"; }

bin=build/release/bin
server_pid=
# On success with --keep the server stays; in every other case it goes, and we wait until it is gone.
clean_up() {
  local status=$?
  trap - EXIT INT TERM
  if [[ -n "$server_pid" && ( "$keep" == no || $status -ne 0 ) ]]; then
    kill -TERM "$server_pid" 2>/dev/null || true
    wait "$server_pid" 2>/dev/null || true
  fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# free_port FIRST LAST: prints a port on loopback that nobody listens on. Looked for below the ports that
# the kernel hands out by itself, so that no connection takes it meanwhile.
free_port() {
  local port
  for port in $(shuf -i "$1-$2" -n 200); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "$port"; return; fi
  done
  echo "quickstart: no free port between $1 and $2" >&2
  return 1
}

# Prints the body of http://127.0.0.1:PORT/metrics, with curl or by hand.
fetch_metrics() {
  if command -v curl >/dev/null; then
    curl --silent --show-error --fail --max-time 10 "http://127.0.0.1:$1/metrics"
    return
  fi
  exec 3<>"/dev/tcp/127.0.0.1/$1"
  printf 'GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&3
  sed '1,/^\r*$/d' <&3
  exec 3>&-
}

say "1/6 packages (deploy/install_deps.sh)"
./deploy/install_deps.sh

say "2/6 build of server and client (preset release, into build/release)"
cmake --preset release
cmake --build --preset release --target dyad-server dyadctl

say "3/6 server with the demonstration model (a 5 M parameter OPT with DYAD layers)"
rpc_port=$(free_port 20000 22999)
http_port=$(free_port 23000 25999)
metrics_port=$(free_port 26000 31999)
address=127.0.0.1:$rpc_port
log=build/quickstart-server.log
nohup "$bin/dyad-server" --listen="$address" --http="127.0.0.1:$http_port" --metrics="127.0.0.1:$metrics_port" \
  --model=demo=deploy/demo_model --kv_cache_bytes=268435456 </dev/null >"$log" 2>&1 &
server_pid=$!
for ((tries = 0; ; ++tries)); do
  if "$bin/dyadctl" health --server="$address" 2>/dev/null; then break; fi
  if ! kill -0 "$server_pid" 2>/dev/null || ((tries >= 120)); then
    echo "quickstart: the server did not become ready; its log:" >&2
    tail -n 20 "$log" >&2
    exit 1
  fi
  sleep 0.5
done
"$bin/dyadctl" models --server="$address"

say "4/6 a continuation, as it is generated"
prompt="Once upon a time there was a little"
echo "$prompt ..."
"$bin/dyadctl" generate "$prompt" --max_new_tokens=48 --temperature=0.8 --top_p=0.95 --seed=7 \
  --server="$address"

if command -v curl >/dev/null; then
  echo "The same over HTTP, as OpenAI's clients ask (http://127.0.0.1:$http_port/v1):"
  curl --silent --show-error --fail --max-time 60 "http://127.0.0.1:$http_port/v1/completions" \
    --header "Content-Type: application/json" \
    --data '{"prompt": "Once upon a time there was a little", "max_tokens": 12, "temperature": 0}'
  echo
fi

say "5/6 minimal pairs: is the right sentence the likelier one? (deploy/minimal_pairs.jsonl)"
"$bin/dyadctl" pairs --input=deploy/minimal_pairs.jsonl --server="$address"

say "6/6 metrics (http://127.0.0.1:$metrics_port/metrics)"
metrics=$(fetch_metrics "$metrics_port")
grep -E -e '^dyad_(rpc_requests|prompt_tokens|generated_tokens|scored_tokens)_total' \
  -e '^dyad_(time_to_first_token|inter_token|step)_seconds_(sum|count)' -e '^dyad_kv_pages' \
  <<<"$metrics"

if [[ "$keep" == yes ]]; then
  say "the server goes on: $bin/dyadctl generate TEXT --server=$address"
  echo "stop it with: kill $server_pid     log: $log"
else
  say "done; the server is stopped"
fi
