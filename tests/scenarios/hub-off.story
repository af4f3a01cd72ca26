# A phase that runs on, and one that ended while the hub was off.

> anna: press
  ok: revision 1
  pomodoro/state: 1 work from 00:00:00 to 00:25:00 left null cycle 0 rev 1 by web:anna
  pomodoro/phase: work
  pomodoro/message: Work
> +5m wake
> off 10m
  pomodoro/state: 1 work from 00:00:00 to 00:25:00 left null cycle 0 rev 1 by web:anna
  pomodoro/phase: work
  pomodoro/message: Work
> remaining
  00:10:00
> +9m wake
> off 1h
  pomodoro/state: 2 break_alarm from 00:25:00 to - left 0 cycle 0 rev 2 by hub
  pomodoro/phase: break_alarm
  pomodoro/message: Break time
  pomodoro/event: work_finished at 00:25:00
  history: work completed from 00:00:00 to 00:25:00, 1500 of 1500 s
> remaining
  00:00:00

# With auto_start downtime still ends one phase at the most: the alarm waits for somebody.
> anna: {"action":"setup","auto_start":true}
  ok: revision 3
  pomodoro/state: 0 idle from - to - left 1500000 cycle 0 rev 3 by web:anna
  pomodoro/phase: idle
  pomodoro/message: Press Me!
> anna: press
  ok: revision 4
  pomodoro/state: 1 work from 01:24:00 to 01:49:00 left null cycle 0 rev 4 by web:anna
  pomodoro/phase: work
  pomodoro/message: Work
> +1m wake
> off 3h
  pomodoro/state: 2 break_alarm from 01:49:00 to - left 0 cycle 0 rev 5 by hub
  pomodoro/phase: break_alarm
  pomodoro/message: Break time
  pomodoro/event: work_finished at 01:49:00
  history: work completed from 01:24:00 to 01:49:00, 1500 of 1500 s
> +1h wake
> anna: press
  ok: revision 6
  pomodoro/state: 3 short_break from 05:25:00 to 05:30:00 left null cycle 1 rev 6 by web:anna
  pomodoro/phase: short_break
  pomodoro/message: Short Break
> +5m wake
  pomodoro/state: 1 work from 05:30:00 to 05:55:00 left null cycle 1 rev 7 by hub
  pomodoro/phase: work
  pomodoro/message: Work
  pomodoro/event: break_finished at 05:30:00
  history: short_break completed from 05:25:00 to 05:30:00, 300 of 300 s

# Paused is paused.
> anna: pause
  ok: revision 8
  pomodoro/state: 1 work paused from 05:30:00 to - left 1500000 cycle 1 rev 8 by web:anna
> off 2h
  pomodoro/state: 1 work paused from 05:30:00 to - left 1500000 cycle 1 rev 8 by web:anna
  pomodoro/phase: work
  pomodoro/message: Work
> remaining
  00:25:00
> anna: resume
  ok: revision 9
  pomodoro/state: 1 work from 05:30:00 to 07:55:00 left null cycle 1 rev 9 by web:anna
