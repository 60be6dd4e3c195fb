//! Has the program built again when the operators' page was: files that are new are embedded, too.

fn main() {
    println!("cargo::rerun-if-changed=../console/embed");
}
