//! The picture: for each cell a line, on it every server's median beside sockeye's, further right being better. Its
//! colours are those of the page it is shown on, light or dark.

use super::stats::Results;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::fmt::Display;

pub fn draw(results: &Results) -> Result<String, String> {
    let lines: Vec<Line> = results.cells().map(|cell| Line::new(results, cell.id)).collect();
    let titles: Vec<&str> = results.cells().map(|cell| cell.title).collect();
    let names: Vec<&str> = results.rivals().map(|it| it.id).collect();
    let mut svg = String::new();
    let height = TOP + ROW * i32::try_from(lines.len()).unwrap_or(0) + BOTTOM;
    {
        let size = (u32::try_from(WIDTH).unwrap_or(0), u32::try_from(height).unwrap_or(0));
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        picture(&root, &lines, &titles, &names, height).map_err(|error| error.to_string())?;
        root.present().map_err(|error| error.to_string())?;
    }
    Ok(themed(&svg))
}

/// A cell's servers: who, and how good beside sockeye.
struct Line(Vec<(&'static str, f64)>);

impl Line {
    fn new(results: &Results, cell: &str) -> Self {
        let median = |rival: &str| results.spread(cell, rival).map(|it| it.median);
        let ours = median("sockeye");
        let memory = results.cells().any(|it| it.id == cell && it.is_memory());
        let beside = |theirs: f64, ours: f64| if memory { ours / theirs } else { theirs / ours };
        let all = results.rivals().filter_map(|it| Some((it.id, beside(median(it.id)?, ours?))));
        Self(all.filter(|it| it.1.is_finite() && it.1 > 0.0).collect())
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn picture<'a>(
    root: &Area<'a>,
    lines: &[Line],
    titles: &[&str],
    names: &[&str],
    height: i32,
) -> Drawn<'a> {
    // What plotters takes for the size is the height of a line.
    let text = |size: i32, colour: RGBColor| {
        ("sans-serif", f64::from(size) * 1.24).into_font().color(&colour)
    };
    let say = |what: String, at: (i32, i32), size, colour| {
        root.draw(&Text::new(what, at, text(size, colour)))
    };
    say("Messages per CPU second of the server, beside sockeye".into(), (16, 14), 17, INK)?;
    say(
        "sockeye = 1; further right is better; idle: connections per byte".into(),
        (16, 36),
        12,
        FAINT,
    )?;
    for (nth, name) in names.iter().enumerate() {
        let nth = i32::try_from(nth).unwrap_or(0);
        let at = (16 + nth % 5 * 150, 62 + nth / 5 * 20);
        mark(root, name, (at.0 + 5, at.1 + 6))?;
        say((*name).to_owned(), (at.0 + 16, at.1), 12, INK)?;
    }
    let bottom = height - BOTTOM;
    for &tick in &TICKS {
        let x = across(tick);
        let line =
            PathElement::new([(x, TOP - 4), (x, bottom)], if tick == 1.0 { AXIS } else { GRID });
        root.draw(&line)?;
        let label: Box<dyn Display> =
            if tick >= 1.0 { Box::new(tick as u32) } else { Box::new(tick) };
        say(label.to_string(), (x - 8, bottom + 6), 12, FAINT)?;
    }
    for (nth, (line, title)) in lines.iter().zip(titles).enumerate() {
        let y = TOP + ROW * i32::try_from(nth).unwrap_or(0) + ROW / 2;
        say((*title).to_owned(), (16, y - 6), 12, INK)?;
        root.draw(&PathElement::new([(LEFT, y), (WIDTH - RIGHT, y)], GRID))?;
        // Ours last, so that nobody lies over it.
        let ours = |it: &&(&str, f64)| it.0 == "sockeye";
        for (name, ratio) in line.0.iter().filter(|it| !ours(it)).chain(line.0.iter().filter(ours))
        {
            mark(root, name, (across(*ratio), y))?;
        }
    }
    Ok(())
}

/// The floors are hollow, sockeye is large.
fn mark<'a>(root: &Area<'a>, name: &str, at: (i32, i32)) -> Drawn<'a> {
    let colour = COLOURS.iter().find(|it| it.0 == name).map_or(FAINT, |it| it.1);
    match name {
        "sockeye" => root.draw(&Circle::new(at, 7, colour.filled())),
        _ if name.starts_with("floor") => root.draw(&Circle::new(at, 5, colour.stroke_width(2))),
        _ => root.draw(&Circle::new(at, 5, colour.filled())),
    }
}

