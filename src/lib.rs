#![doc = "Lockstep."]
