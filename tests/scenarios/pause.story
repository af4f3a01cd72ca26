# A pause over each phase that has a timer.

> anna: {"action":"setup","number_cycles":1}
  ok: revision 1
  pomodoro/state: 0 idle from - to - left 1500000 cycle 0 rev 1 by web:anna
> anna: press
  ok: revision 2
  pomodoro/state: 1 work from 00:00:00 to 00:25:00 left null cycle 0 rev 2 by web:anna
  pomodoro/phase: work
  pomodoro/message: Work
> +10m wake
> anna: press
  ok: revision 3
  pomodoro/state: 1 work paused from 00:00:00 to - left 900000 cycle 0 rev 3 by web:anna
> remaining
  00:15:00
> +1h wake
> bob: press
  ok: revision 4
  pomodoro/state: 1 work from 00:00:00 to 01:25:00 left null cycle 0 rev 4 by web:bob
> +15m wake
  pomodoro/state: 2 break_alarm from 01:25:00 to - left 0 cycle 0 rev 5 by hub
  pomodoro/phase: break_alarm
  pomodoro/message: Break time
  pomodoro/event: work_finished at 01:25:00
  history: work completed from 00:00:00 to 01:25:00, 1500 of 1500 s
> anna: stop
  already_stopped: Timer already stopped
  pomodoro/rejected: {"code":"already_stopped","message":"Timer already stopped","command":"stop","by":"web:anna","ref":null}
> anna: press
  ok: revision 6
  pomodoro/state: 3 short_break from 01:25:00 to 01:30:00 left null cycle 1 rev 6 by web:anna
  pomodoro/phase: short_break
  pomodoro/message: Short Break
> +2m wake
> anna: pause
  ok: revision 7
  pomodoro/state: 3 short_break paused from 01:25:00 to - left 180000 cycle 1 rev 7 by web:anna
> +1d wake
> anna: start
  ok: revision 8
  pomodoro/state: 3 short_break from 01:25:00 to 25:30:00 left null cycle 1 rev 8 by web:anna
> +3m wake
  pomodoro/state: 4 work_alarm from 25:30:00 to - left 0 cycle 1 rev 9 by hub
  pomodoro/phase: work_alarm
  pomodoro/message: Back to work
  pomodoro/event: break_finished at 25:30:00
  history: short_break completed from 01:25:00 to 25:30:00, 300 of 300 s
> anna: press
  ok: revision 10
  pomodoro/state: 1 work from 25:30:00 to 25:55:00 left null cycle 1 rev 10 by web:anna
  pomodoro/phase: work
  pomodoro/message: Work
> +25m wake
  pomodoro/state: 2 break_alarm from 25:55:00 to - left 0 cycle 1 rev 11 by hub
  pomodoro/phase: break_alarm
  pomodoro/message: Break time
  pomodoro/event: work_finished at 25:55:00
  history: work completed from 25:30:00 to 25:55:00, 1500 of 1500 s
> anna: press
  ok: revision 12
  pomodoro/state: 5 long_break from 25:55:00 to 26:10:00 left null cycle 0 rev 12 by web:anna
  pomodoro/phase: long_break
  pomodoro/message: Long break time
> +5m wake
> anna: pause
  ok: revision 13
  pomodoro/state: 5 long_break paused from 25:55:00 to - left 600000 cycle 0 rev 13 by web:anna
> anna: pause
  already_stopped: Timer already stopped
  pomodoro/rejected: {"code":"already_stopped","message":"Timer already stopped","command":"pause","by":"web:anna","ref":null}
> +1m wake
> anna: resume
  ok: revision 14
  pomodoro/state: 5 long_break from 25:55:00 to 26:11:00 left null cycle 0 rev 14 by web:anna
> anna: resume
  not_paused: The timer is not paused.
  pomodoro/rejected: {"code":"not_paused","message":"The timer is not paused.","command":"resume","by":"web:anna","ref":null}
> anna: start
  already_started: Timer already started
  pomodoro/rejected: {"code":"already_started","message":"Timer already started","command":"start","by":"web:anna","ref":null}
> +10m wake
  pomodoro/state: 0 idle from - to - left 1500000 cycle 0 rev 15 by hub
  pomodoro/phase: idle
  pomodoro/message: Press Me!
  pomodoro/event: long_break_finished at 26:11:00
  history: long_break completed from 25:55:00 to 26:11:00, 900 of 900 s
