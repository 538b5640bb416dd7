//! The slate's SVG template: a stranger's words become escaped text inside its text nodes and nothing else.
//!
//! `{{title}}`, `{{host}}`, `{{line}}`, `{{speaking}}`, `{{clock}}` and `{{consent}}` are replaced in text nodes of `<text>` elements, nowhere
//! else. A `<text>` whose placeholders are all empty disappears. Attributes that templates may use:
//!
//! * `data-width`, `data-lines`, `data-min-size` on a `<text>`: wrap it to this width and at most so many lines (1 if
//!   not said), shrinking from `font-size` down to the smallest size, then cut it. It grows both ways from its `y`.
//! * `data-above="ID"`, `data-below="ID"`: makes room, up or down, for the lines of the text with that id.
//! * `data-hug="ID"` with `data-pad`: a rectangle ends so much behind that text's end.
//! * ids `waveform` (a rectangle) and `light` (a circle): where the moving parts are drawn.
//! * `<image href="artwork">`: the operator's artwork. No other reference resolves.

use std::collections::HashMap;
use std::ops::Range;

use resvg::usvg::roxmltree::{Document, Node};

use super::fit::{self, Fitted, Room};
use super::measure;

/// Lines lie this far apart, in font sizes.
const LINE_HEIGHT: f32 = 1.14;

/// Height of the middle of a line over its baseline, in font sizes.
const MIDDLE: f32 = 0.36;

/// Elements whose place is marked and that are drawn anew in every frame.
const MOVING: [&str; 2] = ["waveform", "light"];

/// Values of the placeholders, cleaned but not escaped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) title: &'a str,
    pub(super) host: &'a str,
    pub(super) line: &'a str,
    pub(super) speaking: &'a str,
    pub(super) clock: &'a str,
    pub(super) consent: &'a str,
}

/// `text` as it stands for itself in XML, in text and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// The template with its fields filled in: an SVG without placeholders.
///
/// # Errors
/// The reason, in words, when the template is not XML. Documents with a DTD are refused: entities can multiply.
pub(super) fn fill(template: &str, fields: Fields<'_>) -> Result<String, String> {
    let document = Document::parse(template).map_err(|error| error.to_string())?;
    let mut edits = Vec::new();
    let mut fitted = HashMap::new();
    for text in document.descendants().filter(|node| node.tag_name().name() == "text") {
        fill_text(text, fields, &mut edits, &mut fitted);
    }
    for node in document.descendants().filter(Node::is_element) {
        adjust(node, &document, &fitted, &mut edits);
    }
    edits.sort_by_key(|(range, _): &(Range<usize>, String)| std::cmp::Reverse((range.start, range.end)));
    let mut svg = template.to_owned();
    for (range, replacement) in edits {
        svg.replace_range(range, &replacement);
    }
    Ok(svg)
}

type Edits = Vec<(Range<usize>, String)>;

fn fill_text<'a>(
    text: Node<'a, '_>,
    fields: Fields<'_>,
    edits: &mut Edits,
    fitted: &mut HashMap<&'a str, (Fitted, f32)>,
) {
    let parts: Vec<(Range<usize>, Expanded)> = text
        .descendants()
        .filter(|node| node.is_text())
        .filter_map(|node| Some((node.range(), expand(node.text()?, fields))))
        .collect();
    if parts.iter().all(|(_, part)| !part.placeholders) {
        return;
    }
    let empty = parts.iter().all(|(_, part)| part.empty || !part.placeholders);
    let Some(room) = room(text) else {
        for (range, part) in parts {
            edits.push((range, if empty { String::new() } else { escape(&part.text) }));
        }
        return;
    };
    let (Some(first), Some(last)) = (text.first_child(), text.last_child()) else { return };
    let all: String = parts.iter().map(|(_, part)| part.text.as_str()).collect();
    let fit =
        if empty { Fitted { size: room.size, ..Fitted::default() } } else { fit::fit(all.trim(), &style(text), room) };
    // Without a line the neighbours close ranks.
    let spread = (fit.lines.len() as f32 - 1.0) * LINE_HEIGHT * fit.size;
    edits.push((first.range().start..last.range().end, lines(text, &fit, room, spread)));
    fitted.insert(text.attribute("id").unwrap_or_default(), (fit, spread));
}

