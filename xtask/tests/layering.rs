//! The layers of ARCHITECTURE.md, held against what cargo knows: arrows point down only.

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Crate, and the felio crates that it may use. Tests may use more.
const LAYERS: &[(&str, &[&str])] = &[
    ("felio-spec", &[]),
    ("felio-hal", &["felio-spec"]),
    ("felio-engine", &["felio-spec", "felio-hal"]),
    ("felio-iscsi", &["felio-spec", "felio-hal"]),
    ("felio-backstore", &["felio-spec", "felio-hal"]),
    ("felio-runtime", &["felio-spec", "felio-hal", "felio-engine", "felio-iscsi", "felio-backstore"]),
    ("felio-control", &["felio-spec", "felio-hal"]),
    ("felio-client", &["felio-control"]),
    ("felio-shell", &["felio-control"]),
    ("felio-configfs", &["felio-control"]),
    (
        "felio",
        &[
            "felio-spec",
            "felio-hal",
            "felio-engine",
            "felio-iscsi",
            "felio-backstore",
            "felio-runtime",
            "felio-client",
            "felio-control",
            "felio-shell",
            "felio-configfs",
        ],
    ),
    (
        "felio-sim",
        &["felio-spec", "felio-hal", "felio-engine", "felio-iscsi", "felio-backstore", "felio-runtime"],
    ),
    ("felio-bench", &["felio-hal", "felio-engine", "felio-iscsi", "felio-backstore", "felio-runtime"]),
    ("xtask", &[]),
];

/// Crates without third-party code.
const BARE: &[&str] = &["felio-spec", "felio-hal"];

#[test]
fn every_crate_uses_only_the_layers_below_it() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata works here");
    for package in &metadata.packages {
        let name = package.name.as_str();
        let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
            panic!("{name} has no row in the layer table");
        };
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            let ours = dependency.name.starts_with("felio");
            assert!(
                !ours || allowed.contains(&dependency.name.as_str()),
                "{name} must not use {}",
                dependency.name
            );
            assert!(ours || !BARE.contains(&name), "{name} must do without {}", dependency.name);
        }
    }
    assert_eq!(metadata.packages.len(), LAYERS.len(), "a row of the layer table names no crate");
}
