//! Checkpoints as records: variables with their values, random counters, and the step.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use dormouse_graph::Fact;
use dormouse_session::Snapshot;
use dormouse_value::Value;

use crate::array::{Arrays, Spec, pieces};
use crate::codec::{Records, only, write};
use crate::container::{Container, Sections, Tag};
use crate::durable;
use crate::error::{Kind, Result};
use crate::extras::Extras;

/// What a checkpoint holds, read without a graph or a session: to look into a file, or to take single arrays out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub(crate) contents: Snapshot,
    pub(crate) step: Option<u64>,
    pub(crate) extras: Extras,
}

impl Checkpoint {
    /// Reads a checkpoint, or the variables of a [`Bundle`](crate::Bundle).
    ///
    /// # Errors
    /// When the file cannot be read, is damaged or newer than this program, or holds no variables.
    pub fn load(path: impl AsRef<Path>) -> Result<Checkpoint> {
        let path = path.as_ref();
        Checkpoint::decode(&durable::read(path)?).map_err(|e| e.or_at(path))
    }

    /// A checkpoint from the bytes of its file.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn decode(bytes: &[u8]) -> Result<Checkpoint> {
        Ok(Checkpoint::of(&Sections::parse(bytes)?)?)
    }

    /// The values, by their names in the checkpoint.
    pub fn variables(&self) -> &BTreeMap<String, Value> {
        &self.contents.variables
    }

    /// How many blocks of its stream each random operation had used.
    pub fn counters(&self) -> &BTreeMap<String, u64> {
        &self.contents.counters
    }

    /// The global step, if it was saved with one.
    pub fn step(&self) -> Option<u64> {
        self.step
    }

    /// What the program saved of its own.
    pub fn extras(&self) -> &Extras {
        &self.extras
    }

    pub(crate) fn of(sections: &Sections<'_>) -> std::result::Result<Checkpoint, Kind> {
        let advice = "load_graph reads graphs, Saver::save writes checkpoints";
        let records = sections.need(Tag::VARIABLES, "variables", advice)?;
        let values = sections.need(Tag::VALUES, "values", advice)?;
        let counters = sections.need(Tag::COUNTERS, "random counters", advice)?;
        let variables = variables(Records::new(records), Arrays::new(values))?;
        let counters = named(Records::new(counters), |count: u128| {
            u64::try_from(count).map_err(|_| format!("{count} is more than can be counted"))
        })
        .map_err(Kind::damaged("list of random counters"))?;
        let step = sections.find(Tag::STEP).map(|payload| only(payload).map_err(Kind::damaged("step"))).transpose()?;
        let extras = Extras::of(sections)?;
        Ok(Checkpoint { contents: Snapshot { variables, counters }, step, extras })
    }
}

fn variables(records: Records<'_>, mut values: Arrays<'_>) -> std::result::Result<BTreeMap<String, Value>, Kind> {
    let variables = named(records, |spec: Spec| values.next(&spec)).map_err(Kind::damaged("list of variables"))?;
    values.finish().map_err(Kind::damaged("values"))?;
    Ok(variables)
}

/// Records of a name and something, as many as the first one says, in the order of their names.
pub(crate) fn named<T: serde::de::DeserializeOwned, U>(
    mut records: Records<'_>,
    mut take: impl FnMut(T) -> std::result::Result<U, String>,
) -> std::result::Result<BTreeMap<String, U>, String> {
    let count: u64 = records.next()?;
    let mut map = BTreeMap::<String, U>::new();
    for i in 0..count {
        let (name, record): (String, T) = records.next().map_err(|e| format!("entry {i}: {e}"))?;
        if map.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(format!("{name:?} is not in its place"));
        }
        let value = take(record).map_err(|e| format!("{name:?}: {e}"))?;
        map.insert(name, value);
    }
    records.finish().map(|()| map)
}

/// Appends a map as [`named`] reads it.
pub(crate) fn push_named<T: serde::Serialize>(
    container: &mut Container<'_>,
    tag: Tag,
    entries: impl ExactSizeIterator<Item = (String, T)>,
) -> std::result::Result<(), Kind> {
    let mut bytes = Vec::new();
    write(&(entries.len() as u64), &mut bytes).map_err(Kind::Unwritable)?;
    for entry in entries {
        write(&entry, &mut bytes).map_err(Kind::Unwritable)?;
    }
    container.push(tag, vec![Cow::Owned(bytes)]);
    Ok(())
}

/// Appends the sections of a checkpoint. Values are in row-major order.
pub(crate) fn push<'a>(
    snapshot: &'a Snapshot,
    step: Option<u64>,
    extras: &Extras,
    container: &mut Container<'a>,
) -> std::result::Result<(), Kind> {
    let specs = snapshot.variables.iter().map(|(name, value)| (name.clone(), Spec::of(value)));
    push_named(container, Tag::VARIABLES, specs)?;
    container.push(Tag::VALUES, pieces(snapshot.variables.values()));
    let counters = snapshot.counters.iter().map(|(name, count)| (name.clone(), u128::from(*count)));
    push_named(container, Tag::COUNTERS, counters)?;
    if let Some(step) = step {
        let mut bytes = Vec::new();
        write(&step, &mut bytes).map_err(Kind::Unwritable)?;
        container.push(Tag::STEP, vec![Cow::Owned(bytes)]);
    }
    extras.push(container)
}

/// What a value is, as graphs say it.
pub(crate) fn fact_of(value: &Value) -> Fact {
    Fact::new(value.dtype(), value.shape())
}