struct Expanded {
    text: String,
    placeholders: bool,
    empty: bool,
}

fn expand(text: &str, fields: Fields<'_>) -> Expanded {
    let values = [
        ("{{title}}", fields.title),
        ("{{host}}", fields.host),
        ("{{line}}", fields.line),
        ("{{speaking}}", fields.speaking),
        ("{{clock}}", fields.clock),
        ("{{consent}}", fields.consent),
    ];
    let mut expanded = Expanded { text: String::new(), placeholders: false, empty: true };
    let mut rest = text;
    // One pass, so that a title that reads like a placeholder stays what it is.
    while let Some(at) = rest.find("{{") {
        expanded.text.push_str(&rest[..at]);
        rest = &rest[at..];
        let found = values.iter().find(|(name, _)| rest.starts_with(name));
        let (skip, value) = found.map_or((2, "{{"), |(name, value)| (name.len(), *value));
        if found.is_some() {
            expanded.placeholders = true;
            expanded.empty &= value.is_empty();
        }
        expanded.text.push_str(value);
        rest = &rest[skip..];
    }
    expanded.text.push_str(rest);
    expanded
}

fn number(node: Node<'_, '_>, name: &str) -> Option<f32> {
    node.attribute(name)?.trim().trim_end_matches("px").parse().ok().filter(|value: &f32| value.is_finite())
}

fn room(text: Node<'_, '_>) -> Option<Room> {
    let width = number(text, "data-width").filter(|width| *width >= 1.0)?;
    let size = number(text, "font-size").unwrap_or(16.0).clamp(1.0, 1000.0);
    let min_size = number(text, "data-min-size").unwrap_or(size).clamp(1.0, size);
    Some(Room { width, lines: number(text, "data-lines").unwrap_or(1.0).clamp(1.0, 10.0) as usize, size, min_size })
}

/// The attributes that a text is measured with, its own or inherited.
fn style(text: Node<'_, '_>) -> String {
    ["font-family", "font-weight", "font-style", "font-stretch", "letter-spacing"]
        .into_iter()
        .filter_map(|name| {
            let value = text.ancestors().find_map(|node| node.attribute(name))?;
            Some(format!("{name}=\"{}\" ", escape(value)))
        })
        .collect()
}

fn lines(text: Node<'_, '_>, fitted: &Fitted, room: Room, spread: f32) -> String {
    let (x, y) = (number(text, "x").unwrap_or_default(), number(text, "y").unwrap_or_default());
    let first = y - spread / 2.0 - MIDDLE * (room.size - fitted.size);
    let anchor = match text.ancestors().find_map(|node| node.attribute("text-anchor")) {
        Some("middle") => 0.5,
        Some("end") => 1.0,
        _ => 0.0,
    };
    // Said again, so that a spacing in `em` follows the shrunk size.
    let spacing = text.ancestors().find_map(|node| node.attribute("letter-spacing")).unwrap_or("0");
    let mut svg = String::new();
    for (n, line) in fitted.lines.iter().enumerate() {
        let (start, y) = (x - anchor * line.width, first + n as f32 * LINE_HEIGHT * fitted.size);
        for (at, run) in line.runs.iter().filter(|(_, run)| !run.text.is_empty()) {
            let place = format!(
                "x=\"{}\" y=\"{y}\" font-size=\"{}\" letter-spacing=\"{}\" text-anchor=\"start\"",
                start + at,
                fitted.size,
                escape(spacing)
            );
            svg.push_str(&measure::markup(run, &place));
        }
    }
    svg
}

