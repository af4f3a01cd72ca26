//! The box's program against the hub's: both as a person starts them, over real sockets.

mod desk;
mod link;
mod main_job;
