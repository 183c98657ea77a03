//! Every scenario file passes, and every id of the conformance notes that is due is covered exactly once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wattkeeper::scenario::{Options, report, run_files};

/// Ids of the conformance notes that have a file by now.
const ESS: &str = "S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S22 S24 S25 S26 S27 S28 S29 S31 S32 S33 S34 S35 S36 S37 S38 S39 S40 S41 S42 \
     S43 S44 S45 S46 S47 S48 S49 S50 S51 S53 S54 S55 S56 S57 S58 S59 S60 S61 S62 S63 S64 S65 S66 S67 S72 S73";
/// Ids that are tables: a test has them in its name.
const TABLES: &str = "S11 S12 S13 S14 S15 S16 S17 S18 S19 S20 S21 S23 S30 S52";
const GENERATOR: &str = "G01 G02 G03 G04 G08 G11 G21 G23 G24 G25 G26 G27 G30";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

#[test]
fn every_scenario_file_passes() {
    let summary = run_files(&[folder()], &Options::default(), &mut |_| {});
    assert!(summary.passed(), "\n{}", report::text::render(&summary, false));
}

#[test]
fn every_id_of_the_notes_is_covered_by_exactly_one_file() {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for inner in ["ess", "generator"] {
        for entry in std::fs::read_dir(folder().join(inner)).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let id = file.split('-').next().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let name = text.lines().next().unwrap();
            assert!(
                name.starts_with("name") && name.contains(&format!("\"{id} ")),
                "{file}: the name lacks its id"
            );
            files.entry(id).or_default().push(file);
        }
    }
    let due: Vec<&str> = ESS.split(' ').chain(GENERATOR.split(' ')).collect();
    for id in &due {
        assert_eq!(files.get(*id).map_or(0, Vec::len), 1, "{id}: {:?}", files.get(*id));
    }
    let unknown: Vec<_> = files.keys().filter(|id| !due.contains(&id.as_str())).collect();
    assert!(unknown.is_empty(), "files whose id is not in the list of this test: {unknown:?}");
}

#[test]
fn every_id_that_is_a_table_is_covered_by_exactly_one_test() {
    let tests = crate::faults::all_tests();
    for id in TABLES.split(' ') {
        let begins = format!("ess_{}_", id.to_lowercase());
        assert_eq!(tests.iter().filter(|(name, _)| name.starts_with(&begins)).count(), 1, "{id}");
    }
}