/// Moves, stretches and hides the elements that say so.
fn adjust(node: Node<'_, '_>, document: &Document<'_>, fitted: &HashMap<&str, (Fitted, f32)>, edits: &mut Edits) {
    let spread = |name| node.attribute(name).and_then(|id| fitted.get(id)).map(|(_, spread)| spread / 2.0);
    if let Some(shift) = spread("data-below").or(spread("data-above").map(|up| -up)) {
        let before = node.attribute("transform").unwrap_or_default();
        set(node, "transform", &format!("translate(0 {shift}) {before}"), edits);
    }
    let hugged = node.attribute("data-hug").and_then(|id| Some((id, &fitted.get(id)?.0)));
    if let Some((id, fit)) = hugged {
        let text = document.descendants().find(|other| other.attribute("id") == Some(id));
        let start = text.and_then(|text| number(text, "x")).unwrap_or_default();
        let left = number(node, "x").unwrap_or_default();
        let width = start + fit.width + number(node, "data-pad").unwrap_or_default() - left;
        set(node, "width", &format!("{}", width.max(1.0)), edits);
    }
    if node.attribute("id").is_some_and(|id| MOVING.contains(&id)) {
        set(node, "visibility", "hidden", edits);
    }
}

fn set(node: Node<'_, '_>, name: &str, value: &str, edits: &mut Edits) {
    match node.attribute_node(name) {
        Some(attribute) => edits.push((attribute.range_value(), escape(value))),
        None => {
            let prefix =
                node.document().input_text()[node.range()].find(|c: char| c.is_whitespace() || c == '/' || c == '>');
            let at = node.range().start + prefix.unwrap_or_default();
            edits.push((at..at, format!(" {name}=\"{}\"", escape(value))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Fields<'static> = Fields {
        title: "</text><image href=\"file:///etc/passwd\"/>{{host}} & \"friends\"",
        host: "",
        line: "Live",
        speaking: "",
        clock: "",
        consent: "",
    };

    fn svg(body: &str) -> String {
        format!("<svg xmlns='http://www.w3.org/2000/svg' width='640' height='360'>{body}</svg>")
    }

    #[test]
    fn a_title_full_of_markup_adds_no_element() {
        for text in ["<text>{{title}}</text>", "<text data-width='300' data-lines='9' font-size='20'>{{title}}</text>"]
        {
            let filled = fill(&svg(text), FIELDS).expect("a filled template");
            let document = Document::parse(&filled).expect("XML");
            let names: Vec<&str> =
                document.descendants().filter(Node::is_element).map(|node| node.tag_name().name()).collect();
            assert!(names.iter().all(|name| ["svg", "text", "tspan"].contains(name)), "{names:?}");
            let all: String = document.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect();
            assert!(all.contains("{{host}}") && all.contains("<image"), "{all}");
        }
    }

    #[test]
    fn placeholders_outside_texts_are_not_filled() {
        let body = "<style>{{title}}</style><rect id='{{title}}'/><!-- {{title}} --><desc>{{title}}</desc>";
        assert_eq!(fill(&svg(body), FIELDS).expect("a filled template"), svg(body));
    }

    #[test]
    fn a_text_whose_values_are_all_empty_disappears() {
        let filled = fill(&svg("<text>Hosted by {{host}}</text><text>{{line}}</text>"), FIELDS).expect("a template");
        assert!(!filled.contains("Hosted") && filled.contains("Live"), "{filled}");
    }

    #[test]
    fn a_dtd_is_refused() {
        assert!(fill("<!DOCTYPE svg [<!ENTITY a 'b'>]><svg xmlns='http://www.w3.org/2000/svg'/>", FIELDS).is_err());
    }

    #[test]
    fn a_rectangle_hugs_its_text_and_neighbours_make_room() {
        let body = "<rect id='r' x='10' width='1' data-hug='line' data-pad='8'/><g id='g' data-below='title'/>\
                    <text id='line' x='20' data-width='300' font-size='20'>{{line}}</text>\
                    <text id='title' x='20' y='50' data-width='200' data-lines='3' font-size='20'>{{title}}</text>";
        let filled = fill(&svg(body), FIELDS).expect("a filled template");
        let document = Document::parse(&filled).expect("XML");
        let find = |id| document.descendants().find(|node| node.attribute("id") == Some(id)).expect("an element");
        let width = number(find("r"), "width").expect("a width");
        assert!((40.0..90.0).contains(&width), "{width}");
        assert!(find("g").attribute("transform").is_some_and(|value| value.starts_with("translate(0 ")));
    }
}
