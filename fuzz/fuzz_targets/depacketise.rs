#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| camlock::app::fuzz::depacketise(data));
