//! Responses, files, dates and queries.

use super::*;

fn answer_to(line: &str, field: &str) -> Answer {
    with_head(&request(line, &["Host: x", field], ""), |head| head.answer())
}

fn text(out: Vec<u8>) -> String {
    String::from_utf8(out).unwrap()
}

#[test]
fn a_response_has_one_space_after_each_colon_and_its_length() {
    let mut out = b"before".to_vec();
    let answer = answer_to("GET / HTTP/1.1", "X: y");
    Reply::new(&mut out, answer, Status::Ok).field("X-A", "b").body("text/plain", b"hi");
    let expected = "beforeHTTP/1.1 200 OK\r\nX-A: b\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(text(out), expected);
}

#[test]
fn a_response_says_what_happens_to_the_connection_when_it_is_not_the_usual() {
    let reply = |answer| {
        let mut out = Vec::new();
        Reply::new(&mut out, answer, Status::Ok).empty();
        text(out)
    };
    let bare = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(reply(answer_to("GET / HTTP/1.1", "X: y")), bare);
    let close = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(reply(answer_to("GET / HTTP/1.1", "Connection: close")), close);
    assert_eq!(reply(answer_to("GET / HTTP/1.1", "X: y").closing()), close);
    assert_eq!(reply(answer_to("GET / HTTP/1.0", "X: y")), close);
    let kept = reply(answer_to("GET / HTTP/1.0", "Connection: keep-alive"));
    assert!(kept.contains("\r\nConnection: keep-alive\r\n"));
}

#[test]
fn an_answer_to_head_has_the_length_but_not_the_body() {
    let mut out = Vec::new();
    let answer = answer_to("HEAD / HTTP/1.1", "X: y");
    Reply::new(&mut out, answer, Status::Ok).body("text/plain", b"hi");
    assert!(text(out).ends_with("Content-Length: 2\r\n\r\n"));
    let follows = Reply::new(&mut Vec::new(), answer, Status::Ok).body_apart("text/plain", 2);
    assert!(!follows);
}

#[test]
fn not_modified_and_no_content_have_neither_body_nor_length() {
    for status in [Status::NotModified, Status::NoContent] {
        let mut out = Vec::new();
        let answer = answer_to("GET / HTTP/1.1", "X: y");
        Reply::new(&mut out, answer, status).body("text/plain", b"hi");
        assert_eq!(text(out), format!("HTTP/1.1 {} {}\r\n\r\n", status.code(), status.reason()));
    }
}

#[test]
fn a_value_cannot_split_the_response() {
    let mut out = Vec::new();
    let answer = answer_to("GET / HTTP/1.1", "X: y");
    Reply::new(&mut out, answer, Status::Ok).field("X\r\n-A:", "b\r\nSet-Cookie: c\0\td").empty();
    let expected = "HTTP/1.1 200 OK\r\nX-A: b  Set-Cookie: c \td\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(text(out), expected);
}

#[test]
fn a_fault_is_refused_with_its_status_and_the_connection_closed() {
    for (fault, line) in [
        (Fault::BareLf, "HTTP/1.1 400 Bad Request\r\n"),
        (Fault::Version, "HTTP/1.1 505 HTTP Version Not Supported\r\n"),
        (Fault::HeadTooLong(9), "HTTP/1.1 431 Request Header Fields Too Large\r\n"),
    ] {
        let mut out = Vec::new();
        refuse(&mut out, fault);
        let out = text(out);
        assert!(out.starts_with(&format!("{line}Connection: close\r\n")), "{out}");
        assert!(out.ends_with(&format!("\r\n\r\n{fault}\n")), "{out}");
    }
}

fn files() -> Files {
    let mut files = Files::new("default-src 'self'");
    files.add("/", "text/html; charset=utf-8", b"old");
    files.add("/", "text/html; charset=utf-8", b"<!doctype html>");
    files.add("/empty.css", "text/css", b"");
    files
}

fn serve(line: &str, fields: &[&str]) -> (Served, String) {
    let fields = [&["Host: x"], fields].concat();
    let mut out = Vec::new();
    let served =
        with_head(&request(line, &fields, ""), |head| files().answer(head, "today", &mut out));
    (served, text(out))
}

