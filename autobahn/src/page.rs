//! The first page of the reports: one file without scripts or anything from elsewhere, which leads to
//! the suite's own pages.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cases::CaseId;
use crate::table::{self, by_section};
use crate::verdicts::{Difference, Outcome, Outcomes, Verdict};

/// What one role came to.
pub(crate) struct Chapter<'a> {
    /// Also the folder with the suite's own pages.
    pub(crate) role: &'static str,
    /// What the testee was.
    pub(crate) testee: String,
    pub(crate) outcomes: &'a Outcomes,
    pub(crate) differences: &'a [Difference],
    /// How many cases were asked for.
    pub(crate) asked: usize,
    pub(crate) took: Duration,
}

/// The page, for all roles that were tried.
pub(crate) fn page(variant: &str, chapters: &[Chapter<'_>]) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Sockeye and the Autobahn suite: {0}</title>\n<style>\n{STYLE}</style>\n\
         <main>\n<h1>Sockeye and the Autobahn suite</h1>\n\
         <p class=\"lead\">AutobahnTestSuite 0.8.2, variant <b>{0}</b>. Every square is a case and leads \
         to the suite's own page about it: what was sent, what came back, how the connection was closed.</p>\n\
         <p class=\"legend\">{1}</p>\n",
        escape(variant),
        legend()
    );
    for chapter in chapters {
        write_chapter(&mut html, chapter);
    }
    html.push_str("</main>\n</html>\n");
    html
}

fn write_chapter(html: &mut String, chapter: &Chapter<'_>) {
    let Chapter { role, outcomes, differences, asked, .. } = chapter;
    let (sections, sum) = by_section(outcomes);
    let verdict = match differences.len() {
        0 => format!("<b class=\"good\">all {asked} as expected</b>"),
        n => format!("<b class=\"bad\">{n} of {asked} not as expected</b>"),
    };
    let _ = write!(
        html,
        "<section>\n<h2>As {role}</h2>\n<p>{}. {verdict}, in {}. \
         <a href=\"{role}/index.html\">The suite's own report</a>, \
         <a href=\"{role}/index.json\">raw verdicts</a>.</p>\n",
        escape(&chapter.testee),
        table::minutes(chapter.took),
    );
    if !differences.is_empty() {
        html.push_str("<ul class=\"differences\">\n");
        for difference in *differences {
            let text = escape(&difference.to_string());
            let _ = match outcomes.get(difference.id()) {
                Some(outcome) => {
                    writeln!(html, "<li><a href=\"{role}/{}\">{text}</a>", escape(&outcome.page()))
                }
                None => writeln!(html, "<li>{text}"),
            };
        }
        html.push_str("</ul>\n");
    }
    html.push_str(
        "<div class=\"wide\"><table>\n<tr><th colspan=\"3\"><th colspan=\"5\">how it behaved\
         <th colspan=\"5\" class=\"second\">how it was closed<th>\n<tr><th><th>section<th>cases",
    );
    for heading in ["behavior", "close"] {
        for verdict in Verdict::ALL {
            let _ = write!(html, "<th title=\"{heading}: {verdict}\">{}", short(verdict));
        }
    }
    html.push_str("<th>time\n");
    let rows = sections.iter().map(|(number, title, row)| (number.to_string(), *title, row));
    for (number, title, row) in rows.chain([(String::new(), "all", &sum)]) {
        let _ = write!(html, "<tr><td>{number}<td>{title}<td>{}", row.cases);
        let halves: [&dyn Fn(Verdict) -> usize; 2] = [&|it| row.behavior(it), &|it| row.close(it)];
        for count in halves {
            for verdict in Verdict::ALL {
                let _ = match count(verdict) {
                    0 => write!(html, "<td class=\"none\">&middot;"),
                    n => write!(html, "<td class=\"{}\">{n}", class(verdict)),
                };
            }
        }
        let _ = writeln!(html, "<td>{:.1} s", row.time.as_secs_f64());
    }
    html.push_str("</table></div>\n");
    for (number, title, _) in &sections {
        let _ = writeln!(html, "<h3>{number} {title}</h3>\n<p class=\"cases\">");
        let mut group = String::new();
        for (id, outcome) in outcomes.iter().filter(|(id, _)| id.section() == *number) {
            if group != id.group() {
                let gap = if group.is_empty() { "" } else { "<br>" };
                group = id.group();
                let _ = write!(html, "{gap}<span class=\"group\">{group}</span>");
            }
            square(html, role, id, outcome);
        }
        html.push_str("</p>\n");
    }
    html.push_str("</section>\n");
}

