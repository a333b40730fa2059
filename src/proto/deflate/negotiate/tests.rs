use super::*;

type List = Vec<(&'static str, Option<&'static str>)>;

/// `a; b=1` as the header grammar would hand it over. Without quotes, which are not this file's.
fn params(text: &'static str) -> List {
    text.split(';')
        .map(str::trim)
        .filter(|param| !param.is_empty())
        .map(|param| match param.split_once('=') {
            None => (param, None),
            Some((name, value)) => (name, Some(value)),
        })
        .collect()
}

/// A policy that asks for nothing.
const OPEN: Deflate = Deflate {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: WindowBits::MAX,
    client_max_window_bits: WindowBits::MAX,
    compress_from: 0,
    level: 1,
};

fn window(bits: u8) -> WindowBits {
    WindowBits::new(bits).unwrap()
}

fn answer(policy: &Deflate, offers: &[&'static str]) -> Option<(Params, String)> {
    policy.respond(offers.iter().map(|offer| params(offer)))
}

fn answered(policy: &Deflate, offers: &[&'static str]) -> Option<String> {
    answer(policy, offers)
        .map(|(_, header)| header.strip_prefix("permessage-deflate").unwrap().to_string())
}

const MALFORMED: [&str; 26] = [
    "mystery",
    "server_no_context_takeover=1",
    "server_no_context_takeover=",
    "client_no_context_takeover=true",
    "server_no_context_takeover; server_no_context_takeover",
    "client_no_context_takeover; client_no_context_takeover",
    "server_max_window_bits",
    "server_max_window_bits=",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=09",
    "server_max_window_bits=+9",
    "server_max_window_bits=1o",
    "server_max_window_bits=10 ",
    "server_max_window_bits=0x9",
    "server_max_window_bits=264",
    "server_max_window_bits=10; server_max_window_bits=10",
    "client_max_window_bits=",
    "client_max_window_bits=7",
    "client_max_window_bits=16",
    "client_max_window_bits=09",
    "client_max_window_bits=-9",
    "client_max_window_bits; client_max_window_bits",
    "client_max_window_bits; client_max_window_bits=10",
    "Client_max_window_bits",
    "client_no_context_takeover; mystery=1",
];

#[test]
fn a_malformed_offer_is_passed_over_and_the_next_one_is_taken() {
    for offer in MALFORMED {
        // The trailing space of one case would be lost in splitting.
        let offer = match offer {
            "server_max_window_bits=10 " => vec![("server_max_window_bits", Some("10 "))],
            _ => params(offer),
        };
        assert_eq!(OPEN.respond([offer.clone()]), None, "{offer:?}");
        let (_, header) =
            OPEN.respond([offer.clone(), params("server_max_window_bits=12")]).unwrap();
        assert_eq!(header, "permessage-deflate; server_max_window_bits=12", "{offer:?}");
    }
}

#[test]
fn the_first_acceptable_offer_wins_and_no_offer_is_no_extension() {
    assert_eq!(answer(&OPEN, &[]), None);
    let header = answered(&OPEN, &["server_max_window_bits=11", "server_max_window_bits=10"]);
    assert_eq!(header.unwrap(), "; server_max_window_bits=11");
}

#[test]
fn a_server_window_is_confirmed_with_at_most_the_value_asked_for() {
    for asked in 9..=15u8 {
        for own in 9..=15u8 {
            let policy = Deflate { server_max_window_bits: window(own), ..OPEN };
            let text = asked.to_string();
            let offer = [("server_max_window_bits", Some(text.as_str()))];
            let (agreed, header) = policy.respond([offer]).unwrap();
            let least = asked.min(own);
            assert_eq!(agreed.server_max_window_bits.bits(), least);
            assert_eq!(header, format!("permessage-deflate; server_max_window_bits={least}"));
        }
    }
}

#[test]
fn a_server_window_of_8_is_declined_without_failing() {
    assert_eq!(answered(&OPEN, &["server_max_window_bits=8"]), None);
    let header = answered(&OPEN, &["server_max_window_bits=8; client_max_window_bits", ""]);
    assert_eq!(header.unwrap(), "");
}

#[test]
fn a_client_window_of_8_is_read_with_9_and_left_unanswered() {
    let (agreed, header) = answer(&OPEN, &["client_max_window_bits=8"]).unwrap();
    assert_eq!(agreed.client_max_window_bits, WindowBits::MIN);
    assert_eq!(header, "permessage-deflate");
}

#[test]
fn a_client_window_is_answered_only_where_it_was_offered() {
    let policy = Deflate { client_max_window_bits: window(10), ..OPEN };
    let (agreed, header) = answer(&policy, &["client_max_window_bits"]).unwrap();
    assert_eq!(agreed.client_max_window_bits, window(10));
    assert_eq!(header, "permessage-deflate; client_max_window_bits=10");

    let (agreed, header) = answer(&policy, &["client_max_window_bits=9"]).unwrap();
    assert_eq!(agreed.client_max_window_bits, window(9));
    assert_eq!(header, "permessage-deflate; client_max_window_bits=9");

    // It cannot be limited, so it is not to be remembered.
    let (agreed, header) = answer(&policy, &[""]).unwrap();
    assert_eq!(agreed.client_max_window_bits, WindowBits::MAX);
    assert!(agreed.client_no_context_takeover);
    assert_eq!(header, "permessage-deflate; client_no_context_takeover");
}

#[test]
fn takeover_is_given_up_when_either_side_wants_it() {
    for own in [false, true] {
        for asked in [false, true] {
            let policy = Deflate {
                server_no_context_takeover: own,
                client_no_context_takeover: own,
                ..OPEN
            };
            let offer = match asked {
                false => "",
                true => "client_no_context_takeover; server_no_context_takeover",
            };
            let (agreed, header) = answer(&policy, &[offer]).unwrap();
            assert_eq!(agreed.server_no_context_takeover, own || asked);
            assert_eq!(agreed.client_no_context_takeover, own || asked);
            assert_eq!(header.contains("; server_no_context_takeover"), own || asked);
            assert_eq!(header.contains("; client_no_context_takeover"), own || asked);
        }
    }
}

#[test]
fn a_server_window_that_was_not_asked_for_is_used_and_not_announced() {
    let policy = Deflate { server_max_window_bits: window(9), ..OPEN };
    let (agreed, header) = answer(&policy, &[""]).unwrap();
    assert_eq!(agreed.server_max_window_bits, window(9));
    assert_eq!(header, "permessage-deflate");
}

#[test]
fn every_client_policy_and_every_server_policy_come_to_the_same_agreement() {
    let policies = || {
        (0..4u8).flat_map(|flags| {
            (9..=15).flat_map(move |server| {
                (9..=15).map(move |client| Deflate {
                    server_no_context_takeover: flags & 1 != 0,
                    client_no_context_takeover: flags & 2 != 0,
                    server_max_window_bits: window(server),
                    client_max_window_bits: window(client),
                    ..OPEN
                })
            })
        })
    };
    for client in policies() {
        let offer = client.offer();
        let offer: Vec<_> = split(&offer).collect();
        for server in policies() {
            let (params, header) = server.respond([offer.clone()]).unwrap();
            let agreed = client.agree(split(&header)).unwrap();
            // A server may keep to a smaller window than the client has to reckon with.
            assert!(params.server_max_window_bits <= agreed.server_max_window_bits);
            assert_eq!(
                Params { server_max_window_bits: agreed.server_max_window_bits, ..params },
                agreed,
                "{client:?} {server:?}"
            );
        }
    }
}

fn split(header: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    header.split("; ").skip(1).map(|param| match param.split_once('=') {
        None => (param, None),
        Some((name, value)) => (name, Some(value)),
    })
}

#[test]
fn a_client_refuses_a_malformed_answer() {
    for answer in MALFORMED {
        let answer = match answer {
            "server_max_window_bits=10 " => vec![("server_max_window_bits", Some("10 "))],
            _ => params(answer),
        };
        assert!(OPEN.agree(answer.clone()).is_err(), "{answer:?}");
    }
    assert_eq!(
        OPEN.agree(params("client_max_window_bits")).unwrap_err().to_string(),
        "parameter client_max_window_bits lacks its value"
    );
}

#[test]
fn a_client_refuses_what_it_did_not_offer() {
    let policy = Deflate {
        server_no_context_takeover: true,
        server_max_window_bits: window(12),
        client_max_window_bits: window(10),
        ..OPEN
    };
    let agree = |text| policy.agree(params(text)).map_err(|error| error.to_string());
    let refused = |text| agree(text).unwrap_err();
    let asked = "server_no_context_takeover; server_max_window_bits=12";
    assert!(agree(asked).is_ok());
    assert_eq!(
        refused("server_max_window_bits=12"),
        "server_no_context_takeover was asked for and is not confirmed"
    );
    assert_eq!(
        refused("server_no_context_takeover"),
        "server_max_window_bits was asked for and is not confirmed"
    );
    assert_eq!(
        refused("server_no_context_takeover; server_max_window_bits=13"),
        "server_max_window_bits of 13 exceeds the 12 offered"
    );
    assert_eq!(
        refused("server_no_context_takeover; server_max_window_bits=12; client_max_window_bits=11"),
        "client_max_window_bits of 11 exceeds the 10 offered"
    );
    assert_eq!(
        refused("server_no_context_takeover; server_max_window_bits=12; client_max_window_bits=8"),
        "client_max_window_bits of 8 is below the 9 that can be compressed with"
    );
}

#[test]
fn a_client_takes_what_a_server_may_say_unasked() {
    let agreed = OPEN
        .agree(params(
            "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8",
        ))
        .unwrap();
    assert_eq!(
        agreed,
        Params {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: WindowBits::MIN,
            client_max_window_bits: WindowBits::MAX,
        }
    );
}
