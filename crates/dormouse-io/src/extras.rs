//! Extras: what a program wants saved beside variables, as the place where it stands in its data. Records of its own
//! types, by name.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::checkpoint::{named, push_named};
use crate::codec::{Records, only, write};
use crate::container::{Container, Sections, Tag};
use crate::error::{Kind, Result};
use crate::signature::find;

/// Named records of a program's own types, saved with a checkpoint or a bundle.
///
/// A record says nothing of its type: read it as the type that was put in, or as one with the same fields in the same
/// order.
///
/// ```
/// use dormouse_io::Extras;
/// let mut extras = Extras::new();
/// extras.put("epoch", &(3_u64, "shuffled".to_owned()))?;
/// assert_eq!(extras.get::<(u64, String)>("epoch")?, (3, "shuffled".to_owned()));
/// # Ok::<(), dormouse_io::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras(BTreeMap<String, Vec<u8>>);

impl Extras {
    /// No records.
    pub fn new() -> Self {
        Extras::default()
    }

    /// Puts a record in. One of the same name is replaced.
    ///
    /// # Errors
    /// When the type cannot be written as a record: one of a list without a known length, for one.
    pub fn put<T: Serialize>(&mut self, name: impl Into<String>, record: &T) -> Result<()> {
        let name = name.into();
        let mut bytes = Vec::new();
        write(record, &mut bytes).map_err(|e| Kind::Unwritable(format!("extra {name:?} cannot be written: {e}")))?;
        self.0.insert(name, bytes);
        Ok(())
    }

    /// A record.
    ///
    /// # Errors
    /// When there is none of this name, or it is of another type.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let bytes = find(&self.0, "extra", name, "")?;
        only(bytes).map_err(|what| Kind::Extra { name: name.to_owned(), what }.into())
    }

    /// The names of the records.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends the section, if there is anything to put into it.
    pub(crate) fn push(&self, container: &mut Container<'_>) -> std::result::Result<(), Kind> {
        if self.0.is_empty() {
            return Ok(());
        }
        push_named(container, Tag::EXTRAS, self.0.clone().into_iter())
    }

    /// The extras of a file.
    pub(crate) fn of(sections: &Sections<'_>) -> std::result::Result<Extras, Kind> {
        let Some(payload) = sections.find(Tag::EXTRAS) else { return Ok(Extras::new()) };
        named(Records::new(payload), Ok).map(Extras).map_err(Kind::damaged("list of extras"))
    }
}
