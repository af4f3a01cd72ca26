# The alarms are skipped, their events are told, and the round still ends in idle.

> anna: {"action":"setup","auto_start":true,"number_cycles":1,"long_break_duration":600}
  ok: revision 1
  pomodoro/state: 0 idle from - to - left 1500000 cycle 0 rev 1 by web:anna
> anna: start
  ok: revision 2
  pomodoro/state: 1 work from 00:00:00 to 00:25:00 left null cycle 0 rev 2 by web:anna
  pomodoro/phase: work
  pomodoro/message: Work
> +25m wake
  pomodoro/state: 3 short_break from 00:25:00 to 00:30:00 left null cycle 1 rev 3 by hub
  pomodoro/phase: short_break
  pomodoro/message: Short Break
  pomodoro/event: work_finished at 00:25:00
  history: work completed from 00:00:00 to 00:25:00, 1500 of 1500 s
> +5m wake
  pomodoro/state: 1 work from 00:30:00 to 00:55:00 left null cycle 1 rev 4 by hub
  pomodoro/phase: work
  pomodoro/message: Work
  pomodoro/event: break_finished at 00:30:00
  history: short_break completed from 00:25:00 to 00:30:00, 300 of 300 s
> +25m wake
  pomodoro/state: 5 long_break from 00:55:00 to 01:05:00 left null cycle 0 rev 5 by hub
  pomodoro/phase: long_break
  pomodoro/message: Long break time
  pomodoro/event: work_finished at 00:55:00
  history: work completed from 00:30:00 to 00:55:00, 1500 of 1500 s
> +10m wake
  pomodoro/state: 0 idle from - to - left 1500000 cycle 0 rev 6 by hub
  pomodoro/phase: idle
  pomodoro/message: Press Me!
  pomodoro/event: long_break_finished at 01:05:00
  history: long_break completed from 00:55:00 to 01:05:00, 600 of 600 s
> +1h wake

# A hub that is woken late is still exact.
> anna: start
  ok: revision 7
  pomodoro/state: 1 work from 02:05:00 to 02:30:00 left null cycle 0 rev 7 by web:anna
  pomodoro/phase: work
  pomodoro/message: Work
> +1501s late
  pomodoro/state: 3 short_break from 02:30:00 to 02:35:00 left null cycle 1 rev 8 by hub
  pomodoro/phase: short_break
  pomodoro/message: Short Break
  pomodoro/event: work_finished at 02:30:00
  history: work completed from 02:05:00 to 02:30:00, 1500 of 1500 s
> +299s wake
  pomodoro/state: 1 work from 02:35:00 to 03:00:00 left null cycle 1 rev 9 by hub
  pomodoro/phase: work
  pomodoro/message: Work
  pomodoro/event: break_finished at 02:35:00
  history: short_break completed from 02:30:00 to 02:35:00, 300 of 300 s
