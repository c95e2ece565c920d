//! Which certificate each camera showed the first time: written down before anything else is said to it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ops::limits;
use crate::trust::tls::Fingerprint;

/// Writes the whole book where it outlives the process, before it returns. Called off the runtime's
/// threads, one call at a time.
type Keep = dyn Fn(&Certificates) -> io::Result<()> + Send + Sync;

/// Camera name → fingerprint.
pub type Certificates = BTreeMap<String, Fingerprint>;

/// The certificates of cameras that are trusted on first use. What cannot be written down is not trusted,
/// and a book that cannot be read trusts nobody: as an empty one it would take any certificate. Clones
/// share one book.
#[derive(Clone)]
pub struct CertificateBook(Arc<Inner>);

struct Inner {
    /// `None`: the book cannot be read.
    known: Mutex<Option<Certificates>>,
    writing: Mutex<()>,
    keep: Box<Keep>,
}

impl std::fmt::Debug for CertificateBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CertificateBook")
    }
}

/// The book cannot be used; the log says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BookFailure {
    /// It could not be read when the gateway started.
    Unreadable,
    /// It cannot be written, or is full.
    Unwritable,
}

/// What became of a certificate shown to a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    /// It was there already.
    Known,
    /// It is the camera's first, and is there now.
    First,
    /// Another one is there, and stays.
    Other(Fingerprint),
}

impl CertificateBook {
    /// A book with what is known from before (`None`: it cannot be read), and how it is kept.
    pub fn new(
        known: Option<Certificates>,
        keep: impl Fn(&Certificates) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let keep = Box::new(keep);
        Self(Arc::new(Inner { known: Mutex::new(known), writing: Mutex::new(()), keep }))
    }

    /// The certificate of a camera, if it showed one before.
    pub(super) fn known(&self, camera: &str) -> Result<Option<Fingerprint>, BookFailure> {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(known.as_ref().ok_or(BookFailure::Unreadable)?.get(camera).copied())
    }

    /// A camera without a certificate showed this one.
    pub(super) async fn first_use(
        &self,
        camera: &str,
        shown: Fingerprint,
    ) -> Result<Noted, BookFailure> {
        self.change(camera, move |known| match known {
            None => (Noted::First, Some(shown)),
            Some(known) if known == shown => (Noted::Known, None),
            Some(known) => (Noted::Other(known), None),
        })
        .await
    }

    /// The operator pinned the certificate that this camera showed: it takes the place of one that stands
    /// in the book.
    pub(super) async fn confirmed(
        &self,
        camera: &str,
        shown: Fingerprint,
    ) -> Result<(), BookFailure> {
        if self.known(camera)?.is_none_or(|known| known == shown) {
            return Ok(());
        }
        self.change(camera, move |_| (Noted::Known, Some(shown))).await.map(drop)
    }

    async fn change(
        &self,
        camera: &str,
        decide: impl FnOnce(Option<Fingerprint>) -> (Noted, Option<Fingerprint>) + Send + 'static,
    ) -> Result<Noted, BookFailure> {
        let (inner, camera) = (Arc::clone(&self.0), camera.to_owned());
        // A task of its own: whoever asks may be cancelled, the write goes through.
        tokio::task::spawn_blocking(move || inner.change(camera, decide))
            .await
            .unwrap_or(Err(BookFailure::Unwritable))
    }
}

impl Inner {
    /// What `known` says changes only after it was kept, and nobody waits for the disk to read it.
    fn change(
        &self,
        camera: String,
        decide: impl FnOnce(Option<Fingerprint>) -> (Noted, Option<Fingerprint>),
    ) -> Result<Noted, BookFailure> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut known = known.ok_or(BookFailure::Unreadable)?;
        let (noted, entry) = decide(known.get(&camera).copied());
        let Some(entry) = entry else { return Ok(noted) };
        known.insert(camera, entry);
        if known.len() > limits::CAMERA_CERTIFICATES_KNOWN {
            tracing::error!(
                "no room for more camera certificates: remove those of cameras that are gone"
            );
            return Err(BookFailure::Unwritable);
        }
        if let Err(error) = (self.keep)(&known) {
            tracing::error!(%error, "cannot save a camera's certificate");
            return Err(BookFailure::Unwritable);
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(noted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(text: &str) -> Fingerprint {
        Fingerprint::of(text.as_bytes())
    }

    /// A book, and what was kept of it.
    fn book(known: Option<Certificates>) -> (CertificateBook, Arc<Mutex<Vec<Certificates>>>) {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeper = Arc::clone(&kept);
        let keep = move |all: &Certificates| {
            keeper.lock().unwrap().push(all.clone());
            Ok(())
        };
        (CertificateBook::new(known, keep), kept)
    }

    #[tokio::test]
    async fn the_first_certificate_is_kept_and_another_changes_nothing() {
        let (book, kept) = book(Some(Certificates::new()));
        assert_eq!(book.known("door"), Ok(None));
        assert_eq!(book.first_use("door", print("a")).await, Ok(Noted::First));
        assert_eq!(book.known("door"), Ok(Some(print("a"))));
        assert_eq!(book.first_use("door", print("a")).await, Ok(Noted::Known));
        assert_eq!(book.first_use("door", print("b")).await, Ok(Noted::Other(print("a"))));
        let expected = Certificates::from([("door".to_owned(), print("a"))]);
        assert_eq!(*kept.lock().unwrap(), [expected]);
    }

    #[tokio::test]
    async fn of_profiles_that_come_at_once_one_is_the_first() {
        let (book, kept) = book(Some(Certificates::new()));
        let shown: Vec<_> = (0..8).map(|n| print(&n.to_string())).collect();
        let all = shown.iter().map(|shown| book.first_use("door", *shown));
        let noted = futures_util::future::join_all(all).await;
        assert_eq!(
            noted.iter().filter(|noted| **noted == Ok(Noted::First)).count(),
            1,
            "{noted:?}"
        );
        assert_eq!(kept.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_pin_takes_the_place_of_an_entry_and_makes_none() {
        let (book, kept) = book(Some([("door".to_owned(), print("a"))].into()));
        assert_eq!(book.confirmed("door", print("b")).await, Ok(()));
        assert_eq!(book.known("door"), Ok(Some(print("b"))));
        assert_eq!(book.confirmed("yard", print("c")).await, Ok(()));
        assert_eq!(book.known("yard"), Ok(None));
        assert_eq!(kept.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_cannot_be_read_or_written_is_not_trusted() {
        let (unreadable, kept) = book(None);
        let failed = Err(BookFailure::Unreadable);
        assert_eq!(unreadable.known("door"), Err(BookFailure::Unreadable));
        assert_eq!(unreadable.first_use("door", print("a")).await, failed);
        assert!(kept.lock().unwrap().is_empty());

        let full = CertificateBook::new(Some(Certificates::new()), |_| {
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(full.first_use("door", print("a")).await, Err(BookFailure::Unwritable));
        assert_eq!(full.known("door"), Ok(None));
    }

    #[tokio::test]
    async fn one_certificate_too_many_is_not_remembered() {
        let names = 1..limits::CAMERA_CERTIFICATES_KNOWN;
        let known = names.map(|n| (format!("camera-{n}"), print("a"))).collect();
        let (book, _) = book(Some(known));
        assert_eq!(book.first_use("last", print("a")).await, Ok(Noted::First));
        assert_eq!(book.first_use("over", print("a")).await, Err(BookFailure::Unwritable));
    }
}
