//! Vectors of RFC 3711 appendix B and RFC 7714 §16-17, then rollover, replay, bounds and lengths.

use aws_lc_rs::cipher::{self, EncryptingKey, EncryptionContext, UnboundCipherKey};

use super::suite::derive;
use super::*;

const PROFILES: [SrtpProfile; 3] = [
    SrtpProfile::Aes256Gcm,
    SrtpProfile::Aes128Gcm,
    SrtpProfile::Aes128CmSha1,
];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(u8::is_ascii_hexdigit)
        .map(|digit| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// Two ends with the same keys: a client and a server.
fn pair(profile: SrtpProfile) -> (Srtp, Srtp) {
    let (key, salt) = profile.sizes();
    let material: Vec<u8> = (0..2 * (key + salt))
        .map(|at| u8::try_from(at * 7 % 251).unwrap())
        .collect();
    let client = Srtp::new(profile, &material, true).unwrap();
    let server = Srtp::new(profile, &material, false).unwrap();
    (client, server)
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 1]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn rtcp(ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn sealed(from: &mut Srtp, packet: &[u8]) -> Vec<u8> {
    let mut slot = packet.to_vec();
    slot.resize(packet.len() + 16, 0xEE);
    let length = from.seal_rtp(&mut slot, packet.len()).unwrap();
    slot.truncate(length);
    slot
}

fn sealed_rtcp(from: &mut Srtp, packet: &[u8]) -> Vec<u8> {
    let mut slot = packet.to_vec();
    slot.resize(packet.len() + 20, 0xEE);
    let length = from.seal_rtcp(&mut slot, packet.len()).unwrap();
    slot.truncate(length);
    slot
}

#[test]
fn a_packet_whose_rest_lies_elsewhere_is_sealed_as_if_it_stood_there() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        let (mut again, _) = pair(profile);
        for (sequence, (bytes, padding)) in (1..).zip([(1_200, 0), (1_199, 1), (1, 16), (0, 3)]) {
            let bytes: Vec<u8> = (0..=250).cycle().take(bytes).collect();
            let tail = Tail {
                bytes: &bytes,
                padding,
            };
            let mut header = rtp(7, sequence, &[]);
            if padding > 0 {
                rtp::mark_padded(&mut header);
            }
            let mut slot = header.clone();
            slot.resize(1_300, 0xEE);
            let length = client.seal_rtp_tail(&mut slot, header.len(), tail).unwrap();
            slot.truncate(length);

            let mut whole = header.clone();
            whole.resize(header.len() + tail.len(), 0xEE);
            assert_eq!(tail.copy(&mut whole, header.len()), Some(whole.len()));
            assert_eq!(slot, sealed(&mut again, &whole), "{profile:?} {sequence}");
            let opened = server.open_rtp(&mut slot).unwrap();
            assert_eq!(slot[..opened], whole);
        }
        let tail = Tail {
            bytes: &[7; 100],
            padding: 0,
        };
        let mut slot = rtp(7, 9, &[0; 100]);
        assert_eq!(
            client.seal_rtp_tail(&mut slot, 12, tail),
            Err(DropReason::TooLarge)
        );
    }
}

