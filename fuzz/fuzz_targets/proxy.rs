#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| actix_sockets_fuzz::run("proxy", input));