/// Where on the line: each tenfold takes the same room.
fn across(ratio: f64) -> i32 {
    let (least, most) = (TICKS[0].log10(), TICKS[TICKS.len() - 1].log10());
    let part = ((ratio.log10() - least) / (most - least)).clamp(0.0, 1.0);
    LEFT + (part * f64::from(WIDTH - RIGHT - LEFT)).round() as i32
}

/// Ink, lines and faint text become what is legible on the page's ground, which stays as it is.
fn themed(svg: &str) -> String {
    let style = "<style>\
        :root{--ink:#1f2328;--faint:#656d76;--grid:#d8dee4;--axis:#8c959f}\
        @media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--faint:#9198a1;--grid:#30363d;--axis:#7d8590}}\
        [fill=\"#010101\"]{fill:var(--ink)}[fill=\"#020202\"]{fill:var(--faint)}\
        [stroke=\"#030303\"]{stroke:var(--grid)}[stroke=\"#040404\"]{stroke:var(--axis)}\
        </style>";
    match svg.find("<svg").and_then(|at| Some(at + svg[at..].find('>')? + 1)) {
        Some(inside) => format!("{}\n{style}{}", &svg[..inside], &svg[inside..]),
        None => svg.to_owned(),
    }
}

const WIDTH: i32 = 860;
const LEFT: i32 = 280;
const RIGHT: i32 = 24;
const TOP: i32 = 124;
const ROW: i32 = 28;
const BOTTOM: i32 = 34;
const TICKS: [f64; 11] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];

/// No colours, but names for those of the style above.
const INK: RGBColor = RGBColor(1, 1, 1);
const FAINT: RGBColor = RGBColor(2, 2, 2);
const GRID: RGBColor = RGBColor(3, 3, 3);
const AXIS: RGBColor = RGBColor(4, 4, 4);

/// Told apart on light and dark, and by those who see few colours.
const COLOURS: [(&str, RGBColor); 10] = [
    ("floor-mio", RGBColor(128, 128, 128)),
    ("floor-ws", RGBColor(160, 130, 60)),
    ("floor-ws-batch", RGBColor(200, 160, 40)),
    ("sockeye", RGBColor(220, 50, 47)),
    ("tungstenite", RGBColor(38, 110, 210)),
    ("fastwebsockets", RGBColor(0, 158, 115)),
    ("tokio-websockets", RGBColor(86, 180, 233)),
    ("sockudo-ws", RGBColor(204, 121, 167)),
    ("yawc", RGBColor(130, 90, 200)),
    ("ws", RGBColor(230, 159, 0)),
];

#[cfg(test)]
mod tests {
    use super::super::cells::{CELLS, RIVALS};
    use super::*;

    #[test]
    fn every_server_has_a_colour_and_the_page_its_own() {
        let mut results = Results::default();
        for cell in &CELLS {
            for rival in RIVALS.iter().filter(|it| it.takes_part(cell)) {
                results.add(cell, rival, Ok(if rival.id == "sockeye" { 4.0 } else { 3.0 }));
                assert!(COLOURS.iter().any(|it| it.0 == rival.id), "{}", rival.id);
            }
        }
        let svg = draw(&results).expect("it can be drawn");
        assert!(svg.contains("prefers-color-scheme:dark"));
        for cell in &CELLS {
            assert!(svg.contains(cell.title), "{}", cell.title);
        }
        // Nothing is painted over the page's ground.
        assert!(!svg.contains("<rect"), "{svg}");
    }

    #[test]
    fn twice_as_good_lies_as_far_right_as_half_as_good_lies_left() {
        let (left, right) = (across(1.0) - across(0.5), across(2.0) - across(1.0));
        assert!(left > 40 && left.abs_diff(right) <= 1, "{left} {right}");
        assert_eq!(across(9e9), WIDTH - RIGHT);
        assert_eq!(across(1e-9), LEFT);
    }
}
