//! Who wins: the rungs of the ladder in words. `explain`, the README and `docs/precedence.md` are made from here.

use std::fmt::Write as _;

use super::reason::Tier;

impl Tier {
    /// Its number and name as operators read it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Device => "0 device and authority",
            Self::Battery => "1 battery protection",
            Self::Connection => "2 connection protection",
            Self::ForcedCharge => "3a forced charge",
            Self::Floor => "3b reserve and floor",
            Self::Operator => "4 operator order",
            Self::Schedule => "5 schedule",
            Self::Plan => "6 plan",
            Self::Default => "7 self-consumption",
            Self::Regulator => "regulator",
        }
    }

    /// What stands on this rung, for a person.
    #[must_use]
    pub fn holds(self) -> &'static str {
        match self {
            Self::Device => "what inverters can do, what you allow, the first samples after a start",
            Self::Battery => "BMS limits, voltage floor, temperature window, absolute floor",
            Self::Connection => "import and export limits, island, generator on, a silent meter",
            Self::ForcedCharge => {
                "the BMS's own request, recharge far below the floor, slow charge; *keep charged*"
            }
            Self::Floor => "minimum state of charge, adaptive or not, and what is kept in reserve",
            Self::Operator => {
                "`hold`, `charge`, `discharge`, `set`: for an hour, or as long as `--for` says, at most a day"
            }
            Self::Schedule => "charge windows; preparation for an announced outage, which goes before them",
            Self::Plan => {
                "a program's lease, or slots of the profile, with what they want and forbid; under `victron-compatible` they go before rung 5"
            }
            Self::Default => "the grid toward its setpoint",
            Self::Regulator => "ramp, wait before a reversal, dead band: how an order is reached, not which",
        }
    }

    /// What may overrule it, for a person.
    #[must_use]
    pub fn yields_to(self) -> &'static str {
        match self {
            Self::Device | Self::Battery => "nothing",
            Self::Connection => {
                "rungs 0 and 1: a limit of the connection never overcharges or empties a battery"
            }
            Self::ForcedCharge => "rungs 0 to 2: it charges within battery and import limit",
            Self::Floor => "rungs 0 to 3a; without grid the island's reserve takes its place",
            Self::Operator => {
                "everything above and its own expiry; with `--use-reserve`, at most 4 h, it goes before rung 3b, down to the absolute floor"
            }
            Self::Schedule | Self::Plan => {
                "everything above; a state of charge or a clock that is not good ends it at once"
            }
            Self::Default => "everything above",
            Self::Regulator => "what protects: it acts at once",
        }
    }
}

/// The rungs as rows of a table, most important first; the regulator's manners are no rung.
#[must_use]
pub fn rows() -> String {
    let mut text = String::new();
    for tier in Tier::ALL.into_iter().filter(|tier| *tier != Tier::Regulator) {
        let _ = writeln!(text, "| {} | {} |", tier.label(), tier.holds());
    }
    text
}

/// The page of precedence, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut text = "# Who wins\n\nMade from the code. Each rung narrows the range that the one above left, and none \
        reopens it. The wish of the highest\nrung that has one is then taken as far as the range allows. Exactly one \
        reason binds; `wattkeeper explain` shows it, the\nwish that it cut, and what would change it.\n\n\
        | rung | what stands on it | what overrules it |\n|---|---|---|\n"
        .to_owned();
    for tier in Tier::ALL {
        let _ = writeln!(text, "| {} | {} | {} |", tier.label(), tier.holds(), tier.yields_to());
    }
    text
}