fn square(html: &mut String, role: &str, id: &CaseId, outcome: &Outcome) {
    let worse = outcome.behavior.max(outcome.behavior_close);
    let _ = writeln!(
        html,
        "<a class=\"{0}\" href=\"{role}/{1}\" title=\"{2}\" aria-label=\"{2}\"></a>",
        class(worse),
        escape(&outcome.page()),
        format_args!(
            "{id}: {}, close {}, {} ms",
            outcome.behavior, outcome.behavior_close, outcome.duration
        ),
    );
}

fn legend() -> String {
    let one = |verdict: Verdict| format!("<i class=\"{}\"></i> {verdict}", class(verdict));
    Verdict::ALL.map(one).join(" ")
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Informational => "info",
        Verdict::NonStrict => "lax",
        Verdict::Unimplemented => "not",
        Verdict::Failed => "bad",
    }
}

fn short(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Informational => "info",
        Verdict::NonStrict => "lax",
        Verdict::Unimplemented => "unimpl.",
        Verdict::Failed => "failed",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The colours differ in lightness too, for those who do not tell red from green.
const STYLE: &str = "\
:root { color-scheme: light dark; --ok: #5aa469; --info: #4d7ea8; --lax: #e0b040; --not: #9a9a9a; --bad: #a8201a;
  --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem 1rem 4rem; }
main { max-width: 62rem; margin: auto; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; }
h2 { margin: 2.5rem 0 .3rem; border-top: 1px solid var(--line); padding-top: 1.2rem; }
h3 { font-size: .95rem; margin: 1.1rem 0 .2rem; }
.lead, .legend { max-width: 46rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .15rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th[colspan] { text-align: center; }
tr + tr th:nth-child(2), td:nth-child(2) { text-align: left; }
.second, tr + tr th:nth-child(9), td:nth-child(9) { border-left: 1px solid var(--line); }
tr:last-child { font-weight: bold; }
td.none { opacity: .35; }
td.lax, td.not, td.bad, .differences { color: var(--bad); }
.good { color: var(--ok); } .bad b, b.bad { color: var(--bad); }
.cases { margin: 0; line-height: 1.25; }
.group { display: inline-block; width: 3rem; font-size: .75rem; opacity: .7; }
.cases a, .legend i { display: inline-block; width: .85rem; height: .85rem; margin: 1px; border-radius: 2px; }
.cases a:hover, .cases a:focus { outline: 2px solid currentColor; }
a.ok, i.ok { background: var(--ok); } a.info, i.info { background: var(--info); }
a.lax, i.lax { background: var(--lax); } a.not, i.not { background: var(--not); }
a.bad, i.bad { background: var(--bad); }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_leads_to_each_cases_own_report_and_names_differences() {
        let id: CaseId = "6.4.1".parse().unwrap();
        let outcome = Outcome {
            behavior: Verdict::NonStrict,
            behavior_close: Verdict::Ok,
            duration: 7,
            reportfile: "sockeye_case_6_4_1.json".into(),
        };
        let outcomes = [(id, outcome)].into_iter().collect();
        let differences = [Difference::Missing("6.4.2".parse().unwrap())];
        let chapter = Chapter {
            role: "server",
            testee: "a <server>".into(),
            outcomes: &outcomes,
            differences: &differences,
            asked: 2,
            took: Duration::from_secs(3),
        };
        let html = page("plain", &[chapter]);
        assert!(html.contains("href=\"server/sockeye_case_6_4_1.html\""), "{html}");
        assert!(html.contains("6.4.2: no verdict"));
        assert!(html.contains("1 of 2 not as expected"));
        assert!(html.contains("a &lt;server&gt;"));
        assert!(!html.contains("<script") && !html.contains("http"));
    }
}
