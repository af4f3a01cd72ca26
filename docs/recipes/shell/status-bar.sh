#!/bin/sh
# One line for a status bar (i3blocks, waybar, polybar, tmux) whenever something changes: «Work 00:24:59».
# Usage: status-bar.sh [HOST [PORT [ROOM]]]
host=${1:-127.0.0.1} port=${2:-1883} room=${3:-main}
message='' remaining=''
while :; do
  mosquitto_sub -h "$host" -p "$port" -v -t "lockstep/$room/pomodoro/message" -t "lockstep/$room/pomodoro/remaining" \
    -t lockstep/hub/availability 2>/dev/null |
    while read -r topic value; do
      case $topic in
        */message) message=$value ;;
        */remaining) remaining=$value ;;
        */availability) [ "$value" = online ] || { echo 'Pomodoro offline'; continue; } ;;
      esac
      [ -n "$message" ] && [ -n "$remaining" ] && echo "$message $remaining"
    done
  echo 'Pomodoro offline'
  sleep 2
done
