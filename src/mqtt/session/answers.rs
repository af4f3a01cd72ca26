//! What becomes of what the client sent: outcomes from the engine, acknowledgements in the order of the publishes.
//!
//! Reading packets does not belong here; that is [`ingress`](super::ingress)'s.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Online, Pending, Session,
    ingress::{Held, Receiving},
};
use crate::{
    domain::{
        origin::Origin,
        publication::{Properties, Publish as Admitted, Qos},
        rejection::Code,
        topic::Topic,
    },
    engine::{KeepChange, Outcome, Stopped},
    mqtt::{
        frame::{self, AckKind},
        packet::{Publish, Version},
        reason::Reason,
        state::Stats,
    },
};

/// A batch that the engine has, and what is sent back when its outcomes are known.
pub(super) struct Answer {
    pub(super) future: Pending<Result<Vec<Outcome>, Stopped>>,
    pub(super) owed: Vec<Owed>,
}

/// What is owed for one publish.
pub(super) struct Owed {
    pub(super) qos: Qos,
    pub(super) id: u16,
    pub(super) epoch: u64,
    /// Set where the door refused it itself, so that the engine never saw it.
    pub(super) refused: Option<(Reason, &'static str)>,
    pub(super) response: Option<Response>,
}

impl Owed {
    /// Whether nobody waits for it.
    pub(super) const fn is_nothing(&self) -> bool {
        matches!(self.qos, Qos::AtMostOnce) && self.response.is_none()
    }
}

/// Where the outcome of a command is wanted.
pub(super) struct Response {
    pub(super) topic: String,
    pub(super) correlation: Option<Bytes>,
    pub(super) qos: Qos,
}

impl Session {
    /// Where the outcome goes, where it is a command with a response topic that the client may use so.
    pub(super) fn response_of(&self, topic: &Topic, publish: &Publish) -> Option<Response> {
        let properties = publish.properties.as_ref()?;
        let response_topic = properties.response_topic.as_ref()?;
        let below = topic.as_str().strip_prefix(&self.state.settings.root)?.strip_prefix('/')?;
        below.strip_suffix("/set")?;
        let answered = Topic::parse(response_topic).ok()?;
        let own = answered.levels().any(|level| level == &*self.client_id);
        if !(self.may_publish(&answered) || own && self.may_receive(response_topic.as_bytes())) {
            metrics::counter!("lockstep_mqtt_denied_total", "action" => "response").increment(1);
            return None;
        }
        Some(Response {
            topic: response_topic.clone(),
            correlation: properties.correlation_data.clone(),
            qos: publish.qos,
        })
    }

    pub(super) fn take_outcomes(&mut self, outcomes: Result<Vec<Outcome>, Stopped>) {
        let Some(answer) = self.answers.pop_front() else { return };
        let Ok(outcomes) = outcomes else {
            // Nothing may be acknowledged: whoever still has it sends it again.
            self.detach(Reason::SERVER_UNAVAILABLE, "The hub could not keep what was sent.");
            return;
        };
        let mut outcomes = outcomes.into_iter();
        for owed in answer.owed {
            let (reason, text) = match owed.refused {
                Some((reason, text)) => (reason, text.to_owned()),
                None => match outcomes.next() {
                    Some(outcome) => {
                        if let Some(response) = &owed.response {
                            self.respond(response, &outcome);
                        }
                        match outcome {
                            Err(rejection) if self.must_not_be_acknowledged(rejection.code, owed.qos) => {
                                self.detach(Reason::QUOTA_EXCEEDED, "The hub cannot keep anything at the moment.");
                                return;
                            }
                            Err(rejection) => {
                                (Reason::of_publish(rejection.code).unwrap_or(Reason::SUCCESS), rejection.message)
                            }
                            Ok(_) => (Reason::SUCCESS, String::new()),
                        }
                    }
                    None => (Reason::UNSPECIFIED, String::new()),
                },
            };
            self.settle(&owed, reason, &text);
        }
    }

    /// 3.1.1 has no way to say that a message was not kept, but not to acknowledge it.
    fn must_not_be_acknowledged(&self, code: Code, qos: Qos) -> bool {
        self.version == Version::V311 && qos != Qos::AtMostOnce && matches!(code, Code::Storage | Code::Busy)
    }

    /// Sends the acknowledgement of one publish.
    fn settle(&mut self, owed: &Owed, reason: Reason, text: &str) {
        let reason = if self.version == Version::V311 { Reason::SUCCESS } else { reason };
        match owed.qos {
            Qos::AtMostOnce => {}
            Qos::AtLeastOnce => {
                self.unanswered = self.unanswered.saturating_sub(1);
                if owed.epoch == self.epoch {
                    self.acknowledge(AckKind::Puback, owed.id, reason, text);
                }
            }
            Qos::ExactlyOnce => {
                let wanted_by = match self.receiving.get(&owed.id) {
                    Some(Receiving::Submitted { epoch }) => *epoch,
                    _ => return,
                };
                if reason.is_error() {
                    self.receiving.remove(&owed.id);
                    self.keeping.note(KeepChange::Released(owed.id));
                } else {
                    self.receiving.insert(owed.id, Receiving::Received);
                }
                if wanted_by == self.epoch {
                    self.acknowledge(AckKind::Pubrec, owed.id, reason, text);
                }
            }
        }
    }

    /// Publishes the outcome of a command where its sender wants it.
    fn respond(&mut self, response: &Response, outcome: &Outcome) {
        let Ok(topic) = Topic::parse(&response.topic) else { return };
        let body = match outcome {
            Ok(accepted) => serde_json::json!({ "ok": true, "seq": accepted.seq, "rev": accepted.revision }),
            Err(rejection) => {
                serde_json::json!({ "ok": false, "code": rejection.code.as_str(), "message": rejection.message })
            }
        };
        let properties = Properties {
            payload_is_utf8: true,
            content_type: Some("application/json".to_owned()),
            correlation_data: response.correlation.clone(),
            ..Properties::default()
        };
        let mut publish = Admitted::new(topic, body.to_string(), Origin::Hub);
        publish.qos = response.qos;
        publish.properties = Some(Arc::new(properties));
        // The hub's own topics stay its own: the domain sees who asked.
        publish.origin = Origin::Mqtt(Arc::clone(&self.client_id));
        self.held.push_front(Held::Own(publish));
    }

    pub(super) fn acknowledge(&mut self, kind: AckKind, id: u16, reason: Reason, text: &str) {
        if let Some(Online { socket, version, reasons_in_words, bytes_max, .. }) = &mut self.online {
            let text = if *reasons_in_words { text } else { "" };
            frame::ack(&mut socket.out, *version, kind, id, reason, text, *bytes_max);
            Stats::count(&self.state.stats.packets_sent);
        }
    }
}
