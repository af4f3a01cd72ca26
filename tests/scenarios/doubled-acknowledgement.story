# Two people acknowledge the same alarm; the second press must not pause what the first one began.

> anna: press
  ok: revision 1
  pomodoro/state: 1 work from 00:00:00 to 00:25:00 left null cycle 0 rev 1 by web:anna
  pomodoro/phase: work
  pomodoro/message: Work
> +500ms wake
> bob: press
  too_soon: The phase has only just begun; press again to pause it.
  pomodoro/rejected: {"code":"too_soon","message":"The phase has only just begun; press again to pause it.","command":"press","by":"web:bob","ref":null}
> +25m wake
  pomodoro/state: 2 break_alarm from 00:25:00 to - left 0 cycle 0 rev 2 by hub
  pomodoro/phase: break_alarm
  pomodoro/message: Break time
  pomodoro/event: work_finished at 00:25:00
  history: work completed from 00:00:00 to 00:25:00, 1500 of 1500 s
> anna: press
  ok: revision 3
  pomodoro/state: 3 short_break from 00:25:00.500 to 00:30:00.500 left null cycle 1 rev 3 by web:anna
  pomodoro/phase: short_break
  pomodoro/message: Short Break
> +300ms wake
> bob: press
  too_soon: The phase has only just begun; press again to pause it.
  pomodoro/rejected: {"code":"too_soon","message":"The phase has only just begun; press again to pause it.","command":"press","by":"web:bob","ref":null}
> +5m wake
  pomodoro/state: 4 work_alarm from 00:30:00.500 to - left 0 cycle 1 rev 4 by hub
  pomodoro/phase: work_alarm
  pomodoro/message: Back to work
  pomodoro/event: break_finished at 00:30:00.500
  history: short_break completed from 00:25:00.500 to 00:30:00.500, 300 of 300 s
> anna: press
  ok: revision 5
  pomodoro/state: 1 work from 00:30:00.800 to 00:55:00.800 left null cycle 1 rev 5 by web:anna
  pomodoro/phase: work
  pomodoro/message: Work
> bob: press
  too_soon: The phase has only just begun; press again to pause it.
  pomodoro/rejected: {"code":"too_soon","message":"The phase has only just begun; press again to pause it.","command":"press","by":"web:bob","ref":null}
> +1s wake
> bob: press
  ok: revision 6
  pomodoro/state: 1 work paused from 00:30:00.800 to - left 1499000 cycle 1 rev 6 by web:bob
