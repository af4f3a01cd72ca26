#!/usr/bin/env bash
# mosquitto_pub and mosquitto_sub: every version with every version, every quality of service, topics and ids beyond ASCII.
set -euo pipefail
work=$1
fail() { echo "mosquitto: $*"; exit 1; }
pub() { timeout 10 mosquitto_pub -p "$MQTT_PORT" "$@"; }
sub() { timeout 10 mosquitto_sub -p "$MQTT_PORT" "$@"; }
# Subscribes in the background and waits until the hub has confirmed it.
listen() {
  : >"$work/heard"; : >"$work/debug"
  stdbuf -oL timeout 10 mosquitto_sub -d -p "$MQTT_PORT" "$@" >"$work/debug" 2>&1 &
  listener=$!
  for _ in $(seq 100); do grep -q SUBACK "$work/debug" && return; sleep 0.05; done
  fail "no SUBACK: $(cat "$work/debug")"
}

for reading in mqttv311 mqttv5; do
  for writing in mqttv311 mqttv5; do
    for qos in 0 1 2; do
      listen -V $reading -q $qos -t 'é/+' -C 2 -i "a/b $reading"
      pub -V $writing -q $qos -t é/x -m "one $writing $qos" -i "c/d $writing"
      pub -V $writing -q $qos -t é/y -m "two $writing $qos"
      wait $listener || fail "$reading heard nothing from $writing at QoS $qos"
      grep -q "two $writing $qos" "$work/debug" || fail "$reading $writing $qos: $(cat "$work/debug")"
    done
  done
done

listen -V mqttv311 -q 1 -t prop/t -C 1
pub -V mqttv5 -q 1 -t prop/t -m rich -D publish user-property a b -D publish content-type text/plain -D publish message-expiry-interval 60
wait $listener || fail "a 3.1.1 subscriber does not get a message with properties"

pub -t kept/é -m value -r
[ "$(sub -V mqttv5 -t 'kept/#' -C 1 -F '%t %r %p')" = "kept/é 1 value" ] || fail "a retained value"
pub -t kept/é -n -r
sub -t 'kept/#' -W 1 -C 1 >"$work/none" 2>/dev/null || true
[ ! -s "$work/none" ] || fail "a cleared value is still there"

pub -t lockstep/main/slider1/set -m 42 -V mqttv5
for version in mqttv311 mqttv5; do
  [ "$(sub -V $version -t lockstep/main/slider1/value -C 1)" = 42 ] || fail "the slider is not at 42"
  sub -V $version -v -t 'lockstep/#' -W 1 >"$work/all" 2>/dev/null || true
  [ "$(wc -l <"$work/all")" -ge 10 ] || fail "lockstep/# shows $(cat "$work/all")"
done

answer=$(timeout 10 mosquitto_rr -p "$MQTT_PORT" -V mqttv5 -t lockstep/main/slider1/set -e "answers/$$" -m 43)
[[ $answer == *'"ok":true'* ]] || fail "mosquitto_rr heard $answer"

listen -V mqttv5 -t wills/t -C 1
stdbuf -oL mosquitto_sub -d -p "$MQTT_PORT" -t x --will-topic wills/t --will-payload gone -i dying >"$work/dying" 2>&1 & dying=$!
for _ in $(seq 100); do grep -q SUBACK "$work/dying" && break; sleep 0.05; done
kill -9 $dying
wait $dying 2>/dev/null || true
wait $listener || fail "no will"
echo "mosquitto clients work"
