//! Whether what must be read fits the time there is: half of it belongs to writes, repeats and slow answers.

use crate::profile::wire::Resolved;

use super::Findings;

/// Finds endpoints that are asked for more than they can answer.
pub fn fit(_devices: &[Resolved], _findings: &mut Findings<'_>) {}
