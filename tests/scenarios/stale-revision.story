# Who goes by an old revision is told, and nothing happens.

> anna: slider1 10
  ok: revision 1
  slider1/state: 10 rev 1 by web:anna
  slider1/value: 10
> bob: slider1 20
  ok: revision 2
  slider1/state: 20 rev 2 by web:bob
  slider1/value: 20
> anna: slider1 {"value":30,"rev":1}
  stale: The command is for revision 1; the thing has 2 now.
  slider1/rejected: {"code":"stale","message":"The command is for revision 1; the thing has 2 now.","command":{"rev":1,"value":30},"by":"web:anna","ref":null}
> anna: slider1 {"value":30,"rev":2}
  ok: revision 3
  slider1/state: 30 rev 3 by web:anna
  slider1/value: 30
> anna: press
  ok: revision 4
  pomodoro/state: 1 work from 00:00:00 to 00:25:00 left null cycle 0 rev 4 by web:anna
  pomodoro/phase: work
  pomodoro/message: Work

# The phase ends, so a press that was meant to pause is not taken for an acknowledgement.
> +25m wake
  pomodoro/state: 2 break_alarm from 00:25:00 to - left 0 cycle 0 rev 5 by hub
  pomodoro/phase: break_alarm
  pomodoro/message: Break time
  pomodoro/event: work_finished at 00:25:00
  history: work completed from 00:00:00 to 00:25:00, 1500 of 1500 s
> anna: {"action":"press","rev":4}
  stale: The command is for revision 4; the thing has 5 now.
  pomodoro/rejected: {"code":"stale","message":"The command is for revision 4; the thing has 5 now.","command":{"action":"press","rev":4},"by":"web:anna","ref":null}
> anna: {"action":"press","rev":5}
  ok: revision 6
  pomodoro/state: 3 short_break from 00:25:00 to 00:30:00 left null cycle 1 rev 6 by web:anna
  pomodoro/phase: short_break
  pomodoro/message: Short Break