#[test]
fn the_key_stream_is_that_of_rfc_3711_b_2() {
    let key = hex("2B7E151628AED2A6ABF7158809CF4F3C");
    let key = EncryptingKey::ctr(UnboundCipherKey::new(&cipher::AES_128, &key).unwrap()).unwrap();
    let iv: [u8; 16] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
    let mut stream = vec![0; 16 * 0xff02];
    key.less_safe_encrypt(&mut stream, EncryptionContext::Iv128(iv.into()))
        .unwrap();
    for (block, expected) in [
        (0, "E03EAD0935C95E80E166B16DD92B4EB4"),
        (1, "D23513162B02D0F72A43A2FE4A5F97AB"),
        (2, "41E95B3BB0A2E8DD477901E4FCA894C0"),
        (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
        (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
        (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
    ] {
        assert_eq!(stream[block * 16..][..16], hex(expected), "block {block:x}");
    }
}

#[test]
fn session_keys_are_those_of_rfc_3711_b_3() {
    let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
    let salt = hex("0EC675AD498AFEEBB6960B3AABE6");
    let auth = "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE
        E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25
        6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2";
    for (label, expected) in [
        (0, "C61E7A93744F39EE10734AFE3FF7A087"),
        (2, "30CBBC08863D8C85D49DB34A9AE1"),
        (1, auth),
    ] {
        let expected = hex(expected);
        let mut key = vec![0; expected.len()];
        derive(&master, &salt, label, &mut key).unwrap();
        assert_eq!(key, expected, "label {label}");
    }
}

/// Session keys as RFC 7714 §16 and §17 give them, not derived.
fn rfc_7714(profile: SrtpProfile) -> Suite {
    let (size, _) = profile.sizes();
    let key: Vec<u8> = (0..u8::try_from(size).unwrap()).collect();
    let mut salt = [0; 14];
    salt[..12].copy_from_slice(b"Quid pro quo");
    Suite::from_session_keys(profile, &key, salt, &[]).unwrap()
}

#[test]
fn rtp_packets_are_those_of_rfc_7714_16() {
    let plain = hex(
        "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
        69736120 696e2070 61727465 73207472 6573",
    );
    for (profile, expected) in [
        (
            SrtpProfile::Aes128Gcm,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f
             42a5f47a 51c7d19b 36de3adf 8833 899d7f27 beb16a91 52cf765e e4390cce",
        ),
        (
            SrtpProfile::Aes256Gcm,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3
             b50b2a02 76ffae0f 1ba63799 b87b 7aa3db36 dfffd6b0 f9bb7878 d7a76c13",
        ),
    ] {
        let suite = rfc_7714(profile);
        let place = Place {
            ssrc: 0x5501_a0b2,
            index: 0xf17b,
        };
        let mut slot = plain.clone();
        slot.resize(plain.len() + 16, 0);
        let length = suite.seal_rtp(&mut slot, plain.len(), 12, place).unwrap();
        assert_eq!(slot[..length], hex(expected), "{profile:?}");
        let length = suite.open_rtp(&mut slot[..length], 12, place).unwrap();
        assert_eq!(slot[..length], plain, "{profile:?}");
    }
}

#[test]
fn rtcp_compounds_are_those_of_rfc_7714_17() {
    let plain = hex(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
        deadbeef deadbeef deadbeef deadbeef deadbeef",
    );
    for (profile, expected) in [
        (
            SrtpProfile::Aes128Gcm,
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1
             730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        ),
        (
            SrtpProfile::Aes256Gcm,
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1
             110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        ),
    ] {
        let suite = rfc_7714(profile);
        let place = Place {
            ssrc: 0x4d61_7273,
            index: 0x5d4,
        };
        let mut slot = plain.clone();
        slot.resize(plain.len() + 20, 0);
        let length = suite.seal_rtcp(&mut slot, plain.len(), place).unwrap();
        assert_eq!(slot[..length], hex(expected), "{profile:?}");
        assert_eq!(suite.rtcp_index(&slot[..length]), Some((0x5d4, true)));
        let length = suite.open_rtcp(&mut slot[..length], place, true).unwrap();
        assert_eq!(slot[..length], plain, "{profile:?}");
    }
}

#[test]
fn a_tagged_but_clear_rtcp_compound_of_rfc_7714_17_3_is_verified() {
    let good = hex(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
        deadbeef deadbeef deadbeef deadbeef deadbeef
        841dd968 3dd78ec9 2ae58790 125f62b3 000005d4",
    );
    let suite = rfc_7714(SrtpProfile::Aes128Gcm);
    let place = Place {
        ssrc: 0x4d61_7273,
        index: 0x5d4,
    };
    assert_eq!(suite.rtcp_index(&good), Some((0x5d4, false)));
    let length = suite.open_rtcp(&mut good.clone(), place, false).unwrap();
    assert_eq!(length, good.len() - 20);
    let mut bad = good;
    bad[10] ^= 1;
    let refused = suite.open_rtcp(&mut bad, place, false);
    assert_eq!(refused, Err(DropReason::Unauthenticated));
}

#[test]
fn every_payload_length_survives_every_suite() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        for length in 0..64_u16 {
            let payload = vec![0xA5; usize::from(length)];
            let packet = rtp(7, length, &payload);
            let mut wire = sealed(&mut client, &packet);
            assert!(length < 8 || !wire.windows(8).any(|part| part == [0xA5; 8]));
            let opened = server.open_rtp(&mut wire).unwrap();
            assert_eq!(wire[..opened], packet, "{profile:?} {length}");
            let packet = rtcp(7, &payload);
            let mut wire = sealed_rtcp(&mut server, &packet);
            let opened = client.open_rtcp(&mut wire).unwrap();
            assert_eq!(wire[..opened], packet, "{profile:?} {length}");
        }
    }
}

#[test]
fn no_length_of_noise_passes_or_panics() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        for length in 0..64 {
            for first in [0x80, 0x90, 0xBF, 0x00] {
                let mut noise = vec![first; length];
                assert!(server.open_rtp(&mut noise).is_err(), "{profile:?} {length}");
                let mut noise = vec![first; length];
                assert!(
                    server.open_rtcp(&mut noise).is_err(),
                    "{profile:?} {length}"
                );
            }
            let mut slot = rtp(7, u16::try_from(length).unwrap(), &[0x80; 64]);
            slot.truncate(length);
            // Too small a slot is refused before anything leaves it.
            assert!(client.seal_rtp(&mut slot, length).is_err());
            assert!(client.seal_rtcp(&mut slot, length).is_err());
        }
        assert_eq!(
            server.ssrcs(),
            0,
            "an unauthenticated packet creates no state"
        );
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        let good = sealed(&mut client, &rtp(7, 1, b"payload"));
        let good_rtcp = sealed_rtcp(&mut client, &rtcp(7, b"payload!"));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x04;
            assert!(server.open_rtp(&mut bad).is_err(), "{profile:?} {at}");
        }
        for at in 0..good_rtcp.len() {
            let mut bad = good_rtcp.clone();
            bad[at] ^= 0x04;
            assert!(server.open_rtcp(&mut bad).is_err(), "{profile:?} {at}");
        }
        assert!(server.open_rtp(&mut good.clone()).is_ok());
        assert!(server.open_rtcp(&mut good_rtcp.clone()).is_ok());
    }
}

