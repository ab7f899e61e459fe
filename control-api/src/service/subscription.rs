//! SubscriptionService: what a participant wishes to receive, and what it is given.

use std::collections::BTreeMap;

use proto::v1;
use proto::v1::subscription_service_server::SubscriptionService;
use tonic::{Request, Response, Status};

use super::opened;
use crate::clock::Ulid;
use crate::convert;
use crate::limits::WISHES_PER_REQUEST;
use crate::node::Node;
use crate::registry::page::{self, Item};
use crate::registry::{SubscriptionView, Wishes};
use crate::status::Failure;

/// SubscriptionService over a node.
#[derive(Clone, Debug)]
pub struct Subscriptions(Node);

impl Subscriptions {
    /// Over this node.
    #[must_use]
    pub const fn new(node: Node) -> Self {
        Self(node)
    }
}

/// In order of tracks.
struct Listed(SubscriptionView);

impl Item for Listed {
    fn uid(&self) -> Ulid {
        Ulid::from_u128(self.0.track.0.into())
    }

    /// Two long names.
    fn bytes(&self) -> usize {
        1 << 10
    }
}

#[tonic::async_trait]
impl SubscriptionService for Subscriptions {
    async fn update_subscriptions(
        &self,
        request: Request<v1::UpdateSubscriptionsRequest>,
    ) -> Result<Response<v1::UpdateSubscriptionsResponse>, Status> {
        let (covered, request) = opened(request)?;
        let (room, participant) = convert::participant_name("parent", &request.parent)?;
        covered.check(&room)?;
        if request.subscriptions.len() > WISHES_PER_REQUEST {
            let why = format!("at most {WISHES_PER_REQUEST}");
            return Err(Failure::field("subscriptions", why).into());
        }
        let registry = self.0.registry();
        let before = registry.list_subscriptions(&room, &participant)?;
        let before: BTreeMap<_, _> = before.iter().map(|it| (it.track, it.wish)).collect();
        let owner = (&room, &participant);
        let mask = request.update_mask.as_ref();
        let slots = request.audio_slots.map(|slots| {
            usize::try_from(slots).map_err(|_| Failure::field("audio_slots", "must be above 0"))
        });
        let wishes = Wishes {
            subscribe_all: request.subscribe_all,
            audio_slots: slots.transpose()?,
            tracks: convert::wishes(owner, request.subscriptions, mask, &before)?,
        };
        let became = registry.update_subscriptions(&room, &participant, wishes);
        let became = became.await?;
        let became = became.iter().map(|view| convert::subscription(owner, view));
        Ok(Response::new(v1::UpdateSubscriptionsResponse {
            subscriptions: became.collect(),
        }))
    }

    async fn list_subscriptions(
        &self,
        request: Request<v1::ListSubscriptionsRequest>,
    ) -> Result<Response<v1::ListSubscriptionsResponse>, Status> {
        let (covered, request) = opened(request)?;
        let (room, participant) = convert::participant_name("parent", &request.parent)?;
        covered.check(&room)?;
        let page = convert::page(request.page_size, request.page_token, "")?;
        let views = self.0.registry().list_subscriptions(&room, &participant)?;
        let query = format!("{}/subscriptions", request.parent);
        let page = page::cut(&page, &query, views.into_iter().map(Listed).collect())?;
        let owner = (&room, &participant);
        let views = page.items.iter();
        Ok(Response::new(v1::ListSubscriptionsResponse {
            subscriptions: views
                .map(|Listed(view)| convert::subscription(owner, view))
                .collect(),
            next_page_token: page.next_token,
        }))
    }
}
