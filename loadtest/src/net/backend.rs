//! Signaling by an app backend: every description goes over gRPC (TransportService).
//!
//! The server cannot call a backend: its offers are asked for, ten times a second.

use std::time::Duration;

use proto::v1;
use proto::v1::negotiate_transport_request::Description;
use proto::v1::transport_service_client::TransportServiceClient;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::{FarWire, Wire, wire};
use crate::robot::Signal;

/// Between two questions for the server's offers.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// An app backend that acts for one participant.
#[derive(Clone, Debug)]
pub struct Backend {
    calls: TransportServiceClient<Channel>,
    bearer: Option<MetadataValue<Ascii>>,
    room: String,
    participant: String,
    permissions: Option<v1::Permissions>,
}

/// Told to a backend while it carries descriptions.
#[derive(Clone, Debug)]
pub struct Restarts(mpsc::Sender<()>);

impl Restarts {
    /// Asks for an ICE restart by the server; false where the backend is gone.
    pub async fn ask(&self) -> bool {
        self.0.send(()).await.is_ok()
    }
}

impl Backend {
    /// Acts for `participant` in `room` (its id, without "rooms/").
    #[must_use]
    pub fn new(channel: Channel, room: &str, participant: &str) -> Self {
        Self {
            calls: TransportServiceClient::new(channel),
            bearer: None,
            room: format!("rooms/{room}"),
            participant: participant.to_owned(),
            permissions: None,
        }
    }

    /// Shows a backend's token; false where that cannot be a header.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Option<Self> {
        self.bearer = Some(format!("Bearer {token}").parse().ok()?);
        Some(self)
    }

    /// The participant may do this and no more; without it, all.
    #[must_use]
    pub fn with_permissions(mut self, permissions: v1::Permissions) -> Self {
        self.permissions = Some(permissions);
        self
    }

    /// `rooms/{room}/participants/{participant}/transport`.
    #[must_use]
    pub fn name(&self) -> String {
        let Self {
            room, participant, ..
        } = self;
        format!("{room}/participants/{participant}/transport")
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(bearer) = &self.bearer {
            request
                .metadata_mut()
                .insert("authorization", bearer.clone());
        }
        request
    }

    /// Makes the transport of a robot's first offer.
    ///
    /// # Errors
    /// The server says no.
    pub async fn create(&mut self, sdp_offer: String) -> Result<v1::Transport, Status> {
        let message = v1::CreateTransportRequest {
            room: self.room.clone(),
            participant_id: self.participant.clone(),
            permissions: self.permissions.clone(),
            sdp_offer,
            request_id: String::new(),
        };
        let request = self.request(message);
        Ok(self.calls.create_transport(request).await?.into_inner())
    }

    async fn negotiate(
        &mut self,
        description: Option<Description>,
    ) -> Result<v1::Transport, Status> {
        let request = self.request(v1::NegotiateTransportRequest {
            name: self.name(),
            description,
            request_id: String::new(),
        });
        Ok(self.calls.negotiate_transport(request).await?.into_inner())
    }

    async fn restart(&mut self) -> Result<v1::Transport, Status> {
        let request = self.request(v1::RestartIceRequest {
            name: self.name(),
            request_id: String::new(),
        });
        Ok(self.calls.restart_ice(request).await?.into_inner())
    }

    /// A robot's end of its signaling, and how to ask for ICE restarts. The task ends when the
    /// robot's end is dropped, or the server says no; why is then said once in the log.
    #[must_use]
    pub fn carry(self) -> (Wire, Restarts) {
        let (near, far) = wire();
        let (restart, restarts) = mpsc::channel(1);
        drop(tokio::spawn(async move {
            let name = self.name();
            if let Err(status) = self.run(far, restarts).await {
                tracing::warn!(%name, %status, "the backend has given up");
            }
        }));
        (near, Restarts(restart))
    }

    async fn run(
        mut self,
        mut far: FarWire,
        mut restarts: mpsc::Receiver<()>,
    ) -> Result<(), Status> {
        let mut is_made = false;
        // The last offer of the server that was passed on.
        let mut passed = String::new();
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let told = tokio::select! {
                signal = far.incoming.recv() => match signal {
                    Some(Signal::Offer(sdp)) if !is_made => {
                        is_made = true;
                        self.create(sdp).await?
                    }
                    Some(Signal::Offer(sdp)) => self.negotiate(Some(Description::SdpOffer(sdp))).await?,
                    Some(Signal::Answer(sdp)) => self.negotiate(Some(Description::SdpAnswer(sdp))).await?,
                    None => return Ok(()),
                },
                Some(()) = restarts.recv() => self.restart().await?,
                _ = ticks.tick(), if is_made => self.negotiate(None).await?,
            };
            let mut signals = Vec::new();
            if !told.sdp_answer.is_empty() {
                signals.push(Signal::Answer(told.sdp_answer));
            }
            if !told.sdp_offer.is_empty() && told.sdp_offer != passed {
                passed.clone_from(&told.sdp_offer);
                signals.push(Signal::Offer(told.sdp_offer));
            }
            for signal in signals {
                if far.outgoing.send(signal).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}
