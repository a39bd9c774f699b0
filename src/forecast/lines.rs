//! Tables of fixed size as lists of lists: serde knows arrays of up to 32 only.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(super) fn serialize<S: Serializer, const N: usize, const M: usize>(
    table: &[[f64; N]; M],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let lines: Vec<&[f64]> = table.iter().map(<[f64; N]>::as_slice).collect();
    lines.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize, const M: usize>(
    deserializer: D,
) -> Result<[[f64; N]; M], D::Error> {
    let lines = Vec::<Vec<f64>>::deserialize(deserializer)?;
    let wanted = || D::Error::custom(format!("wanted {M} lines of {N} numbers"));
    let lines: Vec<[f64; N]> = lines
        .into_iter()
        .map(|line| line.try_into().map_err(|_| wanted()))
        .collect::<Result<_, _>>()?;
    lines.try_into().map_err(|_| wanted())
}
