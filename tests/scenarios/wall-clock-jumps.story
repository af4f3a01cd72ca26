# A phase stays as long as it is; its end is stamped anew, once.

> anna: press
  ok: revision 1
  pomodoro/state: 1 work from 00:00:00 to 00:25:00 left null cycle 0 rev 1 by web:anna
  pomodoro/phase: work
  pomodoro/message: Work
> +5m wake
> wall +2h
> +1s wake
  pomodoro/state: 1 work from 00:00:00 to 02:25:00 left null cycle 0 rev 2 by hub
> remaining
  00:19:59
> +1m wake
> wall -3h
> +1s wake
  pomodoro/state: 1 work from 00:00:00 to -00:35:00 left null cycle 0 rev 3 by hub
> remaining
  00:18:58
> +1138s wake
  pomodoro/state: 2 break_alarm from -00:35:00 to - left 0 cycle 0 rev 4 by hub
  pomodoro/phase: break_alarm
  pomodoro/message: Break time
  pomodoro/event: work_finished at -00:35:00
  history: work completed from 00:00:00 to -00:35:00, 1500 of 1500 s

# A clock that is steered by a small step is no news.
> anna: press
  ok: revision 5
  pomodoro/state: 3 short_break from -00:35:00 to -00:30:00 left null cycle 1 rev 5 by web:anna
  pomodoro/phase: short_break
  pomodoro/message: Short Break
> +1m wake
> wall -300ms
> +4m wake
  pomodoro/state: 4 work_alarm from -00:30:00 to - left 0 cycle 1 rev 6 by hub
  pomodoro/phase: work_alarm
  pomodoro/message: Back to work
  pomodoro/event: break_finished at -00:30:00
  history: short_break completed from -00:35:00 to -00:30:00, 300 of 300 s
