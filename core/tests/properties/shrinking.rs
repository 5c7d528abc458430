//! The same properties fed by proptest, which makes what it finds as small as it can.

use crate::{amounts, answers, keys, paths, requests, usage};
use creditgate_core::key::KeyKind;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_written_decimal_reads_back(units: i64, digits in 0_u8..10) {
        amounts::written_reads_back(units, digits);
    }

    #[test]
    fn reading_rounds_half_to_even(mantissa: i64, places in 0_u32..19, digits in 0_u8..10) {
        amounts::rounds_by_the_book(mantissa, places, digits);
    }

    #[test]
    fn numbers_and_near_numbers_are_read_or_refused(
        text in "[+-]?[0-9]{0,30}[.]?[0-9]{0,30}([eE][+-]?[0-9]{0,5})?", digits in 0_u8..10,
    ) {
        amounts::any_text_is_safe(&text, digits);
    }

    #[test]
    fn arithmetic_is_that_of_whole_numbers(left: i64, right: i64) {
        amounts::arithmetic_is_exact(left, right);
    }

    #[test]
    fn an_altered_key_is_noticed(random: [u8; 32], place in 0_usize..54, character in 33_u8..127) {
        keys::altered_is_noticed(KeyKind::Gateway, random, place, character);
    }

    #[test]
    fn a_normal_form_is_stable(
        pieces in proptest::collection::vec("[/a%2Fec3;.?~\u{e9}]|%[0-9A-Fa-f]{2}", 0..20),
    ) {
        paths::normal_form_is_stable(format!("/{}", pieces.concat()).as_bytes());
    }

    #[test]
    fn any_bytes_have_a_stable_normal_form_or_none(bytes: Vec<u8>) {
        paths::normal_form_is_stable(&[b"/", &*bytes].concat());
    }

    #[test]
    fn any_bytes_of_an_answer_are_read_or_refused(bytes: Vec<u8>, kind in 0_usize..12, place in 0_usize..100) {
        let (format, framing) = answers::kinds().swap_remove(kind);
        usage::any_bytes_are_safe(&format, framing, &bytes, place);
    }

    #[test]
    fn near_answers_are_read_or_refused(
        pieces in proptest::collection::vec(r#"[{}\[\],: \n\r1-9.e-]|"(usage|prompt_tokens|choices|a)"|data: ?|\[DONE\]|null"#, 0..30),
        kind in 0_usize..12,
        place in 0_usize..100,
    ) {
        let (format, framing) = answers::kinds().swap_remove(kind);
        usage::any_bytes_are_safe(&format, framing, pieces.concat().as_bytes(), place);
    }

    #[test]
    fn any_bytes_of_a_request_are_read_or_refused(bytes: Vec<u8>, kind in 0_usize..12) {
        let (format, _) = answers::kinds().swap_remove(kind);
        requests::any_body_is_safe(&format, &bytes);
    }
}
