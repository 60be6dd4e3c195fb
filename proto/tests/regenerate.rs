//! The committed Rust code is what the `.proto` files say. `make proto` writes it anew.

use std::{fs, path::Path};

const FILES: &[&str] = &[
    "xueliang/v1/account.proto",
    "xueliang/v1/alert.proto",
    "xueliang/v1/camera.proto",
    "xueliang/v1/case.proto",
    "xueliang/v1/custodian.proto",
    "xueliang/v1/delivery.proto",
    "xueliang/v1/disclosure.proto",
    "xueliang/v1/drill.proto",
    "xueliang/v1/duty.proto",
    "xueliang/v1/evidence.proto",
    "xueliang/v1/explain.proto",
    "xueliang/v1/filing.proto",
    "xueliang/v1/handler.proto",
    "xueliang/v1/node.proto",
    "xueliang/v1/retention.proto",
    "xueliang/v1/rule.proto",
    "xueliang/v1/sink.proto",
    "xueliang/v1/statistics.proto",
    "xueliang/v1/suppression.proto",
    "xueliang/v1/time.proto",
    "xueliang/v1/vocabulary.proto",
    "xueliang/v1/worker.proto",
];

#[test]
fn committed_code_is_what_the_proto_files_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile(FILES, [root]).expect("the proto files compile");
    let out = tempfile::tempdir().unwrap();
    let descriptor_file = out.path().join("xueliang.v1.bin");
    tonic_prost_build::configure()
        .out_dir(out.path())
        .bytes(".xueliang.v1")
        .file_descriptor_set_path(&descriptor_file)
        .compile_fds(descriptors.clone())
        .expect("code is generated");
    fs::write(&descriptor_file, prost::Message::encode_to_vec(&descriptors)).unwrap();

    let committed = root.join("src/gen");
    let write = std::env::var_os("XUELIANG_REGENERATE").is_some();
    for name in ["xueliang.v1.rs", "xueliang.v1.bin"] {
        let made = fs::read(out.path().join(name)).unwrap();
        if write {
            fs::write(committed.join(name), &made).unwrap();
        }
        let found = fs::read(committed.join(name)).unwrap_or_default();
        assert!(
            made == found,
            "{name} is not what the proto files say: run `make proto` and commit the result"
        );
    }
}
