# A Pi without a battery clock: off for ten minutes, its clock an hour late until the network sets it right.

> anna: press
  ok: revision 1
  pomodoro/state: 1 work from 00:00:00 to 00:25:00 left null cycle 0 rev 1 by web:anna
  pomodoro/phase: work
  pomodoro/message: Work
> +5m wake
> off 10m unsynchronised -1h
  pomodoro/state: 1 work from 00:00:00 to -00:20:00 left null cycle 0 rev 2 by hub
  pomodoro/phase: work
  pomodoro/message: Work
> remaining
  00:25:00
> +1m wake
> wall +1h
> synchronised
> +1s wake
  pomodoro/state: 1 work from 00:00:00 to 00:25:00 left null cycle 0 rev 3 by hub
> remaining
  00:08:59

# Once it is right, a jump is only a jump.
> wall +1h
> +1s wake
  pomodoro/state: 1 work from 00:00:00 to 01:25:00 left null cycle 0 rev 4 by hub
> remaining
  00:08:58
> wall -1h
> +1s wake
  pomodoro/state: 1 work from 00:00:00 to 00:25:00 left null cycle 0 rev 5 by hub

# Off for so long that the phase is over, which shows when the clock is set right.
> off 1h unsynchronised -2h
  pomodoro/state: 1 work from 00:00:00 to -00:35:00 left null cycle 0 rev 6 by hub
  pomodoro/phase: work
  pomodoro/message: Work
> remaining
  00:08:57
> +10s wake
> wall +2h
> synchronised
> +1s wake
  pomodoro/state: 2 break_alarm from 00:25:00 to - left 0 cycle 0 rev 7 by hub
  pomodoro/phase: break_alarm
  pomodoro/message: Break time
  pomodoro/event: work_finished at 00:25:00
  history: work completed from 00:00:00 to 00:25:00, 1500 of 1500 s
> remaining
  00:00:00