#[test]
fn a_packet_is_accepted_once() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        let wire: Vec<_> = (0..1_100)
            .map(|sequence| sealed(&mut client, &rtp(7, sequence, b"x")))
            .collect();
        for at in (0..1_100).filter(|at| at % 2 == 0) {
            assert!(server.open_rtp(&mut wire[at].clone()).is_ok(), "{at}");
        }
        for (at, packet) in wire.iter().enumerate() {
            // The newest is 1098; 1,024 places end at 75.
            let expected = if at % 2 == 1 && at >= 75 {
                Ok(13)
            } else {
                Err(DropReason::Replayed)
            };
            assert_eq!(
                server.open_rtp(&mut packet.clone()),
                expected,
                "{profile:?} {at}"
            );
        }
        let report = sealed_rtcp(&mut client, &rtcp(7, b""));
        assert!(server.open_rtcp(&mut report.clone()).is_ok());
        let again = server.open_rtcp(&mut report.clone());
        assert_eq!(again, Err(DropReason::Replayed));
    }
}

#[test]
fn rollover_is_followed_on_both_sides_even_out_of_order() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        let mut sequences: Vec<u16> = Vec::new();
        for lap in 0..3_u32 {
            sequences.extend((0..8).map(|step| u16::try_from(step * 8_192 + lap).unwrap()));
            sequences.extend([65_534, 65_535]);
        }
        let wire: Vec<_> = sequences
            .iter()
            .map(|sequence| sealed(&mut client, &rtp(7, *sequence, b"x")))
            .collect();
        // Each neighbouring pair arrives the wrong way round, around the wrap too.
        let mut order: Vec<usize> = (0..wire.len()).collect();
        for pair in order[1..].chunks_mut(2) {
            pair.reverse();
        }
        for at in order {
            let opened = server.open_rtp(&mut wire[at].clone());
            let far = at + 1 < wire.len() && sequences[at + 1].wrapping_sub(sequences[at]) > 1_024;
            assert!(opened.is_ok() || far, "{profile:?} {at} {opened:?}");
        }
    }
}

#[test]
#[should_panic(expected = "an outgoing SRTP index is used once")]
fn an_outgoing_sequence_number_is_never_used_twice() {
    let (mut client, _) = pair(SrtpProfile::Aes128Gcm);
    let packet = rtp(7, 5, b"one");
    sealed(&mut client, &packet);
    sealed(&mut client, &packet);
}

#[test]
fn a_number_kept_for_a_late_packet_is_sealed_once() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        // Around the wrap, and over more than a window.
        for sequence in [65_530, 65_535, 1, 65_532, 0, 900, 2, 65_534, 1_023] {
            let mut wire = sealed(&mut client, &rtp(7, sequence, b"x"));
            assert!(server.open_rtp(&mut wire).is_ok(), "{profile:?} {sequence}");
        }
    }
}

#[test]
#[should_panic(expected = "an outgoing SRTP index is used once")]
fn a_late_sequence_number_is_never_used_twice() {
    let (mut client, _) = pair(SrtpProfile::Aes128Gcm);
    for sequence in [5, 9, 7, 8, 7] {
        sealed(&mut client, &rtp(7, sequence, b"x"));
    }
}

#[test]
#[should_panic(expected = "an outgoing SRTP index is used once")]
fn a_sequence_number_too_old_to_tell_is_not_used() {
    let (mut client, _) = pair(SrtpProfile::Aes128Gcm);
    for sequence in [5, 2_000, 976] {
        sealed(&mut client, &rtp(7, sequence, b"x"));
    }
}

