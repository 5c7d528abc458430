//! Keys: what was composed passes, what was altered does not.

use creditgate_core::key::{CredentialHash, KeyKind, check, compose, credential_hash};

const KINDS: [&KeyKind; 3] = [&KeyKind::Consumer, &KeyKind::Gateway, &KeyKind::Admin];

property! {
    fn a_composed_key_passes_and_an_altered_one_does_not(generator) {
        let kind = *generator.pick(&KINDS);
        let random = std::array::from_fn(|_| generator.bits() as u8);
        let place = generator.below(54) as usize;
        altered_is_noticed(kind, random, place, generator.below(94) as u8 + 33);
    }
}

property! {
    fn any_text_is_checked_without_harm(generator) {
        let pieces = ["cgk_", "cg", "_", "A", "z", "9", "-", "é", "ABCDEFGHIJKLMNOP", " "];
        let text = generator.text(&pieces, 12);
        assert!(check(&text).is_err(), "{text:?}");
    }
}

property! {
    fn a_hash_reads_back_from_its_text(generator) {
        let credential = generator.text(&["a", "é", "\0", " ", "cgk_"], 40);
        let hash = credential_hash(&credential);
        assert_eq!(hash.to_string().parse::<CredentialHash>(), Ok(hash));
        assert_eq!(CredentialHash::from_bytes(*hash.as_bytes()), hash);
    }
}

pub(crate) fn altered_is_noticed(kind: KeyKind, random: [u8; 32], place: usize, character: u8) {
    let key = compose(kind, &random);
    assert_eq!(check(&key), Ok(kind), "{key}");
    let mut altered = key.clone().into_bytes();
    altered[place] = character;
    let altered = String::from_utf8(altered).unwrap();
    assert_eq!(check(&altered).is_ok(), altered == key, "{altered}");
}
