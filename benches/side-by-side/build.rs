fn main() {
    println!("cargo:rerun-if-changed=peers.c");
    cc::Build::new().file("peers.c").opt_level(2).compile("peers");
    println!("cargo:rustc-link-lib=IPSec_MB");
    println!("cargo:rustc-link-lib=crypto");
}
