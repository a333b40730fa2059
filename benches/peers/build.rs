//! Two peers keep their mask function private. To measure it all the same without a copy of it in
//! this repository, their own source file, as cargo unpacked it, is compiled into the benchmark.

use std::{env, fs, path::PathBuf, process::Command};

fn main() {
    let metadata = Command::new(env::var("CARGO").expect("cargo tells build scripts its path"))
        .args(["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform"])
        // What other systems would need may never have been fetched.
        .arg(env::var("TARGET").expect("cargo sets it"))
        .output()
        .expect("cargo runs");
    let metadata = String::from_utf8_lossy(&metadata.stdout).into_owned();
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));

    for (package, file) in
        [("tokio-websockets", "src/mask.rs"), ("tungstenite", "src/protocol/frame/mask.rs")]
    {
        let manifest = metadata
            .split("\"manifest_path\":\"")
            .filter_map(|rest| rest.split('"').next())
            .map(PathBuf::from)
            .find(|path| {
                let folder = path.parent().and_then(|folder| folder.file_name());
                folder
                    .is_some_and(|name| name.to_string_lossy().starts_with(&format!("{package}-0")))
            })
            .unwrap_or_else(|| panic!("{package} is not among the dependencies"));
        let source = fs::read_to_string(manifest.with_file_name(file)).expect("the file is there");
        // `include!` takes no inner doc comments.
        let source: String = source
            .lines()
            .filter(|line| !line.starts_with("//!"))
            .flat_map(|line| [line, "\n"])
            .collect();
        fs::write(out.join(format!("{package}.rs")), source).expect("OUT_DIR is writable");
    }
    println!("cargo::rerun-if-changed=Cargo.lock");
    println!("cargo::rerun-if-changed=build.rs");
}