#[test]
fn received_ssrcs_are_bounded_and_only_authenticated_ones_count() {
    let (mut client, mut server) = pair(SrtpProfile::Aes128Gcm);
    let bound = u32::try_from(SSRCS_PER_TRANSPORT).unwrap();
    for ssrc in 0..bound {
        let mut wire = sealed(&mut client, &rtp(ssrc, 1, b"x"));
        let mut forged = wire.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(
            server.open_rtp(&mut forged),
            Err(DropReason::Unauthenticated)
        );
        assert!(server.open_rtp(&mut wire).is_ok());
    }
    let mut surplus = sealed(&mut client, &rtp(bound, 1, b"x"));
    assert_eq!(server.open_rtp(&mut surplus), Err(DropReason::LimitReached));
    let mut known = sealed(&mut client, &rtp(0, 2, b"x"));
    assert!(server.open_rtp(&mut known).is_ok());
    assert_eq!(server.ssrcs(), SSRCS_PER_TRANSPORT);
}

#[test]
fn sent_ssrcs_are_bounded() {
    let (mut client, _) = pair(SrtpProfile::Aes128Gcm);
    let bound = u32::try_from(SSRCS_SENT_PER_TRANSPORT).unwrap();
    for ssrc in (0..bound).rev() {
        sealed(&mut client, &rtp(ssrc, 1, b"x"));
    }
    let mut slot = rtp(bound, 1, &[0; 20]);
    assert_eq!(
        client.seal_rtp(&mut slot, 13),
        Err(DropReason::LimitReached)
    );
    sealed(&mut client, &rtp(3, 2, b"x"));
}

#[test]
fn extension_and_csrcs_stay_clear() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        let mut packet = rtp(7, 1, &[]);
        packet[0] = 0x91;
        packet.extend([9, 9, 9, 9, 0xBE, 0xDE, 0, 1, 0x10, 0x55, 0, 0, 1, 2, 3]);
        let mut wire = sealed(&mut client, &packet);
        assert_eq!(wire[..24], packet[..24], "{profile:?}");
        assert_ne!(wire[24..27], packet[24..27], "{profile:?}");
        let opened = server.open_rtp(&mut wire).unwrap();
        assert_eq!(wire[..opened], packet);
    }
}

#[test]
fn a_forgotten_ssrc_makes_room_and_its_old_packets_stay_replays() {
    let (mut client, mut server) = pair(SrtpProfile::Aes128Gcm);
    let mut old = sealed(&mut client, &rtp(0, 9, b"x"));
    assert!(server.open_rtp(&mut old.clone()).is_ok());
    for ssrc in 1..1_000 {
        let mut wire = sealed(&mut client, &rtp(ssrc, 1, b"x"));
        assert!(server.open_rtp(&mut wire).is_ok(), "{ssrc}");
        server.forget(ssrc - 1);
        assert_eq!(server.ssrcs(), 1);
    }
    assert_eq!(server.open_rtp(&mut old), Err(DropReason::Replayed));
    let mut new = sealed(&mut client, &rtp(0, 10, b"x"));
    assert!(server.open_rtp(&mut new).is_ok());
}

#[test]
fn a_packet_is_sealed_again_only_where_it_was_sealed_before_and_comes_out_the_same() {
    for profile in PROFILES {
        let (mut ours, mut theirs) = pair(profile);
        let packet = |sequence| rtp(7, sequence, b"a payload");
        let seal = |srtp: &mut Srtp, sequence: u16| sealed(srtp, &packet(sequence));
        let reseal = |srtp: &mut Srtp, sequence: u16| {
            let mut slot = packet(sequence);
            let length = slot.len();
            slot.resize(length + 16, 0xEE);
            let sealed = srtp.reseal_rtp(&mut slot, length)?;
            slot.truncate(sealed);
            Ok(slot)
        };
        assert_eq!(reseal(&mut ours, 5), Err(DropReason::Expired));
        let lost = seal(&mut ours, 5);
        let mut later = seal(&mut ours, 9);
        assert!(theirs.open_rtp(&mut later).is_ok());
        assert_eq!(reseal(&mut ours, 7), Err(DropReason::Expired), "never sent");
        let mut again = reseal(&mut ours, 5).unwrap();
        assert_eq!(again, lost);
        assert!(theirs.open_rtp(&mut again.clone()).is_ok());
        // It had arrived after all: the receiver's window takes it once.
        assert_eq!(theirs.open_rtp(&mut again), Err(DropReason::Replayed));
        seal(&mut ours, 9 + 1_100);
        assert_eq!(
            reseal(&mut ours, 5),
            Err(DropReason::Expired),
            "too far back"
        );
    }
}
