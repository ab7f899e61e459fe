//! The committed code is what the `.proto` files say.

#[path = "../examples/generate.rs"]
mod generate;

#[test]
fn the_generated_code_is_fresh() {
    let fresh = std::env::temp_dir().join(format!("plenum-proto-{}", std::process::id()));
    generate::generate(&fresh).expect("the .proto files compile");
    for name in ["plenum.v1.rs", "google.rpc.rs", "descriptors.bin"] {
        let fresh = std::fs::read(fresh.join(name)).expect(name);
        let committed = std::fs::read(generate::generated().join(name)).expect(name);
        assert!(fresh == committed, "{name} is stale: run `cargo proto`");
    }
    std::fs::remove_dir_all(fresh).expect("our own folder");
}
