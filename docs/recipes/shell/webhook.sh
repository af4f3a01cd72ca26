#!/bin/sh
# Calls a web address whenever a phase is over. Usage: webhook.sh URL [HUB]
# The hub's event stream is read with curl; each event is posted on as it came, as JSON.
url=$1 hub=${2:-http://127.0.0.1:8080}
curl -sN "$hub/api/v1/stream?filter=lockstep/%2B/pomodoro/event" | while read -r field value; do
  case $field in
    data:) case $value in *_finished*) curl -sS -o /dev/null -H 'content-type: application/json' -d "$value" "$url" ;; esac ;;
  esac
done
