# A command that is sent again with its ref gets the same outcome and does nothing.

> mqtt:box: {"action":"press","ref":"p1"}
  ok: revision 1
  pomodoro/state: 1 work from 00:00:00 to 00:25:00 left null cycle 0 rev 1 by mqtt:box
  pomodoro/phase: work
  pomodoro/message: Work
> +10s wake
> mqtt:box: {"action":"press","ref":"p1"}
  ok: revision 1
> anna: {"action":"resume","ref":"r1"}
  not_paused: The timer is not paused.
  pomodoro/rejected: {"code":"not_paused","message":"The timer is not paused.","command":{"action":"resume","ref":"r1"},"by":"web:anna","ref":"r1"}
> anna: pause
  ok: revision 2
  pomodoro/state: 1 work paused from 00:00:00 to - left 1490000 cycle 0 rev 2 by web:anna
> anna: {"action":"resume","ref":"r1"}
  not_paused: The timer is not paused.
> mqtt:other: {"action":"press","ref":"p1"}
  ok: revision 3
  pomodoro/state: 1 work from 00:00:00 to 00:25:00 left null cycle 0 rev 3 by mqtt:other
> +50s wake
> mqtt:box: {"action":"press","ref":"p1"}
  ok: revision 4
  pomodoro/state: 1 work paused from 00:00:00 to - left 1440000 cycle 0 rev 4 by mqtt:box
> anna: slider1 {"value":42,"ref":"s"}
  ok: revision 5
  slider1/state: 42 rev 5 by web:anna
  slider1/value: 42
> bob: slider1 7
  ok: revision 6
  slider1/state: 7 rev 6 by web:bob
  slider1/value: 7
> anna: slider1 {"value":42,"ref":"s"}
  ok: revision 5
> anna: slider2 {"value":42,"ref":"s"}
  ok: revision 7
  slider2/state: 42 rev 7 by web:anna
  slider2/value: 42
