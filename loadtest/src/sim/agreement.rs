//! Whether a robot and the server mean the same by what they have negotiated.

use std::collections::BTreeSet;

use super::world::World;

impl World {
    /// What the two sides do not agree on, of all who are here; `None`: they agree on everything.
    /// To be asked when signals have had time to arrive.
    #[must_use]
    pub fn disagreement(&self) -> Option<String> {
        let here = (0..self.members()).filter(|member| self.left(*member).is_none());
        here.into_iter().find_map(|member| {
            self.disagreement_of(member)
                .map(|what| format!("robot {member}: {what}"))
        })
    }

    fn disagreement_of(&self, member: usize) -> Option<String> {
        let robot = self.robot(member)?;
        if let Some(failure) = robot.failure() {
            return Some(format!("gave up: {failure}"));
        }
        if !robot.is_stable() {
            return Some("is still negotiating".to_owned());
        }
        let (offered, taken) = self.offers(member);
        if offered != taken {
            return Some(format!(
                "was offered {offered} times, {taken} answers were taken"
            ));
        }
        if let Some((offer, answer)) = robot.agreed() {
            let (offered, answered) = (lines(offer), lines(answer));
            if offered != answered {
                return Some(format!(
                    "m-lines offered {offered:?}, answered {answered:?}"
                ));
            }
        }
        self.disagreement_on_own_tracks(member)
            .or_else(|| self.disagreement_on_others(member))
    }

    fn disagreement_on_own_tracks(&self, member: usize) -> Option<String> {
        let publications = self.robot(member)?.publications().iter();
        let mids: BTreeSet<String> = publications
            .filter_map(|it| it.mid())
            .map(|mid| mid.to_string())
            .collect();
        let tracks = self.tracks().values().filter(|it| it.member == member);
        let known: BTreeSet<String> = tracks.map(|it| it.facts.mid.to_string()).collect();
        (mids != known).then(|| format!("publishes m-lines {mids:?}, the server has {known:?}"))
    }

    fn disagreement_on_others(&self, member: usize) -> Option<String> {
        let (room, _) = self.names(member)?;
        let bindings = self.bindings(member);
        for (track, published) in self.tracks() {
            let theirs = published.member != member;
            if !theirs
                || self
                    .names(published.member)
                    .is_none_or(|names| names.0 != room)
            {
                continue;
            }
            let Some(binding) = bindings.iter().find(|it| it.track == Some(*track)) else {
                return Some(format!(
                    "is shown nothing of track {track} of robot {}",
                    published.member
                ));
            };
            if !self.robot(member)?.is_receiving(binding.mid.as_str()) {
                return Some(format!(
                    "does not receive m-line {}, which shows track {track}",
                    binding.mid
                ));
            }
        }
        let stale = bindings
            .iter()
            .filter_map(|it| it.track)
            .find(|it| !self.tracks().contains_key(it));
        stale.map(|track| format!("is shown track {track}, which is gone"))
    }
}

/// The mids of a description, in order.
fn lines(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.trim_end().strip_prefix("a=mid:"))
        .collect()
}
