//! Certificates of the test world: constants, so that a seed says everything.
//!
//! TEST KEYS. They are public and protect nothing; a real node draws its own at every start.

use sfu::transport::Identity;
use str0m::config::DtlsCert;

/// The simulated node's certificate.
#[must_use]
pub fn node() -> Identity {
    Identity::new(
        include_bytes!("../fixtures/node.certificate.der").to_vec(),
        include_bytes!("../fixtures/node.key.der").to_vec(),
    )
}

/// The certificate that all robots share.
#[must_use]
pub fn robot() -> DtlsCert {
    DtlsCert {
        certificate: include_bytes!("../fixtures/robot.certificate.der").to_vec(),
        private_key: include_bytes!("../fixtures/robot.key.der").to_vec(),
    }
}