#[test]
fn a_content_length_is_one_plain_number() {
    for value in ["", "+5", "-1", "5 5", "5, 5", "5,5", "0x5", "5.0", "18446744073709551616", "٣"]
    {
        let field = format!("Content-Length: {value}");
        assert_eq!(fault(&post(&[&field], "hello")), Fault::ContentLength, "{value}");
    }
}

#[test]
fn a_file_is_served_with_its_type_tag_and_policy() {
    let (served, out) = serve("GET /?x=y HTTP/1.1", &[]);
    assert_eq!(served, Served::Head(b"<!doctype html>".as_slice().into()));
    assert!(out.starts_with("HTTP/1.1 200 OK\r\n") && out.ends_with("\r\n\r\n"));
    for (name, expected) in [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", "15"),
        ("Content-Security-Policy", "default-src 'self'"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-cache"),
        ("Date", "today"),
    ] {
        assert_eq!(value(&out, name), Some(expected));
    }
    let (head_only, head_out) = serve("HEAD / HTTP/1.1", &[]);
    assert_eq!((head_only, head_out), (Served::Whole, out));
    assert_eq!(serve("GET /empty.css HTTP/1.1", &[]).0, Served::Whole);
}

#[test]
fn who_has_the_file_is_told_so() {
    let (_, out) = serve("GET / HTTP/1.1", &[]);
    let tag = value(&out, "ETag").unwrap();
    assert!(tag.len() == 18 && tag.starts_with('"') && tag.ends_with('"'));
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"x\" , {tag}"), "*".to_owned()] {
        let (served, out) = serve("GET / HTTP/1.1", &[&format!("If-None-Match: {known}")]);
        assert!(
            served == Served::Whole && out.starts_with("HTTP/1.1 304 Not Modified\r\n"),
            "{out}"
        );
        assert_eq!((value(&out, "ETag"), value(&out, "Content-Length")), (Some(tag), None));
        assert_eq!(value(&out, "Content-Security-Policy"), Some("default-src 'self'"));
    }
    let (_, empty) = serve("GET /empty.css HTTP/1.1", &[]);
    let other = value(&empty, "ETag").unwrap();
    assert_ne!(other, tag, "the tag is the content's");
    let (served, _) = serve("GET / HTTP/1.1", &[&format!("If-None-Match: {other}")]);
    assert!(matches!(served, Served::Head(_)));
}

#[test]
fn files_are_found_by_their_exact_path_and_only_read() {
    for path in ["/../", "//", "/%2e", "/empty.css/", "/EMPTY.css", "x"] {
        assert_eq!(serve(&format!("GET {path} HTTP/1.1"), &[]), (Served::Unknown, String::new()));
    }
    let (served, out) = serve("POST / HTTP/1.1", &[]);
    assert_eq!((served, value(&out, "Allow")), (Served::Whole, Some("GET, HEAD")));
    assert!(out.starts_with("HTTP/1.1 405 "));
}

#[test]
fn dates_are_right_at_the_edges_of_the_calendar() {
    for (seconds, expected) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
    ] {
        assert_eq!(http_date(Duration::from_secs(seconds)), expected);
    }
}

#[test]
fn a_query_is_decoded_and_what_is_no_code_stands_for_itself() {
    for (encoded, expected) in [
        ("a", "a"),
        ("a+b%2Bc", "a b+c"),
        ("%", "%"),
        ("%4", "%4"),
        ("%zz%41", "%zzA"),
        ("%+1", "% 1"),
        ("%ff", "\u{fffd}"),
        ("%0d%0A", "\r\n"),
        ("a=b", "a=b"),
    ] {
        let query = format!("x=y&%6eame={encoded}&name=second");
        assert_eq!(query_value(&query, "name").unwrap(), expected, "{encoded}");
    }
    assert_eq!(query_value("", "name"), None);
    assert_eq!(percent_decoded("/a+b%20c%"), "/a+b c%");
}
