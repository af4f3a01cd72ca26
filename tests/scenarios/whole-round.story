# A whole round with the defaults: four work periods, three short breaks, the long break.

> remaining
  00:25:00
> anna: press
  ok: revision 1
  pomodoro/state: 1 work from 00:00:00 to 00:25:00 left null cycle 0 rev 1 by web:anna
  pomodoro/phase: work
  pomodoro/message: Work
> remaining
  00:25:00
> +25m wake
  pomodoro/state: 2 break_alarm from 00:25:00 to - left 0 cycle 0 rev 2 by hub
  pomodoro/phase: break_alarm
  pomodoro/message: Break time
  pomodoro/event: work_finished at 00:25:00
  history: work completed from 00:00:00 to 00:25:00, 1500 of 1500 s
> remaining
  00:00:00
> +1m wake
> anna: press
  ok: revision 3
  pomodoro/state: 3 short_break from 00:26:00 to 00:31:00 left null cycle 1 rev 3 by web:anna
  pomodoro/phase: short_break
  pomodoro/message: Short Break
> +5m wake
  pomodoro/state: 4 work_alarm from 00:31:00 to - left 0 cycle 1 rev 4 by hub
  pomodoro/phase: work_alarm
  pomodoro/message: Back to work
  pomodoro/event: break_finished at 00:31:00
  history: short_break completed from 00:26:00 to 00:31:00, 300 of 300 s
> +1m wake
> bob: press
  ok: revision 5
  pomodoro/state: 1 work from 00:32:00 to 00:57:00 left null cycle 1 rev 5 by web:bob
  pomodoro/phase: work
  pomodoro/message: Work
> +25m wake
  pomodoro/state: 2 break_alarm from 00:57:00 to - left 0 cycle 1 rev 6 by hub
  pomodoro/phase: break_alarm
  pomodoro/message: Break time
  pomodoro/event: work_finished at 00:57:00
  history: work completed from 00:32:00 to 00:57:00, 1500 of 1500 s
> remaining
  00:00:00
> +1m wake
> anna: press
  ok: revision 7
  pomodoro/state: 3 short_break from 00:58:00 to 01:03:00 left null cycle 2 rev 7 by web:anna
  pomodoro/phase: short_break
  pomodoro/message: Short Break
> +5m wake
  pomodoro/state: 4 work_alarm from 01:03:00 to - left 0 cycle 2 rev 8 by hub
  pomodoro/phase: work_alarm
  pomodoro/message: Back to work
  pomodoro/event: break_finished at 01:03:00
  history: short_break completed from 00:58:00 to 01:03:00, 300 of 300 s
> +1m wake
> bob: press
  ok: revision 9
  pomodoro/state: 1 work from 01:04:00 to 01:29:00 left null cycle 2 rev 9 by web:bob
  pomodoro/phase: work
  pomodoro/message: Work
> +25m wake
  pomodoro/state: 2 break_alarm from 01:29:00 to - left 0 cycle 2 rev 10 by hub
  pomodoro/phase: break_alarm
  pomodoro/message: Break time
  pomodoro/event: work_finished at 01:29:00
  history: work completed from 01:04:00 to 01:29:00, 1500 of 1500 s
> remaining
  00:00:00
> +1m wake
> anna: press
  ok: revision 11
  pomodoro/state: 3 short_break from 01:30:00 to 01:35:00 left null cycle 3 rev 11 by web:anna
  pomodoro/phase: short_break
  pomodoro/message: Short Break
> +5m wake
  pomodoro/state: 4 work_alarm from 01:35:00 to - left 0 cycle 3 rev 12 by hub
  pomodoro/phase: work_alarm
  pomodoro/message: Back to work
  pomodoro/event: break_finished at 01:35:00
  history: short_break completed from 01:30:00 to 01:35:00, 300 of 300 s
> +1m wake
> bob: press
  ok: revision 13
  pomodoro/state: 1 work from 01:36:00 to 02:01:00 left null cycle 3 rev 13 by web:bob
  pomodoro/phase: work
  pomodoro/message: Work
> +25m wake
  pomodoro/state: 2 break_alarm from 02:01:00 to - left 0 cycle 3 rev 14 by hub
  pomodoro/phase: break_alarm
  pomodoro/message: Break time
  pomodoro/event: work_finished at 02:01:00
  history: work completed from 01:36:00 to 02:01:00, 1500 of 1500 s
> mqtt:box: press
  ok: revision 15
  pomodoro/state: 5 long_break from 02:01:00 to 02:16:00 left null cycle 0 rev 15 by mqtt:box
  pomodoro/phase: long_break
  pomodoro/message: Long break time
> remaining
  00:15:00
> +15m wake
  pomodoro/state: 0 idle from - to - left 1500000 cycle 0 rev 16 by hub
  pomodoro/phase: idle
  pomodoro/message: Press Me!
  pomodoro/event: long_break_finished at 02:16:00
  history: long_break completed from 02:01:00 to 02:16:00, 900 of 900 s
> remaining
  00:25:00
