//! Who, and what they may do: credential → principal; principal + action + stream → [`Permit`] or a
//! stated denial; throttling; revocation. There is no anonymous role.

mod accounts;
mod authenticator;
mod login;
mod offer;
mod passwords;
mod penalty;
mod permit;
mod places;
mod settings;
mod source;
#[cfg(test)]
mod tests;

pub use authenticator::{Authenticator, Denial, Presented};
pub use login::ConnectionLogin;
pub use offer::{Offer, Scheme};
#[cfg(test)]
pub(crate) use passwords::cheap_hash;
pub use passwords::{CannotHash, generate_secret, hash_password};
pub use permit::{Permit, Principal};
pub use places::{Arrival, Places, PreAuthPlace, Waiting};
pub use settings::{
    BadPasswordHash, BadUserName, CertificateMatch, Credential, GeneratedSecret, Grant,
    PasswordHash, Settings, User,
};
pub use source::Source;

/// The realm of every challenge; stored HA1 are made with it.
pub const REALM: &str = "camlock";
